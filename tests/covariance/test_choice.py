import pytest

from ndbench.covariance import Patches
from ndbench.covariance.choice import fastest


@pytest.mark.parametrize(
    ("shape", "patches", "measured"),
    [
        ((16, 64, 32, 32), Patches.of(3, padding=1), "lagged"),
        ((16, 64, 32, 32), Patches.of(3, padding=1, block=16), "lagged"),
        ((8, 64, 32, 32), Patches.of(5, padding=2, block=16), "lagged"),
        ((64, 3, 32, 32), Patches.of(7, padding=3), "lagged"),
        ((16, 64, 32, 32), Patches.of(3, padding=1, stride=3), "im2col"),
        ((64, 3, 32, 32), Patches.of(5, padding=2, stride=3), "im2col"),
        ((16, 512, 4, 4), Patches.of(3, padding=1, block=64), "im2col"),
        ((16, 64, 16, 16), Patches.of(1), "im2col"),
    ],
)
def test_the_choice_is_what_was_measured_to_be_fastest(shape, patches, measured):
    assert fastest(shape, patches) == measured
