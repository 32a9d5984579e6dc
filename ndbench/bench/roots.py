"""Inverse square roots side by side."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ndbench import roots
from ndbench.bench.compiled import compiled
from ndbench.bench.workloads import Contender, Workload, own_products, type_suffix
from ndbench.kernels.precision import precisions_here
from ndbench.problems import MatrixProblem
from ndbench.roots.adjoints import Coupled, ProductForm, Spectral, with_adjoint
from ndbench.roots.adjoints.choice import recorded, steps_of

CONDITION = 1e3
HALF_CONDITION = 1e2
"""Of matrices that keep positive eigenvalues when they are rounded to 16 bits."""


@dataclass(frozen=True)
class Iteration:
    """T steps on a batch of matrices of condition 1000, in 16 bits of condition 100."""

    method: str
    n: int
    batch: int
    steps: int = 5
    scaled_steps: int = 0
    dtype: torch.dtype = torch.float32

    def workload(self) -> Workload:
        """The comparison; flops are those of 3T - 3 products, or of T inverses and 2T products of the product form."""
        products = 3 * self.steps - 3 if self.method == "newton_schulz" else 3 * self.steps
        matrices = self.batch * self.n**2
        family = f"{self.method}-T{self.steps}{type_suffix(self.dtype)}"
        return Workload(
            name=f"{family}-n{self.n}-b{self.batch}",
            input=self.matrices,
            contenders=self.contenders,
            truth=lambda A: self._steps().run(A)[:1],
            flops=2.0 * matrices * self.n * products,
            bytes=2.0 * matrices * self.dtype.itemsize,
            family=family,
            order=self.n,
            symmetric=True,
        )

    def matrices(self, device: str) -> Tensor:
        """The batch; of many matrices eight are drawn, and repeated with different scales."""
        condition = CONDITION if self.dtype == torch.float32 else HALF_CONDITION
        drawn = MatrixProblem("geometric", self.n, condition, batch=min(self.batch, 8)).matrices()
        repeats = -(-self.batch // len(drawn))
        scales = torch.linspace(0.5, 2, repeats)[:, None, None, None]
        return (scales * drawn).flatten(0, 1)[: self.batch].to(device, self.dtype)

    def contenders(self, device: str) -> Mapping[str, Contender]:
        """Kernels in each precision; PyTorch eager, compiled, and as a chain of products; eigh."""
        steps, own = self._steps(), own_products(self.dtype)
        found = {"torch": Contender(lambda A: (with_adjoint(A, steps),), own), "eigh": _eigh()}
        if self.method == "newton_schulz":
            found["bmm chain"] = Contender(lambda A: (roots.newton_schulz(A, self.steps),), own)
            if device == "cuda" and self.dtype == torch.float32:
                # a CPU has no tf32: the same products would be judged by a coarser standard
                found["bmm chain, tf32"] = Contender(found["bmm chain"].function, "tf32", settings="high")
        if device == "cuda":
            plain = self._plain()
            found["torch.compile"] = Contender(compiled(lambda A: (plain(A),)), own, capturable=False)
            found |= self._kernels()
        return found

    def _steps(self) -> Coupled | ProductForm:
        return steps_of(self.method, self.steps, 1e-4, self.scaled_steps)

    def _plain(self) -> Callable[[Tensor], Tensor]:
        if self.method == "denman_beavers":
            return lambda A: roots.denman_beavers(A, self.steps, self.scaled_steps)
        return lambda A: self._steps().run(A)[0]

    def _kernels(self) -> dict[str, Contender]:
        """Those of each precision; 16 bits have one."""
        if self.dtype == torch.float32:
            return {f"triton {way}": Contender(self._by_kernels(way), way) for way in precisions_here()}
        return {"triton": Contender(self._by_kernels("ieee"), own_products(self.dtype))}

    def _by_kernels(self, precision: str) -> Callable[[Tensor], tuple[Tensor]]:
        # Triton is loaded where there is a GPU
        from ndbench.kernels.roots import by_kernels  # noqa: PLC0415

        def function(A: Tensor) -> tuple[Tensor]:
            return (with_adjoint(A, by_kernels(self._steps(), precision, recorded=recorded(A))),)

        return function


def _eigh() -> Contender:
    def root(A: Tensor) -> tuple[Tensor]:
        return (with_adjoint(A, Spectral(lyapunov=False)),)

    return Contender(root, capturable=False, truth=root)


WORKLOADS = tuple(
    iteration.workload()
    for iteration in (
        *(Iteration("newton_schulz", n, batch) for n, batch in ((32, 1024), (64, 1024), (576, 1))),
        Iteration("denman_beavers", 32, 1024, 9, 4),
        *(Iteration("newton_schulz", n, 1024) for n in (16, 128)),
        *(Iteration("newton_schulz", n, batch) for n, batch in ((144, 64), (288, 8), (576, 16), (1152, 1))),
        *(Iteration(f"minimax_{degree}", 32, 1024) for degree in ("cubic", "quintic")),
        *(Iteration("denman_beavers", n, batch, 9, 4) for n, batch in ((16, 1024), (64, 256), (144, 64), (576, 1))),
        *(Iteration("newton_schulz", 64, 1024, dtype=dtype) for dtype in (torch.float16, torch.bfloat16)),
    )
)
TARGETS = 4
"""The first so many have targets to meet."""
SMALL = tuple(
    iteration.workload()
    for iteration in (
        *(Iteration("newton_schulz", n, batch) for n, batch in ((32, 16), (64, 4), (288, 1))),
        Iteration("minimax_quintic", 64, 4),
        Iteration("denman_beavers", 64, 4, 9, 4),
    )
)
"""For a CPU."""
