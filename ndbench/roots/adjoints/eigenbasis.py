"""T-step maps evaluated and differentiated in the eigenbasis of A."""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ndbench.products import product
from ndbench.roots.adjoints.functions import Recurrence, Saved, symmetric_part
from ndbench.roots.precision import working_type


class SpectralRecurrence(Protocol):
    """A T-step map that is also known on the spectrum."""

    def smooth(self) -> Recurrence:
        """The loop, in operations that autograd differentiates rightly."""

    def on_spectrum(self, eigenvalues: Tensor) -> Tensor:
        """The eigenvalues of D from those of A, (..., n)."""

    def pull_back_on_spectrum(self, eigenvalues: Tensor, W: Tensor) -> Tensor:
        """V^T Abar V from W = V^T G V, up to a skew part if G has one."""


@dataclass(frozen=True)
class Eigenbasis:
    """The map of T steps as V diag(z_T(l)) V^T with A = V diag(l) V^T: one eigh and five products, whatever T is.

    The gradient is that of Daleckii and Krein: V (Phi o V^T sym(G) V) V^T with the divided differences
    Phi_ij = z_T[l_i, l_j], plus the terms of what the steps compute from all eigenvalues together: ||A||_F, mu_k.

    Attributes:
        recurrence: the steps.
    """

    recurrence: SpectralRecurrence

    def smooth(self) -> Recurrence:
        """The loop: eigenvectors of repeated eigenvalues are no differentiable functions."""
        return self.recurrence.smooth()

    def computed_in(self, dtype: torch.dtype) -> torch.dtype:
        """float32 for half types, which have no eigh."""
        return working_type(dtype)

    def run(self, A: Tensor) -> Saved:
        """D; then the eigenvalues and V."""
        eigenvalues, V = torch.linalg.eigh(A)
        D = product(V * self.recurrence.on_spectrum(eigenvalues).unsqueeze(-2), V.mT)
        return D, eigenvalues, V

    def pull_back(self, A: Tensor, saved: Saved, G: Tensor) -> Tensor:
        """The gradient, in four products."""
        eigenvalues, V = saved
        # a skew part of G passes through Phi, which is symmetric, and falls away in the end
        K = self.recurrence.pull_back_on_spectrum(eigenvalues, product(product(V.mT, G), V))
        return symmetric_part(product(product(V, K), V.mT))
