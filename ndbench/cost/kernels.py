"""Models of the products that Triton kernels execute, launch by launch: padded tiles, chunks and orders included.

A `tl.dot` of tiles (m, k) and (k, n) is 2 m k n flops, whatever part of the tiles is padding. What kernels compute
without it (means, assembly, sums of squares, eliminations) is elementwise and is not in these models, but for the
Gauss-Jordan sweeps of Denman-Beavers, of which :func:`elimination` has the leading term.

Tensors are read for shape, strides and type only: those of the device "meta" serve.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from ndbench.covariance.patches import Patches
from ndbench.covariance.work import Shape
from ndbench.kernels.covariance import adjoint, im2col_products, lagged_products
from ndbench.kernels.covariance.adjoint_plan import AdjointPlan
from ndbench.kernels.covariance.classes import ClassTables
from ndbench.kernels.covariance.lagged_plan import lags_that_meet
from ndbench.kernels.covariance.tiles import CHUNK, pixel_axis
from ndbench.kernels.denman_beavers import sweep, sweep_adjoint, tiles
from ndbench.kernels.newton_schulz import scratch, small, small_adjoint, tiled, tiled_products
from ndbench.kernels.newton_schulz.multiplication import Multiplication
from ndbench.kernels.newton_schulz.schedule import Phase, steps_schedule, tangent_schedule
from ndbench.kernels.variant import Configuration
from ndbench.roots.adjoints import Coupled, ProductForm

HOST = torch.device("cpu")

Executed = tuple[str, int]
"""A kernel's name, and the flops of the dots of one launch."""


