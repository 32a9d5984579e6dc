from io import StringIO

from rich.console import Console

from ndbench.cost.sheet import Sheet, billions, megabytes, share

SHEET = Sheet("A title", ["name", "flops"], [["first", "1"], ["total", "12"]], notes=["a note"])


def test_markdown():
    assert SHEET.markdown().splitlines() == [
        *("A title", "", "| name | flops |", "|---|---:|", "| first | 1 |", "| total | 12 |", "", "a note"),
    ]


def test_rich_shows_everything():
    console = Console(file=StringIO(), width=80)
    console.print(SHEET.rich())
    shown = console.file.getvalue()
    assert all(text in shown for text in ("A title", "name", "flops", "first", "total", "12", "a note"))


def test_numbers():
    assert (billions(1.23456e9), billions(1.5e6), megabytes(2.5e9)) == ("1.23", "0.0015", "2,500")
    assert (share(1, 2), share(10, 1), share(9.99, 1), share(1, 0)) == ("50%", "10x", "999%", "·")
