"""The extent of a set of points, for comparison with distances to its hull."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float


class Extent(NamedTuple):
    """Reference lengths, in the units of the points.

    - diameter: lower bound of the diameter, usually equal to it: the farthest pair found by farthest-point iteration.
    - pairwise_mean: mean distance between two points, estimated from random pairs.
    - pairwise_error: standard error of that estimate.
    """

    diameter: float
    pairwise_mean: float
    pairwise_error: float


def extent(rng: np.random.Generator, points: Float[np.ndarray, "n d"], *, pairs: int = 20_000, starts: int = 64) -> Extent:
    """The extent of a set of points, from random pairs and from farthest-point iteration at random starts.

    Args:
        rng: draws pairs and starts.
        points: one per row, two or more.
        pairs: number of random pairs for the mean distance.
        starts: number of starting points of the iteration for the diameter, run in parallel.

    Example:
        >>> found = extent(np.random.default_rng(0), np.asarray(square))
        >>> round(found.diameter, 4), abs(found.pairwise_mean - (4 + 2 * 2**0.5) / 6) < 4 * found.pairwise_error
        (1.4142, True)
    """
    n = len(points)
    first, second = rng.integers(0, n, pairs), rng.integers(0, max(n - 1, 1), pairs)
    second = np.where(second >= first, second + 1, second) % n  # two different points
    lengths = np.concatenate(
        [_lengths(points, *block) for block in zip(np.array_split(first, 20), np.array_split(second, 20), strict=True)]
    )

    squares = np.einsum("nd,nd->n", points, points)
    ends = rng.choice(n, min(starts, n), replace=False)
    diameter = 0.0
    while True:
        # argmax over x of ‖x − e‖² = ‖x‖² − 2⟨x, e⟩ + ‖e‖²
        others = (squares - 2 * (points[ends] @ points.T)).argmax(1)
        reached = float(_lengths(points, ends, others).max())
        if reached <= diameter:
            break
        diameter, ends = reached, np.unique(others)
    return Extent(diameter, float(lengths.mean()), float(lengths.std() / np.sqrt(pairs)))


def _lengths(points: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.linalg.norm((points[first] - points[second]).astype(np.float64), axis=1)
