"""The models of what kernels load and store against what the interpreter sees them ask for, launch by launch."""

from dataclasses import replace
from functools import cache

import pytest
import torch

from ndbench.cost import kernel_traffic, kernel_traffic_roots
from ndbench.cost.counting import count_dots
from ndbench.covariance import Patches
from ndbench.kernels import covariance, newton_schulz
from ndbench.kernels.covariance import partials
from ndbench.kernels.covariance.adjoint import adjoint
from ndbench.kernels.denman_beavers import ProductFormKernels, tiles
from ndbench.kernels.runtime import interpreted
from ndbench.roots.adjoints import Coupled, ProductForm
from ndbench.roots.coefficients import LIMITS

pytestmark = pytest.mark.skipif(not interpreted(), reason="what is executed is counted in the interpreter")

FIRST, LAST = torch.channels_last, torch.contiguous_format
# shape, patches, layout of memory, type, precision
GEOMETRIES = [
    ((2, 4, 6, 5), Patches.of(3, padding=1, block=2), LAST, torch.float32, "ieee"),
    ((2, 4, 5, 4), Patches.of(2, padding=1, block=2), FIRST, torch.float16, "ieee"),
    (
        (1, 6, 9, 8),
        Patches.of((2, 3), stride=(1, 2), dilation=(1, 2), block=3, pooled=False),
        FIRST,
        torch.float32,
        "ieee",
    ),
    ((3, 4, 7, 7), Patches.of(2, padding=1, stride=2, block=2, grouping="interleaved"), LAST, torch.float16, "ieee"),
    (
        (2, 4, 5, 7),
        Patches.of(3, padding=2, dilation=2, stride=2, block=2, grouping="interleaved", pooled=False),
        FIRST,
        torch.float32,
        "ieee",
    ),
    # more rows than a chunk holds, with a last chunk and a last block that are not full
    ((1, 2, 38, 27), Patches.of(1), FIRST, torch.float32, "ieee"),
    # classes of more channels than a tile, several tiles of columns
    ((1, 66, 1, 2), Patches.of(1), LAST, torch.float32, "tf32x3"),
    ((1, 40, 3, 4), Patches.of(2, padding=1, block=20), FIRST, torch.float16, "ieee"),
    ((1, 17, 4, 3), Patches.of((1, 2), padding=(1, 0), block=17), LAST, torch.float32, "ieee"),
    # more partial sums than are added up where they are read
    ((1, 12, 3, 4), Patches.of(1, block=2), LAST, torch.float32, "ieee"),
    # an image that lies between the patches, and one that is smaller than they are
    ((1, 2, 1, 1), Patches.of(1, padding=1, stride=2), LAST, torch.float32, "ieee"),
    ((1, 1, 2, 2), Patches.of(3, padding=1), LAST, torch.float32, "ieee"),
]
COUPLED = {
    "cubic": Coupled((LIMITS[3],) * 2),
    "quintic": Coupled((LIMITS[5],) * 2),
    "one": Coupled((LIMITS[3],)),
}
PRODUCT_FORM = ProductForm(steps=2, scaled_steps=1)


def moved(function):
    """Names, bytes loaded and bytes stored of all launches."""
    return [(launch.kernel, launch.loaded, launch.stored) for launch in count_dots(function)]


def covariances_run(shape, patches, memory_format, dtype, precision):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(dtype).to(memory_format=memory_format)
    found = []
    return {
        "im2col": moved(lambda: covariance.im2col(x, patches, precision)),
        "lagged": moved(lambda: found.extend(covariance.lagged(x, patches, precision))),
        "covariance_adjoint": moved(lambda: adjoint(x, found[0], *found, patches, precision=precision)),
    }


covariances_seen = cache(covariances_run)


def covariances_modelled(shape, patches, memory_format, dtype, precision):
    x = torch.empty(shape, dtype=dtype, device="meta").to(memory_format=memory_format)
    models = ("im2col", "lagged", "covariance_adjoint")
    return {name: getattr(kernel_traffic, name)(x, patches, precision) for name in models}


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_covariances(geometry):
    assert covariances_modelled(*geometry) == covariances_seen(*geometry)


# the regions of the adjoint in parts, and its classes one by one or two at a time
@pytest.mark.parametrize(("pooled", "least", "parts"), [(True, 0, 3), (False, 3850, 2 * 2)])
def test_with_little_memory(pooled, least, parts, monkeypatch):
    monkeypatch.setattr(partials, "LEAST", least)
    patches = Patches.of((2, 3), padding=1, block=2, pooled=pooled)
    geometry = (1, 6, 3, 4), patches, LAST, torch.float32, "ieee"
    found = covariances_run(*geometry)
    assert covariances_modelled(*geometry) == found
    assert sum(kernel == "sum_pairs" for kernel, *_ in found["covariance_adjoint"]) == parts


