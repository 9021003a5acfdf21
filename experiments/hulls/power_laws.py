"""Exponents of distances that fall with the number of points, and the number of points at a given distance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float


def exponents(counts: Sequence[int] | np.ndarray, distances: Float[np.ndarray, "sets k"]) -> Float[np.ndarray, "sets k-1"]:
    """Local exponents Δ log distance / Δ log n between neighbouring n.

    Example:
        >>> exponents([10, 100, 1000], np.array([[1.0, 0.1, 0.1]]))
        array([[-1.,  0.]])
    """
    return np.diff(np.log(distances), axis=1) / np.diff(np.log(counts))


def equivalent(counts: Sequence[int] | np.ndarray, distances: Float[np.ndarray, "k"], distance: float) -> float:
    """The n at which falling distances reach a distance: linear in logarithms, extrapolated by the nearest piece.

    Example:
        >>> round(equivalent([10, 100, 1000], np.array([4.0, 2.0, 1.0]), 2**0.5), 6)
        316.227766
    """
    x, y, target = np.log(counts), np.log(distances), np.log(distance)
    k = int(np.clip(np.searchsorted(-y, -target) - 1, 0, len(x) - 2))
    return float(np.exp(x[k] + (target - y[k]) * (x[k + 1] - x[k]) / (y[k + 1] - y[k])))


def prices(
    counts: Sequence[int] | np.ndarray,
    bases: Sequence[int],
    real: Float[np.ndarray, "sets k"],
    augmented: Float[np.ndarray, "sets b"],
) -> Float[np.ndarray, "b sets"]:
    """Prices of augmentations: the number of real images at equal distance, divided by the number of augmented images.

    Args:
        counts: n of the real images.
        bases: numbers of augmented images, without their copies.
        real, augmented: distances in each set.
    """
    worth = [[equivalent(counts, curve, each) for each in row] for curve, row in zip(real, augmented, strict=True)]
    return (np.array(worth) / np.array(bases)).T
