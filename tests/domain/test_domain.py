"""Scaling of tables, and the smallest feature sets that prove a row outside, against all subsets by linear programming."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy.optimize import linprog

import hullx
from hullx.domain import feature_shares, features_outside, scaling, spans_differ
from hullx.errors import ArgumentError


def outside(row: np.ndarray, points: np.ndarray) -> bool:
    """By HiGHS: no mixture of the points is the row."""
    equations = np.concatenate([points.T, np.ones((1, len(points)))])
    return linprog(np.zeros(len(points)), A_eq=equations, b_eq=np.append(row, 1), method="highs").status == 2


@pytest.mark.thorough
@pytest.mark.parametrize("seed", range(12))
def test_feature_sets_against_all_subsets(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(25, 4)) @ rng.normal(size=(4, 4))
    row = points.mean(0) + 1.4 * rng.normal(size=4) * points.std(0)
    found = hullx.sweep(row[None], points, progress=False)
    shares = feature_shares(found.direction[0])
    mine = features_outside(row, points, shares)
    sets = [
        set(each) for size in range(1, 5) for each in combinations(range(4), size) if outside(row[[*each]], points[:, each])
    ]
    if not found.outside[0]:
        assert (len(mine.features), mine.lower, sets) == (0, 0, [])
        return
    chosen = set(mine.features)
    assert mine.lower > 0
    assert chosen in sets
    assert not any(each < chosen for each in sets)  # no feature can be left out
    if mine.smallest:
        assert len(chosen) == min(map(len, sets))
    assert mine.smallest == (len(chosen) <= 2)
    within = hullx.sweep(row[None, [*chosen]], points[:, [*chosen]], progress=False) if len(chosen) == 4 else None
    assert within is None or mine.lower <= within.distance[0]


def test_a_set_of_one_is_exact_and_its_bound_holds() -> None:
    for dtype in (np.float32, np.float64):
        points, row = np.array([[0.0, 0.0], [0.1, 5.0]], dtype), np.array([0.1, 5.0], dtype)
        assert len(features_outside(row, points[:, :], np.array([0.5, 0.5])).features) == 0
        beyond = np.nextafter(row, np.array([1, 9], dtype))
        found = features_outside(beyond, points, np.array([0.2, 0.8]))
        assert list(found.features) == [1]
        assert 0 < found.lower <= float(beyond[1]) - 5


def test_scalings(rng: np.random.Generator) -> None:
    rows = rng.normal(size=(101, 3)) * [1, 10, 0] + [0, 5, 7]
    rows[0, 1] = 1e6
    std, robust = scaling(rows, "std"), scaling(rows, "robust")
    np.testing.assert_allclose(std.place(rows)[:, :2].std(0), 1)
    low, middle, high = np.quantile(robust.place(rows)[:, :2], (0.25, 0.5, 0.75), axis=0)
    np.testing.assert_allclose(high - low, 1)
    np.testing.assert_allclose(middle, 0, atol=1e-12)
    for each in (std, robust):
        assert each.unit is not None
        assert each.unit[2] == 1
    assert scaling(rows, "none").place(rows) is rows
    with pytest.raises(ArgumentError, match="scale: got 'max'"):
        scaling(rows, "max")


def test_a_range_of_zero_between_quartiles() -> None:
    rows = np.array([[0.0]] * 9 + [[1.0]])
    assert scaling(rows, "robust").unit == pytest.approx(rows.std(0))


def test_spans() -> None:
    assert spans_differ(np.array([[0, 0, 3.0], [1, 1e7, 3]]))
    assert not spans_differ(np.array([[0, 0, 3e9], [1, 1e5, 3e9]]))
    assert not spans_differ(np.array([[1.0]]))