def matrices(n, count, dtype=torch.float32):
    return torch.eye(n, dtype=dtype).repeat(count, 1, 1)


def coupled_run(iteration, A, precision):
    kernels = newton_schulz.CoupledKernels(iteration, precision)
    return {
        "coupled": moved(lambda: kernels.run(A)),
        "coupled_adjoint": moved(lambda: kernels.pull_back(A, (), A)),
    }


def coupled_modelled(iteration, A, precision):
    models = ("coupled", "coupled_adjoint")
    return {name: getattr(kernel_traffic_roots, name)(A.to("meta"), iteration, precision) for name in models}


@pytest.mark.parametrize(
    ("n", "dtype"),
    [
        (5, torch.float32),
        (16, torch.float16),
        (20, torch.float32),
        (40, torch.float32),
        (40, torch.float16),
        (100, torch.float32),
    ],
)
@pytest.mark.parametrize("name", COUPLED)
def test_coupled_steps(n, dtype, name):
    A = matrices(n, 1 if n > 64 else 2, dtype)
    assert coupled_modelled(COUPLED[name], A, "ieee") == coupled_run(COUPLED[name], A, "ieee")


def test_an_adjoint_that_registers_do_not_hold():
    A = matrices(20, 1)
    assert coupled_modelled(COUPLED["cubic"], A, "tf32x3") == coupled_run(COUPLED["cubic"], A, "tf32x3")


def test_coupled_steps_on_tiles():
    A = matrices(130, 1, torch.float16)
    assert coupled_modelled(COUPLED["cubic"], A, "ieee") == coupled_run(COUPLED["cubic"], A, "ieee")


def test_coupled_steps_on_large_tiles_and_parts_of_a_batch(monkeypatch):
    # as beyond order 576, in a few programs
    monkeypatch.setattr(newton_schulz.scratch, "LARGEST_ORDER", 64)
    monkeypatch.setattr(newton_schulz.tiled, "SMALL_TILES", 0)
    monkeypatch.setattr(newton_schulz.tiled, "SCRATCH_BYTES", 1)
    A = matrices(70, 2)
    found = coupled_run(COUPLED["cubic"], A, "ieee")
    assert coupled_modelled(COUPLED["cubic"], A, "ieee") == found
    assert sum(kernel == "write_answers" for kernel, *_ in found["coupled"]) == 2


def product_form_run(n, count):
    kernels, A = ProductFormKernels(PRODUCT_FORM, "ieee", keep=True), matrices(n, count)
    D, *saved = kernels.run(A)
    return {
        "kept": moved(lambda: kernels.run(A)),
        "answer": moved(lambda: replace(kernels, keep=False).run(A)),
        "adjoint": moved(lambda: kernels.pull_back(A, tuple(saved), D)),
    }


def product_form_modelled(n, count):
    A = matrices(n, count).to("meta")
    return {
        "kept": kernel_traffic_roots.product_form(A, PRODUCT_FORM, keep=True),
        "answer": kernel_traffic_roots.product_form(A, PRODUCT_FORM),
        "adjoint": kernel_traffic_roots.product_form_adjoint(A, PRODUCT_FORM),
    }


product_form_seen = cache(product_form_run)


@pytest.mark.parametrize(("n", "count"), [(5, 2), (30, 2), (40, 2), (70, 1)])
def test_product_form(n, count):
    assert product_form_modelled(n, count) == product_form_seen(n, count)


def test_product_form_on_tiles_that_hang_over_the_edge(monkeypatch):
    monkeypatch.setattr(tiles, "TILES_TO_FILL_A_DEVICE", 1)
    assert product_form_modelled(70, 1) == product_form_run(70, 1)


def more(launch, loaded=0, stored=0):
    return launch._replace(loaded=launch.loaded + loaded, stored=launch.stored + stored)


def times(function, factor):
    return lambda *arguments, **keywords: function(*arguments, **keywords) * factor


def with_more(function, **bytes_more):
    return lambda *arguments, **keywords: more(function(*arguments, **keywords), **bytes_more)


def taps_unmasked(part, patches, height, width):
    """What would be read if no tap left the image."""
    regions = part.regions.long()
    return int((regions[:, 2] * regions[:, 3] * (regions[:, 9] - regions[:, 8])).sum())


