"""Models of the bytes that the Triton kernels of roots and their gradients load and store, launch by launch.

What counts is said in `ndbench.cost.kernel_traffic`: what programs ask for, caches or not. Iterates in registers cost
nothing; those in scratch or in tiles are read and written in every phase. What PyTorch's own operators move between the
launches of Denman-Beavers (Cholesky factors, triangular solves, sums) is not in these models.

    >>> import torch
    >>> from ndbench.roots.adjoints import ProductForm
    >>> product_form(torch.empty(2, 40, 40, device="meta"), ProductForm(steps=5, scaled_steps=2))
    [Moved(kernel='sweep_steps', loaded=12800, stored=12800)]
"""

from collections.abc import Iterable, Iterator

from torch import Tensor

from ndbench.cost.kernel_traffic import DOUBLE, INTEGER, SINGLE, Moved, widths
from ndbench.cost.kernels import quintic, tile_sizes
from ndbench.kernels.denman_beavers import sweep, sweep_adjoint, tiles
from ndbench.kernels.newton_schulz import (
    scratch,
    small,
    small_adjoint,
    tiled,
    tiled_answers,
    tiled_products,
    tiled_scaling,
)
from ndbench.kernels.newton_schulz.multiplication import Multiplication
from ndbench.kernels.newton_schulz.schedule import Phase, Schedule, steps_schedule, tangent_schedule
from ndbench.roots.adjoints import Coupled, ProductForm


def coupled(A: Tensor, iteration: Coupled, precision: str = "ieee") -> list[Moved]:
    """Newton-Schulz and minimax steps: `ndbench.kernels.newton_schulz.CoupledKernels.run`.

    Args:
        A: matrices, (batch, n, n).
        iteration: the steps.
        precision: of the products.

    Returns:
        the launches in their order.
    """
    n, schedule = A.shape[-1], steps_schedule(iteration.coefficients)
    if n <= small.LARGEST_ORDER:
        return [in_registers("steps_in_registers", A, 1, iteration)]
    if n <= scratch.LARGEST_ORDER:
        return [steps_in_scratch(A, schedule, precision)]
    return list(in_tiles(A, schedule, precision, adjoint=False))


def coupled_adjoint(A: Tensor, iteration: Coupled, precision: str = "ieee") -> list[Moved]:
    """Their gradient, of the type of A: `ndbench.kernels.newton_schulz.CoupledKernels.pull_back`.

    Args:
        A: matrices, (batch, n, n).
        iteration: the steps.
        precision: of the products.

    Returns:
        the launches in their order.
    """
    n = A.shape[-1]
    if n <= small.LARGEST_ORDER and small_adjoint.fits(precision):
        return [in_registers("adjoint_in_registers", A, 2, iteration)]
    schedule = tangent_schedule(iteration.coefficients, whole=n <= scratch.LARGEST_TILE)
    if n <= scratch.LARGEST_ORDER:
        return [adjoint_in_scratch(A, schedule, precision)]
    return list(in_tiles(A, schedule, precision, adjoint=True))


def in_registers(kernel: str, A: Tensor, operands: int, iteration: Coupled) -> Moved:
    """Each operand three times, once for its norm and twice to make it symmetric, and the coefficients of each step."""
    batch, n = A.shape[0], A.shape[-1]
    answer = n**2 * A.element_size()
    table = len(iteration.coefficients) * (3 if quintic(iteration) else 2) * SINGLE
    return Moved(kernel, batch * (operands * 3 * answer + table), batch * answer)


def steps_in_scratch(A: Tensor, schedule: Schedule, precision: str) -> Moved:
    """The matrix into scratch, the phases, and the answer out of it."""
    return of_matrices("steps_in_scratch", A, schedule, precision, operands=1, buffers_read=1)


def adjoint_in_scratch(A: Tensor, schedule: Schedule, precision: str) -> Moved:
    """The same of two matrices; then B, E, Z and dZ for a sum, and B and dZ for the answer."""
    return of_matrices("adjoint_in_scratch", A, schedule, precision, operands=2, buffers_read=6)


