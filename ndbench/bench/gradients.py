"""Gradients side by side: hand-written adjoints beside autograd through the operations."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from torch import Tensor

from ndbench.bench.covariance import Layer
from ndbench.bench.roots import Iteration
from ndbench.bench.workloads import Contender, Workload
from ndbench.operations import inverse_sqrt, patch_covariance


@dataclass(frozen=True)
class RootGradient:
    """The gradient of five Newton-Schulz steps on a batch of matrices of condition 1000."""

    n: int
    batch: int = 1
    large: bool = False

    def workload(self) -> Workload:
        """That of the iteration, whose forward flops it counts, with its adjoints as contenders."""
        iteration = Iteration("newton_schulz", self.n, self.batch).workload()
        name = f"gradient-{iteration.name}"
        return replace(
            iteration, name=name, contenders=self.contenders, family=f"gradient-{iteration.family}", large=self.large
        )

    def contenders(self, device: str) -> Mapping[str, Contender]:
        """Every adjoint of the iteration, autograd first."""
        return {adjoint: self._by(adjoint) for adjoint in ("autograd", "reverse", "eigenbasis")}

    def _by(self, adjoint: str) -> Contender:
        def root(A: Tensor) -> tuple[Tensor]:
            return (inverse_sqrt(A, steps=5, check=False, adjoint=adjoint),)

        # eigh allocates while it computes
        return Contender(root, capturable=adjoint != "eigenbasis")


@dataclass(frozen=True)
class CovarianceGradient:
    """The gradient of the covariance of a layer's input."""

    layer: Layer
    large: bool = False

    def workload(self) -> Workload:
        """That of the covariance, whose forward flops it counts, with algorithms and adjoints as contenders."""
        covariance = self.layer.workload()
        name = f"gradient-{covariance.name}"
        return replace(
            covariance, name=name, contenders=self.contenders, family=f"gradient-{covariance.family}", large=self.large
        )

    def contenders(self, device: str) -> Mapping[str, Contender]:
        """Both algorithms, by autograd and by their own adjoints."""
        return {
            f"{algorithm}, {adjoint}": self._by(algorithm, adjoint)
            for algorithm in ("im2col", "lagged")
            for adjoint in ("autograd", "handwritten")
        }

    def _by(self, algorithm: str, adjoint: str) -> Contender:
        layer = self.layer

        def covariance(x: Tensor) -> tuple[Tensor, Tensor]:
            return patch_covariance(
                x,
                layer.kernel_size,
                stride=layer.stride,
                padding=layer.kernel_size // 2,
                block=layer.block,
                algorithm=algorithm,
                adjoint=adjoint,
            )

        # the lagged plan is copied to a GPU anew in each call
        return Contender(covariance, capturable=algorithm == "im2col")


def gradients(device: str) -> tuple[Workload, ...]:
    """Those of both operations; the sizes of layers in use only where they are asked for by name."""
    large = device == "cpu"
    roots = (RootGradient(64, 4), RootGradient(144), RootGradient(288), RootGradient(576, large=large))
    layers = (
        CovarianceGradient(Layer((4, 64, 16, 16), 3)),
        CovarianceGradient(Layer((4, 64, 16, 16), 3, stride=3)),
        CovarianceGradient(Layer((128, 64, 32, 32), 3, stride=3), large=large),
    )
    return tuple(gradient.workload() for gradient in (*roots, *layers))
