"""Vertices of hulls: closed forms, Qhull in general position, linear programs in degenerate position."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy.optimize import linprog
from scipy.spatial import ConvexHull

import hullx
from hullx.errors import ArgumentError


def by_linear_programs(points: np.ndarray) -> list[int]:
    """Points that no mixture of the others reproduces, by HiGHS."""
    found = []
    for i, point in enumerate(points):
        others = np.delete(points, i, 0)
        equations = np.concatenate([others.T, np.ones((1, len(others)))])
        if linprog(np.zeros(len(others)), A_eq=equations, b_eq=np.append(point, 1), method="highs").status == 2:
            found.append(i)
    return found


@pytest.mark.parametrize("n", [5, 37])
def test_general_position(n: int, rng: np.random.Generator) -> None:
    points = 100 + rng.normal(size=(n, 2))
    found = hullx.vertices(points)
    assert list(found.rows) == sorted(ConvexHull(points).vertices)
    assert found.decided.all()
    np.testing.assert_array_equal(np.flatnonzero(found.mask), found.rows)


@pytest.mark.parametrize("dtype", [np.int64, np.float32, np.float64])
def test_a_grid_has_four_vertices(dtype: type) -> None:
    grid = np.array(list(product(range(6), range(6)))).astype(dtype)
    found = hullx.vertices(grid)
    assert [tuple(grid[row]) for row in found.rows] == [(0, 0), (0, 5), (5, 0), (5, 5)]
    assert found.decided.all()


@pytest.mark.thorough
def test_degenerate_positions_in_nine_dimensions() -> None:
    """Qhull returns centres of squares as vertices here (reported to SciPy as #23022).

    Of 18 signed unit vectors and 24 vectors ±e_i ± e_j + e_8, ± e_8, e_8 itself is the centre of the latter.
    """
    unit = np.eye(9)
    signed = [sign * unit[i] for i in range(9) for sign in (1, -1)]
    tops = [a * unit[i] - a * unit[j] + b * unit[8] for i, j in [(0, 4), (1, 3), (2, 5)] for a in (1, -1) for b in (1, -1)]
    sums = [a * unit[i] + a * unit[j] + b * unit[8] for i, j in [(0, 4), (1, 3), (6, 7)] for a in (1, -1) for b in (1, -1)]
    points = np.array([*signed, *tops, *sums])
    assert points.shape == (42, 9)
    found = hullx.vertices(points)
    assert list(found.rows) == by_linear_programs(points)
    assert found.decided.all()
    assert 16 not in found.rows  # e_8
    for row in np.flatnonzero(~found.mask):
        support, weights = found.others.support[row], found.others.weights[row]
        assert not ((support == row) & (weights > 0)).any()
        np.testing.assert_allclose(weights @ points[support], points[row], atol=1e-12)


def test_the_first_of_equal_points_is_the_vertex() -> None:
    found = hullx.vertices(np.array([[1, 1], [0, 0], [1, 1], [0, 1], [-0.0, 0.0], [1, 0]]))
    assert list(found.rows) == [0, 1, 3, 5]
    assert found.decided.all()
    assert (found.others.lower > 0).all()


def test_one_point_and_two() -> None:
    assert list(hullx.vertices(np.array([[3.0, 4.0], [3.0, 4.0]])).rows) == [0]
    assert list(hullx.vertices(np.array([[3.0, 4.0], [3.0, 5.0]])).rows) == [0, 1]


def test_bad_points() -> None:
    with pytest.raises(ArgumentError, match=r"points: got shape \(3,\), expected \(n, d\)"):
        hullx.vertices(np.zeros(3))
    with pytest.raises(ArgumentError, match="points: got NaN"):
        hullx.vertices(np.full((2, 2), np.nan))