def of_matrices(
    kernel: str, A: Tensor, schedule: Schedule, precision: str, *, operands: int, buffers_read: int
) -> Moved:
    """All phases of every matrix, in a scratch of padded buffers."""
    batch, n = A.shape[0], A.shape[-1]
    constants = scratch.configuration(n, Multiplication(A.dtype, precision), adjoint=operands == 2).constants
    # the tangent takes a matrix as a whole where it is one tile
    whole = operands == 2 and constants["TILES"] == 1
    block, depth = constants["BLOCK"], constants["BLOCK_K"]
    phases = [of_phase(phase, n, block, depth, constants["ORDER"] // block, whole=whole) for phase in schedule.phases]
    answer, buffer = n**2 * A.element_size(), constants["ORDER"] ** 2 * SINGLE
    loaded = operands * 3 * answer + buffers_read * buffer + sum(loaded for loaded, _ in phases)
    stored = answer + operands * buffer + sum(stored for _, stored in phases)
    return Moved(kernel, batch * loaded, batch * stored)


def of_phase(phase: Phase, n: int, block: int, depth: int, across: int, *, whole: bool = False) -> tuple[int, int]:
    """Bytes loaded and stored in all tiles of the lower triangle of one matrix.

    Args:
        phase: the phase.
        n: order.
        block: rows of a tile.
        depth: columns taken at a time.
        across: tiles beside each other.
        whole: whether the kernel has whole matrices, and looks for a phase's transposes.
    """
    triangle, tile = across * (across + 1) // 2, block**2 * SINGLE
    # out, add, number of terms, and two operands of each; delta, beta, gamma
    numbers = 3 * INTEGER + 2 * len(phase.terms) * INTEGER + 3 * SINGLE
    strips = len(phase.terms) * -(-n // depth) * 2 * block * depth * SINGLE
    loaded = numbers + strips + tile
    if whole:
        loaded += INTEGER + SINGLE + (SINGLE + tile if phase.flipped_gamma else 0)
    if whole and not phase.symmetric:
        return triangle * loaded, triangle * tile
    return triangle * loaded, mirrored(across * block)


def mirrored(order: int) -> int:
    """Bytes of a lower triangle stored with its mirror image: the diagonal is written twice."""
    return (order**2 + order) * SINGLE


def in_tiles(A: Tensor, schedule: Schedule, precision: str, *, adjoint: bool) -> Iterator[Moved]:
    """Sums of squares, scaled tiles, the groups of phases, and the answers, of each part of the batch."""
    batch, n = A.shape[0], A.shape[-1]
    together = tiled.matrices_together(n, schedule.buffers)
    for start in range(0, batch, together):
        part = A[start : start + together]
        operands = 2 if adjoint else 1
        yield from [add_squares(part)] * operands
        yield from [scale_tiles(part)] * operands
        for group in schedule.groups:
            yield multiply_tiles(part, group, precision)
        if adjoint:
            yield add_lost(part)
        yield write_answers(part, adjoint=adjoint)


def parts_of(n: int) -> int:
    """Programs that add up one matrix."""
    return min(tiled_scaling.PARTS, -(-n // tiled_scaling.STRIP["ROWS"]))


def padded(n: int) -> int:
    """Rows of a buffer."""
    return -(-n // tiled.block_of(n)) * tiled.block_of(n)


def add_squares(A: Tensor) -> Moved:
    """The matrices once, into a sum of each program."""
    batch, n = A.shape[0], A.shape[-1]
    return Moved("add_squares", batch * n**2 * A.element_size(), batch * parts_of(n) * DOUBLE)


def scale_tiles(A: Tensor) -> Moved:
    """Tiles of the lower triangle and their mirror images, into both triangles; the sums for every tile."""
    batch, n = A.shape[0], A.shape[-1]
    block, order = tiled_scaling.TILE["BLOCK"], padded(n)
    across = order // block
    entries = 2 * lower(widths(n, block)) * A.element_size()
    sums = across * (across + 1) // 2 * parts_of(n) * DOUBLE
    return Moved("scale_tiles", batch * (entries + sums), batch * mirrored(order))


def lower(sizes: Iterable[int]) -> int:
    """Entries of the tiles (i, j), i >= j, of these sizes."""
    held = list(sizes)
    return (sum(held) ** 2 + sum(size**2 for size in held)) // 2


def multiply_tiles(A: Tensor, group: tuple[Phase, ...], precision: str) -> Moved:
    """The phases of a group."""
    batch, n = A.shape[0], A.shape[-1]
    block = tiled.block_of(n)
    depth = tiled_products.configuration(block, Multiplication(A.dtype, precision)).constants["BLOCK_K"]
    phases = [of_phase(phase, n, block, depth, padded(n) // block) for phase in group]
    return Moved("multiply_tiles", *(batch * sum(side) for side in zip(*phases, strict=True)))


def add_lost(A: Tensor) -> Moved:
    """B, E, Z and dZ once, into a sum of each program."""
    batch, n = A.shape[0], A.shape[-1]
    return Moved("add_lost", batch * 4 * n**2 * SINGLE, batch * parts_of(n) * DOUBLE)


def write_answers(A: Tensor, *, adjoint: bool) -> Moved:
    """Z, or B and dZ; the sums of one norm, or of two and what is lost, for every tile."""
    batch, n = A.shape[0], A.shape[-1]
    programs = -(-n // tiled_answers.ANSWER["ROWS"]) * -(-n // tiled_answers.ANSWER["COLUMNS"])
    sums, buffers = (3, 2) if adjoint else (1, 1)
    loaded = programs * sums * parts_of(n) * DOUBLE + buffers * n**2 * SINGLE
    return Moved("write_answers", batch * loaded, batch * n**2 * A.element_size())


def product_form(A: Tensor, iteration: ProductForm, *, keep: bool = False) -> list[Moved]:
    """Denman-Beavers steps, in float32: `ndbench.kernels.denman_beavers.ProductFormKernels.run`.

    Args:
        A: matrices, (batch, n, n).
        iteration: the steps.
        keep: whether the iterates are kept for the gradient; those on tiles are written in either case.

    Returns:
        the launches in their order.
    """
    batch, n = A.shape[0], A.shape[-1]
    P, matrix = tiles.padded_order(n), n**2 * SINGLE
    if n <= sweep.LARGEST_ORDER:
        kept = iteration.steps * (3 * P**2 + 1) * SINGLE if keep else 0
        return [Moved("sweep_steps", batch * matrix, batch * (matrix + kept))]
    return [inverse_and_next(batch, P), combined("symmetric", batch, P)] * iteration.steps


def product_form_adjoint(A: Tensor, iteration: ProductForm) -> list[Moved]:
    """Their gradient, in float32, where the iterates are kept: `ProductFormKernels.pull_back`.

    Args:
        A: matrices, (batch, n, n).
        iteration: the steps.

    Returns:
        the launches in their order.
    """
    batch, n = A.shape[0], A.shape[-1]
    P, matrix = tiles.padded_order(n), n**2 * SINGLE
    if n <= sweep_adjoint.LARGEST_ORDER:
        kept = iteration.steps * (3 * P**2 + 1) * SINGLE
        return [Moved("sweep_reversed", batch * (matrix + kept), batch * matrix)]
    step = [combined("both", 2 * batch, P), combined("plain", batch, P), combined("symmetric", batch, P)]
    return step * iteration.steps


def inverse_and_next(batch: int, P: int) -> Moved:
    """Two strips of V for each tile, from the row's diagonal on, M and mu, into R and the next M."""
    block, depth = tile_sizes(batch, P)
    rows = range(-(-P // block))
    strips = sum((row + 1) * -(-(P - row * block) // depth) for row in rows) * 2 * block * depth
    scales = tiles.tiles(P, block)
    loaded = strips + lower(widths(P, block)) + scales
    return Moved("inverse_and_next", batch * loaded * SINGLE, batch * 2 * P**2 * SINGLE)


def combined(kind: str, matrices: int, P: int) -> Moved:
    """Two strips for each tile and product, what is added, and two factors."""
    block, depth = tile_sizes(matrices, P)
    count, products = tiles.tiles(P, block, triangle=kind != "plain"), 2 if kind == "both" else 1
    # strips that hang over the edge are loaded as a whole
    strips = count * products * -(-P // depth) * 2 * block * depth
    added = P**2 if kind == "plain" else lower(widths(P, block))
    return Moved("combined", matrices * (strips + added + 2 * count) * SINGLE, matrices * P**2 * SINGLE)
