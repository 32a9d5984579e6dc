"""What is computed on: frozen, seeded, named problems that know no implementation."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from torch import Tensor

from ndbench.images import photograph
from ndbench.spectra import SPECTRA

Matrix = NDArray[np.float64]


def dtype_name(dtype: torch.dtype) -> str:
    """A type without its module: "float32"."""
    return str(dtype).removeprefix("torch.")


def _shortest(x: float) -> str:
    """1000 as 1e3, 256 as 256."""
    rounded = f"{x:.0e}"
    return rounded.replace("e+0", "e").replace("e+", "e") if float(rounded) == x else f"{x:g}"


def _hilbert(n: int) -> Matrix:
    """1 / (i + j - 1)."""
    i = np.arange(1.0, n + 1)
    return np.asarray(1 / (np.add.outer(i, i) - 1))


def _lehmer(n: int) -> Matrix:
    """min(i, j) / max(i, j)."""
    i = np.arange(1.0, n + 1)
    return np.asarray(np.minimum.outer(i, i) / np.maximum.outer(i, i))


def _minij(n: int) -> Matrix:
    """min(i, j): the covariance of a random walk."""
    i = np.arange(1.0, n + 1)
    return np.asarray(np.minimum.outer(i, i))


def _cauchy(n: int) -> Matrix:
    """1 / (x_i + x_j) with x_i = 2^i, scaled to a unit diagonal: 2 sqrt(x_i x_j) / (x_i + x_j)."""
    i = np.arange(float(n))
    return np.asarray(1 / np.cosh(np.subtract.outer(i, i) * np.log(2) / 2))


def _hadamard(n: int) -> Matrix:
    """Sylvester's matrix of order n = 2^m: H_2n = [[H_n, H_n], [H_n, -H_n]]."""
    H = np.ones((1, 1))
    while len(H) < n:
        H = np.block([[H, H], [H, -H]])
    return H


NAMED: dict[str, Callable[[int], Matrix]] = {
    "identity": np.eye,
    "hilbert": _hilbert,
    "lehmer": _lehmer,
    "minij": _minij,
    "cauchy": _cauchy,
}
"""Matrices determined by their order."""

STRUCTURED = ("diagonal", "block_diagonal")
"""Matrices with a geometric spectrum and a pattern."""


@dataclass(frozen=True)
class MatrixProblem:
    """A batch of symmetric positive definite matrices, each 4 times the size of the one before.

    The sizes differ so that a norm or a step count taken over the whole batch shows. A spectrum is planted as
    Q diag(l) Q^T with Q uniform on the orthogonal group, rounded to the type: truth is taken of the rounded matrix.
    "repeated" uses a Hadamard matrix for Q (n a power of 2), which makes the product exact and so keeps
    the eigenvalues exactly repeated.

    Attributes:
        matrix: a name in `SPECTRA`, `NAMED` or `STRUCTURED`.
        n: the order.
        condition: kappa_2, for planted spectra and structured matrices.
        batch: number of matrices.
        dtype: the type to which they are rounded.
        exponent: all matrices are multiplied by 2^exponent; LAPACK's tests go near the roots of over- and underflow.
        seed: of the random Q and spectra.
    """

    matrix: str
    n: int
    condition: float = 1.0
    batch: int = 2
    dtype: torch.dtype = torch.float32
    exponent: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        known = (*SPECTRA, *NAMED, *STRUCTURED)
        if self.matrix not in known:
            raise ValueError(f"MatrixProblem: matrix must be one of {', '.join(known)}; got {self.matrix!r}")
        if self.matrix == "repeated" and self.n & (self.n - 1):
            raise ValueError(f"MatrixProblem: 'repeated' needs n to be a power of 2; got {self.n}")

    @property
    def random(self) -> bool:
        """Whether another seed gives other matrices."""
        return self.matrix not in NAMED and self.matrix != "repeated"

    @property
    def name(self) -> str:
        """A name from which the problem can be told, and run again."""
        condition = "" if self.matrix in NAMED else f"-k{_shortest(self.condition)}"
        scale = f"-2^{self.exponent}" if self.exponent else ""
        return f"{self.matrix}-n{self.n}{condition}-b{self.batch}{scale}-{dtype_name(self.dtype)}-s{self.seed}"

    def matrices(self) -> Tensor:
        """The batch, shape (batch, n, n)."""
        rng = np.random.default_rng([self.seed, self.n, zlib.crc32(self.matrix.encode())])
        batch = [np.ldexp(self._one(rng), 2 * i + self.exponent) for i in range(self.batch)]
        return torch.from_numpy(np.stack(batch)).to(self.dtype)

    def _one(self, rng: np.random.Generator) -> Matrix:
        if self.matrix in NAMED:
            return NAMED[self.matrix](self.n)
        if self.matrix in STRUCTURED:
            return _structured(self.matrix, self.n, self.condition, rng)
        spectrum = SPECTRA[self.matrix](self.n, self.condition, rng)
        if self.matrix == "repeated":
            H = _hadamard(self.n)
            return (H * spectrum) @ H.T / self.n
        return planted(spectrum, rng)


