"""Intervals against closed forms, against SciPy, and by how often they cover what is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.stats

from hullx import runs
from hullx.errors import ArgumentError
from hullx.runs.statistics import CORRECTED, Estimate, estimate

TRIALS = 300


def covered(interval, draw, truth: float) -> float:
    """Share of trials whose interval holds the truth."""
    found = [interval(draw(np.random.default_rng(trial))) for trial in range(TRIALS)]
    return float(np.mean([each.low <= truth <= each.high for each in found]))


def spearman(x: np.ndarray, y: np.ndarray) -> float:
    found: Any = scipy.stats.spearmanr(x, y)
    return float(found.statistic)


def test_share_interval_is_clopper_and_pearson_s() -> None:
    # Of n successes in n trials the lower end p solves pⁿ = α/2.
    for n in (1, 20, 360):
        found = runs.share_interval(n, n)
        np.testing.assert_allclose((found.value, found.low, found.high), (1, 0.025 ** (1 / n), 1))
        np.testing.assert_allclose(runs.share_interval(0, n).high, 1 - found.low)
    found = runs.share_interval(7, 20)
    np.testing.assert_allclose(found.low, scipy.stats.beta.ppf(0.025, 7, 14))
    np.testing.assert_allclose(found.high, scipy.stats.beta.ppf(0.975, 8, 13))
    with pytest.raises(ArgumentError, match="successes: got 3 of 2, expected from 0 to 2"):
        runs.share_interval(3, 2)


def test_few_values_have_student_s_interval() -> None:
    values = np.array([1.0, 2.0, 4.0])
    half = scipy.stats.t.ppf(0.975, 2) * values.std(ddof=1) / 3**0.5
    found = runs.mean_interval(values)
    np.testing.assert_allclose(found[:4], (7 / 3, 7 / 3 - half, 7 / 3 + half, 3))


@pytest.mark.parametrize("n", [30, CORRECTED + 500])
def test_many_values_have_a_bootstrap_s(n: int) -> None:
    values = np.random.default_rng(0).exponential(size=n)
    found = runs.mean_interval(values)
    assert found == runs.mean_interval(values)  # nothing is left to chance
    assert found != runs.mean_interval(values, seed=1)
    half = 1.96 * values.std() / n**0.5
    np.testing.assert_allclose((found.low, found.high), (values.mean() - half, values.mean() + half), atol=0.3 * half)
    assert found.high - found.value > 0.9 * (found.value - found.low)  # a skew law's interval is skew


def test_the_median_s_interval_is_two_of_the_values() -> None:
    values = np.random.default_rng(0).permutation(np.arange(1.0, 21))
    found = runs.median_interval(values)
    # P(K ≤ 5) = 0.0207 and P(K ≤ 6) = 0.0577 for K ~ Binomial(20, ½): the 6th from each end.
    assert found[:4] == (10.5, 6.0, 15.0, 20)
    scipys = scipy.stats.quantile_test(values, q=0, p=0.5).confidence_interval(0.95)
    assert (found.low, found.high) == (scipys.low, scipys.high)
    assert runs.median_interval(np.arange(5.0)).interval is None


def test_degenerate_samples() -> None:
    for function in (runs.mean_interval, runs.median_interval):
        assert function(np.full(20, 3.0))[:4] == (3, 3, 3, 20)
        assert function(np.array([3.0]))[0] == 3
        assert function(np.array([3.0])).interval is None
        assert np.isnan(function(np.array([])).value)
        with pytest.raises(ArgumentError, match="values: got shape"):
            function(np.array([1.0, np.nan]))
    assert np.isnan(runs.share_interval(0, 0).value)
    assert np.isnan(runs.rank_correlation(np.ones(9), np.arange(9.0)).value)


def test_differences() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(1, 1, 40), rng.normal(0, 3, 25)
    welch = scipy.stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
    np.testing.assert_allclose(runs.difference_interval(a, b, paired=False)[:4], (a.mean() - b.mean(), *welch, 25))
    pairs = runs.difference_interval(a[:25], b, paired=True)
    assert pairs == runs.mean_interval(a[:25] - b)
    assert runs.difference_interval(np.ones(3), np.zeros(3), paired=False)[:4] == (1, 1, 1, 3)
    with pytest.raises(ArgumentError, match="a, b: got lengths a 40, b 25, expected equal ones"):
        runs.difference_interval(a, b, paired=True)


@pytest.mark.parametrize(
    ("a", "b", "interval"),
    [((56, 70), (48, 80), (0.0524, 0.3339)), ((9, 10), (3, 10), (0.1705, 0.8090)), ((10, 10), (0, 20), (0.6791, 1.0))],
)
def test_differences_of_shares_are_those_of_newcombe_s_table(
    a: tuple[int, int], b: tuple[int, int], interval: tuple[float, float]
) -> None:
    """Newcombe (1998), table II, method 10."""
    first, second = (np.arange(n) < count for count, n in (a, b))
    found = runs.difference_interval(first, second, paired=False)
    np.testing.assert_allclose(found[:4], (a[0] / a[1] - b[0] / b[1], *interval, min(a[1], b[1])), atol=5e-5)


def test_rank_correlations() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=50)
    y = x + rng.normal(size=50)
    found = runs.rank_correlation(x, np.exp(y))  # ranks know nothing of scales
    np.testing.assert_allclose(found.value, spearman(x, y))
    assert found.low < found.value < found.high < 1
    assert runs.rank_correlation(x, x)[:4] == (1, 1, 1, 50)
    # One given variable: the formula of partial correlations.
    z = y + rng.normal(size=50)
    xy, xz, yz = (spearman(*pair) for pair in ((x, y), (x, z), (y, z)))
    expected = (xy - xz * yz) / ((1 - xz**2) * (1 - yz**2)) ** 0.5
    np.testing.assert_allclose(runs.partial_rank_correlation(x, y, z).value, expected)
    assert np.isnan(runs.partial_rank_correlation(x, y, x).value)  # nothing of x is left
    with pytest.raises(ArgumentError, match="expected equal ones"):
        runs.rank_correlation(x, y[:-1])


def test_coverage() -> None:
    """By simulation: 95% ± 4%; exact intervals for whole numbers and medians cover more."""
    assert 0.91 < covered(runs.mean_interval, lambda rng: rng.normal(size=4), 0) < 0.99
    assert 0.91 < covered(runs.mean_interval, lambda rng: rng.normal(size=40), 0) < 0.99
    assert 0.9 < covered(runs.mean_interval, lambda rng: rng.exponential(size=60), 1) < 0.99
    assert 0.93 < covered(runs.median_interval, lambda rng: rng.exponential(size=40), np.log(2)) <= 1
    assert 0.93 < covered(lambda k: runs.share_interval(k, 30), lambda rng: rng.binomial(30, 0.8), 0.8) <= 1

    # Spearman's correlation of a bivariate normal law is 6/π arcsin(ρ/2).
    def pairs(rng: np.random.Generator) -> np.ndarray:
        return rng.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], 50).T

    assert 0.91 < covered(lambda pair: runs.rank_correlation(*pair), pairs, 6 / np.pi * np.arcsin(0.3)) < 0.99

    # x and y are independent given z.
    def given(rng: np.random.Generator) -> np.ndarray:
        z = rng.normal(size=60)
        return np.stack([z + rng.normal(size=60), z + rng.normal(size=60), z])

    assert 0.85 < covered(lambda three: runs.partial_rank_correlation(*three), given, 0) < 0.99


def test_statistics_by_name() -> None:
    values = np.array([1.0, 2.0, np.nan, 3.0])
    assert estimate(values)[::3] == (2, 3)  # what is unknown does not count
    assert estimate(values, "max") == estimate(values, "max")._replace(value=3.0, n=3)
    assert estimate(np.array([True, False])) == runs.share_interval(1, 2)
    assert runs.share_interval(1, 2).unit == runs.two_way_interval(np.eye(2) == 1).unit == "share"
    assert estimate(np.array([True, True, False]), "count")[::4] == (2, "count")
    assert estimate(2.5)[::3] == (2.5, 1)
    assert estimate(Estimate(1, 0, 2, 5, "%")) == (1, 0, 2, 5, "%")
    with pytest.raises(ArgumentError, match="statistic: got 'mode'"):
        estimate(values, "mode")  # pyright: ignore[reportArgumentType]
