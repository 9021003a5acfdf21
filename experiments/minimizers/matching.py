"""Matched comparison of points inside and outside, between pairs with nearly equal covariates.

Networks agree less far from the training images and where classes are mixed; points inside and outside differ in both. So each
point of one group is paired with a point of the other that has nearly the same covariates. The difference of the covariates is
reported before matching, for the groups, and after it, for the pairs.

Source: Rosenbaum and Rubin (1985), "Constructing a control group using multivariate matched sampling methods"; Stuart (2010),
"Matching methods for causal inference".
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.optimize
from jaxtyping import Float, Int

from hullx.errors import ArgumentError


class MatchedPairs(NamedTuple):
    """Pairs of points, one of each group.

    - first, second: rows of the pairs in the two groups.
    - before, after: standardised mean difference of each covariate, (mean − mean') / pooled spread, for the groups and for the
      pairs; an absolute value below 0.1 counts as balanced.
    """

    first: Int[np.ndarray, "p"]
    second: Int[np.ndarray, "p"]
    before: Float[np.ndarray, "k"]
    after: Float[np.ndarray, "k"]


def match_pairs(first: Float[np.ndarray, "a k"], second: Float[np.ndarray, "b k"], *, caliper: float = 0.25) -> MatchedPairs:
    """As many pairs within the caliper as possible, with the least sum of distances; each point is in at most one pair.

    Args:
        first, second: covariates, one point per row, such as the distance to the nearest training image and the largest
            class's share of weight.
        caliper: the largest difference of a covariate within a pair, in units of its pooled spread.

    Raises:
        ArgumentError: the groups have different covariates, or one is empty.

    Example:
        >>> pairs = match_pairs(np.array([[0.1], [0.9], [3.0]]), np.array([[1.0], [0.2], [9.0], [8.0]]))
        >>> pairs.first, pairs.second
        (array([0, 1]), array([1, 0]))
    """
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1] or not len(first) or not len(second):
        raise ArgumentError(
            f"first, second: got shapes {first.shape} and {second.shape}, expected (a, k) and (b, k), one point per row"
        )
    spread = np.sqrt((first.var(0) + second.var(0)) / 2)
    unit = np.where(spread > 0, spread, 1)
    apart = np.abs(first[:, None] - second) / unit
    # A pair beyond the caliper costs more than all pairs within it, so the assignment uses it only if it must.
    allowed = np.all(apart <= caliper, axis=2)
    cost = np.where(allowed, apart.sum(2), 1e6)
    rows, columns = scipy.optimize.linear_sum_assignment(cost)
    kept = allowed[rows, columns]
    rows, columns = rows[kept], columns[kept]
    before = (first.mean(0) - second.mean(0)) / unit
    after = (first[rows].mean(0) - second[columns].mean(0)) / unit if len(rows) else np.full(first.shape[1], np.nan)
    return MatchedPairs(rows, columns, before, after)