@dataclass(frozen=True)
class PhotographProblem:
    """The covariance of the k x k patches of one photograph, plus eps I: what network deconvolution inverts.

    Pixels are scaled to mean 0 and standard deviation 1 over the image, as training pipelines do.

    Attributes:
        photograph: a name in `ndbench.images.PHOTOGRAPHS`.
        kernel: k.
        gray: luma instead of colour.
        eps: added to the diagonal; the published default for convolutions is 1e-5.
        size: the central size x size pixels are used.
        dtype: the type to which the covariance is rounded.
    """

    photograph: str
    kernel: int
    gray: bool = False
    eps: float = 1e-5
    size: int = 128
    dtype: torch.dtype = torch.float32

    @property
    def name(self) -> str:
        """A name from which the problem can be told, and run again."""
        color = "gray" if self.gray else "rgb"
        eps = "" if self.eps == 1e-5 else f"-eps{self.eps:g}"
        size = "" if self.size == 128 else f"-{self.size}px"
        return f"photo_{self.photograph}-{color}-k{self.kernel}{size}{eps}-{dtype_name(self.dtype)}"

    @property
    def n(self) -> int:
        """The order: channels times k^2."""
        channels = len(photograph(self.photograph, gray=self.gray, size=self.size))
        return channels * self.kernel**2

    def matrices(self) -> Tensor:
        """One covariance, shape (1, n, n)."""
        image = photograph(self.photograph, gray=self.gray, size=self.size).astype(np.float64)
        image = (image - image.mean()) / image.std()
        return _covariance_of_patches(image, self.kernel, self.eps).to(self.dtype)


@dataclass(frozen=True)
class ActivationProblem:
    """The covariance of the k x k patches of ReLU activations with a large mean, plus eps I.

    A random 5 x 5 convolution of a photograph, biased, then ReLU: channels are correlated and not negative, and their
    means are about as large as their standard deviations, in dark or bright photographs larger.
    """

    photograph: str
    kernel: int
    channels: int = 8
    eps: float = 1e-5
    dtype: torch.dtype = torch.float32
    seed: int = 0

    @property
    def name(self) -> str:
        """A name from which the problem can be told, and run again."""
        size = f"c{self.channels}-k{self.kernel}" + ("" if self.eps == 1e-5 else f"-eps{self.eps:g}")
        return f"relu_{self.photograph}-{size}-{dtype_name(self.dtype)}-s{self.seed}"

    @property
    def n(self) -> int:
        """The order: channels times k^2."""
        return self.channels * self.kernel**2

    def matrices(self) -> Tensor:
        """One covariance, shape (1, n, n)."""
        active = relu_activations(self.photograph, self.channels, self.seed)
        return _covariance_of_patches(active, self.kernel, self.eps).to(self.dtype)


Problem = MatrixProblem | PhotographProblem | ActivationProblem


def planted(spectrum: NDArray[np.float64], rng: np.random.Generator) -> Matrix:
    """Q diag(spectrum) Q^T, symmetrized, with Q uniform on the orthogonal group (Stewart 1980: QR of a Gaussian)."""
    n = len(spectrum)
    Q, R = np.linalg.qr(rng.standard_normal((n, n)))
    Q = Q * np.sign(np.diag(R))
    A = (Q * spectrum) @ Q.T
    return np.asarray((A + A.T) / 2)


def relu_activations(name: str, channels: int, seed: int, size: int = 64) -> Matrix:
    """Activations of a random biased convolution of a photograph, shape (channels, size - 4, size - 4)."""
    image = torch.from_numpy(photograph(name, size=size).astype(np.float64))[None]
    image = (image - image.mean()) / image.std()
    rng = np.random.default_rng([seed, channels])
    weight = torch.from_numpy(rng.standard_normal((channels, image.shape[1], 5, 5)) / 8)
    return np.asarray(torch.relu(torch.conv2d(image, weight) + 1.5)[0])


def _structured(pattern: str, n: int, condition: float, rng: np.random.Generator) -> Matrix:
    """A geometric spectrum on the diagonal, or planted in two diagonal blocks."""
    spectrum = rng.permutation(SPECTRA["geometric"](n, condition, rng))
    if pattern == "diagonal":
        return np.diag(spectrum)
    half = n // 2
    A = np.zeros((n, n))
    A[:half, :half] = planted(spectrum[:half], rng)
    A[half:, half:] = planted(spectrum[half:], rng)
    return A


def _covariance_of_patches(image: Matrix, kernel: int, eps: float) -> Tensor:
    """The covariance of all k x k patches of an image (C, H, W), as a batch of one, by numpy alone."""
    windows = sliding_window_view(image, (kernel, kernel), axis=(1, 2))
    columns = np.moveaxis(windows, 0, 2).reshape(windows.shape[1] * windows.shape[2], -1)
    covariance = np.atleast_2d(np.cov(columns, rowvar=False, bias=True))
    return torch.from_numpy(covariance + eps * np.eye(len(covariance)))[None]
