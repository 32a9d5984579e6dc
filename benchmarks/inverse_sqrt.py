"""Time and forward error of the inverse square roots."""

import torch

from ndbench import inverse_sqrt
from ndbench.problems import MatrixProblem
from ndbench.roots import spectral


class InverseSqrt:
    """A batch of matrices with a geometric spectrum of condition 1000, float32."""

    params = (["newton_schulz", "denman_beavers", "minimax_quintic", "spectral"], [27, 64, 144])
    param_names = ("method", "n")
    version = "1"

    def setup(self, method, n):
        self.A = MatrixProblem("geometric", n, 1e3, batch=8).matrices()

    def time_forward(self, method, n):
        inverse_sqrt(self.A, method=method, check=False)

    def track_distance_from_root(self, method, n):
        """Relative distance from A^(-1/2) of the five steps, largest of the batch; large for truncated iterations."""
        true = spectral(self.A.double())
        error = inverse_sqrt(self.A, method=method).double() - true
        return float((torch.linalg.matrix_norm(error) / torch.linalg.matrix_norm(true)).max())

    track_distance_from_root.unit = "relative Frobenius distance"
