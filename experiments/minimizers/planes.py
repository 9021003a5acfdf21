"""Planes through points, and their intersection with the hull."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.spatial
from jaxtyping import Bool, Float

import hullx
from hullx.errors import ArgumentError


class Plane(NamedTuple):
    """A plane: origin + x · first + y · second; first and second are orthonormal."""

    origin: Float[np.ndarray, "d"]
    first: Float[np.ndarray, "d"]
    second: Float[np.ndarray, "d"]

    def points(self, coordinates: Float[np.ndarray, "... 2"]) -> Float[np.ndarray, "... d"]:
        """The points at coordinates (x, y)."""
        return self.origin + coordinates[..., :1] * self.first + coordinates[..., 1:] * self.second

    def coordinates(self, points: Float[np.ndarray, "... d"]) -> Float[np.ndarray, "... 2"]:
        """(x, y) of the points' projections onto the plane."""
        return np.stack([(points - self.origin) @ self.first, (points - self.origin) @ self.second], -1)


def through(a: Float[np.ndarray, "d"], b: Float[np.ndarray, "d"], c: Float[np.ndarray, "d"]) -> Plane:
    """The plane through three points: a at (0, 0), b on the positive x-axis, c above that axis.

    Raises:
        ArgumentError: the points lie on a line.
    """
    a, b, c = (np.asarray(point, np.float64) for point in (a, b, c))
    length = np.linalg.norm(b - a)
    first = (b - a) / (length or 1)
    across = c - a - ((c - a) @ first) * first
    height = np.linalg.norm(across)
    if not length or height <= 1e-9 * np.linalg.norm(c - a):
        raise ArgumentError("a, b, c: got points on a line, expected three that span a plane: choose another point")
    return Plane(a, first, across / height)


def grid(low: Float[np.ndarray, "2"], high: Float[np.ndarray, "2"], size: int) -> Float[np.ndarray, "size size 2"]:
    """Coordinates of size × size points that fill a rectangle, rows from low to high y."""
    x, y = (np.linspace(a, b, size) for a, b in zip(low, high, strict=True))
    return np.stack(np.meshgrid(x, y), -1)


def outline(points: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "v 2"]:
    """The corners of the hull of points in two dimensions, counterclockwise; exact, by Qhull (Barber et al. 1996)."""
    return points[scipy.spatial.ConvexHull(points).vertices]


def membership(
    plane: Plane, coordinates: Float[np.ndarray, "... 2"], rows: Float[np.ndarray, "n d"], *, rtol: float = 1e-3
) -> tuple[Bool[np.ndarray, "..."], Float[np.ndarray, "..."]]:
    """Whether the points of a plane are certified to be outside the hull of the rows, and their distances.

    Returns:
        outside, and the distance (0 inside).
    """
    points = plane.points(coordinates).reshape(-1, rows.shape[1]).astype(rows.dtype)
    found = hullx.sweep(points, rows, rtol=rtol, progress=False)
    outside = np.asarray(found.outside).reshape(coordinates.shape[:-1])
    return outside, np.where(outside, np.asarray(found.distance).reshape(outside.shape), 0)
