"""What the rungs of whole layers say about the library's own."""

from dataclasses import replace

import pytest

from ndbench.catalog import DECONVOLVED_CONV2D, DECONVOLVED_LINEAR
from ndbench.operations.layer import deconvolved_conv2d
from ndbench.verify.gradients import layer
from ndbench.verify.gradients.problem_sets import QUICK
from ndbench.verify.gradients.suite import CHECKS
from ndbench.verify.verdict import NotRun, Status

LAYERS = (DECONVOLVED_CONV2D[0], DECONVOLVED_LINEAR[0])


def rungs(implementation):
    return [check for check in CHECKS if check.operation == implementation.operation]


@pytest.mark.parametrize("implementation", LAYERS, ids=lambda i: i.name)
def test_every_verdict_of_a_layer_records_the_share_of_the_term(implementation):
    for check in rungs(implementation):
        verdict = check(implementation, check.problems["quick"][0])
        assert verdict.status == Status.PASSED, verdict
        assert verdict.evidence["share"] > 0, check.name


def test_both_kinds_of_layer_have_the_same_rungs():
    names = [{check.name for check in rungs(implementation)} for implementation in LAYERS]
    assert names[0] == names[1]
    assert len(names[0]) == 10


def test_sixteen_bits_resolve_the_term():
    # a detached gradient must exceed the budget, not only a wild one
    for problem in (p for p in QUICK.layers if p.dtype.itemsize == 2):
        verdict = next(c for c in rungs(LAYERS[0]) if c.name.endswith("closed-form"))(LAYERS[0], problem)
        assert verdict.budget < verdict.evidence["share"] / 2, problem.name


@pytest.mark.parametrize("rung", [layer.correction, layer.detached])
def test_a_layer_that_cannot_detach_is_not_run(rung):
    def fixed(x, weight, bias, *, stride, padding, dilation, groups, sampling_stride, block, pooled, grouping, eps):
        raise AssertionError

    own = replace(LAYERS[0], function=fixed, derivatives=())
    with pytest.raises(NotRun, match="takes no correction=False"):
        rung(own, QUICK.layers[0])


def test_an_error_in_detaching_is_no_refusal():
    def failing(*tensors, correction=True, **how):
        if not correction:
            raise TypeError("expected Tensor")
        return deconvolved_conv2d(*tensors, **how)

    check = next(c for c in rungs(LAYERS[0]) if c.name.endswith("correction"))
    verdict = check(replace(LAYERS[0], function=failing), QUICK.double_layers[0])
    assert verdict.status == Status.FAILED
