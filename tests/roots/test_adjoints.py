"""The adjoints against the closed form, in 60 digits, for every spectrum that makes trouble.

On an orthonormal eigenbasis Q every map here takes the eigenvalues x of A to the eigenvalues d(x) of D, all together:
the norm and the determinant join them. The derivative J = dd/dx acts on the diagonal of Q^T E Q; off the
diagonal the derivative multiplies by (d_i - d_j) / (x_i - x_j), or by J_ii - J_ji where x_i = x_j.
"""

import mpmath
import numpy as np
import pytest
import torch
from mpmath import mpf

from ndbench.roots import newton_schulz
from ndbench.roots.adjoints import Coupled, Eigenbasis, ProductForm, Recomputed, Spectral, with_adjoint
from ndbench.roots.adjoints.choice import steps_of

DIGITS = 60
UNIT_ROUNDOFF = 2.0**-53


def coupled_values(coefficients):
    def values(eigenvalues):
        norm = mpmath.sqrt(sum(x**2 for x in eigenvalues))
        answers = []
        for x in eigenvalues:
            p, z = x / norm, mpf(1)
            for a, b, c in coefficients:
                h = a + b * p + c * p**2
                p, z = p * h**2, z * h
            answers.append(z / mpmath.sqrt(norm))
        return answers

    return values


def product_form_values(steps, scaled_steps):
    def values(eigenvalues):
        n, m, z = len(eigenvalues), list(eigenvalues), [mpf(1)] * len(eigenvalues)
        for k in range(steps):
            mu = mpmath.fprod(m) ** (-mpf(1) / (2 * n)) if k < scaled_steps else mpf(1)
            z = [mu * y * (1 + 1 / (mu**2 * x)) / 2 for x, y in zip(m, z, strict=True)]
            m = [(1 + (mu**2 * x + 1 / (mu**2 * x)) / 2) / 2 for x in m]
        return z

    return values


CUBIC = steps_of("minimax_cubic", 4, 1e-3, 0)
QUINTIC = steps_of("minimax_quintic", 3, 1e-3, 0)
NEWTON_SCHULZ = steps_of("newton_schulz", 5, 1e-4, 0)
MAPS = {
    "newton_schulz": (NEWTON_SCHULZ, coupled_values([(1.5, -0.5, 0)] * 5)),
    "newton_schulz, one step": (Coupled(((1.5, -0.5, 0.0),)), coupled_values([(1.5, -0.5, 0)])),
    "newton_schulz, fifteen": (steps_of("newton_schulz", 15, 1e-4, 0), coupled_values([(1.5, -0.5, 0)] * 15)),
    "minimax_cubic": (CUBIC, coupled_values(CUBIC.coefficients)),
    "minimax_quintic": (QUINTIC, coupled_values(QUINTIC.coefficients)),
    "denman_beavers, scaled": (ProductForm(4, 4), product_form_values(4, 4)),
    "denman_beavers, scaled twice": (ProductForm(4, 2), product_form_values(4, 2)),
    "denman_beavers, unscaled": (ProductForm(4, 0), product_form_values(4, 0)),
    "denman_beavers, one step": (ProductForm(1, 1), product_form_values(1, 1)),
}
CASES = {
    **{f"{name}, reverse": case for name, case in MAPS.items()},
    **{f"{name}, eigenbasis": (Eigenbasis(steps), values) for name, (steps, values) in MAPS.items()},
    "recomputed": (Recomputed(NEWTON_SCHULZ), MAPS["newton_schulz"][1]),
    "spectral, eigenbasis": (Spectral(lyapunov=False), lambda eigenvalues: [1 / mpmath.sqrt(x) for x in eigenvalues]),
    "spectral, lyapunov": (Spectral(lyapunov=True), lambda eigenvalues: [1 / mpmath.sqrt(x) for x in eigenvalues]),
}
SPECTRA = {
    "condition 2": np.geomspace(1, 0.5, 4),
    "condition 1e3, far from unit size": 4.0**5 * np.geomspace(1, 1e-3, 4),
    "condition 1e6": np.geomspace(1, 1e-6, 4),
    "identity": np.ones(4),
    "repeated": np.array([2.0, 2.0, 0.25, 0.25]),
    "gap 1e-9": np.array([1.0, 1.0 + 1e-9, 0.3, 0.3 - 1e-9]),
    "gap 1e-15": np.array([1.0, 1.0 + 1e-15, 0.3, 0.3 - 1e-15]),
}
# orthogonal, symmetric, and exact: Q diag(l) Q is rounded once an entry, or not at all for few bits
HADAMARD = np.array([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]) / 2.0
UPSTREAM = torch.tensor(np.random.default_rng(7).standard_normal((4, 4)))

