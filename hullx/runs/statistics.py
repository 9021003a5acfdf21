"""Numbers with their intervals: means, medians, shares, differences and rank correlations, by SciPy.

Each function returns an `Estimate`. Its interval covers the true value in at least about `confidence` of all samples, if the
values are independent. Resampling uses the given seed, so the same values give the same interval.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import scipy
from jaxtyping import Float

from hullx.errors import ArgumentError
from hullx.types import Array

# With fewer values, bootstrap intervals are too short, because resampling only repeats observed values.
FEW = 10
# Up to this many values the bootstrap corrects bias and skewness, which takes memory quadratic in their number.
CORRECTED = 500
RESAMPLES = 2000
# Numbers held by a bootstrap at once.
HELD = 2_000_000

Statistic = Literal["mean", "median", "share", "count", "spread", "min", "max"]


class Estimate(NamedTuple):
    """A number from n values, and the ends of its interval; NaN if there is no interval.

    - unit: how the number is shown. "share" is a share of a whole, in percent; "%" a difference of shares, in percent; "count"
      a number of the n. Any other unit follows the number.
    """

    value: float
    low: float
    high: float
    n: int
    unit: str = ""

    @property
    def interval(self) -> tuple[float, float] | None:
        """Both ends, or None."""
        return None if np.isnan(self.low) or np.isnan(self.high) else (self.low, self.high)


def mean_interval(values: Float[Array, "n"], *, confidence: float = 0.95, seed: int = 0) -> Estimate:
    """The mean, with an interval by Student's t below 10 values, else by bootstrap (BCa up to 500 values).

    Equal values have an interval of zero width; a single value has no interval.

    Example:
        >>> mean_interval([1.0, 2.0, 3.0]).value
        2.0

    Reference: Efron (1987), "Better bootstrap confidence intervals".
    """
    values = _numbers("values", values)
    n = len(values)
    if n < 2:
        return Estimate(float(values[0]) if n else np.nan, np.nan, np.nan, n)
    mean = float(values.mean())
    if np.ptp(values) == 0:
        return Estimate(mean, mean, mean, n)
    if n < FEW:
        low, high = scipy.stats.t.interval(confidence, n - 1, mean, values.std(ddof=1) / np.sqrt(n))
    else:
        drawn = scipy.stats.bootstrap(
            (values,),
            np.mean,
            n_resamples=RESAMPLES,
            batch=max(HELD // n, 1),
            confidence_level=confidence,
            method="BCa" if n <= CORRECTED else "percentile",
            rng=np.random.default_rng(seed),
        )
        low, high = drawn.confidence_interval
    return Estimate(mean, float(low), float(high), n)


def median_interval(values: Float[Array, "n"], *, confidence: float = 0.95) -> Estimate:
    """The median, with a distribution-free exact interval between two of the values, for at least 6 values.

    Reference: Conover (1999), "Practical nonparametric statistics", section 3.2.
    """
    values = _numbers("values", values)
    median = float(np.median(values)) if len(values) else np.nan
    if len(values) < 2:
        return Estimate(median, np.nan, np.nan, len(values))
    # K ~ Binomial(n, ½) of n values are below the median, so it lies between the k-th smallest and the k-th largest value.
    k = int(scipy.stats.binom.ppf((1 - confidence) / 2, len(values), 0.5))
    ordered = np.sort(values)
    low, high = (ordered[k - 1], ordered[len(values) - k]) if k else (np.nan, np.nan)
    return Estimate(median, float(low), float(high), len(values))


def share_interval(successes: int, n: int, *, confidence: float = 0.95) -> Estimate:
    """The share of successes in n trials, with Clopper and Pearson's exact interval.

    Raises:
        ArgumentError: successes are negative or exceed the trials.

    Example:
        >>> share_interval(360, 360).low > 0.989
        True

    Reference: Clopper and Pearson (1934), "The use of confidence or fiducial limits".
    """
    if not 0 <= successes <= n:
        raise ArgumentError(f"successes: got {successes} of {n}, expected from 0 to {n}: count them again")
    if n == 0:
        return Estimate(np.nan, np.nan, np.nan, 0, "share")
    low, high = scipy.stats.binomtest(int(successes), int(n)).proportion_ci(confidence, method="exact")
    return Estimate(successes / n, float(low), float(high), int(n), "share")


def difference_interval(
    a: Float[Array, "n"], b: Float[Array, "m"], *, paired: bool, confidence: float = 0.95, seed: int = 0
) -> Estimate:
    """mean(a) − mean(b), with an interval by `mean_interval` of the differences for pairs, else by Welch's t.

    The difference of two shares, of Booleans that are not pairs, has Newcombe's interval: it has a width also where all of both
    agree. n is the number of pairs, or the size of the smaller sample.

    Raises:
        ArgumentError: paired samples have different lengths.

    Example:
        >>> difference_interval(np.zeros(100, bool), np.zeros(100, bool), paired=False).interval
        (-0.036..., 0.036...)

    References: Welch (1947), "The generalization of 'Student's' problem"; Newcombe (1998), "Interval estimation for the
    difference between independent proportions", method 10.
    """
    if paired:
        _check_pairs(a=a, b=b)
        return mean_interval(np.asarray(a, np.float64) - np.asarray(b, np.float64), confidence=confidence, seed=seed)
    shares = all(np.asarray(each).dtype == bool for each in (a, b))
    a, b = _numbers("a", a), _numbers("b", b)
    n = min(len(a), len(b))
    difference = float(a.mean() - b.mean()) if n else np.nan
    if shares and n:
        counted = (scipy.stats.binomtest(int(each.sum()), len(each)).proportion_ci(confidence, "wilson") for each in (a, b))
        (low, high), (other_low, other_high) = counted
        least = difference - np.hypot(a.mean() - low, other_high - b.mean())
        return Estimate(difference, float(least), float(difference + np.hypot(high - a.mean(), b.mean() - other_low)), n)
    if n < 2:
        return Estimate(difference, np.nan, np.nan, n)
    if np.ptp(a) == 0 and np.ptp(b) == 0:
        return Estimate(difference, difference, difference, n)
    low, high = scipy.stats.ttest_ind(a, b, equal_var=False).confidence_interval(confidence)
    return Estimate(difference, float(low), float(high), n)


def two_way_interval(values: Float[Array, "a b"], *, confidence: float = 0.95, seed: int = 0) -> Estimate:
    """The mean over two crossed random factors, such as network families and points; both are resampled. n = min(a, b).

    Args:
        values: one per pair of levels; both factors are drawn independently.

    Raises:
        ArgumentError: the shape is not (a, b), or numbers are not finite.

    Example:
        >>> two_way_interval([[1.0, 2.0], [3.0, 4.0]]).value
        2.5

    Reference: Owen (2007), "The pigeonhole bootstrap", whose intervals are slightly too long, not too short.
    """
    unit = "share" if np.asarray(values).dtype == bool else ""
    values = np.asarray(values, np.float64)
    if values.ndim != 2 or not values.size or not np.isfinite(values).all():
        raise ArgumentError(f"values: got shape {values.shape} or numbers that are not finite, expected (a, b): drop those")
    rng, mean = np.random.default_rng(seed), float(values.mean())
    if min(values.shape) < 2:
        return Estimate(mean, np.nan, np.nan, min(values.shape), unit)
    rows, columns = (rng.multinomial(size, np.full(size, 1 / size), RESAMPLES) / size for size in values.shape)
    drawn = ((rows @ values) * columns).sum(1)
    low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Estimate(mean, float(low), float(high), min(values.shape), unit)


def rank_correlation(x: Float[Array, "n"], y: Float[Array, "n"], *, confidence: float = 0.95) -> Estimate:
    """Spearman's rank correlation, in [−1, 1]; NaN if x or y is constant.

    Reference: Bonett and Wright (2000), "Sample size requirements for estimating Pearson, Kendall and Spearman correlations".
    """
    return partial_rank_correlation(x, y, np.empty((len(x), 0)), confidence=confidence)


def partial_rank_correlation(
    x: Float[Array, "n"], y: Float[Array, "n"], given: Float[Array, "n k"], *, confidence: float = 0.95
) -> Estimate:
    """Spearman's partial correlation of x and y given k variables: the correlation of the residuals of rank regressions.

    Args:
        given: (n,) or (n, k).

    Raises:
        ArgumentError: the lengths differ.
    """
    given = np.asarray(given, np.float64)
    given = given[:, None] if given.ndim == 1 else given
    _check_pairs(x=x, y=y, given=given)
    n, k = given.shape
    ranks = np.column_stack([scipy.stats.rankdata(column) for column in (x, y, *given.T)]) if n else np.empty((0, k + 2))
    centred = ranks - ranks.mean(0) if n else ranks
    others = centred[:, 2:]
    left = centred[:, :2] - others @ np.linalg.lstsq(others, centred[:, :2])[0] if k else centred
    squares = (left**2).sum(0)
    # If the given variables explain the ranks fully, the residuals are rounding errors.
    if n < 2 or (squares <= 1e-12 * np.maximum((centred[:, :2] ** 2).sum(0), 1)).any():
        return Estimate(np.nan, np.nan, np.nan, n)
    r = float(np.clip(left[:, 0] @ left[:, 1] / np.sqrt(squares.prod()), -1, 1))
    freedom = n - k - 3
    if freedom < 1:
        return Estimate(r, np.nan, np.nan, n)
    if abs(r) == 1:
        return Estimate(r, r, r, n)
    half = scipy.stats.norm.ppf((1 + confidence) / 2) * np.sqrt((1 + r**2 / 2) / freedom)
    return Estimate(r, float(np.tanh(np.arctanh(r) - half)), float(np.tanh(np.arctanh(r) + half)), n)


def estimate(values: Any, statistic: Statistic | None = None) -> Estimate:
    """A statistic of values by name; by default the share for Booleans, else the mean.

    NaN values are ignored. A single number or an `Estimate` is returned as it is. "count" (of true values), "spread" (the
    standard deviation), "min" and "max" have no interval.

    Raises:
        ArgumentError: the statistic is unknown.
    """
    if isinstance(values, Estimate):
        return values
    values = np.asarray(values)
    if values.ndim == 0:
        return Estimate(float(values), np.nan, np.nan, 1)
    name = statistic or ("share" if values.dtype == bool else "mean")
    values = values.ravel() if values.dtype == bool else values[~np.isnan(values)]
    match name:
        case "share":
            return share_interval(int(values.sum()), len(values))
        case "mean":
            return mean_interval(values)
        case "median":
            return median_interval(values)
        case "count" | "spread" | "min" | "max":
            function = {"count": np.sum, "spread": np.std, "min": np.min, "max": np.max}[name]
            number = float(function(values)) if len(values) or name == "count" else np.nan
            return Estimate(number, np.nan, np.nan, len(values), "count" if name == "count" else "")
    raise ArgumentError(f"statistic: got {name!r}, expected one of {', '.join(get_args(Statistic))}: choose one")


def _numbers(name: str, values: Any) -> np.ndarray:
    values = np.asarray(values, np.float64)
    if values.ndim != 1 or not np.isfinite(values).all():
        raise ArgumentError(f"{name}: got shape {values.shape} or numbers that are not finite, expected (n,): drop those")
    return values


def _check_pairs(**samples: Any) -> None:
    lengths = {name: len(sample) for name, sample in samples.items()}
    if len(set(lengths.values())) > 1:
        said = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise ArgumentError(f"{', '.join(lengths)}: got lengths {said}, expected equal ones: give one value per query")
