"""What an implementation computes: names, ranges and how a user writes them."""

from dataclasses import FrozenInstanceError

import pytest

from ndbench.targets import ITERATIONS, Exact, Steps, parse_target


def test_printed():
    assert str(Exact()) == "exact"
    assert str(Steps("newton_schulz", 5)) == "5 steps of newton_schulz"


def test_targets_are_frozen_values():
    assert Steps("newton_schulz", 5) == Steps("newton_schulz", 5, lower=1e-4, scaled_steps=0)
    assert {Exact(): 1}[Exact()] == 1
    with pytest.raises(FrozenInstanceError):
        Steps("newton_schulz", 5).steps = 6


def test_unknown_iteration():
    with pytest.raises(ValueError, match="Steps") as raised:
        Steps("pade", 5)
    assert str(raised.value) == f"Steps: iteration must be one of {', '.join(ITERATIONS)}; got 'pade'"


@pytest.mark.parametrize("steps", [0, -3])
def test_too_few_steps(steps):
    with pytest.raises(ValueError, match=f"^Steps: steps must be at least 1; got {steps}$"):
        Steps("newton_schulz", steps)


@pytest.mark.parametrize("iteration", ITERATIONS)
def test_parsed_as_the_public_function_would_run_it(iteration):
    scaled_steps = 7 if iteration == "denman_beavers" else 0
    assert parse_target(f"{iteration}:7") == Steps(iteration, 7, lower=1e-4, scaled_steps=scaled_steps)


def test_exact_is_parsed():
    assert parse_target("exact") == Exact()


@pytest.mark.parametrize("text", ["newton_schulz", "newton_schulz:", "newton_schulz:-1", "newton_schulz:2.5", ""])
def test_neither_exact_nor_an_iteration_with_steps(text):
    with pytest.raises(ValueError, match="target") as raised:
        parse_target(text)
    assert str(raised.value) == f"target must be 'exact' or ITERATION:T, such as 'newton_schulz:5'; got {text!r}"


def test_parsed_text_is_held_to_the_ranges():
    with pytest.raises(ValueError, match="steps must be at least 1; got 0"):
        parse_target("newton_schulz:0")
    with pytest.raises(ValueError, match=r"iteration must be one of .*; got 'pade'"):
        parse_target("pade:3")
