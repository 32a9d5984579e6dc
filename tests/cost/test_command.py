import json

import pytest

from ndbench import cli

LAYER = ["--layer", "4x8x12x12", "--out", "8", "--kernel", "3", "--padding", "1"]


def printed(capsys, *arguments):
    assert cli.main(["cost", *arguments]) == 0
    return capsys.readouterr().out


def refused(capsys, *arguments):
    """What is said of wrong usage, by argparse or by the command."""
    try:
        status = cli.main(["cost", *arguments])
    except SystemExit as leaving:
        status = leaving.code
    assert status == 2
    return capsys.readouterr().err


def test_one_layer(capsys):
    shown = printed(capsys, *LAYER, "--block", "4", "--sampling", "1", "--steps", "3")
    assert "4x8x12x12 -> 8 channels, kernel 3x3, block 4, sampling 1, T = 3: covariance of order 36" in shown
    for text in ("lagged", "newton_schulz, reverse", "folding", "convolution", "Deconv2d", "H W k^2 C B + (k^2 B)^3"):
        assert text in shown


def test_a_rectangular_layer(capsys):
    more = ["--kernel", "3x5", "--stride", "2x1", "--dilation", "1", "--groups", "2", "--first"]
    assert "kernel 3x5" in printed(capsys, "--layer", "1x4x9x9", "--out", "2", *more)


def test_a_linear_layer(capsys):
    shown = printed(capsys, "--linear", "128x1024", "--out", "10")
    title = "128x1024x1x1 -> 10 channels, kernel 1x1, block 512, sampling 1, T = 5: covariance of order 512"
    assert title in " ".join(shown.split())
    assert "DeconvLinear: " in shown
    assert "Deconv2d" not in shown


def test_markdown(capsys):
    lines = printed(capsys, *LAYER, "--markdown").splitlines()
    assert lines[2].startswith("| operation | algorithm | forward Gflop |")
    assert sum(line.startswith("| covariance |") for line in lines) == 7


def test_a_network_layer_by_layer(capsys):
    lines = printed(capsys, "--network", "vgg16", "--input", "2x3x32x32", "--markdown").splitlines()
    assert sum(line.startswith("| conv") for line in lines) == 13
    assert any(line.startswith("| total |") for line in lines)


def test_several_settings_have_a_row_of_totals_each(capsys):
    arguments = [
        "--network",
        "vgg16",
        "resnet18",
        "--input",
        "2x3x32x32",
        "--block",
        "16",
        "64",
        "--sampling",
        "1",
        "3",
    ]
    lines = printed(capsys, *arguments, "--markdown").splitlines()
    found = [tuple(cell.strip() for cell in line.split("|")[1:5]) for line in lines if "2x3x32x32" in line]
    assert found == [
        (name, "2x3x32x32", block, sampling)
        for name in ("vgg16", "resnet18")
        for block in ("16", "64")
        for sampling in ("1", "3")
    ]


def test_a_network_of_a_file(capsys, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "from torch import nn\n\ndef net():\n    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 4, 1))\n"
    )
    shown = printed(capsys, "--network", f"{file}:net", "--input", "2x3x16x16", "--markdown")
    assert "| 0 | 3x16x16 | 3x3 |" in shown
    assert "| 1 | 8x14x14 | 1x1 |" in shown


def test_json_holds_all_numbers(capsys, tmp_path):
    path = tmp_path / "new" / "costs.json"
    printed(capsys, *LAYER, "--json", str(path))
    rows = {(row["operation"], row["algorithm"]): row for row in json.loads(path.read_text())["rows"]}
    assert rows["convolution", ""]["forward"]["products"] == 2 * 4 * 144 * 8 * 72
    assert rows["root", "spectral, eigenbasis"]["exact"] is False
    assert "held" not in rows["convolution", ""]["forward"]
    printed(capsys, "--network", "vgg16", "--input", "1x3x32x32", "--json", str(path))
    (network,) = json.loads(path.read_text())["networks"]
    assert len(network["layers"]) == network["total"]["layers"] == 13


def test_footprints(capsys, tmp_path):
    path = tmp_path / "costs.json"
    layer = ("--layer", "4x2x8x8", "--out", "2", "--kernel", "2", "--padding", "1", "--steps", "1", "--sampling", "1")
    shown = printed(capsys, *layer, "--footprints", "--markdown", "--json", str(path))
    assert "| MB moved | MB held | backward MB held |" in shown
    rows = {(row["operation"], row["algorithm"]): row for row in json.loads(path.read_text())["rows"]}
    assert rows["covariance", "im2col"]["forward"]["held"] > rows["covariance", "buffered"]["forward"]["held"] > 0
    assert rows["convolution", ""]["forward"]["moved"] == rows["convolution", ""]["forward"]["bytes"]


