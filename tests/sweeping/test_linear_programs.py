"""Inside or outside: agreement with linear programs (HiGHS) on tables of 2 to 10 features, degenerate rows included."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linprog

import hullx


def queries_of(rng: np.random.Generator, points: np.ndarray, count: int) -> np.ndarray:
    """Equal parts of: rows of the table, midpoints of two, rows with one cell changed by 1, rows about the table, mixtures.

    All are integers, and so are the points, even ones: midpoints are exact, and the linear programs' tolerance decides nothing.
    """
    n, d = points.shape
    share = count // 5
    rows, others = points[rng.integers(0, n, (2, share))]
    moved = points[rng.integers(0, n, share)]
    moved[np.arange(share), rng.integers(0, d, share)] += rng.choice([-1, 1], share)
    far = np.rint(1.5 * points.std(0) * rng.normal(size=(share, d)))
    mixed = np.rint(rng.dirichlet(np.full(4, 0.5), share)[:, None] @ points[rng.integers(0, n, (share, 4))])[:, 0]
    return np.concatenate([rows, (rows + others) / 2, moved, far, mixed])


def feasible(query: np.ndarray, points: np.ndarray) -> bool:
    equations = np.concatenate([(points - query).T / 64, np.ones((1, len(points)))])
    result = linprog(np.zeros(len(points)), A_eq=equations, b_eq=np.eye(len(equations))[-1], method="highs")
    assert result.status in (0, 2)
    return result.status == 0


def check(n: int, d: int, count: int) -> None:
    rng = np.random.default_rng(d)
    points = 2 * np.rint(16 * rng.normal(size=(n, d)))
    queries = queries_of(rng, points, count)
    found = hullx.sweep(queries, points, progress=False)
    assert found.decided.all()
    np.testing.assert_array_equal(found.inside, [feasible(query, points) for query in queries])
    assert 0.1 < found.inside.mean() < 0.99


def test_a_few_rows() -> None:
    check(60, 3, 50)


@pytest.mark.slow
@pytest.mark.parametrize("d", range(2, 11))
def test_thousands_of_rows(d: int) -> None:
    """3,000 rows and 600 queries for each number of features: 5,400 queries in all."""
    check(3000, d, 600)
