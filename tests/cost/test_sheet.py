from io import StringIO

import pytest
from rich.console import Console

from ndbench.cost.ceilings import Ceilings
from ndbench.cost.geometry import Layer, Whitening
from ndbench.cost.networks import convolutions
from ndbench.cost.sheet import Sheet, billions, megabytes, share
from ndbench.cost.table import layer_sheet, rows_of
from ndbench.cost.totals import network_sheet, totals_sheet

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


@pytest.mark.parametrize("width", [100, 120])
@pytest.mark.parametrize("network", ["resnet18", "densenet121"])
def test_no_number_is_cut_at_ordinary_widths(network, width):
    layers = [Layer(conv, Whitening(), name) for name, conv in convolutions(network, (64, 3, 224, 224))]
    for sheet in (
        network_sheet("a network", layers),
        totals_sheet([([network, "64x3x224x224", "64", "3"], layers)]),
        layer_sheet(layers[-1], rows_of(layers[-1]), ceilings=Ceilings(1e9, {"ieee": 1e9})),
    ):
        console = Console(file=StringIO(), width=width)
        console.print(sheet.rich())
        shown = console.file.getvalue()
        assert "…" not in shown
        for row in sheet.rows:
            assert all(cell in shown for cell in row[sheet.words :])


def test_numbers():
    assert (billions(1.23456e9), billions(1.5e6), megabytes(2.5e9)) == ("1.23", "0.0015", "2,500")
    assert (share(1, 2), share(10, 1), share(9.99, 1), share(1, 0)) == ("50%", "10x", "999%", "·")