def test_footprints_of_a_network(capsys, tmp_path):
    path, file = tmp_path / "costs.json", tmp_path / "mine.py"
    file.write_text(
        "from torch import nn\n\ndef net():\n    return nn.Sequential(*(nn.Conv2d(3, 3, 3) for _ in range(3)))\n"
    )
    options = ("--network", f"{file}:net", "--input", "2x3x9x9", "--footprints", "--markdown")
    lines = printed(capsys, *options, "--json", str(path)).splitlines()
    layers = json.loads(path.read_text())["networks"][0]["layers"]
    moved = [sum(side["moved"] for side in layer["footprint"] if side) for layer in layers]
    assert len(moved) == 3
    (total,) = [line for line in lines if line.startswith("| total |")]
    assert total.endswith(f"| {sum(moved) / 1e6:.3g} | · | · |")
    assert "one network, input and setting" in refused(capsys, *options, "--block", "1", "3")


def test_a_kernel_that_does_not_fit(capsys):
    assert "Layer: kernel (30, 30)" in refused(capsys, "--layer", "2x8x10x12", "--out", "4", "--kernel", "30")
    assert 'must be 4 numbers with "x" between, such as 1x3x224x224' in refused(capsys, "--layer", "2x8x10")


def test_sizes_are_positive(capsys):
    assert "every number must be at least 1; got '0x3x32x32'" in refused(
        capsys, "--network", "vgg16", "--input", "0x3x32x32"
    )
    assert "every number must be at least 1; got '0'" in refused(capsys, *LAYER, "--stride", "0")
    printed(capsys, *LAYER[:-1], "0")


def test_a_network_has_the_floors_of_its_layers(capsys, tmp_path):
    rates, found = tmp_path / "bench.json", tmp_path / "cost.json"
    rates.write_text(json.dumps({"ceilings": {"bytes": 1e30, "flops": {"ieee": 1e9, "tf32": 1e9}}}))
    options = ("--network", "vgg16", "--input", "1x3x32x32", "--ceilings", str(rates), "--json", str(found))
    assert "| all three, ms | conv, ms |" in printed(capsys, *options, "--markdown")
    (network,) = json.loads(found.read_text())["networks"]
    flops, floor = network["total"]["flops"]["convolution"], network["total"]["floor"]["convolution"]
    # at such a rate of copies only the arithmetic counts
    assert floor == pytest.approx(sum(flops.values()) / 1e9)
    assert floor == pytest.approx(sum(layer["floor"]["convolution"] for layer in network["layers"]))
    assert "| all three, ms | conv, ms |" in printed(capsys, *options, "--block", "16", "64", "--markdown")


