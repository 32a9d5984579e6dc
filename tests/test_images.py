"""Photographs: what is there, how it is cropped and turned gray, and what is said where it is missing."""

import sys

import numpy as np
import pytest

from ndbench import images
from ndbench.images import COLOR, GRAY, LUMA, PHOTOGRAPHS, SCIKIT_LEARN, PhotographUnavailable, photograph


@pytest.fixture
def forget_photographs():
    """Nothing is served from the cache during a test, and nothing odd is left in it."""
    photograph.cache_clear()
    yield
    photograph.cache_clear()


def test_there_are_enough_photographs():
    assert len(COLOR + GRAY) >= 8
    assert len(SCIKIT_LEARN) >= 2
    assert len(set(PHOTOGRAPHS)) == len(PHOTOGRAPHS)


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_loads_with_its_channels_first(name):
    image = photograph(name)
    assert image.dtype == np.uint8
    assert image.shape[0] == (1 if name in GRAY else 3)
    assert min(image.shape[1:]) > 150
    assert image.std() > 5


def test_pixels_are_those_of_scikit_image():
    data = pytest.importorskip("skimage.data")
    np.testing.assert_array_equal(photograph("astronaut"), np.moveaxis(data.astronaut(), -1, 0))
    np.testing.assert_array_equal(photograph("camera")[0], data.camera())


def test_gray_is_luma():
    red, green, blue = photograph("coffee") / 1.0
    expected = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    gray = photograph("coffee", gray=True)
    assert gray.shape == (1, 400, 600)
    assert abs(gray[0] - expected).max() <= 0.5 + 1e-9
    assert LUMA.sum() == pytest.approx(1, abs=1e-15)


def test_a_gray_photograph_has_no_other_gray():
    np.testing.assert_array_equal(photograph("moon", gray=True), photograph("moon"))


@pytest.mark.parametrize(("size", "top", "left"), [(100, 150, 250), (99, 150, 250), (400, 0, 100)])
def test_crop_is_central(size, top, left):
    whole = photograph("coffee")
    np.testing.assert_array_equal(photograph("coffee", size=size), whole[:, top : top + size, left : left + size])


def test_crop_larger_than_the_photograph():
    with pytest.raises(ValueError, match=r"^photograph: size must be at most 400 here; got 401$"):
        photograph("coffee", size=401)


def test_unknown_name():
    with pytest.raises(ValueError, match="photograph") as raised:
        photograph("lena")
    assert str(raised.value) == f"photograph: name must be one of {', '.join(PHOTOGRAPHS)}; got 'lena'"


@pytest.mark.usefixtures("forget_photographs")
@pytest.mark.parametrize(
    ("name", "module", "package"),
    [("astronaut", "skimage.data", "scikit-image"), ("china", "sklearn.datasets", "scikit-learn")],
)
def test_a_missing_package_is_said_to_be_missing(name, module, package, monkeypatch):
    # None in sys.modules makes the import fail
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(PhotographUnavailable) as raised:
        photograph(name)
    message = str(raised.value)
    assert message.startswith(f"the photograph '{name}' comes with {package}, which cannot be imported (")
    assert message.endswith("); pip install 'ndbench[images]'")
    assert isinstance(raised.value.__cause__, ImportError)


@pytest.mark.usefixtures("forget_photographs")
def test_a_photograph_is_loaded_once(monkeypatch):
    loaded = []
    load = images._load
    monkeypatch.setattr(images, "_load", lambda name: loaded.append(name) or load(name))
    assert photograph("clock") is photograph("clock")
    assert loaded == ["clock"]
