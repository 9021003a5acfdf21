"""Classification by the nearest of several hulls, such as those of the classes.

Reference: Jia et al. (2019), arXiv 1904.01399, in feature spaces.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int

import hullx
from hullx.errors import ArgumentError


class NearestHull(NamedTuple):
    """The nearest hull to each of m queries.

    - which: its index; the first, if a query is in several hulls.
    - proved: whether the certified brackets prove that every other hull is farther.
    """

    which: Int[np.ndarray, "m"]
    proved: Bool[np.ndarray, "m"]


def nearest_hull(found: Sequence[hullx.Projection]) -> NearestHull:
    """The nearest of several hulls, from the projections of the same queries onto each.

    Args:
        found: one result of `hullx.sweep` per hull, one or more.

    Raises:
        ArgumentError: there are no results.

    Example:
        >>> hulls = np.zeros((3, 1), np.float32), np.full((2, 1), 5, np.float32)
        >>> queries = np.array([[1.0], [4.0]], np.float32)
        >>> nearest_hull([hullx.sweep(queries, hull, progress=False) for hull in hulls])
        NearestHull(which=array([0, 1]), proved=array([ True,  True]))
    """
    if not found:
        raise ArgumentError("found: got no results, expected one or more: project the queries onto each hull")
    distance, lower = (np.stack([getattr(each, part) for each in found]) for part in ("distance", "lower"))
    within = np.stack([each.inside for each in found])
    which = np.where(within, 0, distance).argmin(0)
    others = np.where(np.arange(len(found))[:, None] == which, np.inf, lower)
    return NearestHull(which, others.min(0) > distance.min(0))
