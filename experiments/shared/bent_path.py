"""Bent paths, called legs: from far outside to the hull's surface, then towards a point inside.

A leg consists of two straight pieces that meet at its turn. Its coordinate s is the distance to the turn in units of D, the
query's distance to the hull. If a leg turns at the projection of its query (`through_surface`), all its points at s ≥ 0
project there. Their distance to the hull is s · D: s = 1 is the query, s = 2 is twice as far. By convexity, points at s < 0
lie inside, |s| · D from the turn, as long as they do not pass the anchor.

A change at the surface may come from the surface or from the turn. Placebo legs make the same turn elsewhere
(`before_surface`): before the surface, or straight on behind it, which need not be inside the hull.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

import hullx
from hullx.errors import ArgumentError


class BentPath(NamedTuple):
    """m legs in d dimensions.

    - turn: the point where each leg turns.
    - before, behind: unit vectors from the turn, back along the first piece and forward along the second.
    - unit: D, the length of one unit of s.
    - depth: distance from the turn to the anchor.
    """

    turn: Float[np.ndarray, "m d"]
    before: Float[np.ndarray, "m d"]
    behind: Float[np.ndarray, "m d"]
    unit: Float[np.ndarray, "m"]
    depth: Float[np.ndarray, "m"]


def through_surface(queries: Float[np.ndarray, "m d"], found: hullx.Projection, anchors: Float[np.ndarray, "m d"]) -> BentPath:
    """Legs from beyond each query to its projection, then to its anchor.

    Args:
        found: the queries' projections, by `hullx.sweep`.
        anchors: points of the hull, such as `class_means`.

    Raises:
        ArgumentError: some queries are not certified to be outside.

    Example:
        >>> _, train, test, _ = hullx.data.load("digits", train_size=100, test_size=8)
        >>> found = hullx.sweep(test.rows, train.rows, progress=False)
        >>> path = through_surface(test.rows, found, class_means(found, train.rows, train.labels))
        >>> points_at(path, [4, 2, 1, 0.5, 0, -0.1, -0.5]).shape  # coordinates, legs, dimensions
        (7, 8, 64)
    """
    if inside := int((~np.asarray(found.outside)).sum()):
        raise ArgumentError(f"queries: got {inside} that are not certified to be outside, expected none: remove them")
    surface, distance = np.asarray(found.point, np.float64), np.asarray(found.distance)
    outward = (np.asarray(queries, np.float64) - surface) / distance[:, None]
    return _bent_path(surface, outward, anchors, distance)


def before_surface(path: BentPath, coordinate: float) -> BentPath:
    """Placebo legs that make the same turn at another coordinate: before the surface if it is positive, else behind it.

    If the turn is behind the surface, the leg reaches it in a straight line. Behind the surface or the turn, project the
    points to get their distance to the hull.
    """
    turn = path.turn + (coordinate * path.unit)[:, None] * path.before
    return path._replace(turn=turn)


def points_at(path: BentPath, coordinates: Sequence[float] | Float[np.ndarray, "c"]) -> Float[np.ndarray, "c m d"]:
    """The points at some coordinates of each leg."""
    steps = np.asarray(coordinates, np.float64)[:, None, None] * path.unit[:, None]
    return path.turn + np.where(steps >= 0, steps * path.before, -steps * path.behind)


def within(path: BentPath, coordinates: Sequence[float] | Float[np.ndarray, "c"]) -> Bool[np.ndarray, "c m"]:
    """Whether the points at some coordinates lie before the anchors; if so, points behind the surface are inside."""
    return -np.asarray(coordinates, np.float64)[:, None] * path.unit <= path.depth


def slope_change(values: Float[np.ndarray, "... c m"], coordinates: Sequence[float], place: float, width: float) -> np.ndarray:
    """The slope on the outer side of a coordinate minus the slope on its inner side, by differences over `width`.

    Args:
        values: a quantity at coordinates of m legs.
        coordinates: these coordinates, in any order; they include place and place ± width.
        place: the coordinate where the slope changes.

    Example:
        >>> slope_change(np.array([[0.0], [1.0], [1.5]]), (-1, 0, 1), 0, 1)
        array([-0.5])
    """
    inner, middle, outer = (values[..., list(coordinates).index(place + step), :] for step in (-width, 0, width))
    return (inner - 2 * middle + outer) / width


def class_means(
    found: hullx.Projection, rows: Float[np.ndarray, "n d"], labels: Int[np.ndarray, "n"]
) -> Float[np.ndarray, "m d"]:
    """Anchors: for each query, the mean of the training points of the class with the most weight in its projection."""
    names = np.unique(labels)
    shares = np.stack([np.where(labels[found.support] == name, found.weights, 0).sum(1) for name in names])
    means = np.stack([rows[labels == name].mean(0, dtype=np.float64) for name in names])
    return means[shares.argmax(0)]


def _bent_path(turn: np.ndarray, before: np.ndarray, anchors: np.ndarray, unit: np.ndarray) -> BentPath:
    towards = anchors - turn
    depth = np.linalg.norm(towards, axis=1)
    return BentPath(turn, before, towards / np.where(depth > 0, depth, 1)[:, None], unit, depth)
