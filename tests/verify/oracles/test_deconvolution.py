import numpy as np
import pytest
import torch

from ndbench.covariance_problems import DeconvolutionProblem
from ndbench.verify.oracles import OracleUnavailable
from ndbench.verify.oracles.deconvolution import columns_of_output, whitened_outputs


class ByHand(DeconvolutionProblem):
    """Two channels of one pixel, two outputs: whole numbers that can be followed."""

    def weight(self):
        return torch.tensor([[1.0, 2.0], [0.0, 1.0]])

    def bias(self):
        return torch.tensor([10.0, 20.0])

    def mean(self):
        return torch.tensor([1.0, -1.0])

    def matrix(self):
        return torch.tensor([[1.0, 2.0], [0.0, 3.0]])

    def patches(self):
        return torch.tensor([[3.0, 0.0]])


def test_one_patch_by_hand():
    # (p - mean) = (2, 1), times D = (2, 7); outputs 10 + 2 + 14 and 20 + 7
    first, second = whitened_outputs(ByHand(channels=2, outputs=2, kernel_size=None, rows=1))
    assert (first.value.tolist(), second.value.tolist()) == ([26.0], [27.0])
    # D w = (5, 6) and (2, 3); b' = b - mean . w' = 11 and 21
    assert (first.weight.tolist(), second.weight.tolist()) == ([5.0, 6.0], [2.0, 3.0])
    assert (first.bias, second.bias) == (21.0, 41.0)
    # (|p| + |mean|) = (4, 1), times |D| |w| = (5, 6)
    assert first.size.tolist() == [26.0]


@pytest.mark.parametrize("grouping", ["channel", "interleaved"])
def test_values_are_those_of_the_folded_weight_up_to_one_constant(grouping):
    problem = DeconvolutionProblem(block=2, pooled=False, grouping=grouping, dtype=torch.float64)
    for o, output in enumerate(whitened_outputs(problem)):
        p = problem.patches().numpy()[:, columns_of_output(problem, o)]
        constant = (output.value - p @ output.weight).astype(np.float64)
        np.testing.assert_allclose(constant, constant[0], rtol=1e-12)


def test_outputs_of_a_grouped_convolution_see_their_channels_only():
    problem = DeconvolutionProblem(channels=4, outputs=4, kernel_size=1, groups=2)
    assert [columns_of_output(problem, o) for o in range(4)] == [[0, 1], [0, 1], [2, 3], [2, 3]]


def test_without_a_wide_longdouble_float64_has_no_truth(monkeypatch):
    monkeypatch.setattr(np, "longdouble", np.float64)
    with pytest.raises(OracleUnavailable, match="longdouble is float64"):
        whitened_outputs(DeconvolutionProblem(dtype=torch.float64))
