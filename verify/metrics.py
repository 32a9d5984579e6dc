"""Distances between matrices, one number for each matrix of a batch."""

import numpy as np
from numpy.typing import NDArray

Batch = NDArray[np.float64]


def frobenius(X: Batch) -> Batch:
    """||X||_F, shape (batch,)."""
    return np.asarray(np.linalg.norm(X, axis=(-2, -1)))


def spectral_norm(X: Batch) -> Batch:
    """||X||_2 of symmetric matrices, shape (batch,); NaN where an entry is not finite."""
    return np.asarray(np.max(np.abs(eigenvalues(X)), axis=-1))


def eigenvalues(X: Batch) -> Batch:
    """Ascending eigenvalues of the symmetric part, shape (batch, n); NaN where an entry is not finite."""
    finite = np.all(np.isfinite(X), axis=(-2, -1), keepdims=True)
    safe = np.where(finite, X, 0.0)
    safe = (safe + safe.mT) / 2
    return np.where(finite[..., 0], np.linalg.eigvalsh(safe), np.nan)


def relative_error(X: Batch, true: Batch) -> Batch:
    """||X - X*||_F / ||X*||_F."""
    return frobenius(X - true) / frobenius(true)


def worst(measured: Batch, budget: Batch) -> tuple[float, float]:
    """The pair with the largest ratio; one with a NaN if there is any."""
    ratio = np.where(budget > 0, measured / np.where(budget > 0, budget, 1), np.where(measured <= budget, 0.0, np.inf))
    ratio = np.where(np.isnan(measured) | np.isnan(budget), np.nan, ratio)
    # argmax prefers NaN, which is what a judge must see first
    index = int(np.argmax(ratio))
    return float(measured[index]), float(budget[index])
