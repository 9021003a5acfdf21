"""Yardsticks of points against SciPy and closed forms."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.spatial

from hullx import HullxError
from hullx.geometry import Neighbours, dimension_by_likelihood, dimension_by_moments, log_density, neighbours, neighbours_within

SCALES = 0.0, 0.1, 1.0, 3.0


def cloud(rng: np.random.Generator, n: int, d: int, dtype: Any, offset: float = 0) -> tuple[np.ndarray, np.ndarray]:
    """Points, and queries about the centre, from which all points are far, in between and beyond."""
    points = (rng.standard_normal((n, d)) + offset).astype(dtype)
    queries = rng.standard_normal((40, d)) * np.repeat(SCALES, 10)[:, None] + points.mean(0, dtype=np.float64)
    return queries.astype(dtype), points


def assert_nearest(found: Neighbours, queries: np.ndarray, points: np.ndarray) -> None:
    """Against all distances, from differences in float64."""
    queries, points = queries.astype(np.float64), points.astype(np.float64)
    every = np.linalg.norm(queries[:, None] - points, axis=-1)
    k = found.distance.shape[1]
    np.testing.assert_allclose(found.distance, np.sort(every, axis=1)[:, :k], rtol=1e-14)
    np.testing.assert_allclose(np.take_along_axis(every, found.row, 1), found.distance, rtol=1e-14)
    assert (np.diff(found.distance) >= 0).all()
    assert all(len(set(row)) == k for row in found.row)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("offset", [0, 1e4])
@pytest.mark.parametrize(("n", "k"), [(1, 1), (20, 20), (1024, 1), (1000, 7)])
def test_nearest_points_are_the_nearest(n: int, k: int, offset: float, dtype: type, rng: np.random.Generator) -> None:
    queries, points = cloud(rng, n, 12, dtype, offset)
    found = neighbours(queries, points, k)
    assert_nearest(found, queries, points)
    expected = scipy.spatial.KDTree(points.astype(np.float64)).query(queries.astype(np.float64), k)[0]
    np.testing.assert_allclose(found.distance, expected.reshape(-1, k), rtol=1e-14)


@pytest.mark.parametrize("rows", [7, 40])
def test_in_chunks_and_from_disk_it_is_the_same(
    rows: int, rng: np.random.Generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chunks of fewer points than candidates, and of more; queries in blocks."""
    queries, points = cloud(rng, 90, 6, np.float32, 10)
    whole, others = neighbours(queries, points, 5), neighbours_within(points, 5)
    np.save(tmp_path / "points.npy", points)
    mapped = np.load(tmp_path / "points.npy", mmap_mode="r")
    monkeypatch.setattr("hullx.core.sources.chunks.GROUP", 1)
    monkeypatch.setattr("hullx.core.sources.chunks.CHUNK_BYTES", rows * 6 * 8)
    search = importlib.import_module("hullx.geometry.neighbours")  # which the function of that name hides
    monkeypatch.setattr(search, "HELD", 25 * 13)
    monkeypatch.setattr(search, "DIFFERENCES", 300)
    for given in (mapped, points, [points[:1], mapped[1:50], points[50:].astype(np.float64)]):
        for expected, found in ((whole, neighbours(queries, given, 5)), (others, neighbours_within(given, 5))):
            np.testing.assert_array_equal(found.distance, expected.distance)
            np.testing.assert_array_equal(found.row, expected.row)


def test_what_products_cannot_tell_apart_is_told_apart(rng: np.random.Generator) -> None:
    """Hundreds of points within a span that rounding hides, seen from among them and from afar; and the extremes of float64."""
    points = np.concatenate([1e-9 * rng.standard_normal((200, 3)) + 1, -1e3 * np.ones((5, 3)), rng.standard_normal((50, 3))])
    queries = np.concatenate([points[:20] + 1e-10, 1e5 * rng.standard_normal((20, 3))])
    assert_nearest(neighbours(queries, points, 4), queries, points)
    for scale in (2.0**700, 2.0**-700):
        found, expected = neighbours(scale * queries, scale * points, 4), neighbours(queries, points, 4)
        np.testing.assert_allclose(found.distance / scale, expected.distance, rtol=1e-14)


def test_a_point_is_no_neighbour_of_itself(rng: np.random.Generator) -> None:
    points = rng.standard_normal((60, 3)).astype(np.float32)
    points = np.concatenate([points, points[:20], points[:1], points[:1]])
    found = neighbours_within(points, 3)
    assert (found.row != np.arange(len(points))[:, None]).all()
    expected = scipy.spatial.KDTree(points).query(points.astype(np.float64), 4)[0][:, 1:]
    np.testing.assert_allclose(found.distance, expected, rtol=1e-12)
    assert (found.distance[:20, 0] == 0).all()
    assert (found.distance[0] == 0).all()
    assert (found.distance[20:60, 0] > 0).all()
    # More duplicates than candidates.
    same = neighbours_within(np.ones((40, 2)), 39)
    assert (same.distance == 0).all()
    assert all(sorted([*row, i]) == list(range(40)) for i, row in enumerate(same.row))