def windows_unmasked(rows, columns):
    """What would be read if no window left the image."""
    K = rows.kernel * columns.kernel
    return torch.full((K, K), rows.outputs * columns.outputs)


TILE = 16 * 16 * 4
WRONG_COVARIANCES = {
    "a tile of the image more": {"multiply_pieces": with_more(kernel_traffic.multiply_pieces, loaded=TILE)},
    "a tile of columns more": {"multiply_columns": with_more(kernel_traffic.multiply_columns, loaded=TILE)},
    "a number more is stored": {"assemble_columns": with_more(kernel_traffic.assemble_columns, stored=4)},
    "a partial sum is read twice": {"add_partials": with_more(kernel_traffic.add_partials, loaded=TILE)},
    "the mean of a column twice": {"average_pieces": with_more(kernel_traffic.average_pieces, stored=8)},
    "an entry of the covariance twice": {"assemble_pieces": with_more(kernel_traffic.assemble_pieces, stored=4)},
    "constants are forgotten": {"column_constants": with_more(kernel_traffic.column_constants, loaded=-8)},
    "a pair is forgotten": {"sum_pairs": with_more(kernel_traffic.sum_pairs, loaded=-20)},
    "a sample more": {"sampled_means": with_more(kernel_traffic.sampled_means, loaded=4)},
    "windows without their mask": {"window_counts": windows_unmasked},
    "taps without their mask": {"taps_inside": taps_unmasked},
    "a factor k in the taps": {"taps_inside": times(kernel_traffic.taps_inside, 3)},
    "a factor k in the pieces": {"pieces_of_pairs": times(kernel_traffic.pieces_of_pairs, 3)},
    "float64 for float32": {"SINGLE": 8},
}


@pytest.mark.parametrize("wrong", WRONG_COVARIANCES.values(), ids=WRONG_COVARIANCES)
def test_a_wrong_model_of_a_covariance_is_caught(wrong, monkeypatch):
    assert covariances_modelled(*GEOMETRIES[0]) == covariances_seen(*GEOMETRIES[0])
    for name, value in wrong.items():
        monkeypatch.setattr(kernel_traffic, name, value)
    assert covariances_modelled(*GEOMETRIES[0]) != covariances_seen(*GEOMETRIES[0])


of_phase = kernel_traffic_roots.of_phase


def without_transposes(*arguments, whole):
    return of_phase(*arguments, whole=whole and False)


WRONG_STEPS = {
    "strips without their end": (
        40,
        {"of_phase": lambda phase, n, *others, **whole: of_phase(phase, 64, *others, **whole)},
    ),
    "transposes of a whole matrix forgotten": (40, {"of_phase": without_transposes}),
    "the diagonal of a tile written once": (40, {"mirrored": lambda order: 4 * order**2}),
    "a matrix read twice": (5, {"in_registers": with_more(kernel_traffic_roots.in_registers, loaded=-4 * 5**2)}),
}


@pytest.mark.parametrize(("n", "wrong"), WRONG_STEPS.values(), ids=WRONG_STEPS)
def test_a_wrong_model_of_steps_is_caught(n, wrong, monkeypatch):
    A = matrices(n, 1)
    found = coupled_run(COUPLED["cubic"], A, "ieee")
    assert coupled_modelled(COUPLED["cubic"], A, "ieee") == found
    for name, value in wrong.items():
        monkeypatch.setattr(kernel_traffic_roots, name, value)
    assert coupled_modelled(COUPLED["cubic"], A, "ieee") != found


WRONG_PRODUCT_FORMS = {
    "a tile that is not stored is read": {
        "inverse_and_next": with_more(kernel_traffic_roots.inverse_and_next, loaded=4 * 32**2)
    },
    "mirror images forgotten": {"combined": with_more(kernel_traffic_roots.combined, stored=-4 * 32**2)},
    "a triangle of all": {"lower": lambda sizes: sum(sizes) ** 2},
}


@pytest.mark.parametrize("wrong", WRONG_PRODUCT_FORMS.values(), ids=WRONG_PRODUCT_FORMS)
def test_a_wrong_model_of_the_product_form_is_caught(wrong, monkeypatch):
    assert product_form_modelled(70, 1) == product_form_seen(70, 1)
    for name, value in wrong.items():
        monkeypatch.setattr(kernel_traffic_roots, name, value)
    assert product_form_modelled(70, 1) != product_form_seen(70, 1)
