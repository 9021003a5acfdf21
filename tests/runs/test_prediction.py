"""Predictions of held-out groups, and intervals over two things at once."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import LeaveOneGroupOut

from hullx import runs
from hullx.errors import ArgumentError
from hullx.runs.prediction import held_out, r2


def test_held_out_groups_are_scikit_learn_s(rng: np.random.Generator) -> None:
    x, groups = rng.standard_normal((60, 3)), rng.integers(0, 6, 60)
    y = x @ [1.0, -2.0, 0.5] + rng.standard_normal(60)
    found, errors, totals = held_out(x, y, groups), [], []
    for others, mine in LeaveOneGroupOut().split(x, y, groups):
        said = LinearRegression().fit(x[others], y[others]).predict(x[mine])
        errors.append(((said - y[mine]) ** 2).sum())
        totals.append(((y[mine] - y[others].mean()) ** 2).sum())
    np.testing.assert_allclose(found.errors, errors)
    np.testing.assert_allclose(found.totals, totals)
    np.testing.assert_allclose(r2(found).value, 1 - sum(errors) / sum(totals))


def test_what_says_nothing_predicts_nothing(rng: np.random.Generator) -> None:
    groups, level = np.repeat(np.arange(8), 10), np.repeat(rng.standard_normal(8), 10)
    y = level + 0.1 * rng.standard_normal(80)
    good, bad = (held_out(x, y, groups) for x in (level, rng.standard_normal(80)))
    assert r2(good).low > 0.8
    assert r2(bad).high < 0.3
    assert r2(good, less=bad).low > 0
    np.testing.assert_allclose(r2(good, less=bad).value, r2(good).value - r2(bad).value)
    assert r2(good, less=good)[:3] == (0, 0, 0)


def test_one_group_is_not_held_out() -> None:
    with pytest.raises(ArgumentError, match="groups: got 1, expected two or more"):
        held_out(np.arange(3.0), np.arange(3.0), np.zeros(3))
    with pytest.raises(ArgumentError, match="not finite"):
        held_out(np.array([1.0, np.nan]), np.arange(2.0), np.arange(2))


def test_two_way_intervals_cover(rng: np.random.Generator) -> None:
    """Rows and columns have effects of their own: intervals over both cover the mean, those over all cells do not."""
    covered, naive = 0, 0
    for seed in range(100):
        values = rng.standard_normal((12, 1)) + rng.standard_normal((1, 40)) + rng.standard_normal((12, 40))
        both, cells = runs.two_way_interval(values, seed=seed), runs.mean_interval(values.ravel(), seed=seed)
        covered += both.low <= 0 <= both.high
        naive += cells.low <= 0 <= cells.high
        assert both.n == 12
    assert covered >= 85
    assert naive < 60
    assert runs.two_way_interval(np.ones((1, 5))).interval is None
    with pytest.raises(ArgumentError, match=r"values: got shape \(3,\)"):
        runs.two_way_interval(np.ones(3))
