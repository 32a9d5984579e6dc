"""The committed page is one that the command writes."""

import re
from pathlib import Path

from ndbench.verify.scaling import document

PAGE = Path(__file__).parents[3] / "docs" / "scaling.md"


def test_nobody_has_edited_the_head_of_the_page():
    fixed = re.sub(r"\\\{\w+\\\}", ".*?", re.escape(document.HEAD))
    head = re.match(fixed, PAGE.read_text(), re.DOTALL)
    assert head
    # what is filled in is a line or two
    assert len(head[0]) < len(document.HEAD) + 200
