"""Warming up by a clock that the test moves."""

import pytest

from ndbench.timing.warmth import until_steady


class Turns:
    """Turns that take these times, the last again and again."""

    def __init__(self, *seconds):
        self.seconds, self.now, self.taken = seconds, 0.0, 0

    def __call__(self):
        self.now += self.seconds[min(self.taken, len(self.seconds) - 1)]
        self.taken += 1

    def clock(self):
        return self.now


def warmed(*seconds):
    turns = Turns(*seconds)
    return until_steady(turns, gpu=True, clock=turns.clock)


def test_a_cpu_takes_one_turn():
    turns = Turns(0.01)
    assert until_steady(turns, gpu=False, clock=turns.clock) == {"turns": 0, "seconds": 0, "steady": None}
    assert turns.taken == 1


def test_a_gpu_is_kept_busy_for_a_while_even_if_it_is_steady():
    found = warmed(0.1)
    assert found["steady"]
    assert found["turns"] in (3, 4)
    assert found["seconds"] >= 0.3 - 1e-9


def test_a_gpu_is_waited_for_until_two_turns_agree():
    found = warmed(60.0, 0.8, 0.4, 0.2, 0.198)
    assert found == {"turns": 4, "seconds": pytest.approx(1.598), "steady": True}


def test_an_unsteady_gpu_is_given_up_and_says_so():
    found = warmed(60.0, *(0.5, 1.0) * 5)
    assert found == {"turns": 4, "seconds": 3.0, "steady": False}
