"""Distances between two histograms over the same bins."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def population_stability_index(expected: ArrayLike, actual: ArrayLike) -> NDArray[np.float64]:
    """Sum over bins (the last axis) of (q - p) ln(q / p), p and q the shares of the counts; 0 if they are equal.

    Each bin gets half a row more, or an empty one would make the index infinite.
    """
    p, q = _shares(np.asarray(expected) + 0.5), _shares(np.asarray(actual) + 0.5)
    return np.asarray(((q - p) * np.log(q / p)).sum(axis=-1))


def jensen_shannon_distance(expected: ArrayLike, actual: ArrayLike) -> NDArray[np.float64]:
    """Square root of the Jensen-Shannon divergence to base 2 over bins (the last axis), from 0 to 1."""
    p, q = _shares(np.asarray(expected, dtype=np.float64)), _shares(np.asarray(actual, dtype=np.float64))
    middle = (p + q) / 2.0
    divergence = (_relative_entropy(p, middle) + _relative_entropy(q, middle)) / 2.0
    return np.asarray(np.sqrt(np.maximum(divergence, 0.0)))


def _shares(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(counts / counts.sum(axis=-1, keepdims=True))


def _relative_entropy(p: NDArray[np.float64], q: NDArray[np.float64]) -> NDArray[np.float64]:
    """In bits; bins that are empty in p contribute nothing."""
    ratio = np.divide(p, q, out=np.ones_like(p), where=p > 0)
    return np.asarray((p * np.log2(ratio)).sum(axis=-1))
