import pytest
import torch
from torch.nn import functional

from ndbench.covariance import Patches


def test_integers_are_read_as_pairs():
    assert Patches.of(3, stride=2, padding=(0, 1)) == Patches((3, 3), stride=(2, 2), padding=(0, 1))


@pytest.mark.parametrize("kernel", [1, 2, (3, 2)], ids=str)
@pytest.mark.parametrize("options", [{}, {"stride": 2}, {"padding": (2, 0)}, {"dilation": 2, "padding": 1}], ids=str)
def test_output_size_is_that_of_unfold(kernel, options):
    patches = Patches.of(kernel, **options)
    rows, columns = patches.output_size(6, 7)
    count = functional.unfold(
        torch.zeros(1, 1, 6, 7), patches.kernel_size, patches.dilation, patches.padding, patches.stride
    ).shape[2]
    assert rows * columns == count


def test_columns_of_consecutive_channels():
    group, index = Patches.of((1, 2), block=2).columns(4)
    assert group.tolist() == [[0, 0], [0, 0], [1, 1], [1, 1]]
    assert index.tolist() == [[0, 1], [2, 3], [0, 1], [2, 3]]


def test_columns_interleaved():
    group, index = Patches.of((1, 3), block=2, grouping="interleaved").columns(4)
    assert group.tolist() == [[0, 1, 0], [1, 0, 1], [0, 1, 0], [1, 0, 1]]
    assert index.tolist() == [[0, 0, 1], [1, 2, 2], [3, 3, 4], [4, 5, 5]]


def test_interleaving_spreads_every_block_over_all_channels():
    group, _ = Patches.of(3, block=4, grouping="interleaved").columns(8)
    assert all(set(row.tolist()) == {0, 1} for row in group)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((0,), {}, ValueError, "kernel_size must be an integer or a pair of integers, at least 1; got 0"),
        (((3, 3, 3),), {}, ValueError, "kernel_size must be .* got \\(3, 3, 3\\)"),
        ((3.0,), {}, TypeError, "kernel_size must be an integer or a pair of integers; got 3.0"),
        ((3,), {"stride": 0}, ValueError, "stride must be .* at least 1; got 0"),
        ((3,), {"dilation": (1, 0)}, ValueError, "dilation must be .* at least 1; got \\(1, 0\\)"),
        ((3,), {"padding": -1}, ValueError, "padding must be .* at least 0; got -1"),
        ((3,), {"block": 0}, ValueError, "block must be at least 1, or None for all channels; got 0"),
        ((3,), {"grouping": "other"}, ValueError, "grouping must be one of channel, interleaved; got 'other'"),
    ],
)
def test_what_describes_no_patches_is_refused(arguments, options, error, message):
    with pytest.raises(error, match="patch_covariance: " + message):
        Patches.of(*arguments, **options)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((4, 5, 5), r"x must have shape \(N, C, H, W\); got shape \(4, 5, 5\)"),
        ((0, 4, 5, 5), r"at least one row, so x must not be empty; got shape \(0, 4, 5, 5\)"),
        ((1, 4, 5, 0), r"x must not be empty; got shape \(1, 4, 5, 0\)"),
        ((1, 3, 5, 5), "block must divide the channels; got block 2 and 3 channels"),
        (
            (1, 4, 2, 5),
            r"kernel \(3, 3\) with dilation \(2, 2\) must fit .* image of 2 x 5 and padding \(1, 1\); reduce",
        ),
    ],
)
def test_shapes_without_a_covariance_are_refused(shape, message):
    with pytest.raises(ValueError, match="patch_covariance: .*" + message):
        Patches.of(3, dilation=2, padding=1, block=2).check(shape)
