"""The committed page is one that the command writes."""

import re
from pathlib import Path

from ndbench.cost import footprints
from ndbench.covariance import Patches
from ndbench.verify.scaling import document

PAGE = Path(__file__).parents[3] / "docs" / "scaling.md"


def test_nobody_has_edited_the_head_of_the_page():
    fixed = re.sub(r"\\\{\w+\\\}", ".*?", re.escape(document.HEAD))
    head = re.match(fixed, PAGE.read_text(), re.DOTALL)
    assert head
    # what is filled in is a line or two
    assert len(head[0]) < len(document.HEAD) + 200


def test_lags_hold_what_the_page_says():
    found, _ = footprints.covariance("lagged", (1, 32, 64, 64), Patches.of(5, padding=2, block=32), backward=False)
    assert "a call holds 29 MB at k = 5" in document.HEAD
    assert round(found.held / 1e6) == 29
