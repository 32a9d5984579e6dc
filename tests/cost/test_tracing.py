import pytest
import torch
from torch import nn

from ndbench.cost.geometry import Convolution
from ndbench.cost.tracing import LeftOut, convolutions, geometry, maker
from ndbench.layers import Deconv2d


class Twice(nn.Module):
    """One convolution called twice, and one that is never called."""

    def __init__(self):
        super().__init__()
        self.stem, self.unused = nn.Conv2d(3, 4, 3, stride=2), nn.Conv2d(3, 4, 1)
        self.body = nn.Conv2d(4, 4, (3, 1), padding="same", dilation=2, groups=2)

    def forward(self, x):
        return self.body(self.body(self.stem(x)).relu())


def test_what_is_computed_is_found_in_order():
    body = Convolution.of((2, 4, 5, 4), 4, (3, 1), padding=(2, 0), dilation=2, groups=2)
    found, left_out = convolutions(Twice, (2, 3, 11, 9))
    assert left_out == LeftOut()
    assert found == [
        ("stem", Convolution.of((2, 3, 11, 9), 4, 3, stride=2, input_gradient=False)),
        ("body", body),
        ("body", body),
    ]


def test_nothing_is_computed_and_no_module_of_ours_is_in_the_way():
    def make():
        assert torch.empty(1).is_meta
        return nn.Sequential(Deconv2d(3, 4, 3, padding="valid"), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1))

    assert [name for name, _ in convolutions(make, (64, 3, 4000, 4000))[0]] == ["0", "2"]


class Normalized(nn.Module):
    """A normalization of the images before the first convolution, a functional and a transposed one."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)
        self.up = nn.ConvTranspose2d(4, 2, 2)

    def forward(self, x):
        x = self.second(self.first((x - 0.5) / 0.2))
        return self.up(nn.functional.conv2d(x, self.second.weight))


def test_a_first_layer_is_one_whose_input_needs_no_gradient():
    found, _ = convolutions(Normalized, (1, 3, 9, 9))
    assert [conv.input_gradient for _, conv in found] == [False, True]


def test_other_convolutions_are_counted():
    assert convolutions(Normalized, (1, 3, 9, 9))[1] == LeftOut(convolutions=2)
    with pytest.raises(ValueError, match=r"computed no torch\.nn\.Conv2d, and 1 other convolutions"):
        convolutions(lambda: nn.ConvTranspose2d(3, 2, 2), (1, 3, 4, 4))


class Classifier(nn.Module):
    """A convolution, a linear layer called twice, and a functional one."""

    def __init__(self):
        super().__init__()
        self.features, self.linear = nn.Conv2d(3, 4, 3), nn.Linear(4, 4)

    def forward(self, x):
        features = self.linear(self.linear(self.features(x).mean((2, 3))))
        return nn.functional.linear(features, self.linear.weight)


def test_linear_layers_are_counted():
    found, left_out = convolutions(Classifier, (1, 3, 9, 9))
    assert len(found) == 1
    assert left_out == LeftOut(linear=3)
    with pytest.raises(ValueError, match=r"computed no torch\.nn\.Conv2d, and 0 other convolutions"):
        convolutions(lambda: nn.Linear(4, 2), (1, 3, 4, 4))


def test_what_cannot_be_described_is_refused():
    with pytest.raises(ValueError, match='padding="same" of kernel \\(2, 2\\) differs'):
        geometry(nn.Conv2d(1, 1, 2, padding="same"), (1, 1, 4, 4))
    with pytest.raises(ValueError, match=r"computed no torch\.nn\.Conv2d"):
        convolutions(nn.Identity, (1, 3, 4, 4))


def test_what_is_no_network_for_this_input_is_refused():
    with pytest.raises(TypeError, match=r"must return a torch\.nn\.Module; got int"):
        convolutions(lambda: 3, (1, 3, 4, 4))
    with pytest.raises(ValueError, match=r"refuses an input of shape \(1, 2, 4, 4\): "):
        convolutions(lambda: nn.Conv2d(3, 1, 1), (1, 2, 4, 4))


def test_a_function_of_a_file(tmp_path):
    file = tmp_path / "networks.py"
    file.write_text("from torch import nn\n\ndef small():\n    return nn.Conv2d(3, 2, 1)\n\nnumber = 3\n")
    found, _ = convolutions(maker(f"{file}:small"), (1, 3, 5, 5))
    assert found == [("", Convolution.of((1, 3, 5, 5), 2, 1, input_gradient=False))]
    with pytest.raises(ValueError, match="defines no function 'number'"):
        maker(f"{file}:number")
    with pytest.raises(ValueError, match=r"there is no file 'nowhere\.py'"):
        maker("nowhere.py:small")
