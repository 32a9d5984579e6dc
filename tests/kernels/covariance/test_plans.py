"""What is decided on the host, before any kernel runs."""

import random

import pytest
import torch

from ndbench.covariance import Patches
from ndbench.kernels import covariance as kernels
from ndbench.kernels.covariance import adjoint, im2col_products, lagged_plan, lagged_products
from ndbench.kernels.covariance.adjoint_plan import AdjointPlan
from ndbench.kernels.covariance.choice import fewest
from ndbench.kernels.covariance.classes import ClassTables
from ndbench.kernels.covariance.columns import Columns
from ndbench.kernels.covariance.division import reciprocal
from ndbench.kernels.covariance.partials import splits
from ndbench.kernels.precision import WAYS
from ndbench.kernels.variant import TRITON_TYPES

CPU = torch.device("cpu")
LARGE = (256, 64, 56, 56)


def test_division_by_multiplication_is_exact():
    draw = random.Random(0)
    divisors = [1, 2, 3, 5, 7, 641, 2**30, 2**30 + 1, 2**31 - 1, *(draw.randrange(1, 2**31) for _ in range(300))]
    for D in divisors:
        m, s = reciprocal(D)
        assert -(2**31) <= m < 2**31
        for q in (0, 1, D - 1, D, 2 * D - 1, 2**31 - 1, draw.randrange(2**31)):
            if q < 2**31:
                # the high half of a product of 32-bit numbers without a sign
                assert ((2 * q * (m % 2**32)) >> 32) >> s == q // D


@pytest.mark.parametrize("items", [1, 45, 325])
@pytest.mark.parametrize("chunks", [1, 17, 784, 51000])
def test_partial_sums_take_a_twentieth_of_a_large_input(items, chunks):
    record, size = 64 * 64 + 64, 4 * 256 * 64 * 56 * 56
    slots = splits(items, chunks, record, size)
    assert 1 <= slots <= chunks
    # one accumulator adds up at most 256 chunks, whatever it takes
    assert 4 * slots * items * record <= max(size / 20, 4 * items * record * -(-chunks // 256))
    assert -(-chunks // slots) <= 256


@pytest.mark.parametrize("k", [3, 5, 7])
def test_memory_of_lags_and_their_gradient(k):
    patches = Patches.of(k, padding=k // 2, block=64)
    size, F = 4 * 256 * 64 * 56 * 56, 64 * k * k
    chunks = lagged_plan.all_chunks(patches, LARGE, 1)
    slots = splits(1, chunks, lagged_products.record_of(64), size)
    plan = lagged_plan.LaggedPlan.of(patches, LARGE, 1, -(-chunks // slots), CPU)
    partial, total = (
        4 * lagged_products.record_of(64) * len(plan.work),
        8 * lagged_products.record_of(64) * len(plan.pieces),
    )
    assert partial + total <= size / 10 + 4 * F * F
    found = AdjointPlan.of(patches, LARGE, size // 20 // 4, CPU)
    assert 4 * 64 * 64 * (len(found.first) - 1) <= size / 20 + 4 * F * F


def test_every_chunk_of_every_piece_is_done_once():
    patches = Patches.of((3, 2), padding=1, stride=(1, 2), block=2)
    shape = (40, 4, 9, 8)
    plan = lagged_plan.LaggedPlan.of(patches, shape, 2, 3, CPU)
    done = sorted((piece, chunk) for piece, begin, end in plan.work.tolist() for chunk in range(begin, end))
    assert done == [(q, chunk) for q, row in enumerate(plan.pieces.tolist()) for chunk in range(2 * row[11])]
    assert plan.first.tolist()[-1] == len(plan.work)


@pytest.mark.parametrize(("C", "block", "k"), [(8, 4, 3), (6, 2, 3), (6, 3, 2), (8, 2, 2), (12, 2, (2, 3)), (6, 1, 3)])
def test_classes_are_progressions_of_channels(C, block, k):
    for grouping in ("channel", "interleaved"):
        tables = ClassTables.of(Patches.of(k, block=block, pooled=False, grouping=grouping), C, CPU)
        a, i = torch.arange(tables.count)[:, None], torch.arange(tables.m)[None, :]
        assert torch.equal(tables.members, a * tables.stride + i * tables.step)


@pytest.mark.parametrize("grouping", ["channel", "interleaved"])
def test_columns_are_a_permutation(grouping):
    patches = Patches.of((3, 2), block=2, padding=1, grouping=grouping)
    columns = Columns.of(patches, 6, 5, 4, CPU)
    assert columns.output.sort().values.tolist() == list(range(12))
    group, position = patches.columns(6)
    for g, p, c in zip(*torch.where(columns.channel >= 0), columns.channel.flatten(), strict=True):
        row, column = columns.places[1:, g, p].tolist()
        t = (row + 1) * 2 + column + 1
        assert (group[c, t], position[c, t]) == (g, columns.output[p])


def test_the_choice():
    assert fewest(LARGE, Patches.of(3, padding=1, block=64)) == "lagged"
    assert fewest(LARGE, Patches.of(1, block=64)) == "im2col"
    assert fewest((256, 3, 224, 224), Patches.of(7, padding=3, stride=2)) == "im2col"


def test_every_configuration_that_can_be_launched_is_a_variant():
    listed = {(v.kernel.fn.__name__, v.signature.get("X"), str(v.configuration)) for v in kernels.variants()}
    for m in range(1, 148):
        for axis in (0, 1):
            for dtype, precision, _ in WAYS:
                options = {"axis": axis, "precision": precision}
                for kernel, chosen in (
                    ("multiply_columns", im2col_products.configuration(m, **options)),
                    ("multiply_pieces", lagged_products.configuration(m, **options)),
                    ("gradient_of_pixels", adjoint.configuration(m, dtype, **options)),
                ):
                    assert (kernel, f"*{TRITON_TYPES[dtype]}", str(chosen)) in listed
    names = [v.name for v in kernels.variants()]
    assert len(set(names)) == len(names)
