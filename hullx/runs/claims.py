"""Claims from the literature, measured values, and verdicts supported by their intervals.

A verdict compares an interval with a threshold, so samples that are too small remain unsettled. n of an `Estimate` counts the
values that were drawn independently; fewer than ten settle nothing.

    above(estimate, 0.1)     holds if the whole interval is above, fails if it is below, else is not settled
    all_of(estimate)         for claims about all members of a population, from a sample
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from hullx.runs.statistics import FEW, Estimate

VERDICTS = HOLDS, IN_PART, FAILS, UNSETTLED = "holds", "holds in part", "does not hold", "not settled at this size"

# A sample cannot exclude every exception. "All" means: no exception in the sample, and at least this share of the population
# by the exact binomial interval. 72 of 72 are enough.
ALL = 0.95


class Claim(NamedTuple):
    """One line of claims.json.

    - name: the claim, in one clause.
    - source: the publication.
    - expected: the expected value, in words or numbers.
    - measured: the measured number, if there is one.
    - interval: its interval, if there is one.
    - verdict: one of `VERDICTS`.
    - note: further remarks.
    - data, group: the subject, as in results.csv; "" for all.
    - seeds: the number of independent repetitions.
    - unit: as that of an `Estimate`.
    - networks, images, rows, sets: the numbers of trained networks, of images, of other queries such as a table's rows, and of
      independently drawn data sets behind the measurement; 0 if it involves none.
    """

    name: str
    source: str
    expected: str
    measured: float | None
    interval: tuple[float, float] | None
    verdict: str
    note: str = ""
    data: str = ""
    group: str = ""
    seeds: int = 1
    unit: str = ""
    networks: int = 0
    images: int = 0
    sets: int = 0
    rows: int = 0

    @classmethod
    def of(cls, measured: Estimate, name: str, source: str, expected: str, verdict: str, **more: Any) -> Claim:
        """A claim measured by an estimate, in its unit unless another is given.

        Example:
            >>> share = Estimate(1.0, 0.99, 1.0, 360, "share")
            >>> Claim.of(share, "test images are outside", "arXiv 2101.09849", "all", all_of(share)).verdict
            'holds'
        """
        value, more = None if np.isnan(measured.value) else measured.value, {"unit": measured.unit, **more}
        return cls(name, source, expected, value, measured.interval, verdict, **more)


def above(estimate: Estimate, threshold: float) -> str:
    """Whether the true value is greater than a threshold; fewer than `FEW` independent values settle nothing."""
    if estimate.interval is None or estimate.n < FEW:
        return UNSETTLED
    low, high = estimate.interval
    return HOLDS if low > threshold else FAILS if high <= threshold else UNSETTLED


def below(estimate: Estimate, threshold: float) -> str:
    """Whether the true value is at most a threshold."""
    return {HOLDS: FAILS, FAILS: HOLDS, UNSETTLED: UNSETTLED}[above(estimate, threshold)]


def within(estimate: Estimate, least: float, most: float) -> str:
    """Whether the true value lies between two thresholds, for example in equivalence tests; see `above`."""
    if estimate.interval is None or estimate.n < FEW:
        return UNSETTLED
    low, high = estimate.interval
    return HOLDS if least <= low and high <= most else FAILS if high < least or low > most else UNSETTLED


def all_of(share: Estimate, *, undecided: float = 0) -> str:
    """Whether a property holds for all, by the exact interval of its share; see `ALL`.

    If there is a certain exception, the claim holds in part if the share exceeds one half.

    Args:
        undecided: the number of undecided members of the sample; the share counts them as exceptions.
    """
    if share.interval is None:
        return UNSETTLED
    low, high = share.interval
    exceptions = round((1 - share.value) * share.n)
    if exceptions <= undecided:
        return HOLDS if exceptions == 0 and low >= ALL else UNSETTLED
    return IN_PART if low > 0.5 else FAILS if high + undecided / share.n <= 0.5 else UNSETTLED


def both(*verdicts: str) -> str:
    """The verdict of a claim with several parts: their common verdict, in part if they differ, unsettled if one is."""
    if UNSETTLED in verdicts:
        return UNSETTLED
    kinds = set(verdicts)
    return verdicts[0] if len(kinds) == 1 else IN_PART
