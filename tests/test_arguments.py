"""Numbers on the command line."""

import argparse

import pytest

from ndbench.arguments import positive


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "", "²", "a"])
def test_what_counts_nothing_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match="must be a positive whole number; got "):
        positive(text)


def test_a_count():
    assert positive("12") == 12