def test_floors_from_rates_of_a_run(capsys, tmp_path):
    path = tmp_path / "bench.json"
    path.write_text(json.dumps({"ceilings": {"bytes": 1e9, "flops": {"ieee": 1e9, "tf32": 1e9}}}))
    assert "floor ms" in printed(capsys, *LAYER, "--markdown", "--ceilings", str(path))
    for text in (
        "{}",
        "[",
        '{"ceilings": {"bytes": 1e9, "flops": {"tf32": 1e9}}}',
        '{"ceilings": {"bytes": 0, "flops": {"ieee": 1e9}}}',
        '{"ceilings": {"bytes": 1e9, "flops": {"ieee": 0}}}',
    ):
        path.write_text(text)
        said = refused(capsys, *LAYER, "--ceilings", str(path))
        assert "holds no ceilings" in said
        assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def net(:", "cannot be run: SyntaxError: "),
        ("import nowhere_to_be_found", "cannot be run: ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
        ("def net():\n    raise KeyError('a')", "the network cannot be made: KeyError: 'a'"),
        (
            "from torch import nn\n\nclass net(nn.Module):\n    def forward(self, x):\n        return self.nothing(x)",
            "the network refuses an input of shape (1, 3, 8, 8): AttributeError: ",
        ),
    ],
)
def test_foreign_code_that_fails_is_one_line(source, said, capsys, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(source)
    message = refused(capsys, "--network", f"{file}:net", "--input", "1x3x8x8")
    assert said in message
    assert message.startswith("ndbench cost: ")
    assert message.count("\n") == 1


def test_convolutions_that_are_left_out_are_said(capsys, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "from torch.nn import *\n\ndef net():\n    return Sequential(Conv2d(3, 8, 3), ConvTranspose2d(8, 4, 2))\n"
    )
    assert cli.main(["cost", "--network", f"{file}:net", "--input", "1x3x8x8"]) == 0
    assert capsys.readouterr().err == (
        f"ndbench cost: {file}:net: left out are 1 convolutions that are no torch.nn.Conv2d\n"
    )


def test_linear_layers_that_are_left_out_are_said(capsys, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "from torch.nn import *\n\ndef net():\n    return Sequential(Conv2d(3, 8, 3), Flatten(), Linear(288, 4))\n"
    )
    assert cli.main(["cost", "--network", f"{file}:net", "--input", "1x3x8x8"]) == 0
    assert f"ndbench cost: {file}:net: left out are 1 linear layers\n" in capsys.readouterr().err
    assert cli.main(["cost", "--network", "vgg16", "resnet18", "--input", "1x3x32x32"]) == 0
    assert capsys.readouterr().err == (
        "ndbench cost: vgg16: left out are 3 linear layers\nndbench cost: resnet18: left out are 1 linear layers\n"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "one of the arguments --layer --linear --network is required"),
        (["--layer", "4x8x12"], "must be 4 numbers with \"x\" between, such as 1x3x224x224; got '4x8x12'"),
        (["--layer", "4x8x12x12"], "--layer needs --out and --kernel"),
        (
            [*LAYER[:-2], "--kernel", "3x3x3"],
            "must be one number or 2 numbers with \"x\" between, such as 3 or 3x5; got '3x3x3'",
        ),
        ([*LAYER, "--kernel", "15"], "must fit into the padded image"),
        ([*LAYER, "--block", "0"], "must be a positive whole number; got '0'"),
        ([*LAYER, "--block", "2", "4"], "one layer has one table"),
        ([*LAYER, "--block", "²"], "must be a positive whole number; got '²'"),
        (["--layer", "100000000000x64x8x8", "--out", "4", "--kernel", "3"], "every size must be below 2^31"),
        (
            ["--layer", "999999999x999999x9999x9999", "--out", "64", "--kernel", "3"],
            "ndbench cost: Layer: the input must have fewer than 2^40 numbers; got 99979900920019098980001",
        ),
        (
            ["--layer", "1x1x1000000x1000000", "--out", "1", "--kernel", "1"],
            "ndbench cost: Layer: Triton kernels take at most 2147481600 pixels of an image; got 1000000000000",
        ),
        ([*LAYER, "--groups", "3"], "3 groups must divide the 8 channels"),
        ([*LAYER, "--groups", "2", "--grouping", "interleaved"], "interleaved blocks spread over all 2 groups"),
        ([*LAYER, "--network", "vgg16"], "not allowed with argument"),
        ([*LAYER, "--ceilings", "nowhere.json"], "ndbench cost: cannot read nowhere.json: No such file or directory"),
        ([*LAYER, "--json", "/dev/null/costs.json"], "ndbench cost: cannot write /dev/null/costs.json: File exists"),
        ([*LAYER, "--json", "/proc/x/y.json"], "ndbench cost: cannot write /proc/x/y.json: No such file or directory"),
        (["--network", "alexnet"], "--network must be one of vgg16, resnet18, densenet121, or FILE.py:FUNCTION"),
        (["--network", "nowhere.py:net"], "there is no file 'nowhere.py'"),
        (["--network", "vgg16", "--input", "1x3x8x8"], "conv5_1: the images are too small for the network"),
        (["--network", "vgg16", "--out", "3", "--stride", "2"], "--out, --stride has no meaning with --network"),
        ([*LAYER, "--input", "1x3x8x8"], "--input has no meaning with --layer"),
        (["--linear", "8x12"], "--linear needs --out: the features of the output"),
        (["--linear", "8x12x1", "--out", "4"], "must be 2 numbers with \"x\" between, such as 3x5; got '8x12x1'"),
        (["--linear", "8x12", "--out", "4", "--kernel", "1"], "--kernel has no meaning with --linear; leave it out"),
        (["--linear", "8x12", "--out", "4", "--footprints"], "--footprints has no meaning with --linear"),
        (
            ["--linear", "8x12", "--out", "4", "--sampling", "3"],
            "a linear layer counts every row, so sampling must be 1; got 3",
        ),
    ],
)
def test_wrong_usage(capsys, arguments, message):
    assert message in refused(capsys, *arguments)