every_case = pytest.mark.parametrize("case", CASES)
every_spectrum = pytest.mark.parametrize("spectrum", SPECTRA)


def closed_form(values, eigenvalues, G):
    """The gradient with respect to A = Q diag(x) Q^T, Q the Hadamard matrix, rounded to float64."""
    n = len(eigenvalues)
    with mpmath.workdps(DIGITS):
        x = [mpf(float(eigenvalue)) for eigenvalue in eigenvalues]
        d, J = values(x), jacobian(values, x)
        W = mpmath.matrix(HADAMARD.T @ ((G + G.mT) / 2).numpy() @ HADAMARD)
        K = mpmath.matrix(n)
        for i in range(n):
            for j in range(n):
                if i == j:
                    K[i, i] = sum(J[k, i] * W[k, k] for k in range(n))
                else:
                    K[i, j] = W[i, j] * ((d[i] - d[j]) / (x[i] - x[j]) if x[i] != x[j] else J[i, i] - J[j, i])
        return HADAMARD @ np.array(K.tolist(), dtype=np.float64) @ HADAMARD.T


def jacobian(values, x):
    """Of all values to all arguments: J[i, k] = dd_i / dx_k, by central differences with two thirds of the digits."""
    h, n = mpf(10) ** -20, len(x)
    J = mpmath.matrix(n)
    for k in range(n):
        ahead, behind = (values([y + (s * h if i == k else 0) for i, y in enumerate(x)]) for s in (1, -1))
        for i in range(n):
            J[i, k] = (ahead[i] - behind[i]) / (2 * h)
    return J


def matrix(eigenvalues, dtype=torch.float64):
    return torch.tensor(HADAMARD @ np.diag(eigenvalues) @ HADAMARD.T).to(dtype)


def gradient(function, A, G):
    A = A.clone().requires_grad_()
    (found,) = torch.autograd.grad(function(A), A, G)
    return found


def distance(found, exact):
    """Relative in the Frobenius norm, or NaN."""
    return float(np.linalg.norm(found.double().numpy() - exact) / np.linalg.norm(exact))


@every_spectrum
@every_case
def test_the_closed_form(case, spectrum):
    recurrence, values = CASES[case]
    eigenvalues = SPECTRA[spectrum]
    found = gradient(lambda A: with_adjoint(A, recurrence), matrix(eigenvalues), UPSTREAM)
    # rounding A alone moves the gradient by 1.5 u kappa
    budget = 40 * UNIT_ROUNDOFF * (eigenvalues.max() / eigenvalues.min())
    assert distance(found, closed_form(values, eigenvalues, UPSTREAM)) <= budget
    assert torch.equal(found, found.mT)


@every_case
def test_float32(case):
    recurrence, values = CASES[case]
    eigenvalues = SPECTRA["gap 1e-9"]
    found = gradient(lambda A: with_adjoint(A, recurrence), matrix(eigenvalues, torch.float32), UPSTREAM.float())
    assert found.dtype == torch.float32
    assert distance(found, closed_form(values, eigenvalues, UPSTREAM)) <= 40 * 2.0**-24 * 4


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@every_case
def test_half_types(case, dtype):
    recurrence, values = CASES[case]
    # eigenvalues and A are exact in both types
    eigenvalues, G = np.array([1.0, 0.5, 0.5, 0.25]), UPSTREAM.to(dtype)
    found = gradient(lambda A: with_adjoint(A, recurrence), matrix(eigenvalues, dtype), G)
    assert found.dtype == dtype
    # the closer to convergence, the more the steps cancel
    u = torch.finfo(dtype).eps / 2
    own_products = isinstance(recurrence, Coupled | Recomputed)
    assert distance(found, closed_form(values, eigenvalues, G.double())) <= (60 if own_products else 2) * u


@every_case
def test_the_answer_is_that_of_the_map(case):
    recurrence, values = CASES[case]
    eigenvalues = SPECTRA["condition 2"]
    with mpmath.workdps(DIGITS):
        d = [float(x) for x in values([mpf(float(x)) for x in eigenvalues])]
    exact = HADAMARD @ np.diag(d) @ HADAMARD.T
    assert distance(with_adjoint(matrix(eigenvalues), recurrence), exact) <= 20 * UNIT_ROUNDOFF


@every_case
def test_only_the_symmetric_part_of_the_upstream_gradient_counts(case):
    recurrence, _ = CASES[case]
    A = matrix(SPECTRA["condition 2"])
    skew = torch.ones(4, 4, dtype=torch.float64).triu(1)
    whole = gradient(lambda A: with_adjoint(A, recurrence), A, UPSTREAM + 10 * (skew - skew.mT))
    torch.testing.assert_close(whole, gradient(lambda A: with_adjoint(A, recurrence), A, UPSTREAM), rtol=0, atol=1e-13)


