"""Newton-Schulz and minimax steps with their adjoint: reversing the iteration, and on the spectrum."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ndbench.roots.adjoints.functions import Saved, symmetric_part
from ndbench.roots.coefficients import Coefficients
from ndbench.roots.precision import frobenius_norm, identity_like, scaled_to_unit_norm, unscaled, working_type


@dataclass(frozen=True)
class Coupled:
    """T coupled steps with P_k = Z_k Y_k and H_k = a I + b P_k + c P_k^2, of a matrix scaled to unit norm.

        Y_0 = B = A / ||A||_F, Z_0 = I,    Y_{k+1} = Y_k H_k,    Z_{k+1} = H_k Z_k,    D = Z_T / sqrt(||A||_F).

    Attributes:
        coefficients: (a, b, c) of every step; (3/2, -1/2, 0) is Newton-Schulz.
    """

    coefficients: tuple[Coefficients, ...]

    def defining(self, A: Tensor) -> Tensor:
        """The loop, bit for bit that of `newton_schulz` and `minimax`."""
        return self.run(A)[0]

    def run(self, A: Tensor) -> Saved:
        """D; then Z_T, the norm (..., 1, 1), B, and P_k and Z_k for k = 1 to T - 1, 3T - 3 products in all."""
        eye = identity_like(A)
        B, norm = scaled_to_unit_norm(A)
        Y, iterates = B, []
        first, *rest = self.coefficients
        Z = H = polynomial(B, eye, first)
        for step in rest:
            Y = Y @ H
            P = Z @ Y
            iterates += [P, Z]
            H = polynomial(P, eye, step)
            Z = H @ Z
        return unscaled(Z, norm), Z, norm, B, *iterates

    def pull_back(self, saved: Saved, G: Tensor) -> Tensor:
        """The gradient, by reversing the iteration in its commuting form.

        P_k, Z_k and H_k are polynomials of B, hence symmetric, and P_{k+1} = H_k P_k H_k. With bars for gradients,
        from Zbar_T = sym(G) and Pbar_T = 0,

            Hbar_k = sym(Zbar_{k+1} Z_k) + 2 sym(Pbar_{k+1} H_k P_k),    Zbar_k = sym(Zbar_{k+1} H_k),
            Pbar_k = H_k Pbar_{k+1} H_k + b Hbar_k + c (Hbar_k P_k + P_k Hbar_k).

        Bbar = Pbar_0 then gives Abar by `through_the_norm`. Half types use their own products, as the iteration does.
        """
        Z, norm, B, *iterates = saved
        Zbar = symmetric_part(G)
        moved = inner(Zbar, Z)
        Pbar: Tensor | None = None
        for k in range(len(self.coefficients) - 1, 0, -1):
            P, Z = iterates[2 * k - 2 : 2 * k]
            H = polynomial(P, identity_like(P), self.coefficients[k])
            Pbar = _reversed_step(Pbar, symmetric_part(Zbar @ Z), P, H, self.coefficients[k])
            Zbar = symmetric_part(Zbar @ H)
        # Z_0 = I: the first step has Hbar = Zbar_1
        H = polynomial(B, identity_like(B), self.coefficients[0])
        return through_the_norm(_reversed_step(Pbar, Zbar, B, H, self.coefficients[0]), B, norm, moved).to(G.dtype)

    def on_spectrum(self, eigenvalues: Tensor, norm: Tensor) -> Tensor:
        """The eigenvalues of D, (..., n), from those of A; norm = ||A||_F, (..., 1, 1)."""
        scale = norm[..., 0]
        m = eigenvalues / scale
        z = torch.ones_like(m)
        for a, b, c in self.coefficients:
            h = a + m * (b + c * m)
            m, z = m * h * h, z * h
        return z / scale.sqrt()

    def pull_back_on_spectrum(self, eigenvalues: Tensor, norm: Tensor, W: Tensor) -> Tensor:
        """The gradient in the eigenbasis, V^T Abar V, from W = V^T sym(G) V.

        It is Phi o W / norm^(3/2), Phi the divided differences z_T[l_i, l_j] at l = eigenvalues / norm, less the
        term of the norm, which is diagonal here.
        """
        scale = norm[..., 0]
        l = eigenvalues / scale
        z, difference = self._divided_differences(l)
        P = difference * W
        w, p = W.diagonal(dim1=-2, dim2=-1), P.diagonal(dim1=-2, dim2=-1)
        lost = (p * l).sum(dim=-1, keepdim=True) + (w * z).sum(dim=-1, keepdim=True) / 2
        return (P - torch.diag_embed(lost * l)) / norm / norm.sqrt()

    def _divided_differences(self, l: Tensor) -> tuple[Tensor, Tensor]:
        """z_T(l_i), and z_T[l_i, l_j] carried through the recurrence by the product rule.

        With u = p h and g_ij = h[i, j] / p[i, j] = b + c (p_i + p_j), p the eigenvalue of P_k,

            z'[i, j] = (h_i + h_j) / 2 z[i, j] + g_ij p[i, j] (z_i + z_j) / 2,
            p'[i, j] = p[i, j] (h_i h_j + g_ij (u_i + u_j)).

        Both are identities without a quotient, so eigenvalues may meet: then they are the derivatives.
        """
        p, z = l, torch.ones_like(l)
        differences: tuple[Tensor, Tensor] | None = None
        for a, b, c in self.coefficients:
            h = a + p * (b + c * p)
            g = b + c * _sums(p) if c else b
            if differences is None:
                dz = g * torch.ones_like(l[..., None] * l[..., None, :])
                dp = g * _sums(p * h) + _products(h)
            else:
                dz, dp = differences
                dz = dz * _sums(h / 2) + dp * _sums(z / 2) * g
                dp = dp * (_products(h) + g * _sums(p * h))
            differences = dz, dp
            p, z = p * h * h, z * h
        assert differences is not None
        return z, differences[0]


def polynomial(P: Tensor, eye: Tensor, coefficients: Coefficients) -> Tensor:
    """A I + b P + c P^2."""
    a, b, c = coefficients
    return a * eye + b * P + c * (P @ P) if c else a * eye + b * P


def inner(X: Tensor, Y: Tensor) -> Tensor:
    """<X, Y> of every pair of matrices, (..., 1, 1), summed in float64, in the working type."""
    product = X.to(working_type(X.dtype)) * Y
    return product.sum(dim=(-2, -1), keepdim=True, dtype=torch.float64).to(product.dtype)


def through_the_norm(Bbar: Tensor, B: Tensor, norm: Tensor, moved: Tensor) -> Tensor:
    """Abar = (Bbar - [<Bbar, B> + <G, Z> / 2] B) / norm^(3/2) of D = Z(A / norm) / sqrt(norm); moved is <G, Z>."""
    lost = inner(Bbar, B) + moved / 2
    return (Bbar - lost * B) / norm / norm.sqrt()


def _reversed_step(Pbar: Tensor | None, Hbar: Tensor, P: Tensor, H: Tensor, coefficients: Coefficients) -> Tensor:
    """Pbar_k from Pbar_{k+1} and the part of Hbar_k that comes through Z."""
    a, b, c = coefficients
    if Pbar is None:
        X = Y = None
    else:
        X = Pbar @ H
        if not c:
            # H = a I + b P saves a product: H Pbar H + b (X P + P X^T) = Y + Y^T
            Y = a / 2 * X.mT + b * ((X + X.mT / 2) @ P)
            return Y + Y.mT + b * Hbar
        Hbar = Hbar + 2 * symmetric_part(X @ P)
    direct = b * Hbar + 2 * c * symmetric_part(Hbar @ P) if c else b * Hbar
    return direct if X is None else direct + symmetric_part(H @ X)


def _sums(v: Tensor) -> Tensor:
    return v.unsqueeze(-1) + v.unsqueeze(-2)


def _products(v: Tensor) -> Tensor:
    return v.unsqueeze(-1) * v.unsqueeze(-2)
