"""Verdicts follow from intervals."""

from __future__ import annotations

import numpy as np
import pytest

from hullx import runs
from hullx.runs.claims import ALL
from hullx.runs.closing import claim_cells, number
from hullx.runs.statistics import Estimate


def test_verdicts_follow_from_intervals() -> None:
    clear, open_, not_at_all = Estimate(0.3, 0.2, 0.4, 10), Estimate(0.3, 0.05, 0.5, 10), Estimate(0.05, 0.01, 0.09, 10)
    assert [runs.above(each, 0.1) for each in (clear, open_, not_at_all)] == [runs.HOLDS, runs.UNSETTLED, runs.FAILS]
    assert [runs.below(each, 0.1) for each in (clear, open_, not_at_all)] == [runs.FAILS, runs.UNSETTLED, runs.HOLDS]
    assert runs.within(clear, 0.1, 0.5) == runs.HOLDS
    assert runs.within(clear, 0.25, 0.5) == runs.UNSETTLED
    assert runs.within(clear, -0.1, 0.1) == runs.FAILS
    few = clear._replace(n=9)
    assert {runs.above(few, 0.1), runs.below(few, 0.1), runs.within(few, 0, 1)} == {runs.UNSETTLED}
    unknown = Estimate(1, np.nan, np.nan, 1)
    assert {runs.above(unknown, 0), runs.below(unknown, 0), runs.within(unknown, 0, 2), runs.all_of(unknown)} == {
        runs.UNSETTLED
    }
    assert runs.both(runs.HOLDS, runs.HOLDS) == runs.HOLDS
    assert runs.both(runs.HOLDS, runs.FAILS) == runs.IN_PART
    assert runs.both(runs.FAILS, runs.UNSETTLED) == runs.UNSETTLED


@pytest.mark.parametrize(
    ("successes", "n", "undecided", "verdict"),
    [
        (72, 72, 0, runs.HOLDS),  # 0.025^(1/72) = 0.9501
        (71, 71, 0, runs.UNSETTLED),
        (359, 360, 0, runs.IN_PART),
        (359, 360, 1, runs.UNSETTLED),
        (180, 360, 0, runs.UNSETTLED),
        (100, 360, 0, runs.FAILS),
        (100, 360, 200, runs.UNSETTLED),
    ],
)
def test_all_of_a_sample(successes: int, n: int, undecided: int, verdict: str) -> None:
    assert ALL == 0.95
    assert runs.all_of(runs.share_interval(successes, n), undecided=undecided) == verdict


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.1234, "share", "12.3%"),
        (-0.0082, "%", "-0.82%"),
        (4.7e-38, "", "0"),
        (4.7e-38, "share", "0.0%"),
        (12345.0, "", "12,345"),
        (3.0, "count", "3"),
        (1.5, " ×", "1.5 ×"),
        (np.nan, "share", "–"),
    ],
)
def test_numbers_are_shown_in_their_unit(value: float, unit: str, text: str) -> None:
    assert number(value, unit) == text


def test_evidence_is_counted_by_kind() -> None:
    share = Estimate(1.0, 0.99, 1.0, 360, "share")
    claim = runs.Claim.of(share, "all", "here", "all", runs.HOLDS, networks=10, images=1000, sets=1, seeds=2)
    beside = {"undecided": 3, "queries": 1000, "failed": 0, "runs": 2}
    *_, evidence = claim_cells(claim._asdict() | beside)
    assert evidence == "10 networks, 1,000 images, 1 data set, 2 seeds, 3 of 1,000 queries undecided"
