"""Queries a hair from vertices, edges, facets and interiors of random hulls: where a certificate has the least room."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import scipy.spatial
from hard_instances import DIMENSION, QUERIES
from hard_instances import POINTS as ROWS

POINTS = 30
# From the rounding level of float64 to the size of the hull, in radii.
HAIRS = 10.0 ** np.arange(-16.0, 0.5)
OFFSETS = (0.0, 1.0, 1e4, 1e8)

# Points that `with_inner_points` adds.
INNER = 1200


class Near(NamedTuple):
    """Queries and points, rounded to a dtype."""

    queries: np.ndarray
    points: np.ndarray


class _Faces(NamedTuple):
    points: np.ndarray
    simplices: np.ndarray  # (f, d) vertices of each facet
    normals: np.ndarray  # (f, d) outward


@lru_cache(maxsize=64)
def _faces(seed: int, dimension: int) -> _Faces:
    points = np.random.default_rng(seed).normal(size=(POINTS, dimension))
    hull = scipy.spatial.ConvexHull(points)
    return _Faces(points, hull.simplices, hull.equations[:, :-1])


def near(seed: int, dimension: int, dtype: type) -> Near:
    """Queries at all hairs from faces of all dimensions, on either side, of a hull at some offset and scale.

    Of the hard instances' shape, so that they share their programs, but for 3 dimensions, where bounds are narrower.
    """
    found = _near(seed, dimension, dtype)
    if dimension == 3:
        return found
    missing = (0, 0), (0, DIMENSION - dimension)
    return Near(np.pad(found.queries, missing), np.pad(np.resize(found.points, (ROWS, dimension)), missing))


def _near(seed: int, dimension: int, dtype: type, count: int = QUERIES) -> Near:
    faces, rng = _faces(seed % 8, dimension), np.random.default_rng(seed)
    facet = rng.integers(len(faces.simplices), size=count)
    corners, normals = faces.simplices[facet], faces.normals[facet]
    # The first k vertices of a facet span a face. Around a vertex of it normals of other facets count too.
    k = rng.integers(1, dimension + 1, count)
    feet = np.empty((count, dimension))
    for i, size in enumerate(k):
        face = rng.permutation(corners[i])[:size]
        feet[i] = rng.dirichlet(np.ones(size)) @ faces.points[face]
        if size < dimension:
            around = np.flatnonzero(np.isin(faces.simplices, face).sum(1) == size)
            normals[i] = rng.dirichlet(np.ones(len(around))) @ faces.normals[around]
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    hair = rng.choice(HAIRS, count) * rng.choice([1, 1, 1, -1], count)
    queries = feet + hair[:, None] * normals
    inside = rng.random(count) < 0.1
    queries[inside] = rng.dirichlet(np.full(POINTS, 0.3), int(inside.sum())) @ faces.points
    shift, scale = OFFSETS[seed % len(OFFSETS)] * rng.normal(size=dimension), 2.0 ** rng.integers(-60, 60)
    return Near(*(((part + shift) * scale).astype(dtype) for part in (queries, faces.points)))


def with_inner_points(problem: Near, seed: int) -> Near:
    """The problem with points near its facets, most of them inside, so that the hull has as many points as selection needs."""
    rng, points = np.random.default_rng(seed), problem.points.astype(np.float64)
    weights = rng.dirichlet(np.full(len(points), 0.05), INNER)
    inner = points.mean(0) + rng.choice([1 - 1e-3, 1 - 1e-9, 1], (INNER, 1)) * (weights @ points - points.mean(0))
    return Near(problem.queries, np.concatenate([problem.points, inner.astype(problem.points.dtype)]))
