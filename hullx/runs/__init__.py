"""Experiment runs: the pattern, run folders, numbers with intervals, and verdicts.

    from hullx import runs

    runs.Experiment, runs.Config, runs.Run, runs.Results, runs.Claim
    runs.above, runs.below, runs.within, runs.all_of, runs.both             verdicts
    runs.mean_interval, runs.share_interval, runs.rank_correlation, …       numbers with intervals
    runs.generator(seed, "labels", name)                                    randomness independent of call order

`python -m hullx.runs` lists, shows, judges, redraws and resumes runs. Figures are in `hullx.runs.plotting`.
"""

from hullx.runs.claims import FAILS, HOLDS, IN_PART, UNSETTLED, VERDICTS, Claim, above, all_of, below, both, within
from hullx.runs.command import known
from hullx.runs.experiment import Config, Experiment
from hullx.runs.folder import Run
from hullx.runs.names import generator, slug
from hullx.runs.results import Results
from hullx.runs.statistics import (
    Estimate,
    difference_interval,
    mean_interval,
    median_interval,
    partial_rank_correlation,
    rank_correlation,
    share_interval,
    two_way_interval,
)

__all__ = [
    "FAILS",
    "HOLDS",
    "IN_PART",
    "UNSETTLED",
    "VERDICTS",
    "Claim",
    "Config",
    "Estimate",
    "Experiment",
    "Results",
    "Run",
    "above",
    "all_of",
    "below",
    "both",
    "difference_interval",
    "generator",
    "known",
    "mean_interval",
    "median_interval",
    "partial_rank_correlation",
    "rank_correlation",
    "share_interval",
    "slug",
    "two_way_interval",
    "within",
]
