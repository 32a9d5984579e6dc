"""The true gradients of a problem."""

import numpy as np
import torch

from ndbench.problems import MatrixProblem
from ndbench.targets import Exact, Steps
from ndbench.verify.gradients.problems import RootGradientProblem, matrices
from ndbench.verify.gradients.truths import condition, truths

PROBLEM = RootGradientProblem(MatrixProblem("geometric", 4, 10.0, dtype=torch.float64), symmetric=False)


def test_the_symmetric_gradient_is_the_symmetric_part():
    found = truths(PROBLEM, Exact())
    np.testing.assert_array_equal(found.symmetric, (found.general + found.general.mT) / 2)
    assert found.source.startswith("closed form")


def test_order_one_by_hand():
    one = RootGradientProblem(MatrixProblem("identity", 1, dtype=torch.float64))
    A, G = matrices(one)
    expected = -0.5 * A.numpy() ** -1.5 * G.numpy()
    # of a 1 x 1 matrix ||A||_F = A, so that D = 1 / sqrt(A) from the first step on
    for target in (Exact(), Steps("newton_schulz", 1)):
        np.testing.assert_allclose(truths(one, target).symmetric, expected, rtol=1e-15)


def test_the_condition_of_the_root_grows_with_kappa_and_that_of_steps_does_not():
    rng = np.random.default_rng(0)
    G = rng.standard_normal((6, 6))
    G = (G + G.T) / 2
    Q, _ = np.linalg.qr(rng.standard_normal((6, 6)))
    grown = {}
    for kappa in (1e2, 1e6):
        A = (Q * np.geomspace(1, kappa, 6)) @ Q.T
        grown[kappa] = [condition((A + A.T) / 2, G, target) for target in (Exact(), Steps("newton_schulz", 5))]
    assert grown[1e6][0] > 1e3 * grown[1e2][0]
    assert grown[1e6][1] < 10 * grown[1e2][1]
