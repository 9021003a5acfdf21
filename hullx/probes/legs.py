"""Legs: from far outside to the hull's surface, and on towards a point inside.

A leg is two straight pieces that meet where it turns. On a leg that turns at the projection of a query (`through_surface`) a
coordinate s ≥ 0 lies outside, at a certified distance of s · D to the hull, D being the query's own, for every point of that
piece has the same projection: 1 is the query, 2 as far again. s < 0 lies inside, |s| · D from the surface, by convexity as long
as the anchor is not passed.

Something may happen at the surface because it is the surface, or because the leg turns there. Placebo legs turn as sharply, but
elsewhere: before the surface (`before_surface`, all of whose first piece is outside), or behind it (`behind_surface`, which is
inside on both sides of its turn).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

import hullx
from hullx.errors import ArgumentError


class Legs(NamedTuple):
    """m legs in d dimensions.

    - turn: where each turns.
    - before, behind: unit vectors from there back to where it comes from, and on to where it goes.
    - unit: D, the length of a coordinate's 1.
    - depth: how far behind the turn it may go.
    """

    turn: Float[np.ndarray, "m d"]
    before: Float[np.ndarray, "m d"]
    behind: Float[np.ndarray, "m d"]
    unit: Float[np.ndarray, "m"]
    depth: Float[np.ndarray, "m"]


def through_surface(queries: Float[np.ndarray, "m d"], found: hullx.Projection, anchors: Float[np.ndarray, "m d"]) -> Legs:
    """Legs from beyond each query to its projection, and on to its anchor.

    Args:
        found: the queries' projections, by `hullx.sweep`.
        anchors: points of the hull, such as `class_means`.

    Raises:
        ArgumentError: some queries are not certified to be outside.

    Example:
        >>> _, train, test, _ = hullx.data.load("digits", train_size=100, test_size=8)
        >>> found = hullx.sweep(test.rows, train.rows, progress=False)
        >>> path = through_surface(test.rows, found, class_means(found, train.rows, train.labels))
        >>> at(path, [4, 2, 1, 0.5, 0, -0.1, -0.5]).shape  # coordinates, legs, dimensions
        (7, 8, 64)
    """
    if inside := int((~np.asarray(found.outside)).sum()):
        raise ArgumentError(f"queries: got {inside} that are not certified to be outside, expected none: leave them out")
    surface, distance = np.asarray(found.point, np.float64), np.asarray(found.distance)
    outward = (np.asarray(queries, np.float64) - surface) / distance[:, None]
    return _legs(surface, outward, anchors, distance)


def before_surface(path: Legs, coordinate: float) -> Legs:
    """Placebo legs that make the same turn at another coordinate: above 0 before the surface; below 0 straight on through it.

    Behind the surface or the turn their distance to the hull is not known until it is projected.
    """
    turn = path.turn + (coordinate * path.unit)[:, None] * path.before
    return path._replace(turn=turn)


def behind_surface(path: Legs, coordinate: float, anchors: Float[np.ndarray, "m d"]) -> Legs:
    """Placebo legs that go along those through the surface to a coordinate < 0 and turn there towards other anchors."""
    turn = path.turn - (coordinate * path.unit)[:, None] * path.behind
    return _legs(turn, -path.behind, anchors, path.unit)


def at(path: Legs, coordinates: Sequence[float] | Float[np.ndarray, "c"]) -> Float[np.ndarray, "c m d"]:
    """The points at some coordinates of each leg."""
    steps = np.asarray(coordinates, np.float64)[:, None, None] * path.unit[:, None]
    return path.turn + np.where(steps >= 0, steps * path.before, -steps * path.behind)


def within(path: Legs, coordinates: Sequence[float] | Float[np.ndarray, "c"]) -> Bool[np.ndarray, "c m"]:
    """Whether those points lie before the leg's anchor, so that the ones inside are inside for certain."""
    return -np.asarray(coordinates, np.float64)[:, None] * path.unit <= path.depth


def kink(values: Float[np.ndarray, "... c m"], coordinates: Sequence[float], place: float, width: float) -> np.ndarray:
    """The change of slope at a coordinate: its outer side's minus its inner side's, by differences over `width`.

    Args:
        values: of something at some coordinates of m legs.
        coordinates: in any order; place and place ± width are among them.

    Example:
        >>> kink(np.array([[0.0], [1.0], [1.5]]), (-1, 0, 1), 0, 1)
        array([-0.5])
    """
    inner, middle, outer = (values[..., list(coordinates).index(place + step), :] for step in (-width, 0, width))
    return (inner - 2 * middle + outer) / width


def class_means(
    found: hullx.Projection, rows: Float[np.ndarray, "n d"], labels: Int[np.ndarray, "n"]
) -> Float[np.ndarray, "m d"]:
    """Of each query, the mean of the training points of the class that has most of its projection's weight: an anchor."""
    names = np.unique(labels)
    shares = np.stack([np.where(labels[found.support] == name, found.weights, 0).sum(1) for name in names])
    means = np.stack([rows[labels == name].mean(0, dtype=np.float64) for name in names])
    return means[shares.argmax(0)]


def _legs(turn: np.ndarray, before: np.ndarray, anchors: np.ndarray, unit: np.ndarray) -> Legs:
    towards = anchors - turn
    depth = np.linalg.norm(towards, axis=1)
    return Legs(turn, before, towards / np.where(depth > 0, depth, 1)[:, None], unit, depth)
