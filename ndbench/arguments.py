"""Numbers on the command line."""

import argparse


def positive(text: str) -> int:
    """An option that counts something.

    Raises:
        argparse.ArgumentTypeError: if it is not a positive whole number.

    Example:
        >>> positive("12")
        12
    """
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a positive whole number; got {text!r}")
    return int(text)
