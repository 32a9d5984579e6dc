"""The adjoints by enumeration against differences and against each other."""

import numpy as np
import pytest

from ndbench.targets import Exact, Steps
from ndbench.verify.oracles.covariance import patch_matrices
from ndbench.verify.oracles.derivatives import Eigenpairs, differentiate
from ndbench.verify.oracles.derivatives_covariance import collect, covariance_gradient, pixel_numbers
from ndbench.verify.oracles.derivatives_layer import Layer, layer_gradient

GEOMETRIES = (
    {"kernel_size": 3},
    {"kernel_size": (2, 3), "stride": (2, 1), "padding": (1, 2), "dilation": (1, 2)},
    {"kernel_size": 2, "block": 2, "pooled": False},
    {"kernel_size": 2, "block": 1, "pooled": True, "grouping": "interleaved", "padding": 1},
    {"kernel_size": 3, "block": 2, "pooled": False, "grouping": "interleaved", "stride": 3},
)


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.longdouble)


def statistics(x, geometry):
    """Means and covariances by numpy's own reductions."""
    found = patch_matrices(x, **geometry)
    means = [X.mean(axis=0) for X in found]
    return means, [(X - m).T @ (X - m) / len(X) for X, m in zip(found, means, strict=True)]


def inner(a, b):
    return sum((u * v).sum() for u, v in zip(a, b, strict=True))


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_covariance_gradient_agrees_with_differences(geometry):
    """A covariance is quadratic in x, so central differences are exact but for rounding, whatever the step."""
    x, E = normal(0, 2, 4, 6, 5), normal(1, 2, 4, 6, 5)
    means, covs = statistics(x, geometry)
    g, G = [normal(i + 2, *m.shape) for i, m in enumerate(means)], [normal(i + 9, *c.shape) for i, c in enumerate(covs)]
    (up_m, up_c), (down_m, down_c) = (statistics(x + s * E, geometry) for s in (1, -1))
    slope = (inner(g, up_m) + inner(G, up_c) - inner(g, down_m) - inner(G, down_c)) / 2
    found = (covariance_gradient(x, np.stack(g), np.stack(G), **geometry) * E).sum()
    assert abs(found - slope) <= 1e-15 * (abs(slope) + 10)


def test_only_the_symmetric_part_of_the_upstream_gradient_counts():
    x, G = normal(0, 1, 2, 5, 5), normal(1, 1, 8, 8)
    g = np.zeros((1, 8), dtype=np.longdouble)
    found, symmetric = (covariance_gradient(x, g, u, kernel_size=2) for u in (G, (G + G.mT) / 2))
    np.testing.assert_allclose(found.astype(float), symmetric.astype(float), rtol=1e-15)


def test_collecting_ones_counts_the_patches_of_each_pixel():
    x = np.zeros((1, 1, 4, 4))
    (places,) = patch_matrices(pixel_numbers(x), kernel_size=2, stride=1, padding=0)
    counted = collect(x, [(places, np.ones_like(places))])
    assert counted[0, 0].tolist() == [[1, 2, 2, 1], [2, 4, 4, 2], [2, 4, 4, 2], [1, 2, 2, 1]]


def layer(groups=1, target=None, **sampling):
    chosen = target or Exact()

    def root(cov):
        pairs = Eigenpairs.in_float64(cov)
        return (pairs.V * differentiate(chosen, pairs.eigenvalues, pairs.algebra).value) @ pairs.V.T

    convolution = {"kernel_size": 2, "stride": (1, 2), "padding": 1, "dilation": 1}
    return Layer(
        weight=normal(5, 4, 4 // groups, 2, 2).astype(float),
        bias=normal(6, 4).astype(float),
        groups=groups,
        convolution=convolution,
        sampling={**convolution, "pooled": True, "grouping": "channel", **sampling},
        eps=0.1,
        root=root,
        root_gradient=lambda cov, G: Eigenpairs.in_float64(cov).gradient(chosen, G),
    )


def output(layer, x):
    """Patches, minus the mean, times D, times the weight: written down once more, output by output."""
    means, covs = statistics(x, layer.sampling)
    D = [layer.root(c + layer.eps * np.eye(len(c))) for c in covs]
    blocks = patch_matrices(x, **layer.convolution, **{**_blocks(layer), "pooled": False})
    numbers = patch_matrices(
        np.arange(4.0).reshape(1, 4, 1, 1), kernel_size=1, block=layer.sampling["block"], pooled=False
    )
    total = np.zeros((len(blocks[0]), 4)) + layer.bias
    for g, (X, channels) in enumerate(zip(blocks, numbers, strict=True)):
        d = D[0 if layer.sampling["pooled"] else g]
        whitened = (X - means[0 if layer.sampling["pooled"] else g]) @ d
        for o in range(4):
            per_group = 4 // layer.groups
            mine = [c for c in channels[0].astype(int) if c // per_group == o // per_group]
            if mine:
                total[:, o] += whitened @ layer.weight[o][[c % per_group for c in mine]].ravel()
    return total


def _blocks(layer):
    return {name: layer.sampling[name] for name in ("block", "grouping")}


CASES = (
    {"block": 2},
    {"block": 2, "pooled": False},
    {"block": 4, "target": Steps("newton_schulz", 5)},
    {"block": 1, "groups": 2, "target": Steps("minimax_quintic", 3)},
    {"block": 2, "groups": 2, "pooled": False, "stride": 2},
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_layer_gradient_agrees_with_differences(case):
    chosen = layer(**case)
    x, E = normal(0, 2, 4, 6, 5).astype(float), normal(1, 2, 4, 6, 5).astype(float)
    G = normal(3, *output(chosen, x).shape).astype(float)
    h = 1e-5
    slope = (G * (output(chosen, x + h * E) - output(chosen, x - h * E))).sum() / (2 * h)
    count = len(G) // 2
    rows = 7
    upstream = np.moveaxis(G.reshape(2, rows, count // rows, 4), -1, 1)
    found = layer_gradient(chosen, x, upstream)
    assert abs((found.full * E).sum() - slope) <= 1e-7 * abs(slope)
    assert abs((found.detached * E).sum() - slope) > 1e-3 * abs(slope)
    assert 0 < found.share < 2
