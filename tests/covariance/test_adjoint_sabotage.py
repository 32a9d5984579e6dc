import pytest
import torch

from ndbench.covariance import adjoint_parts, adjoint_pixels, adjoint_regions, im2col, lagged, shifted
from ndbench.covariance.adjoint_regions import Reach, reaches
from tests.covariance.test_adjoint import ADJOINTS, MORE_CASES, assert_right

JUDGED = MORE_CASES[5]  # kernel 3, "same" padding

each_type = pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)


def mean_term_missing(adjoint):
    return lambda x, mean, dmean, dcov, patches: adjoint(x, 0 * mean, dmean, dcov, patches)


def mean_detached(adjoint):
    return lambda x, mean, dmean, dcov, patches: adjoint(x, mean, 0 * dmean, dcov, patches)


def not_symmetrized(adjoint):
    return lambda x, mean, dmean, dcov, patches: adjoint(x, mean, dmean, dcov.triu() + dcov.triu(1).mT, patches)


def half_of_the_covariance(adjoint):
    return lambda x, mean, dmean, dcov, patches: adjoint(x, mean, dmean, dcov / 2, patches)


def wrong_divisor(adjoint):
    def f(x, mean, dmean, dcov, patches):
        M = len(x) * x.shape[2] * x.shape[3]
        return adjoint(x, mean, dmean, dcov, patches) * M / (M - 1)

    return f


def scaled(adjoint):
    return lambda *arguments: adjoint(*arguments) * (1 + 1e-4)


def border_not_folded(adjoint):
    def f(x, *arguments):
        gradient = adjoint(x, *arguments)
        gradient[:, :, -1] = 0
        return gradient

    return f


WRONG = (
    mean_term_missing,
    mean_detached,
    not_symmetrized,
    half_of_the_covariance,
    wrong_divisor,
    scaled,
    border_not_folded,
)


@each_type
@pytest.mark.parametrize("algorithm", ADJOINTS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("wrong", WRONG, ids=lambda f: f.__name__)
def test_wrong_adjoints_are_caught(wrong, algorithm, dtype):
    adjoint = ADJOINTS[algorithm]
    assert_right(JUDGED, algorithm, dtype, adjoint)
    with pytest.raises(AssertionError):
        assert_right(JUDGED, algorithm, dtype, wrong(adjoint))


def first_offset_of_a_border_dropped(monkeypatch):
    def cut(axis):
        return tuple(Reach(reach.positions, reach.offsets[-2:]) for reach in reaches(axis))

    monkeypatch.setattr(adjoint_pixels, "reaches", cut)
    monkeypatch.setattr(adjoint_regions, "reaches", cut)


def borders_taken_for_the_inside(monkeypatch):
    def merged(axis):
        return (Reach(range(axis.length), tuple(range(axis.kernel))),)

    monkeypatch.setattr(adjoint_pixels, "reaches", merged)
    monkeypatch.setattr(adjoint_regions, "reaches", merged)


def padding_taken_for_the_mean(monkeypatch):
    def surroundings(images, upstream):
        height, width = adjoint_parts.margins(upstream.patches)
        return torch.nn.functional.pad(images - upstream.shift[:, None, None], (width, width, height, height))

    monkeypatch.setattr(adjoint_parts, "surroundings", surroundings)
    monkeypatch.setattr(adjoint_pixels, "surroundings", surroundings)


def first_image_twice(monkeypatch):
    run = adjoint_pixels.image_of
    monkeypatch.setattr(adjoint_pixels, "image_of", lambda *a: run(*a)[:1].expand(JUDGED.shape[0], -1, -1, -1))


PLANTED = (
    first_offset_of_a_border_dropped,
    borders_taken_for_the_inside,
    padding_taken_for_the_mean,
    first_image_twice,
)


@each_type
@pytest.mark.parametrize("algorithm", [shifted, lagged], ids=lambda f: f.__name__)
@pytest.mark.parametrize("plant", PLANTED, ids=lambda f: f.__name__)
def test_planted_errors_are_caught(monkeypatch, plant, dtype, algorithm):
    plant(monkeypatch)
    assert_right(JUDGED, im2col, dtype)
    with pytest.raises(AssertionError):
        assert_right(JUDGED, algorithm, dtype)
