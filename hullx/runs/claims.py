"""What the literature says, what was measured, and the verdict that the interval supports.

A verdict compares an interval with a threshold, so that a sample too small to tell is said to be so:

    above(estimate, 0.1)     holds where the whole interval is above, does not hold where it is below, else it is not settled
    all_of(estimate)         for claims about all of something, of which a sample was looked at
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from hullx.runs.statistics import Estimate

VERDICTS = HOLDS, IN_PART, FAILS, UNSETTLED = "holds", "holds in part", "does not hold", "not settled at this size"

# A sample cannot show that a thing is so without exception. "All" means: without exception in the sample, and of everything
# that the sample was drawn from at least this share, by the exact binomial interval; 72 of 72 are enough for that.
ALL = 0.95


class Claim(NamedTuple):
    """One line of claims.json.

    - name: what is claimed, in one clause.
    - source: who says so.
    - expected: in words or numbers.
    - measured: the number that stands for it, if there is one; its interval, where it has one.
    - verdict: one of `VERDICTS`.
    - note: what else a reader should know.
    - data, group: what it is about, as in results.csv; "" for all of them.
    - seeds: how many independent repetitions stand behind it.
    - unit: "%" shows a share in percent, anything else is shown behind the number.
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

    @classmethod
    def of(cls, measured: Estimate, name: str, source: str, expected: str, verdict: str, **more: Any) -> Claim:
        """A claim for which an estimate stands.

        Example:
            >>> share = Estimate(1.0, 0.99, 1.0, 360)
            >>> Claim.of(share, "test images are outside", "arXiv 2101.09849", "all", all_of(share), unit="%").verdict
            'holds'
        """
        value = None if np.isnan(measured.value) else measured.value
        return cls(name, source, expected, value, measured.interval, verdict, **more)


def above(estimate: Estimate, threshold: float) -> str:
    """Whether the true value is greater than a threshold."""
    if estimate.interval is None:
        return UNSETTLED
    low, high = estimate.interval
    return HOLDS if low > threshold else FAILS if high <= threshold else UNSETTLED


def below(estimate: Estimate, threshold: float) -> str:
    """Whether the true value is at most a threshold."""
    return {HOLDS: FAILS, FAILS: HOLDS, UNSETTLED: UNSETTLED}[above(estimate, threshold)]


def within(estimate: Estimate, least: float, most: float) -> str:
    """Whether the true value lies between two thresholds, as where two things are called equal."""
    if estimate.interval is None:
        return UNSETTLED
    low, high = estimate.interval
    return HOLDS if least <= low and high <= most else FAILS if high < least or low > most else UNSETTLED


def all_of(share: Estimate, *, undecided: float = 0) -> str:
    """Whether all are so, by the exact interval of a share; see `ALL`.

    One exception that is certain leaves a claim that holds in part, as long as more than half of all are so.

    Args:
        undecided: how many of the sample are neither shown to be so nor not to be so; the share counts them as not so.
    """
    if share.interval is None:
        return UNSETTLED
    low, high = share.interval
    exceptions = round((1 - share.value) * share.n)
    if exceptions <= undecided:
        return HOLDS if exceptions == 0 and low >= ALL else UNSETTLED
    return IN_PART if low > 0.5 else FAILS if high + undecided / share.n <= 0.5 else UNSETTLED


def both(*verdicts: str) -> str:
    """Of a claim with several parts: it holds if all do, in part if some do and none is open, and fails if none holds."""
    if UNSETTLED in verdicts:
        return UNSETTLED
    kinds = set(verdicts)
    return verdicts[0] if len(kinds) == 1 else IN_PART
