"""T steps and their adjoint for orders beyond one program: a few launches a step, a tile of a matrix in each program.

A launch runs a group of the schedule. It reads nothing on the host, so a call can be captured in a CUDA graph, and
every sum has a fixed order, so that two runs agree bit for bit. A batch is taken in parts whose buffers fit into an L2
cache; a matrix's own arithmetic does not depend on them.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from ndbench.kernels.newton_schulz import tiled_answers, tiled_products, tiled_scaling
from ndbench.kernels.newton_schulz.multiplication import Multiplication
from ndbench.kernels.newton_schulz.schedule import Schedule, tables
from ndbench.kernels.variant import Variant

SMALL_TILES = 576
"""Up to this order tiles of 32: with tiles of 64 one matrix would occupy too few multiprocessors."""

SCRATCH_BYTES = 2**25
"""Of the buffers of the matrices taken together, unless one needs more."""


def run(A: Tensor, schedule: Schedule, precision: str) -> Tensor:
    """D of the matrices A, (batch, n, n), any strides."""
    D = torch.empty(A.shape, dtype=A.dtype, device=A.device)
    for part in _parts(A, schedule):
        squares = tiled_scaling.squares(A[part])
        scratch = _scratch(A[part], schedule)
        tiled_scaling.scaled_into(scratch, 0, A[part], squares)
        _run_groups(scratch, A, schedule, precision)
        tiled_answers.write_roots(D[part], scratch, schedule.answer, squares)
    return D


def pull_back(A: Tensor, G: Tensor, schedule: Schedule, precision: str) -> Tensor:
    """The gradient dA from A and G, (batch, n, n), any strides; the schedule is a tangent's."""
    dA = torch.empty(A.shape, dtype=A.dtype, device=A.device)
    for part in _parts(A, schedule):
        squares = tiled_scaling.squares(A[part]), tiled_scaling.squares(G[part])
        scratch = _scratch(A[part], schedule)
        for number, matrices in enumerate((A[part], G[part])):
            tiled_scaling.scaled_into(scratch, number, matrices, squares[number])
        _run_groups(scratch, A, schedule, precision)
        tiled_answers.write_gradients(dA[part], scratch, schedule.answer, *squares)
    return dA


def block_of(n: int) -> int:
    """Rows of a tile."""
    return 32 if n <= SMALL_TILES else 64


def _ld(n: int) -> int:
    return -(-n // block_of(n)) * block_of(n)


def matrices_together(n: int, buffers: int) -> int:
    """Of a batch, with so many buffers each."""
    return max(1, SCRATCH_BYTES // (4 * buffers * _ld(n) ** 2))


def _parts(A: Tensor, schedule: Schedule) -> Iterator[slice]:
    together = matrices_together(A.shape[-1], schedule.buffers)
    return (slice(start, start + together) for start in range(0, A.shape[0], together))


def _scratch(A: Tensor, schedule: Schedule) -> Tensor:
    ld = _ld(A.shape[-1])
    return torch.empty((A.shape[0], schedule.buffers, ld, ld), dtype=torch.float32, device=A.device)


def _run_groups(scratch: Tensor, A: Tensor, schedule: Schedule, precision: str) -> None:
    n = A.shape[-1]
    chosen = tiled_products.configuration(block_of(n), Multiplication(A.dtype, precision))
    first = 0
    for group in schedule.groups:
        tiled_products.multiply(scratch, tables(schedule, A.device), first, len(group), n, chosen)
        first += len(group)


def variants() -> Iterator[Variant]:
    """Every configuration that may be launched."""
    for kernels in (tiled_scaling, tiled_products, tiled_answers):
        yield from kernels.variants()
