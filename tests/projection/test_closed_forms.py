"""Projections whose answer is known in closed form, by `project` in float64 and by `sweep`."""

from __future__ import annotations

import itertools

import jax.numpy as jnp
import numpy as np
import pytest
from hard_instances import DIMENSION, POINTS, QUERIES

import hullx
from hullx import Status

CUBE = np.array(list(itertools.product([0.0, 1.0], repeat=4)))
TRIANGLE = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]])

# points, query, nearest point
CASES = {
    "one point": ([[1.0, 2.0, 3.0]], [1.0, 2.0, 5.0], [1.0, 2.0, 3.0]),
    "one point, at the query": ([[1.0, 2.0]], [1.0, 2.0], [1.0, 2.0]),
    "one dimension, outside": ([[1.0], [3.0], [2.0]], [7.0], [3.0]),
    "one dimension, inside": ([[1.0], [3.0], [2.0]], [1.5], [1.5]),
    "segment, middle": ([[0.0, 0.0], [4.0, 0.0]], [1.0, 3.0], [1.0, 0.0]),
    "segment, end": ([[0.0, 0.0], [4.0, 0.0]], [-1.0, 3.0], [0.0, 0.0]),
    "collinear points": ([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0], [3.0, 3.0]], [0.0, 3.0], [1.5, 1.5]),
    "duplicated points": ([[0.0, 1.0]] * 3 + [[2.0, 1.0]] * 3, [0.5, 4.0], [0.5, 1.0]),
    "all points equal": ([[2.0, 2.0]] * 5, [2.0, 5.0], [2.0, 2.0]),
    "fewer points than dimensions": ([[1.0, 0, 0, 0, 0], [0, 1.0, 0, 0, 0]], [0, 0, 0, 0, 2.0], [0.5, 0.5, 0, 0, 0]),
    "triangle, long side": (TRIANGLE, [4.0, 4.0], [2.0, 2.0]),
    "triangle, vertex": (TRIANGLE, [4.0, 0.0], [4.0, 0.0]),
    "triangle, on an edge": (TRIANGLE, [1.0, 0.0], [1.0, 0.0]),
    "triangle, inside": (TRIANGLE, [1.0, 1.0], [1.0, 1.0]),
    "simplex, from the origin": (np.eye(12), np.zeros(12), np.full(12, 1 / 12)),
    "simplex, its centroid": (np.eye(12), np.full(12, 1 / 12), np.full(12, 1 / 12)),
    "cube, corner": (CUBE, [2.0, 3.0, -1.0, -5.0], [1.0, 1.0, 0.0, 0.0]),
    "cube, face": (CUBE, [0.3, 0.6, 2.0, 0.5], [0.3, 0.6, 1.0, 0.5]),
    "cube, inside": (CUBE, [0.3, 0.6, 0.2, 0.5], [0.3, 0.6, 0.2, 0.5]),
    "far away": (CUBE, [1e9, 0.5, 0.5, 0.5], [1.0, 0.5, 0.5, 0.5]),
}


def filled(points: np.ndarray, *queries: np.ndarray) -> list[np.ndarray]:
    """The same problem in the hard instances' shape, whose program is there: more rows, more coordinates, which are 0."""
    missing = DIMENSION - points.shape[1]
    return [
        np.pad(np.resize(rows, (count, rows.shape[1])), ((0, 0), (0, missing)))
        for rows, count in ((points, POINTS), *((np.atleast_2d(query), QUERIES) for query in queries))
    ]


def both(queries: np.ndarray, points: np.ndarray) -> list[hullx.Projection]:
    return [hullx.project(jnp.asarray(queries), jnp.asarray(points)), hullx.sweep(queries, points, progress=False)]


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", CASES)
def test_nearest_point(name: str) -> None:
    points, queries, (nearest, *_) = filled(*(np.asarray(value, np.float64) for value in CASES[name]))
    expected = float(np.linalg.norm(queries[0] - nearest))
    for result in both(queries, points):
        # Far away the nearest point is ill-determined: a change of the distance by its rounding moves it by √(2 ε) of it.
        atol = 1e-12 if expected < 1e3 else 2.0
        np.testing.assert_allclose(result.point[0], nearest, atol=atol)
        np.testing.assert_allclose(result.distance[0], expected, rtol=1e-12, atol=1e-14)
        assert result.lower[0] <= expected <= result.distance[0]
        assert int(result.status[0]) == (Status.INSIDE if expected == 0 else Status.CONVERGED)
        np.testing.assert_allclose(result.weights[0] @ points[result.support[0]], result.point[0], atol=1e-12)


@pytest.mark.parametrize("name", ["one dimension, outside", "fewer points than dimensions"])
def test_any_shape(name: str) -> None:
    """The same in the shape at hand, one point or one dimension included, in float32."""
    points, query, nearest = (np.asarray(value, np.float32) for value in CASES[name])
    result = hullx.project(query, points)
    np.testing.assert_allclose(result.point, nearest, atol=2e-6)
    np.testing.assert_allclose(result.distance, np.linalg.norm(query - nearest), rtol=2e-6, atol=5e-6)


@pytest.mark.usefixtures("x64")
def test_cube_projection_is_clipping(rng: np.random.Generator) -> None:
    cube, queries = filled(np.array(list(itertools.product([-1.0, 1.0], repeat=6))), rng.normal(size=(QUERIES, 6)) * 1.5)
    nearest = np.clip(queries, -1, 1)
    distance = np.linalg.norm(queries - nearest, axis=1)
    for result in both(queries, cube):
        np.testing.assert_allclose(result.point, nearest, atol=1e-10)
        np.testing.assert_allclose(result.distance, distance, rtol=1e-10, atol=1e-13)
        np.testing.assert_array_equal(result.outside, distance > 0)


@pytest.mark.usefixtures("x64")
def test_simplex_projection_is_known(rng: np.random.Generator) -> None:
    """Held, Wolfe and Crowder (1974): the projection onto the unit simplex is max(q − τ, 0) with Σ = 1."""
    simplex, queries = filled(np.eye(12), rng.normal(size=(QUERIES, 12)))
    descending = -np.sort(-queries, axis=1)
    excess = (np.cumsum(descending, axis=1) - 1) / np.arange(1, 13)
    positive = (descending > excess).sum(1)
    nearest = np.maximum(queries - excess[np.arange(QUERIES), positive - 1, None], 0)
    for result in both(queries, simplex):
        np.testing.assert_allclose(result.point, nearest, atol=1e-12)


@pytest.mark.slow
@pytest.mark.usefixtures("x64")
def test_support_as_large_as_the_dimension_allows() -> None:
    """The centroid of a simplex needs all of its vertices: more than the first stages of `sweep` have slots."""
    size = 70
    result = hullx.sweep(np.full((1, size), 1 / size) + 1.0, np.eye(size), progress=False)
    assert int(result.support_size[0]) == size
    np.testing.assert_allclose(result.distance, np.sqrt(size), rtol=1e-12)
    assert result.status[0] == Status.CONVERGED
