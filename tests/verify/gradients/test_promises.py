"""What the catalog promises of derivatives, and what becomes of a promise that is not kept."""

from dataclasses import replace

import pytest
import torch

from ndbench import inverse_sqrt
from ndbench.catalog import CATALOG, DERIVATIVES
from ndbench.verify import verify
from ndbench.verify.gradients.suite import CHECKS, FAMILY
from ndbench.verify.verdict import Status

RUNGS = {"reverse": "wiring", "forward": "dot-product", "second": "second-derivative"}
ON_CPU = [i for i in CATALOG if "cpu" in i.devices and i.operation in ("inverse-sqrt", "covariance")]


def verdict(rung, implementation):
    (check,) = (c for c in CHECKS if c.name == FAMILY + rung and c.operation == implementation.operation)
    problem = min(check.problems["quick"], key=lambda p: p.n if hasattr(p, "n") else p.x().numel())
    return check(implementation, problem)


@pytest.mark.parametrize("implementation", ON_CPU, ids=lambda i: f"{i.operation} {i.name}")
def test_the_catalog_promises_what_is_given(implementation):
    asked = replace(implementation, derivatives=())
    given = {kind for kind, rung in RUNGS.items() if verdict(rung, asked).status != Status.NOT_RUN}
    assert given == set(implementation.derivatives)


@pytest.mark.parametrize("kind", DERIVATIVES)
def test_a_broken_promise_fails(kind):
    def detached(A):
        return inverse_sqrt(A.detach())

    base = next(i for i in CATALOG if i.name == "newton_schulz.T5")
    broken = verdict(RUNGS[kind], replace(base, function=detached))
    assert broken.status == Status.FAILED
    assert "carries no gradient" in broken.reason


def test_a_function_of_ones_own_is_asked_for_gradients_only_on_request():
    def detached(A):
        return inverse_sqrt(A.detach())

    judged = {"target": "newton_schulz:5", "checks": ("gradient-wiring",), "dtypes": (torch.float64,)}
    assert verify(detached, "inverse-sqrt", **judged).count(Status.FAILED) == 0
    asked = verify(detached, "inverse-sqrt", **judged, derivatives=("reverse",))
    assert asked.count(Status.FAILED) == len(asked.verdicts)


def test_an_order_that_kernels_do_not_serve_is_not_run():
    def small(A):
        if A.shape[-1] > 2:
            raise NotImplementedError("orders up to 2")
        return inverse_sqrt(A)

    base = next(i for i in CATALOG if i.name == "newton_schulz.T5")
    unserved = verdict("wiring", replace(base, function=small))
    assert unserved.status == Status.NOT_RUN
    assert "does not serve this: orders up to 2" in unserved.reason


def test_unknown_derivatives_are_refused():
    with pytest.raises(ValueError, match="derivatives are reverse, forward, second; got third"):
        verify(inverse_sqrt, "inverse-sqrt", derivatives=("third",))