@every_case
def test_the_gradient_of_a_matrix_does_not_depend_on_its_batch(case):
    recurrence, _ = CASES[case]
    A = torch.stack([matrix(4.0**k * SPECTRA[name]) for k, name in enumerate(SPECTRA) if name != "condition 1e6"])
    A, G = A.reshape(2, 3, 4, 4), torch.tensor(np.random.default_rng(8).standard_normal((2, 3, 4, 4)))
    together = gradient(lambda A: with_adjoint(A, recurrence), A, G)
    for index in np.ndindex(2, 3):
        alone = gradient(lambda A: with_adjoint(A, recurrence), A[index], G[index])
        torch.testing.assert_close(together[index], alone, rtol=1e-10, atol=1e-13 * float(alone.abs().max()))


@every_case
def test_a_matrix_that_is_lost_leaves_the_others_alone(case):
    recurrence, _ = CASES[case]
    A = torch.stack([matrix(SPECTRA["repeated"]), -torch.eye(4, dtype=torch.float64)])
    found = gradient(lambda A: with_adjoint(A, recurrence), A, UPSTREAM.expand(2, 4, 4))
    alone = gradient(lambda A: with_adjoint(A, recurrence), A[:1], UPSTREAM[None])
    torch.testing.assert_close(found[:1], alone, rtol=1e-12, atol=1e-13)
    if isinstance(getattr(recurrence, "recurrence", recurrence), Spectral | ProductForm):
        assert found[1].isnan().all()


@every_case
def test_central_differences(case):
    recurrence, _ = CASES[case]
    A, step = matrix(np.array([1.0, 0.7, 0.7, 0.4])), 1e-5
    E = torch.tensor(np.random.default_rng(9).standard_normal((4, 4)))
    E = E + E.mT
    ahead, behind = (with_adjoint(A + s * step * E, recurrence) for s in (1, -1))
    expected = (UPSTREAM * (ahead - behind)).sum() / (2 * step)
    found = (gradient(lambda A: with_adjoint(A, recurrence), A, UPSTREAM) * E).sum()
    torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-7)


@every_case
def test_autograd_notices_an_overwritten_input(case):
    A = matrix(SPECTRA["condition 2"]).requires_grad_()
    shifted = A + 0
    D = with_adjoint(shifted, CASES[case][0])
    shifted.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        D.sum().backward()


@every_case
def test_an_overwritten_answer_changes_no_gradient(case):
    A = matrix(SPECTRA["condition 2"]).requires_grad_()
    D = with_adjoint(A, CASES[case][0])
    with torch.no_grad():
        D.zero_()
    D.backward(UPSTREAM)
    assert torch.equal(A.grad, gradient(lambda A: with_adjoint(A, CASES[case][0]), A.detach(), UPSTREAM))


@pytest.mark.parametrize(("steps", "forward", "backward"), [(1, 0, 0), (2, 3, 4), (5, 12, 16)])
def test_products_of_reversed_newton_schulz(steps, forward, backward, monkeypatch):
    A = matrix(SPECTRA["condition 2"]).requires_grad_()
    taken = count_products(monkeypatch)
    D = with_adjoint(A, steps_of("newton_schulz", steps, 1e-4, 0))
    assert len(taken) == forward
    D.backward(UPSTREAM)
    assert len(taken) == forward + backward


@pytest.mark.parametrize("steps", [2, 15])
def test_products_in_the_eigenbasis(steps, monkeypatch):
    A = matrix(SPECTRA["condition 2"]).requires_grad_()
    taken = count_products(monkeypatch)
    with_adjoint(A, Eigenbasis(steps_of("newton_schulz", steps, 1e-4, 0))).backward(UPSTREAM)
    assert len(taken) == 5


def count_products(monkeypatch):
    taken = []
    matmul = torch.Tensor.__matmul__
    monkeypatch.setattr(torch.Tensor, "__matmul__", lambda a, b: taken.append(a.shape) or matmul(a, b))
    return taken


def test_a_large_matrix_against_autograd_through_the_loop():
    rng = np.random.default_rng(10)
    Q, _ = np.linalg.qr(rng.standard_normal((48, 48)))
    A, G = torch.tensor(Q @ np.diag(np.geomspace(1, 1e-4, 48)) @ Q.T), torch.tensor(rng.standard_normal((48, 48)))
    expected = gradient(lambda A: newton_schulz((A + A.mT) / 2, 5), A, G)
    for recurrence in (NEWTON_SCHULZ, Eigenbasis(NEWTON_SCHULZ)):
        found = gradient(lambda A, r=recurrence: with_adjoint(A, r), (A + A.mT) / 2, G)
        assert distance(found, expected.numpy()) <= 1e-13
