"""Newton-Schulz and minimax steps with their adjoint: reversing the iteration, and on the spectrum."""

from dataclasses import dataclass
from functools import partial

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

    def computed_in(self, dtype: torch.dtype) -> torch.dtype:
        """Half types use their own products."""
        return dtype

    def run(self, A: Tensor) -> Saved:
        """D; then Z_T, and P_k and Z_k for k = 1 to T - 1; 3T - 3 products of cubic steps.

        D is that of `newton_schulz` and `minimax` bit for bit.
        """
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
        return unscaled(Z, norm), Z, *iterates

    def pull_back(self, A: Tensor, saved: Saved, G: Tensor) -> Tensor:
        """The gradient, by reversing the iteration in its commuting form.

        P_k, Z_k and H_k are polynomials of B, hence symmetric, and P_{k+1} = H_k P_k H_k. With bars for gradients,
        from Zbar_T = sym(G) and Pbar_T = 0,

            Hbar_k = sym(Zbar_{k+1} Z_k) + 2 sym(Pbar_{k+1} H_k P_k),    Zbar_k = sym(Zbar_{k+1} H_k),
            Pbar_k = H_k Pbar_{k+1} H_k + b Hbar_k + c (Hbar_k P_k + P_k Hbar_k).

        Bbar = Pbar_0 then gives Abar by `through_the_norm`.
        """
        Z, *iterates = saved
        B, norm = scaled_to_unit_norm(A)
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

    def smooth(self) -> "Coupled":
        """Itself: products only."""
        return self

    def on_spectrum(self, eigenvalues: Tensor) -> Tensor:
        """The eigenvalues of D from those of A, (..., n): z_T(l / ||l||) / sqrt(||l||)."""
        norm = _norm(eigenvalues)
        p = eigenvalues / norm
        z = torch.ones_like(p)
        for a, b, c in self.coefficients:
            h = a + p * (b + c * p)
            p, z = p * h * h, z * h
        return z / norm.sqrt()

    def pull_back_on_spectrum(self, eigenvalues: Tensor, W: Tensor) -> Tensor:
        """V^T Abar V from W = V^T G V, up to a skew part if G has one.

        With x = eigenvalues / norm it is Phi o W / norm^(3/2), Phi_ij = z_T[x_i, x_j], less the term of the norm, which
        is diagonal in the eigenbasis.
        """
        norm = _norm(eigenvalues)
        x = eigenvalues / norm
        z, Phi = self._divided_differences(x)
        Bbar = Phi * W
        w, diagonal = W.diagonal(dim1=-2, dim2=-1), Bbar.diagonal(dim1=-2, dim2=-1)
        lost = ((diagonal * x).sum(dim=-1) + (w * z).sum(dim=-1) / 2).unsqueeze(-1)
        scale = norm[..., None]
        return (Bbar - torch.diag_embed(lost * x)) / scale / scale.sqrt()

    def _divided_differences(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """z_T(x_i), and z_T[x_i, x_j] carried through the recurrence by the product rule.

        With p the eigenvalues of P_k, u = p h and g_ij = h[i, j] / p[i, j] = b + c (p_i + p_j),

            z'[i, j] = (h_i + h_j) / 2 z[i, j] + g_ij p[i, j] (z_i + z_j) / 2,
            p'[i, j] = p[i, j] (h_i h_j + g_ij (u_i + u_j)).

        Both are identities without a quotient, so eigenvalues may meet: then these are the derivatives.
        """
        p, z = x, torch.ones_like(x)
        dp = torch.ones_like(sums(x))
        dz = torch.zeros_like(dp)
        for k, (a, b, c) in enumerate(self.coefficients, 1):
            h = a + p * (b + c * p)
            by_g = partial(_times_sums, b=b, c=c, p=p)
            dz = torch.addcmul(dz * sums(h / 2), dp, by_g(z / 2))
            # the last step's dp is not asked for
            if k < len(self.coefficients):
                dp = dp * torch.addcmul(by_g(p * h), h.unsqueeze(-1), h.unsqueeze(-2))
            p, z = p * h * h, z * h
        return z, dz


def polynomial(P: Tensor, eye: Tensor, coefficients: Coefficients) -> Tensor:
    """The polynomial a I + b P + c P^2."""
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
    """Pbar_k from Pbar_{k+1}, None for zero, and from the part of Hbar_k that comes through Z."""
    a, b, c = coefficients
    if Pbar is None:
        return _through_polynomial(Hbar, P, coefficients)
    X = Pbar @ H
    if c:
        return symmetric_part(H @ X) + _through_polynomial(Hbar + 2 * symmetric_part(X @ P), P, coefficients)
    # H = a I + b P saves a product: H Pbar H + b (X P + P X^T) = 2 sym(a X / 2 + b (X + X^T / 2) P)
    return 2 * symmetric_part(a / 2 * X + b * ((X + X.mT / 2) @ P)) + b * Hbar


def _through_polynomial(Hbar: Tensor, P: Tensor, coefficients: Coefficients) -> Tensor:
    """Pbar of H = a I + b P + c P^2."""
    _, b, c = coefficients
    return b * Hbar + 2 * c * symmetric_part(Hbar @ P) if c else b * Hbar


def _norm(eigenvalues: Tensor) -> Tensor:
    """||A||_F, (..., 1)."""
    return frobenius_norm(eigenvalues.unsqueeze(-1))[..., 0]


def _times_sums(v: Tensor, *, b: float, c: float, p: Tensor) -> Tensor:
    """g_ij (v_i + v_j) of g_ij = b + c (p_i + p_j), in as few passes over the matrix as there can be."""
    return sums(v) * (b + c * sums(p)) if c else sums(b * v)


def sums(v: Tensor) -> Tensor:
    """v_i + v_j, (..., n, n)."""
    return v.unsqueeze(-1) + v.unsqueeze(-2)


def products(v: Tensor) -> Tensor:
    """v_i v_j, (..., n, n)."""
    return v.unsqueeze(-1) * v.unsqueeze(-2)
