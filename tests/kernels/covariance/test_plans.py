"""What is decided on the host, before any kernel runs."""

import random
from itertools import product

import pytest
import torch

from ndbench.covariance import Patches
from ndbench.covariance.adjoint_regions import reaches
from ndbench.covariance.pieces import axes
from ndbench.kernels import covariance as kernels
from ndbench.kernels.covariance import adjoint, im2col_products, lagged_plan, lagged_products
from ndbench.kernels.covariance.adjoint_plan import AdjointPlan, lags
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


@pytest.mark.parametrize("items", [1, 45, 325, 2000])
@pytest.mark.parametrize("chunks", [1, 17, 784, 51000])
@pytest.mark.parametrize("affordable", [-5, 1, 30, 10**6])
def test_partial_sums_are_as_many_as_there_is_memory_for(items, chunks, affordable):
    slots = splits(items, chunks, affordable)
    # one accumulator adds up 4096 chunks at most, whatever memory it takes, and 256 where there is enough
    assert -(-chunks // 4096) <= slots <= chunks
    assert slots <= max(1, affordable, -(-chunks // 4096))
    assert -(-chunks // slots) <= 256 or slots >= affordable


@pytest.mark.parametrize("affordable", [0, 5, 40, 10**5])
def test_partial_sums_of_pieces(affordable):
    chunks = (1, 2, 300, 7)
    most = lagged_plan.chunks_per_program(chunks, 4, affordable)
    slots = sum(-(-count // most) for count in chunks)
    sums = 0 if slots == len(chunks) else 2 * len(chunks)
    assert slots == len(chunks) or slots + sums <= affordable


def test_parts_have_all_regions_and_no_more_matrices_than_there_is_room_for():
    patches, shape = Patches.of(5, padding=2, block=4, pooled=False), (3, 8, 9, 8)
    (whole,) = AdjointPlan.of(patches, shape, 10**6, CPU).parts
    regions, largest = whole.regions[:, :4], 81 * 4**2
    # tables of classes and lags come first
    around = [lags(*region, patches, (True,) * 25) for region in product(*map(reaches, axes(patches, 9, 8)))]
    tables = ClassTables.of(patches, 8, CPU).sources.numel() + 12 * sum(len(list(found)) for found in around)
    rooms = (10**6, tables + 8 * largest, tables + 2 * largest, tables + largest, 0)
    found = [AdjointPlan.of(patches, shape, room, CPU) for room in rooms]
    assert [plan.classes for plan in found] == [2, 2, 2, 1, 1]
    counts = [len(plan.parts) for plan in found]
    assert counts == sorted(counts)
    assert (counts[0], counts[-1]) == (1, 25)
    for plan, room in zip(found, (10**6, 8 * largest, 2 * largest, largest, largest), strict=True):
        assert torch.equal(torch.cat([part.regions[:, :4] for part in plan.parts]), regions)
        assert all(plan.classes * len(part.matrices) * 4**2 <= room for part in plan.parts)
        assert all(part.programs == part.firsts[-2] for part in plan.parts)


@pytest.mark.parametrize("kernel", [{"dilation": 1}, {"dilation": 3}, {"stride": (2, 3)}, {"stride": 2, "dilation": 3}])
def test_the_matrices_of_a_region_have_all_its_pairs(kernel):
    patches = Patches.of((5, 4), padding=4, **kernel)
    rows, columns = axes(patches, 13, 12)
    for down, across in product(reaches(rows), reaches(columns)):
        found = [
            ((i + t, j + u), (t, u))
            for i, j, along, beside in lags(down, across, patches, (True,) * 20)
            for t in range(along[0], along[0] + along[1] * along[2], along[2])
            for u in range(beside[0], beside[0] + beside[1] * beside[2], beside[2])
        ]
        offsets = list(product(range(5), range(4)))
        assert sorted(found) == sorted(product(offsets, product(down.offsets, across.offsets)))


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