@pytest.mark.parametrize("dimension", [1, 3, 8])
def test_dimension_and_density_of_a_ball(dimension: int, rng: np.random.Generator) -> None:
    """Of points that are uniform in the unit ball, seen from its centre: r^d is uniform, and the density 1 / V."""
    n, k, times = 400, 50, 1000
    distance = np.sort(rng.random((times, n)) ** (1 / dimension), axis=1)[:, :k]
    found = dimension_by_likelihood(distance)
    error = dimension / np.sqrt(k - 3) / np.sqrt(times)
    assert abs(found.mean() - dimension) < 4 * error
    np.testing.assert_allclose(found.std(), dimension / np.sqrt(k - 3), rtol=0.1)
    # The pooled estimate, by averages of inverses, is a likelihood's maximum.
    pooled = (k - 1) / (k - 2) / (1 / found).mean()
    logs = np.log(distance[:, -1:] / distance[:, :-1])
    np.testing.assert_allclose(pooled, 1 / logs.mean())
    moments = dimension_by_moments(distance)
    assert abs(moments.mean() - dimension) < (0.05 + 2 / k) * dimension
    volume = {1: 2, 3: 4 / 3 * np.pi, 8: np.pi**4 / 24}[dimension]
    # E[k / (n r^d)] is n-th of a Beta's inverse: k / (k − 1), as the docstring says.
    density = volume * np.exp(log_density(distance, n, dimension))
    np.testing.assert_allclose(density.mean(), k / (k - 1), atol=4 * density.std() / np.sqrt(times))


def test_density_integrates_to_one(rng: np.random.Generator) -> None:
    """On a torus, which has no border: neighbours among 9 copies of a square; and a curve in space has one dimension."""
    square = rng.random((2000, 2))
    copies = np.concatenate([square + np.array([i, j]) for i in (0, -1, 1) for j in (0, -1, 1)])
    found = neighbours(square, copies, 31).distance[:, 1:]
    np.testing.assert_allclose(np.exp(log_density(found, 1999, 2)).mean(), 30 / 29, rtol=0.05)
    np.testing.assert_allclose(dimension_by_likelihood(found).mean(), 2, rtol=0.05)
    turns = 6 * rng.random(2000)
    curve = np.stack([np.cos(turns), np.sin(turns), turns], axis=1)
    np.testing.assert_allclose(dimension_by_likelihood(neighbours_within(curve, 20).distance).mean(), 1, rtol=0.05)


def test_duplicates_give_no_nan() -> None:
    distance = np.array([[0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0], [0.0, 0.5, 1.0, 2.0], [0.3, 0.3, 0.3, 0.3]])
    np.testing.assert_array_equal(dimension_by_likelihood(distance), [0, 0, 0, np.inf])
    np.testing.assert_array_equal(dimension_by_moments(distance), [0, 0, 1 / 3, np.inf])
    np.testing.assert_array_equal(log_density(distance, 4, 2)[0], np.inf)


def test_no_queries_have_no_neighbours() -> None:
    found = neighbours(np.empty((0, 3)), np.eye(3), 2)
    assert found.distance.shape == found.row.shape == (0, 2)
    assert dimension_by_moments(found.distance).shape == log_density(found.distance, 3, 3).shape == (0,)


BAD = np.array([[0.0, np.nan]])
ROWS = np.eye(4, dtype=np.float32)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: neighbours(ROWS, ROWS, 5), "k: got 5, expected at most 4, as there are 4 points: lower it"),
        (lambda: neighbours_within(ROWS, 4), "k: got 4, expected at most 3, as there are 3 other points: lower it"),
        (lambda: neighbours_within(ROWS[:1], 1), "k: got 1, expected at most 0"),
        (lambda: neighbours(ROWS, ROWS, 0), "k: got 0, expected an integer of at least 1"),
        (lambda: neighbours(BAD, np.eye(2)), "queries: got NaN or infinity"),
        (lambda: neighbours(np.eye(2), BAD), "points: got NaN or infinity"),
        (lambda: neighbours(np.eye(2), [np.eye(2), -1 / np.zeros((1, 2))]), "points: got NaN or infinity"),
        (lambda: neighbours_within([np.eye(2), BAD]), "points: got NaN or infinity"),
        (lambda: neighbours_within([]), "points: got an empty sequence"),
        (lambda: dimension_by_likelihood(np.ones((5, 2))), "distance: got 2 per query, expected 3 or more: request more"),
        (lambda: dimension_by_moments(np.ones((5, 1))), "distance: got 1 per query, expected 2 or more"),
        (lambda: log_density(np.ones((5, 0)), 4, 2), "distance: got 0 per query"),
        (lambda: log_density(np.ones((5, 1)), 0, 2), "n: got 0"),
        (lambda: dimension_by_likelihood(np.array([[3.0, 2.0, 1.0]])), "negative or not ascending"),
        (lambda: dimension_by_moments(BAD), "not finite"),
    ],
)
@np.errstate(divide="ignore")
def test_wrong_arguments_get_one_sentence(call: Any, message: str) -> None:
    with pytest.raises(HullxError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
