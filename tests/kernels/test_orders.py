"""The suite's checks of every order notice kernels that are wrong at one order only, or in a masked tile."""

from dataclasses import replace

import pytest

from ndbench.catalog import CATALOG
from ndbench.kernels.denman_beavers import tiled as denman_beavers_tiled
from ndbench.kernels.newton_schulz import scratch, scratch_adjoint, small_adjoint
from ndbench.verify import answers, kernels
from ndbench.verify.kernel_orders import ORDERS

VALUE, GRADIENT = (
    next(c for c in kernels.CHECKS if c.name == kernels.FAMILY + name) for name in ("orders", "gradients")
)


@pytest.fixture(autouse=True)
def forget_answers():
    """Answers are kept by implementation and problem, whatever kernel gave them."""
    answers.answer.cache_clear()
    yield
    answers.answer.cache_clear()


def passed(check, name, orders, device):
    entry = next(i for i in CATALOG if i.name == f"{name}.triton.ieee")
    entry = replace(entry, devices=("interpreter" if device == "cpu" else device,))
    return [check(entry, next(p for p in ORDERS["quick"] if p.n == n)).passed for n in orders]


def without_last_tile(X, n):
    """What a kernel computes that forgets the rows and columns beyond the last whole 16."""
    cut = X.clone()
    last = n // 16 * 16
    cut[..., last:, :last] = cut[..., :last, last:] = 0
    return cut


def tampered(run, at):
    """The launcher with the last tile of its first argument lost at some orders."""

    def wrong(X, *rest, **options):
        n = X.shape[-1]
        return run(without_last_tile(X, n) if at(n) else X, *rest, **options)

    return wrong


def only_33(n):
    return n == 33


def every_order(n):
    return True


@pytest.mark.parametrize("name", ["minimax_cubic.T5", "minimax_quintic.T5"])
def test_a_wrong_adjoint_at_one_order(name, device, monkeypatch):
    monkeypatch.setattr(scratch_adjoint, "run", tampered(scratch_adjoint.run, only_33))
    assert passed(GRADIENT, name, (33, 34), device) == [False, True]
    assert passed(VALUE, name, (33,), device) == [True]


def test_a_wrong_adjoint_of_sweeps_at_one_order(device, monkeypatch):
    right = denman_beavers_tiled.pull_back
    monkeypatch.setattr(denman_beavers_tiled, "pull_back", tampered(right, only_33))
    assert passed(GRADIENT, "denman_beavers.T9s4", (33, 34), device) == [False, True]
    assert passed(VALUE, "denman_beavers.T9s4", (33,), device) == [True]


def test_a_wrong_adjoint_in_a_masked_tile(device, monkeypatch):
    monkeypatch.setattr(small_adjoint, "run", tampered(small_adjoint.run, every_order))
    found = passed(GRADIENT, "minimax_cubic.T5", (15, 16, 17, 31, 32), device)
    # 15 is a single tile that is masked as a whole
    assert found == [True, True, False, False, True]


def test_wrong_values_at_one_order(device, monkeypatch):
    monkeypatch.setattr(scratch, "run", tampered(scratch.run, only_33))
    assert passed(VALUE, "minimax_cubic.T5", (33, 34), device) == [False, True]
