from ndbench.cost.geometry import Convolution, Layer, Whitening
from ndbench.cost.layer import law, parts
from ndbench.cost.networks import convolutions
from ndbench.cost.totals import Totals, network_sheet, totals_sheet

LAYER = Layer(Convolution.of((16, 8, 12, 12), 8, 3, padding=1), Whitening(block=4, sampling=1), "conv")
FIRST = Layer(Convolution.of((16, 8, 12, 12), 8, 3, padding=1, input_gradient=False), Whitening(block=4, sampling=1))


def test_totals_add_the_parts_up():
    one, two = Totals.of([LAYER]), Totals.of([LAYER, FIRST])
    of_parts = {name: forward.flops + backward.flops for name, (forward, backward) in parts(LAYER).items()}
    assert one.beside == of_parts["covariance"] + of_parts["root"] + of_parts["folding"]
    assert one.convolution == of_parts["convolution"]
    assert two.layers == 2
    # the first has no gradient of its input: two of three convolutions
    assert two.convolution == one.convolution * 5 // 3
    assert two.law == 2 * one.law == 2 * sum(law(LAYER))
    assert one.exact


def test_cheaper_than_the_convolution():
    few = Layer(Convolution.of((16, 8, 12, 12), 512, 1), Whitening(block=2))
    many = Layer(Convolution.of((1, 8, 12, 12), 1, 3), Whitening())
    assert [Totals.of([layer]).cheaper for layer in (few, many)] == [1, 0]
    assert Totals.of([few, many]).cheaper == 1


def test_estimates_are_marked():
    assert Totals.of([LAYER]).cells()[-1] == "="
    spectral = Layer(LAYER.convolution, Whitening(method="spectral"))
    assert Totals.of([LAYER, spectral]).cells()[-1] == "≈"


def test_a_record_is_plain():
    record = Totals.of([LAYER]).record()
    assert record["flops"]["convolution"] == {"forward": 2 * 16 * 144 * 8 * 72, "backward": 4 * 16 * 144 * 8 * 72}
    assert record["exact"] is True


def test_a_network_has_a_row_for_each_layer_and_totals():
    layers = [Layer(conv, Whitening(), name) for name, conv in convolutions("resnet18", (2, 3, 64, 64))]
    sheet = network_sheet("resnet18", layers)
    assert [cells[0] for cells in sheet.rows] == [layer.name for layer in layers] + ["total"]
    assert all(len(cells) == len(sheet.columns) for cells in sheet.rows)
    assert sheet.rows[0][1:5] == ["3x64x64", "7x7 /2", "3", "147"]


def test_totals_have_a_row_for_each_setting():
    sheet = totals_sheet([(["a", "1x8x12x12", "4", "1"], [LAYER]), (["b", "1x8x12x12", "4", "1"], [LAYER, FIRST])])
    assert [cells[0] for cells in sheet.rows] == ["a", "b"]
    assert [cells[4].endswith(of) for cells, of in zip(sheet.rows, ("of 1", "of 2"), strict=True)] == [True, True]
    assert all(len(cells) == len(sheet.columns) for cells in sheet.rows)
