"""The gradient of a whole deconvolved layer with respect to its input, in its two parts, by enumeration of patches.

The output is linear in the patches once mean and D are known; the rest of the gradient, which a layer that detaches
mean and D drops, is the first-order correction term.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ndbench.covariance_problems import pair
from ndbench.verify.oracles.covariance import patch_columns, patch_matrices
from ndbench.verify.oracles.derivatives_covariance import collect, covariance_gradient, pixel_numbers

Array = NDArray[Any]
MatrixMap = Callable[[Array], Array]
MatrixAdjoint = Callable[[Array, Array], Array]


@dataclass(frozen=True, eq=False)
class Layer:
    """A deconvolved convolution: y = conv(x, w', b') with w'_g = D_g w_g, b' = b - mean . w', D = root(cov).

    Attributes:
        weight: (O, C / groups, kh, kw).
        bias: (O,).
        groups: of the convolution.
        convolution: `kernel_size`, `stride`, `padding`, `dilation` of the convolution's patches.
        sampling: the keywords of the covariance's patches: the same with the sampling stride, and `block`, `pooled`,
            `grouping`.
        eps: added to the diagonal of the covariance.
        root: D of a covariance (F, F).
        root_gradient: the gradient of <G, root(cov)> from cov and G.
    """

    weight: Array
    bias: Array
    groups: int
    convolution: dict[str, Any]
    sampling: dict[str, Any]
    eps: float
    root: MatrixMap
    root_gradient: MatrixAdjoint


@dataclass(frozen=True, eq=False)
class ParameterGradient:
    """The gradients of <G, y> with respect to weight and bias: dw_o = D (sum of g_o (p - mean)), db_o = sum of g_o.

    Attributes:
        weight: (O, C / groups, kh, kw).
        bias: (O,).
        terms: |D| (sum of |g| |p| + |mean| |sum of g|), what an algorithm adds up that folds D into the weight, (O, F).
        sums: |D| (|sum of g p| + |mean| |sum of g|), the same once the sums over patches are done.
        bias_terms: the sum of |g|, (O,).
    """

    weight: Array
    bias: Array
    terms: Array
    sums: Array
    bias_terms: Array


@dataclass(frozen=True, eq=False)
class LayerGradient:
    """The gradient of <G, y> with respect to x, in two parts.

    Attributes:
        detached: through the convolution alone, mean and D held constant.
        correction: through mean, covariance and D: the first-order correction term.
        covariances: of the blocks, one if they are pooled.
        upstream: the gradients with respect to each D.
        parameters: the gradients with respect to weight and bias.
    """

    detached: Array
    correction: Array
    covariances: list[Array]
    upstream: list[Array]
    parameters: "ParameterGradient"

    @property
    def full(self) -> Array:
        """The sum of both."""
        return self.detached + self.correction

    @property
    def order(self) -> int:
        """F."""
        return len(self.covariances[0])

    @property
    def share(self) -> float:
        """||correction|| / ||full||."""
        return float(np.linalg.norm(self.correction) / np.linalg.norm(self.full))

    @property
    def cosine(self) -> float:
        """<detached, full> / (||detached|| ||full||)."""
        norms = np.linalg.norm(self.detached) * np.linalg.norm(self.full)
        return float((self.detached * self.full).sum() / norms)


def layer_gradient(layer: Layer, x: Array, G: Array) -> LayerGradient:
    """The gradients with respect to x (N, C, H, W), weight and bias of <G, y>, y = (N, O, Ho, Wo), in float64.

    References:
        Ye et al., Network Deconvolution, ICLR 2020, equation (4): D depends on x.
    """
    rows = [_two_passes(X, layer.eps) for X in patch_matrices(x, **layer.sampling)]
    D = [layer.root(cov) for _, cov in rows]
    blocks = _blocks_of_weight(layer, x.shape[1])
    G = np.moveaxis(G, 1, -1).reshape(-1, len(layer.weight))
    gm, gD = [np.zeros_like(mean) for mean, _ in rows], [np.zeros_like(d) for d in D]
    patches = np.stack(patch_columns(x, **layer.convolution), axis=1)
    dP = np.zeros_like(patches)
    dw, terms, sums = (np.zeros((len(layer.weight), layer.weight[0].size)) for _ in range(3))
    for o, block, columns in blocks:
        g, w = G[:, o], layer.weight[o].ravel()[columns.weight]
        folded, mean = D[block] @ w, rows[block][0]
        # y_o = b_o + (p - mean) . D w, block by block
        dP[:, columns.patch] += np.outer(g, folded)
        p, total = patches[:, columns.patch], g.sum()
        centered, pulled = (p - mean).T @ g, abs(mean) * abs(total)
        gm[block] -= total * folded
        gD[block] += np.outer(centered, w)
        dw[o, columns.weight] += D[block] @ centered
        terms[o, columns.weight] += abs(D[block]) @ (abs(p).T @ abs(g) + pulled)
        sums[o, columns.weight] += abs(D[block]) @ (abs(p.T @ g) + pulled)
    gcov = [layer.root_gradient(cov, d) for (_, cov), d in zip(rows, gD, strict=True)]
    places = np.stack(patch_columns(pixel_numbers(x), **layer.convolution), axis=1)
    return LayerGradient(
        detached=collect(x, [(places, dP)]),
        correction=covariance_gradient(x, np.stack(gm), np.stack(gcov), **layer.sampling),
        covariances=[cov for _, cov in rows],
        upstream=gD,
        parameters=ParameterGradient(dw.reshape(layer.weight.shape), G.sum(axis=0), terms, sums, abs(G).sum(axis=0)),
    )


def layer_output(layer: Layer, x: Array) -> Array:
    """The output y (N, O, Ho, Wo) for an input x (N, C, H, W), in float64."""
    means, covariances, _, _ = statistics_of(layer, x)
    return output_of(layer, x, means, [layer.root(cov) for cov in covariances])


def statistics_of(layer: Layer, x: Array) -> tuple[list[Array], list[Array], list[Array], int]:
    """Of the blocks: means (F,), covariances + eps I (F, F), mean sizes of the columns (F,), and the number of rows."""
    matrices = list(patch_matrices(x, **layer.sampling))
    rows = [_two_passes(X, layer.eps) for X in matrices]
    levels = [abs(X).mean(axis=0) for X in matrices]
    return [mean for mean, _ in rows], [cov for _, cov in rows], levels, len(matrices[0])


def output_of(layer: Layer, x: Array, means: list[Array], roots: list[Array]) -> Array:
    """The output y (N, O, Ho, Wo) for given means and D of the blocks, one if they are pooled."""
    patches = np.stack(patch_columns(x, **layer.convolution), axis=1)
    y = np.tile(layer.bias, (len(patches), 1))
    for o, block, columns in _blocks_of_weight(layer, x.shape[1]):
        y[:, o] += (patches[:, columns.patch] - means[block]) @ roots[block] @ layer.weight[o].ravel()[columns.weight]
    return _as_images(layer, x, y)


@dataclass(frozen=True, eq=False)
class Sizes:
    """What the error of an output is measured by, (N, O, Ho, Wo).

    Attributes:
        norms: the sum over blocks of ||p - mean|| ||D|| ||w||.
        terms: |b| + the sum over blocks of (|p| + |mean|) |D| |w|.
    """

    norms: Array
    terms: Array


def sizes_of(layer: Layer, x: Array, means: list[Array], roots: list[Array]) -> Sizes:
    """The sizes of the terms of an output."""
    patches = np.stack(patch_columns(x, **layer.convolution), axis=1)
    terms = np.tile(abs(layer.bias), (len(patches), 1))
    norms = np.zeros_like(terms)
    for o, block, columns in _blocks_of_weight(layer, x.shape[1]):
        p, mean, D, w = patches[:, columns.patch], means[block], roots[block], layer.weight[o].ravel()[columns.weight]
        terms[:, o] += (abs(p) + abs(mean)) @ abs(D) @ abs(w)
        norms[:, o] += np.linalg.norm(p - mean, axis=1) * np.linalg.norm(D) * np.linalg.norm(w)
    return Sizes(_as_images(layer, x, norms), _as_images(layer, x, terms))


def _as_images(layer: Layer, x: Array, y: Array) -> Array:
    """Rows of outputs (N Ho Wo, O) as (N, O, Ho, Wo)."""
    height, width = _output_size(x.shape, **layer.convolution)
    return np.moveaxis(y.reshape(len(x), height, width, -1), -1, 1)


@dataclass(frozen=True)
class _Columns:
    """The columns of one block: in a patch of all channels, and in a row of the weight."""

    patch: list[int]
    weight: list[int]


def _blocks_of_weight(layer: Layer, channels: int) -> list[tuple[int, int, _Columns]]:
    """For every output and each block that it sees: the output, the number of the block's D, and its columns."""
    one_patch = np.arange(float(channels * layer.weight[0, 0].size))
    block = layer.sampling["block"] or channels
    count = channels // block
    interleaved = layer.sampling["grouping"] == "interleaved"
    cut = one_patch.reshape(-1, count).T if interleaved else one_patch.reshape(count, -1)
    width = layer.weight[0].size
    found = []
    for o in range(len(layer.weight)):
        first = o * layer.groups // len(layer.weight) * width
        for b, numbers in enumerate(cut.astype(int).tolist()):
            if first <= numbers[0] < first + width:
                columns = _Columns(numbers, [j - first for j in numbers])
                found.append((o, 0 if layer.sampling["pooled"] else b, columns))
    return found


def _output_size(shape: tuple[int, ...], **geometry: Any) -> tuple[int, int]:
    """Ho and Wo: 1 + (H + 2 p - d (k - 1) - 1) / s."""
    k, s, p, d = (pair(geometry[name]) for name in ("kernel_size", "stride", "padding", "dilation"))
    height, width = ((n + 2 * p[i] - d[i] * (k[i] - 1) - 1) // s[i] + 1 for i, n in enumerate(shape[2:]))
    return height, width


def _two_passes(X: Array, eps: float) -> tuple[Array, Array]:
    # numpy adds up rows one after the other: in float64 that is no better than what is judged
    mean = np.asarray(X.sum(axis=0, dtype=np.longdouble) / len(X), X.dtype)
    Z = X - mean
    return mean, Z.T @ Z / len(X) + eps * np.eye(X.shape[1], dtype=X.dtype)
