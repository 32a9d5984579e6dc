"""Inverse square roots side by side."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from ndbench import roots
from ndbench.bench.workloads import Contender, Workload
from ndbench.kernels.precision import precisions_here
from ndbench.problems import MatrixProblem
from ndbench.roots.adjoints import Coupled, ProductForm, Spectral, with_adjoint
from ndbench.roots.adjoints.choice import recorded, steps_of

CONDITION = 1e3


@dataclass(frozen=True)
class Iteration:
    """T steps on a batch of matrices of condition 1000."""

    method: str
    n: int
    batch: int
    steps: int = 5
    scaled_steps: int = 0

    def workload(self) -> Workload:
        """The comparison; flops are those of 3T - 3 products, or of T inverses and 2T products of the product form."""
        products = 3 * self.steps - 3 if self.method == "newton_schulz" else 3 * self.steps
        matrices = self.batch * self.n**2
        return Workload(
            name=f"{self.method}-T{self.steps}-n{self.n}-b{self.batch}",
            input=self.matrices,
            contenders=self.contenders,
            truth=lambda A: self._steps().run(A)[:1],
            flops=2.0 * matrices * self.n * products,
            bytes=2.0 * matrices * 4,
            family=f"{self.method}-T{self.steps}",
            order=self.n,
            symmetric=True,
        )

    def matrices(self, device: str) -> Tensor:
        """The batch; of many matrices eight are drawn, and repeated with different scales."""
        drawn = MatrixProblem("geometric", self.n, CONDITION, batch=min(self.batch, 8)).matrices()
        repeats = -(-self.batch // len(drawn))
        scales = torch.linspace(0.5, 2, repeats)[:, None, None, None]
        return (scales * drawn).flatten(0, 1)[: self.batch].to(device)

    def contenders(self, device: str) -> Mapping[str, Contender]:
        """Kernels in each precision; PyTorch eager, compiled, and as a chain of products; eigh."""
        steps = self._steps()
        found = {"torch": Contender(lambda A: (with_adjoint(A, steps),)), "eigh": _eigh()}
        if self.method == "newton_schulz":
            found["bmm chain"] = Contender(lambda A: (roots.newton_schulz(A, self.steps),))
            if device == "cuda":
                # a CPU has no tf32: the same products would be judged by a coarser standard
                found["bmm chain, tf32"] = Contender(found["bmm chain"].function, "tf32", settings="high")
        if device == "cuda":
            found["torch.compile"] = Contender(_compiled(self._plain()), capturable=False)
            found |= {f"triton {precision}": self._kernels(precision) for precision in precisions_here()}
        return found

    def _steps(self) -> Coupled | ProductForm:
        return steps_of(self.method, self.steps, 1e-4, self.scaled_steps)

    def _plain(self) -> Callable[[Tensor], Tensor]:
        if self.method == "denman_beavers":
            return lambda A: roots.denman_beavers(A, self.steps, self.scaled_steps)
        return lambda A: self._steps().run(A)[0]

    def _kernels(self, precision: str) -> Contender:
        # Triton is loaded where there is a GPU
        from ndbench.kernels.roots import by_kernels  # noqa: PLC0415

        def function(A: Tensor) -> tuple[Tensor]:
            return (with_adjoint(A, by_kernels(self._steps(), precision, recorded=recorded(A))),)

        return Contender(function, precision)


def _eigh() -> Contender:
    def root(A: Tensor) -> tuple[Tensor]:
        return (with_adjoint(A, Spectral(lyapunov=False)),)

    return Contender(root, capturable=False, truth=root)


def _compiled(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], tuple[Tensor, ...]]:
    @cache
    def compiled() -> Callable[[Tensor], Tensor]:
        # graphs of other workloads would be taken again, with sizes as variables, and run uncompiled after eight
        torch.compiler.reset()
        return torch.compile(function, dynamic=False, fullgraph=True)

    # loading the compiler takes seconds: only once it is called
    return lambda A: (compiled()(A),)


WORKLOADS = tuple(
    iteration.workload()
    for iteration in (
        *(Iteration("newton_schulz", n, batch) for n, batch in ((32, 1024), (64, 1024), (576, 1))),
        Iteration("denman_beavers", 32, 1024, 9, 4),
        *(Iteration("newton_schulz", n, 1024) for n in (16, 128)),
        *(Iteration("newton_schulz", n, batch) for n, batch in ((144, 64), (288, 8), (576, 16), (1152, 1))),
        Iteration("minimax_quintic", 32, 1024),
        *(Iteration("denman_beavers", n, batch, 9, 4) for n, batch in ((16, 1024), (64, 256), (576, 1))),
    )
)
TARGETS = 4
"""The first so many have targets to meet."""
SMALL = tuple(Iteration("newton_schulz", n, batch).workload() for n, batch in ((32, 16), (64, 4), (288, 1)))
"""For a CPU."""
