"""What the rungs of a whole layer say about the library's own, and about its linear form."""

import pytest

from ndbench.catalog import Implementation
from ndbench.operations.layer import deconvolved_conv2d, deconvolved_linear
from ndbench.verify.gradients import layer
from ndbench.verify.gradients.problem_sets import QUICK
from ndbench.verify.gradients.suite import LAYER
from ndbench.verify.verdict import NotRun

POINTWISE = [p for p in QUICK.layers if p.images.kernel_size == 1]
RUNGS = (layer.closed_form, layer.differences, layer.correction)


def linear(x, weight, bias, *, stride, padding, dilation, groups, sampling_stride, **how):
    """A convolution by one pixel as the linear layer of every pixel's channels."""
    rows = x.movedim(1, -1)
    return deconvolved_linear(rows, weight[:, :, 0, 0], bias, **how).movedim(-1, 1)


@pytest.mark.parametrize("rung", RUNGS, ids=lambda rung: rung.__name__)
def test_the_linear_layer_passes_as_a_convolution_by_one_pixel(rung):
    implementation = Implementation("deconvolved_linear", LAYER, linear, devices=("cpu",))
    for problem in POINTWISE:
        found = rung(implementation, problem)
        assert found.measured <= found.budget, problem.name


def test_every_verdict_of_a_layer_records_the_share_of_the_term():
    implementation = Implementation("deconvolved_conv2d", LAYER, deconvolved_conv2d, devices=("cpu",))
    for rung in RUNGS:
        assert rung(implementation, POINTWISE[0]).evidence["share"] > 0


def test_a_layer_that_cannot_detach_is_not_run():
    def fixed(x, weight, bias, **how):
        if "correction" in how:
            raise TypeError("unexpected keyword correction")
        return deconvolved_conv2d(x, weight, bias, **how)

    with pytest.raises(NotRun, match="takes no correction=False"):
        layer.correction(Implementation("fixed", LAYER, fixed, devices=("cpu",)), POINTWISE[0])
