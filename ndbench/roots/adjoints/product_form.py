"""The product form of Denman-Beavers with its adjoint: reversing the iteration, and on the spectrum."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ndbench.roots.adjoints.coupled import inner, products, sums
from ndbench.roots.adjoints.functions import Saved, symmetric_part
from ndbench.roots.denman_beavers import _inverse_and_scale
from ndbench.roots.precision import identity_like, working_type


@dataclass(frozen=True)
class ProductForm:
    """T steps of the product form, the first `scaled_steps` of them with mu_k = |det M_k|^(-1/(2n)), the others with 1.

        R_k = mu_k^-2 M_k^-1,    Z_{k+1} = mu_k Z_k (I + R_k) / 2,    M_{k+1} = (I + (mu_k^2 M_k + R_k) / 2) / 2,

    from M_0 = A, Z_0 = I to D = Z_T, in float32 or float64.
    """

    steps: int
    scaled_steps: int

    def computed_in(self, dtype: torch.dtype) -> torch.dtype:
        """float32 for half types, which have no inverse."""
        return working_type(dtype)

    def run(self, A: Tensor) -> Saved:
        """D; then M_k^-1 and mu_k for k = 0 to T - 1, M_k and Z_k for k = 1 to T - 1, as `denman_beavers` has them."""
        eye = identity_like(A)
        M, Z = A, eye.expand_as(A)
        inverses: list[Tensor] = []
        mus: list[Tensor] = []
        Ms: list[Tensor] = []
        Zs: list[Tensor] = []
        for k in range(self.steps):
            inverse, mu = _inverse_and_scale(M)
            if k >= self.scaled_steps:
                mu = torch.ones_like(mu)
            R = inverse / mu**2
            M, Z = (eye + (mu**2 * M + R) / 2) / 2, mu * (Z + Z @ R) / 2
            inverses, mus, Ms, Zs = [*inverses, inverse], [*mus, mu], [*Ms, M], [*Zs, Z]
        return Z, *inverses, *mus, *Ms[:-1], *Zs[:-1]

    def pull_back(self, A: Tensor, saved: Saved, G: Tensor) -> Tensor:
        """The gradient, by reversing the iteration; all iterates are rational functions of A, hence symmetric.

        With bars for gradients, from Zbar_T = sym(G) and Mbar_T = 0,

            Rbar = mu sym(Zbar' Z) / 2 + Mbar' / 4,    Zbar = mu (Zbar' + sym(Zbar' R)) / 2,
            Mbar = mu^2 Mbar' / 4 - M^-1 Rbar M^-1 / mu^2 - mu mubar M^-1 / (2n),
            mubar = <Zbar', Z'> / mu + mu <Mbar', M> / 2 - 2 <Rbar, R> / mu,

        the primed ones of step k + 1; the last term of Mbar, from d mu = -mu tr(M^-1 dM) / (2n), in scaled steps only.
        """
        T = self.steps
        inverses, mus = saved[:T], saved[T : 2 * T]
        Ms, Zs = (A, *saved[2 * T : 3 * T - 1]), (identity_like(A), *saved[3 * T - 1 :])
        Zbar, Mbar = symmetric_part(G), torch.zeros_like(A)
        for k in range(T - 1, -1, -1):
            R = inverses[k] / mus[k] ** 2
            Rbar = mus[k] / 2 * symmetric_part(Zbar @ Zs[k]) + Mbar / 4
            Zbar = mus[k] / 2 * (Zbar + symmetric_part(Zbar @ R))
            pulled = mus[k] ** 2 / 4 * Mbar - symmetric_part(R @ Rbar @ inverses[k])
            if k < self.scaled_steps:
                # <Zbar', Z'> = <Zbar, Z>, for Z' is linear in Z
                mubar = (inner(Zbar, Zs[k]) - 2 * inner(Rbar, R)) / mus[k] + mus[k] / 2 * inner(Mbar, Ms[k])
                pulled = pulled - mus[k] * mubar / (2 * A.shape[-1]) * inverses[k]
            Mbar = pulled
        return Mbar

    def smooth(self) -> "ProductForm":
        """Itself: reverse mode through a Cholesky factor is right, whatever forward mode is."""
        return self

    def on_spectrum(self, eigenvalues: Tensor) -> Tensor:
        """The eigenvalues of D from those of A, (..., n); NaN unless all are positive."""
        return self._trajectory(eigenvalues)[1][-1]

    def pull_back_on_spectrum(self, eigenvalues: Tensor, W: Tensor) -> Tensor:
        """V^T Abar V from W = V^T G V, up to a skew part if G has one.

        Off the diagonal it is z_T[i, j] W_ij with every mu held: mu moves the eigenvalues only. On the diagonal it is
        the gradient of the map from the n eigenvalues of A to those of D.
        """
        ms, zs, mus = self._trajectory(eigenvalues)
        Phi = self._divided_differences(ms, zs, mus)
        diagonal = self._pull_back_eigenvalues(ms, zs, mus, W.diagonal(dim1=-2, dim2=-1))
        return torch.diagonal_scatter(Phi * W, diagonal, dim1=-2, dim2=-1)

    def _trajectory(self, eigenvalues: Tensor) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """The eigenvalues m_k of M_k and z_k of Z_k, (..., n), and mu_k, (..., 1)."""
        positive = (eigenvalues > 0).all(dim=-1, keepdim=True)
        m = torch.where(positive, eigenvalues, torch.nan)
        z = torch.ones_like(m)
        ms, zs = [m], [z]
        mus: list[Tensor] = []
        for k in range(self.steps):
            log_mu = -m.log().mean(dim=-1, keepdim=True) / 2
            mu = log_mu.exp() if k < self.scaled_steps else torch.ones_like(log_mu)
            r = 1 / (mu**2 * m)
            m, z = (1 + (mu**2 * m + r) / 2) / 2, mu * z * (1 + r) / 2
            ms, zs, mus = [*ms, m], [*zs, z], [*mus, mu]
        return ms, zs, mus

    def _divided_differences(self, ms: list[Tensor], zs: list[Tensor], mus: list[Tensor]) -> Tensor:
        """z_T[i, j] at constant mu_k, by the product rule.

        That of 1 / m is -m[i, j] / (m_i m_j), hence

        m'[i, j] = m[i, j] (mu^2 - 1 / (mu^2 m_i m_j)) / 4,
        z'[i, j] = mu (z[i, j] (1 + (r_i + r_j) / 2) - m[i, j] (z_i + z_j) / (2 mu^2 m_i m_j)) / 2.
        """
        dm = torch.ones_like(sums(ms[0]))
        dz = torch.zeros_like(dm)
        for m, z, mu in zip(ms, zs, mus, strict=False):
            square = mu[..., None] ** 2
            # not 1 / (mu^2 m_i m_j), whose denominator overflows where m alone is in range
            reciprocal = products(1 / (mu * m))
            dz = mu[..., None] / 2 * (dz * (1 + sums(1 / (2 * mu**2 * m))) - dm * reciprocal * sums(z) / 2)
            dm = dm * (square - reciprocal) / 4
        return dz

    def _pull_back_eigenvalues(self, ms: list[Tensor], zs: list[Tensor], mus: list[Tensor], zbar: Tensor) -> Tensor:
        """The gradient with respect to the eigenvalues of A: `pull_back` of diagonal matrices."""
        mbar = torch.zeros_like(zbar)
        for k in range(self.steps - 1, -1, -1):
            m, z, mu = ms[k], zs[k], mus[k]
            r = 1 / (mu**2 * m)
            rbar = mu / 2 * zbar * z + mbar / 4
            zbar = mu / 2 * zbar * (1 + r)
            pulled = mu**2 / 4 * mbar - rbar * r / m
            if k < self.scaled_steps:
                parts = (zbar * z - 2 * rbar * r) / mu + mu / 2 * mbar * m
                pulled = pulled - mu * parts.mean(dim=-1, keepdim=True) / (2 * m)
            mbar = pulled
        return mbar
