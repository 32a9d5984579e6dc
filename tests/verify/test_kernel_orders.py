"""Values and gradients of every order, shown to fail on functions that are wrong at one order, or in the last tile."""

from dataclasses import replace

import pytest
import torch

from ndbench import inverse_sqrt
from ndbench.catalog import CATALOG
from ndbench.verify import kernels
from ndbench.verify.kernel_orders import ALL_STEPS, ORDERS, TILED
from ndbench.verify.verdict import Status

ROOT = next(i for i in CATALOG if i.name == "newton_schulz.T5")
VALUE, GRADIENT = (
    next(c for c in kernels.CHECKS if c.name == kernels.FAMILY + name) for name in ("orders", "gradients")
)
INTERPRETED = replace(ROOT, devices=("interpreter",), fewest=(2, 0))
"""Judged as a kernel is in the interpreter, without being one."""


def problem(n):
    return next(p for p in ORDERS["quick"] if p.n == n)


def passed(check, implementation, orders):
    return [check(implementation, problem(n)).passed for n in orders]


def with_function(right, change):
    """The implementation with change(answer, A) in the place of its answer."""
    return replace(right, function=lambda A, **steps: change(right.function(A, **steps), A))


class WrongGradient(torch.autograd.Function):
    """The answer as it is, and the gradient without its last row and column beyond the last whole 16."""

    @staticmethod
    def forward(ctx, A, D):
        return D.clone()

    @staticmethod
    def backward(ctx, G):
        kept = G.clone()
        last = G.shape[-1] // 16 * 16
        kept[..., last:, :last] = kept[..., :last, last:] = 0
        return None, kept


def wrong_at_33(D, A):
    return WrongGradient.apply(A, D) if A.shape[-1] == 33 else D


def wrong_last_tile(D, A):
    return WrongGradient.apply(A, D)


def wrong_values_at_33(D, A):
    return D * (1 + 1e-4) if A.shape[-1] == 33 else D


def largest(D, A):
    """Right up to order 32, and without the last row and column beyond."""
    if A.shape[-1] <= 32:
        return D
    cut = D.clone()
    cut[..., -1, :-1] = cut[..., :-1, -1] = 0
    return cut


every_way = pytest.mark.parametrize("right", [ROOT, INTERPRETED], ids=["all steps", "fewest"])


@every_way
def test_right_code_passes(right):
    orders = (1, 2, 16, 17, 32, 33, 70, 147)
    assert all(passed(VALUE, right, orders))
    assert all(passed(GRADIENT, right, orders))


@every_way
def test_a_gradient_that_is_wrong_at_one_order_is_caught(right):
    sabotaged = with_function(right, wrong_at_33)
    assert passed(GRADIENT, sabotaged, (31, 32, 33, 34)) == [True, True, False, True]
    # its values are right
    assert all(passed(VALUE, sabotaged, (32, 33)))


@every_way
def test_a_gradient_that_is_wrong_in_the_last_tile_is_caught(right):
    orders = (16, 17, 31, 32, 33, 63, 64, 65, 96, 128, 144, 147)
    caught = [not found for found in passed(GRADIENT, with_function(right, wrong_last_tile), orders)]
    assert caught == [n % 16 != 0 for n in orders]


@every_way
def test_values_that_are_wrong_at_one_order_are_caught(right):
    assert passed(VALUE, with_function(right, wrong_values_at_33), (32, 33, 34)) == [True, False, True]
    assert passed(VALUE, with_function(right, largest), (1, 16, 32, 33, 147)) == [True, True, True, False, False]


@pytest.mark.parametrize(
    ("check", "whole"), [(VALUE, (*ALL_STEPS, *TILED)), (GRADIENT, ALL_STEPS)], ids=["value", "gradient"]
)
def test_the_interpreter_is_held_to_two_steps_except_at_one_order_of_each_kernel(check, whole):
    def all_steps(A, **steps):
        return inverse_sqrt(A, steps=5)

    def two_steps(A, **steps):
        return inverse_sqrt(A, steps=2)

    orders = (15, 16, 33, 64, 96, 144)
    assert passed(check, replace(INTERPRETED, function=all_steps), orders) == [n in whole for n in orders]
    assert passed(check, replace(INTERPRETED, function=two_steps), orders) == [n not in whole for n in orders]
    assert passed(check, replace(INTERPRETED, function=all_steps, devices=("cpu",)), orders) == [True] * 6


@pytest.mark.parametrize("check", [VALUE, GRADIENT], ids=["value", "gradient"])
def test_the_same_kernels_are_judged_once(check):
    other = replace(INTERPRETED, same_kernels="minimax_cubic.T5")
    for n in (33, *TILED):
        verdict = check(other, problem(n))
        assert verdict.status == Status.NOT_RUN
        assert verdict.reason == "judged by minimax_cubic.T5, which has the same kernels: here it takes a GPU"
    assert check(other, problem(32)).passed
    assert check(replace(other, devices=("cpu",)), problem(33)).passed


def test_a_promised_gradient_that_is_refused_fails():
    silent = replace(ROOT, function=lambda A: ROOT.function(A.detach()))
    assert GRADIENT(silent, problem(5)).status == Status.FAILED
    assert GRADIENT(replace(silent, derivatives=()), problem(5)).status == Status.NOT_RUN


def test_every_iteration_by_kernels_says_how_few_steps_run_its_code():
    entries = {i.name: i for i in CATALOG if kernels.is_kernel(i) and i.operation == "inverse-sqrt"}
    assert {i.fewest for i in entries.values() if i.target.iteration == "denman_beavers"} == {(2, 1)}
    assert {i.fewest for i in entries.values() if i.target.iteration != "denman_beavers"} == {(2, 0)}
    others = {name: entries[i.same_kernels] for name, i in entries.items() if i.same_kernels}
    ways = ("ieee", "tf32x3", "tf32")
    assert others.keys() == {f"newton_schulz.T{steps}.triton.{way}" for steps in (5, 15) for way in ways}
    for name, other in others.items():
        assert not other.same_kernels
        # the same kernels: cubic polynomials with the same precision
        assert (other.target.iteration, other.precision) == ("minimax_cubic", entries[name].precision)


def test_the_quick_orders_are_all_up_to_70_and_a_few_more():
    assert {p.n for p in ORDERS["quick"]} == {*range(1, 71), 96, 128, 144, 147}
    assert max(p.n for p in ORDERS["full"]) == 1152
    assert {*ALL_STEPS, *TILED} <= {p.n for p in ORDERS["quick"]}
