"""Tolerance-driven iteration: statuses, freezing, batch independence."""

from itertools import count

import pytest
import torch

from ndbench.roots import Status, newton_schulz_iterates, until
from tests.roots.spd import batch


def scripted(*residuals):
    """Iterates of order 1 whose residuals are given, one row a step; the answer is the step's number."""
    for k, row in zip(count(), residuals, strict=False):
        r = torch.tensor(row, dtype=torch.float64)[:, None, None]
        yield torch.full_like(r, float(k)), 1 - r


def test_each_matrix_ends_in_its_own_way():
    iterates = scripted([0.9, 0.4, 0.4], [0.1, 0.1, 0.19], [1e-3, 0.09, 0.09], [1e-9, 0.08, 0.04])
    ended = until(iterates, tolerance=1e-6, max_steps=3)
    assert [Status(s).name for s in ended.status.tolist()] == ["CONVERGED", "STAGNATED", "LIMIT"]
    assert ended.steps.tolist() == [3, 2, 3]
    assert ended.D.flatten().tolist() == [3.0, 2.0, 3.0]
    assert ended.residual.tolist() == pytest.approx([1e-9, 0.09, 0.04])


def test_a_matrix_that_ended_is_frozen():
    ended = until(scripted([1e-9, 0.9], [5.0, 0.1], [7.0, 1e-9]), tolerance=1e-6, max_steps=10)
    assert ended.D.flatten().tolist() == [0.0, 2.0]
    assert ended.status.tolist() == [Status.CONVERGED, Status.CONVERGED]


def test_above_one_half_a_slow_eigenvalue_is_no_stagnation():
    ended = until(scripted([0.99], [0.99], [0.98], [0.3], [1e-8]), tolerance=1e-6, max_steps=10)
    assert ended.status.tolist() == [Status.CONVERGED]


def test_while_settling_a_rise_is_no_stagnation():
    rises = [0.3], [0.45], [0.2], [1e-8]
    assert until(scripted(*rises), tolerance=1e-6, max_steps=10).status.tolist() == [Status.STAGNATED]
    assert until(scripted(*rises), tolerance=1e-6, max_steps=10, settling=2).status.tolist() == [Status.CONVERGED]


def test_nan_stagnates_with_the_last_finite_iterate():
    ended = until(scripted([0.4], [float("nan")], [1e-9]), tolerance=1e-6, max_steps=10)
    assert ended.status.tolist() == [Status.STAGNATED]
    assert ended.D.flatten().tolist() == [0.0]


def test_answers_do_not_depend_on_batch_mates():
    A = batch(8, 1e4, shape=(3,))
    together = until(newton_schulz_iterates(A), 1e-13, 100)
    for i in range(3):
        alone = until(newton_schulz_iterates(A[i : i + 1]), 1e-13, 100)
        torch.testing.assert_close(together.D[i], alone.D[0], rtol=1e-10, atol=0)