def im2col(x: Tensor, patches: Patches, precision: str = "ieee") -> list[Executed]:
    """Covariance by implicit im2col: upper tiles of the columns, rows in chunks."""
    groups = patches.groups(x.shape[1])
    F = x.shape[1] * patches.offsets // groups
    constants = im2col_products.configuration(F, axis=pixel_axis(x), precision=precision).constants
    across = -(-F // constants["TILE"])
    height, width = patches.output_size(*x.shape[2:])
    blocks = blocks_of(len(x) * height * width, constants["BLOCK"])
    dots = groups * across * (across + 1) // 2 * blocks
    return [("multiply_columns", dots * dot(constants["TILE"], constants["BLOCK"], constants["TILE"]))]


def lagged(x: Tensor, patches: Patches, precision: str = "ieee") -> list[Executed]:
    """Covariance by one product for each lag and piece: tiles of two classes, the pixels of a piece in chunks."""
    tables = ClassTables.of(patches, x.shape[1], HOST)
    constants = lagged_products.configuration(tables.m, axis=pixel_axis(x), precision=precision).constants
    across = -(-tables.m // constants["TILE"])
    pieces = [piece for lag in lags_that_meet(patches, shape_of(x)) for piece in lag.pieces]
    blocks = sum(blocks_of(len(x) * piece.pixels, constants["BLOCK"]) for piece in pieces)
    dots = tables.count * across**2 * blocks
    return [("multiply_pieces", dots * dot(constants["TILE"], constants["BLOCK"], constants["TILE"]))]


def covariance_adjoint(x: Tensor, patches: Patches, precision: str = "ieee") -> list[Executed]:
    """Gradient with respect to the input: tiles of pixels and channels, several taps of few channels at a time."""
    tables = ClassTables.of(patches, x.shape[1], HOST)
    plan = AdjointPlan.of(patches, shape_of(x), adjoint.numbers(x, patches), HOST)
    constants = adjoint.configuration(tables.m, x.dtype, axis=pixel_axis(x), precision=precision).constants
    lanes = constants["BLOCK"] // constants["CHANNELS"]
    of_class = -(-tables.m // constants["TILE"]) * dot(constants["TILE"], constants["BLOCK"], constants["PIXELS"])
    launches = []
    for part in plan.parts:
        programs = part.firsts[1:-1] - part.firsts[:-2]
        steps = -(-(part.regions[:, 9] - part.regions[:, 8]) // lanes) * -(-tables.m // constants["CHANNELS"])
        for first in range(0, tables.count, plan.classes):
            taken = min(plan.classes, tables.count - first)
            launches.append(("gradient_of_pixels", int((programs * steps).sum()) * taken * of_class))
    return launches


def coupled(A: Tensor, iteration: Coupled, precision: str = "ieee") -> list[Executed]:
    """Newton-Schulz and minimax steps of matrices (batch, n, n)."""
    batch, n = A.shape[0], A.shape[-1]
    multiplication, T = Multiplication(A.dtype, precision), len(iteration.coefficients)
    schedule = steps_schedule(iteration.coefficients)
    if n <= small.LARGEST_ORDER:
        products = 4 * T - 3 if quintic(iteration) else 3 * T - 3
        block = small.configuration(n, multiplication, quintic=quintic(iteration)).constants["BLOCK"]
        return [("steps_in_registers", batch * products * dot(block, block, block))]
    if n <= scratch.LARGEST_ORDER:
        flops = of_phases(schedule.phases, scratch.configuration(n, multiplication), n)
        return [("steps_in_scratch", batch * flops)]
    return list(in_tiles(A, schedule.groups, schedule.buffers, multiplication))


def coupled_adjoint(A: Tensor, iteration: Coupled, precision: str = "ieee") -> list[Executed]:
    """Their gradient, by the tangent of the steps."""
    batch, n = A.shape[0], A.shape[-1]
    multiplication, T = Multiplication(A.dtype, precision), len(iteration.coefficients)
    if n <= small.LARGEST_ORDER and small_adjoint.fits(precision):
        products = 10 * T - 8 if quintic(iteration) else 7 * T - 7
        block = small_adjoint.configuration(n, multiplication, quintic=quintic(iteration)).constants["BLOCK"]
        return [("adjoint_in_registers", batch * products * dot(block, block, block))]
    schedule = tangent_schedule(iteration.coefficients, whole=n <= scratch.LARGEST_TILE)
    if n <= scratch.LARGEST_ORDER:
        flops = of_phases(schedule.phases, scratch.configuration(n, multiplication, adjoint=True), n)
        return [("adjoint_in_scratch", batch * flops)]
    return list(in_tiles(A, schedule.groups, schedule.buffers, multiplication))


def quintic(iteration: Coupled) -> bool:
    """Whether a step has a square of P."""
    return any(c != 0 for _, _, c in iteration.coefficients)


def of_phases(phases: tuple[Phase, ...], chosen: Configuration, n: int) -> int:
    """Flops of all phases of one matrix in scratch."""
    block, block_k, triangle = (int(chosen.constants[name]) for name in ("BLOCK", "BLOCK_K", "TILES"))
    dots = sum(len(phase.terms) for phase in phases) * triangle * -(-n // block_k)
    return dots * dot(block, block_k, block)


def in_tiles(
    A: Tensor, groups: tuple[tuple[Phase, ...], ...], buffers: int, multiplication: Multiplication
) -> Iterator[Executed]:
    """One launch for each group of phases, of each part of the batch."""
    batch, n = A.shape[0], A.shape[-1]
    constants = tiled_products.configuration(tiled.block_of(n), multiplication).constants
    block, block_k = constants["BLOCK"], constants["BLOCK_K"]
    across = -(-n // block)
    of_term = across * (across + 1) // 2 * -(-n // block_k) * dot(block, block_k, block)
    together = tiled.matrices_together(n, buffers)
    for start in range(0, batch, together):
        for group in groups:
            matrices = min(together, batch - start)
            yield "multiply_tiles", matrices * sum(len(phase.terms) for phase in group) * of_term


def product_form(A: Tensor, iteration: ProductForm) -> list[Executed]:
    """Denman-Beavers steps of matrices (batch, n, n), without their eliminations and factorizations."""
    batch, n = A.shape[0], A.shape[-1]
    P = tiles.padded_order(n)
    if n <= sweep.LARGEST_ORDER:
        return [("sweep_steps", batch * iteration.steps * dot(P, P, P))]
    return [("inverse_and_next", of_inverse(batch, P)), ("combined", of_tiles("symmetric", batch, P))] * iteration.steps


def product_form_adjoint(A: Tensor, iteration: ProductForm) -> list[Executed]:
    """Their gradient, where the iterates are kept."""
    batch, n = A.shape[0], A.shape[-1]
    P = tiles.padded_order(n)
    if n <= sweep_adjoint.LARGEST_ORDER:
        return [("sweep_reversed", batch * iteration.steps * 4 * dot(P, P, P))]
    step = [("both", 2 * batch), ("plain", batch), ("symmetric", batch)]
    return [("combined", of_tiles(kind, matrices, P)) for kind, matrices in step] * iteration.steps


def of_inverse(batch: int, P: int) -> int:
    """V V^T of an upper triangular V: the lower tiles, each from its row's diagonal on."""
    block, depth = tile_sizes(batch, P)
    rows = range(-(-P // block))
    dots = sum((row + 1) * -(-(P - row * block) // depth) for row in rows)
    return batch * dots * dot(block, depth, block)


def of_tiles(kind: str, matrices: int, P: int) -> int:
    """A product of padded matrices: all its tiles, the lower ones, or those of two products."""
    block, depth = tile_sizes(matrices, P)
    count = tiles.tiles(P, block, triangle=kind != "plain") * (2 if kind == "both" else 1)
    return matrices * count * -(-P // depth) * dot(block, depth, block)


def tile_sizes(matrices: int, P: int) -> tuple[int, int]:
    """Rows and depth of a tile."""
    constants = tiles.configuration(matrices, P).constants
    return constants["BLOCK"], constants["DEPTH"]


def elimination(A: Tensor, iteration: ProductForm) -> int:
    """Flops in float64 of the Gauss-Jordan sweeps up to order 64, leading term: n pivots, 3 P^2 each, in T steps."""
    batch, n = A.shape[0], A.shape[-1]
    return 3 * batch * iteration.steps * n * tiles.padded_order(n) ** 2 if n <= sweep.LARGEST_ORDER else 0


def factorization(A: Tensor, iteration: ProductForm) -> int:
    """Flops in float64 of T Cholesky factors, n^3 / 3, and triangular solves, n^3, beyond order 64: leading terms."""
    batch, n = A.shape[0], A.shape[-1]
    return 4 * batch * iteration.steps * n**3 // 3 if n > sweep.LARGEST_ORDER else 0


def shape_of(x: Tensor) -> Shape:
    """The four sizes of an input."""
    images, channels, height, width = x.shape
    return images, channels, height, width


def blocks_of(rows: int, block: int) -> int:
    """Blocks of rows, chunk by chunk."""
    return rows // CHUNK * (CHUNK // block) + -(-(rows % CHUNK) // block)


def dot(m: int, k: int, n: int) -> int:
    """Flops of one `tl.dot`."""
    return 2 * m * k * n
