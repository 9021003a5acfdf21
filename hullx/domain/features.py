"""The features that put a row outside the hull of training rows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from hullx.projection.prepared import prepare
from hullx.sweeping import sweep


class FeatureSet(NamedTuple):
    """A set of features that alone proves a row to be outside: outside the hull in these columns, whatever the others are.

    - features: columns, in descending order of their share of the distance; empty if the row is not proved outside.
    - lower: a certified lower bound of the distance in these columns, positive if there are any.
    - smallest: whether it is proved that no smaller set suffices: true for sets of one or two. A larger set is minimal, because
      no feature of it can be left out, but another set may be smaller.
    """

    features: Int[np.ndarray, "k"]
    lower: float
    smallest: bool


def feature_shares(direction: Float[np.ndarray, "... d"]) -> Float[np.ndarray, "... d"]:
    """Each feature's share of the squared distance: the squares of the unit vector from the hull to the row; 0 if inside.

    Example:
        >>> feature_shares(np.array([0.6, 0.8, 0.0])).round(2)
        array([0.36, 0.64, 0.  ])
    """
    squares = np.asarray(direction, np.float64) ** 2
    total = squares.sum(-1, keepdims=True)
    return squares / np.where(total > 0, total, 1)


def features_outside(
    row: Float[np.ndarray, "d"], points: Float[np.ndarray, "n d"], shares: Float[np.ndarray, "d"]
) -> FeatureSet:
    """The smallest set of features found that alone proves a row outside.

    A feature beyond the range of the points is a set of one, which is exact. Otherwise the features of largest share are added
    until the row is proved outside in them (the distance grows with each feature, so bisection finds how many), then those that
    are not needed are left out, least share first. Every step is a certified projection.

    Args:
        row: scaled as the points.
        points: finite, one per row.
        shares: from `feature_shares`; the order in which features are added.

    Example:
        >>> triangle = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        >>> features_outside(np.array([0.75, 0.75]), triangle, np.array([0.5, 0.5]))
        FeatureSet(features=array([0, 1]), lower=0.35355..., smallest=True)
        >>> features_outside(np.array([0.1, 3.0]), triangle, np.array([0.0, 1.0])).features
        array([1])
    """
    points, row = np.asarray(points), np.asarray(row)
    beyond = np.maximum(points.min(0) - row, row - points.max(0))
    if (beyond > 0).any():
        feature = int(np.where(beyond > 0, shares + 1, 0).argmax())
        # One rounding of the difference, and one of the product.
        return FeatureSet(np.array([feature]), float(beyond[feature]) * (1 - 2**-21), True)

    def lower(features: np.ndarray) -> float:
        # Columns set to 0 leave the distance in the others, in a program of the same shape.
        kept = np.zeros(len(row), bool)
        kept[features] = True
        found = sweep(np.where(kept, row, 0)[None], prepare(np.where(kept, points, 0)), rtol=0.5, progress=False)
        return float(found.lower[0])

    order = np.argsort(-shares, kind="stable")
    # Fewest leading features that suffice.
    few, many = 1, len(order)
    best = lower(order)
    if not best > 0:
        return FeatureSet(np.zeros(0, np.int64), 0.0, False)
    while few + 1 < many:
        middle = (few + many) // 2
        found = lower(order[:middle])
        few, many, best = (few, middle, found) if found > 0 else (middle, many, best)
    kept = order[:many]
    for feature in kept[::-1]:
        without = kept[kept != feature]
        if len(kept) <= 2:
            break
        found = lower(without)
        if found > 0:
            kept, best = without, found
    return FeatureSet(kept, best, len(kept) <= 2)
