"""How likely is a new sample inside the convex hull of n samples in d dimensions? Synthetic distributions, with exact values.

Claims: only the dimension of the hull matters, not the dimension of the surrounding space or of the manifold (Balestriero,
Pesenti and LeCun, arXiv 2110.09485, figure 1). As d → ∞ and for any ε > 0, all of n uniform points in a ball are vertices of
their hull with probability → 1 for n = 2^(d/2) d^−ε, and → 0 for n = 2^(d/2) d^(3/4 + ε) (Bárány and Füredi 1988). arXiv
2110.09485 quotes this as its theorem 1: a new sample is inside if n ≫ 2^(d/2) / d.

    python -m experiments.membership                        100 trials, seconds
    python -m experiments.membership cpu                    2,000 trials, 7 to 16 minutes on 2 cores
    python -m experiments.membership paper                  10,000 trials, up to 20 dimensions, hours

Distributions: a Gaussian of full rank; a curve, each coordinate of which is a trigonometric polynomial of one uniform number,
with 32 random frequencies up to 1,000; a Gaussian in a random 4-D subspace; others with exact values (`distributions`). Each
trial draws its own points.

Fixed before the run: exact values are compared if at least 5 trials are expected on each side. A value is missed if it is
outside Clopper and Pearson's 99% interval. Exact values are covered unless the observed number of misses or more, at 1% each,
has probability < 1%. "The same": the share inside, over all n, differs by less than `EQUAL` from the share in the lowest d.
"Falls": from above 0.9 in the lowest d to below 0.1 in the highest, at n = `at`. ε is ½. At both exponents the share in the
highest d is on its limit's side of ½, and at most `EQUAL` farther from its limit than in the lowest d.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.stats import binom

from hullx import runs
from hullx.runs import plotting
from hullx.runs.progress import progress
from hullx.runs.statistics import estimate

from . import distributions, random_hull_trials
from .distributions import ALL, BALL, EXPONENTS, FULL, NEW, Setting, ball_points, outcomes

EQUAL, CONFIDENCE = 0.05, 0.99
FIGURE, FUREDI, THEOREM = "arXiv 2110.09485, figure 1", "Bárány and Füredi 1988", "arXiv 2110.09485, theorem 1"
NEVER, ALWAYS = EXPONENTS[-1], EXPONENTS[0]  # exponents at which all points are never or always vertices
TIMED = Setting(FULL, NEW, 200, 6, np.nan)
COLUMNS = "data", "dimensions", *Setting._fields, "trials", "share", "low", "high"


@dataclass(frozen=True)
class Config(runs.Config):
    """Settings of the experiment.

    Attributes:
        trials: number of trials for each share.
        counts: numbers of points n.
        dimensions: dimensions d of the full-rank Gaussian and of the curve.
        ambient: dimensions of the space around the 4-D subspace.
        symmetric: dimensions in which the query is the origin.
        at: the n in `counts` at which shares are compared across d.
        ball: even dimensions in which all points are tested for being vertices.
        ball_trials: number of trials for each of those shares without an exact value.
        timed: number of timed trials at n = 200, d = 6; 0 for none.
    """

    trials: int = 200
    counts: tuple[int, ...] = (8, 16, 32, 64)
    dimensions: tuple[int, ...] = (1, 2, 5, 12)
    ambient: tuple[int, ...] = (5, 12)
    symmetric: tuple[int, ...] = (5,)
    at: int = 64
    ball: tuple[int, ...] = (2, 4)
    ball_trials: int = 64
    timed: int = 0


GRID = Config(counts=(8, 16, 32, 64, 128, 256, 512), dimensions=(1, 2, 3, 5, 8, 12), ambient=(5, 8, 12), at=256)
CPU = replace(GRID, trials=2000, symmetric=(1, 2, 3, 5, 10), ball=(8, 10, 12, 14), ball_trials=200, timed=10_000)
LARGE: dict[str, Any] = {"counts": (*GRID.counts, 1024), "dimensions": (*GRID.dimensions, 20), "ball": (8, 12, 16, 20)}
PRESETS = {
    "smoke": Config(trials=100, counts=(64,), dimensions=(2, 12), ball_trials=12),
    "cpu": CPU,
    "paper": replace(CPU, trials=10_000, ball_trials=400, **LARGE),
}


def measure(config: Config, run: runs.Run[Config]) -> None:
    """Measure the share of each setting, and compare it with its exact value."""
    if config.timed:
        seconds = run.cached("timed", random_hull_trials.time_trials, config.seed, TIMED, config.timed, config.rtol)
        run.record(f"seconds for {config.timed:,} trials", seconds, data=TIMED.data, group=TIMED.group)
    rows, wanted = [], distributions.settings(config)
    with progress("membership", len(wanted), "shares") as report:
        for done, each in enumerate(wanted, 1):
            count = config.ball_trials if each.query == ALL and np.isnan(each.exact) else config.trials
            decisions = run.cached(
                f"{each.data}, {each.group}", random_hull_trials.decide_trials, config.seed, each, count, config.rtol
            )
            share, undecided = decisions == random_hull_trials.INSIDE, decisions == random_hull_trials.UNDECIDED
            run.record("share", share, data=each.data, group=each.group)
            run.record("undecided", undecided, data=each.data, group=each.group, statistic="count")
            numbers = runs.share_interval(int(share.sum()), count, confidence=CONFIDENCE)[:3]
            rows.append((each.data, f"d = {each.d}", *each, count, *numbers))
            report(done)
    run.tabulate("shares", COLUMNS, rows)


def claims(results: runs.Results) -> Iterator[runs.Claim]:
    """Exact values; the dimension that determines the share inside; all points in a ball."""
    table, config = results.table("shares"), results.config
    exact = distributions.with_exact_values(table)
    missed = (exact["exact"] < exact["low"]) | (exact["exact"] > exact["high"])
    chance = float(binom.sf(missed.sum() - 1, len(missed), 1 - CONFIDENCE))
    name, expected = f"exact values are in {CONFIDENCE:.0%} intervals", "no more misses than by chance"
    verdict = runs.HOLDS if chance >= 1 - CONFIDENCE else runs.FAILS
    note = f"{missed.sum()} of {len(missed)} missed; probability of at least as many by chance: {chance:.2g}"
    sets = round(exact["trials"].sum())
    yield runs.Claim.of(estimate(~missed), name, "exact values", expected, verdict, note=note, unit="%", sets=sets)

    first, *others = (outcomes(table, distributions.SUBSPACE, NEW, d) for d in config["ambient"])
    apart = [runs.difference_interval(other, first, paired=False) for other in others]
    name, expected = "the share inside is the same in any space around the subspace", f"within ±{EQUAL:.0%}"
    verdict = runs.both(*(runs.within(each, -EQUAL, EQUAL) for each in apart))
    note, worst = f"largest difference from d = {config['ambient'][0]}", max(apart, key=lambda each: abs(each.value))
    about = {"data": distributions.SUBSPACE, "unit": "%", "sets": sum(map(len, (first, *others)))}
    yield runs.Claim.of(worst, name, FIGURE, expected, verdict, note=note, **about)
    few, many = config["dimensions"][0], config["dimensions"][-1]
    for law in (FULL, distributions.CURVE):
        low, high = (estimate(outcomes(table, law, NEW, d, config["at"])) for d in (few, many))
        name, note = (
            f"the share inside falls with the dimension of the hull, n = {config['at']}",
            f"d = {many}; {low.value:.1%} at d = {few}",
        )
        verdict, expected = runs.both(runs.above(low, 0.9), runs.below(high, 0.1)), "from above 90% to below 10%"
        yield runs.Claim.of(high, name, FIGURE, expected, verdict, data=law, note=note, unit="%", sets=low.n + high.n)

    few, many = config["ball"][0], config["ball"][-1]
    for exponent, limit in ((ALWAYS, 1), (NEVER, 0)):
        low, high = (outcomes(table, BALL, ALL, d, ball_points(d, exponent)) == limit for d in (few, many))
        name, about = f"at n = 2^(d/2) d^{exponent:g}", {"data": f"{BALL}: {ALL}", "unit": "%", "sets": len(low) + len(high)}
        behind = runs.difference_interval(low, high, paired=False)
        verdict = runs.both(runs.above(estimate(high), 0.5), runs.below(behind, EQUAL))
        note, shown = f"d = {many}; {(low == limit).mean():.1%} at d = {few}", estimate(high == limit)
        yield runs.Claim.of(shown, name, FUREDI, f"→ {limit:.0%}", verdict, note=note, **about)
    low, high = (estimate(outcomes(table, BALL, NEW, d, ball_points(d, NEVER))) for d in (few, many))
    name, expected = "a new sample is inside if n ≫ 2^(d/2) / d", "→ 100%; more than half"
    note = f"d = {many}, n = {many ** (1 + NEVER):,.0f} × 2^(d/2) / d; {low.value:.1%} at d = {few}"
    about = {"data": BALL, "unit": "%", "sets": low.n + high.n}
    yield runs.Claim.of(high, name, THEOREM, expected, runs.above(high, 0.5), note=note, **about)


def figures(results: runs.Results) -> plotting.Figures:
    """Measured against exact shares; the share inside by law, n and d; how often all points in a ball are vertices."""
    table = results.table("shares")
    exact = distributions.with_exact_values(table)
    title = f"Shares of trials against exact probabilities, with {CONFIDENCE:.0%} intervals"
    drawn, axes = plotting.figure(1, 2, size=(11, 5), title=title)
    (left, right), place = axes[0], np.argsort(np.argsort(exact["data"], kind="stable"))
    for name, colour in plotting.colours(dict.fromkeys(exact["data"].tolist())).items():
        mine, look = exact["data"] == name, {"color": colour, "fmt": "o", "markersize": 3, "linewidth": 1}
        value, share, low, high = (exact[column][mine] for column in ("exact", "share", "low", "high"))
        left.errorbar(value, share, np.stack([share - low, high - share]), label=name, **look)
        right.errorbar(place[mine], share - value, np.stack([share - low, high - share]), **look)
    left.plot((0, 1), (0, 1), color="0.7", zorder=0)
    right.axhline(0, color="0.7", zorder=0)
    left.set(xlabel="exact probability", ylabel="share of trials: query inside, or all points vertices")
    right.set(xlabel="comparisons, by distribution and query", ylabel="share − exact probability", xticks=())
    drawn.legend(loc="outside lower center", ncols=3)
    yield "exact", drawn

    title = f"Share of new samples inside the hull of n samples in d dimensions, {CONFIDENCE:.0%} intervals"
    drawn, axes = plotting.figure(1, 3, size=(12, 4.6), title=f"{title}; lines: exact values; dashed: of the Gaussian")
    every = sorted({*results.config["dimensions"], *results.config["ambient"]})
    for axis, law in zip(axes[0], distributions.LAWS, strict=True):
        for i, (d, colour) in enumerate(plotting.colours(f"d = {d}" for d in every).items()):
            mine = (table["data"] == law) & (table["dimensions"] == d)
            if not mine.any():
                continue
            n, share, low, high, known = (table[name][mine] for name in ("n", "share", "low", "high", "exact"))
            look: dict[str, Any] = {"color": colour, "markersize": 3, "linewidth": 1, "capsize": 2, "label": d}
            axis.errorbar(n * 1.015**i, share, [share - low, high - share], fmt="o", **look)
            if law == distributions.CURVE:
                known = table["exact"][(table["data"] == FULL) & (table["dimensions"] == d)]
            axis.plot(n, known, "--" if law == distributions.CURVE else "-", color=colour, linewidth=1)
        axis.set(title=law, xscale="log", xlabel="n", ylabel="share inside", ylim=(-0.02, 1.02))
        plotting.plain_ticks(axis)
        axis.legend(loc="upper left", bbox_to_anchor=(1, 1))
    yield "laws", drawn

    title = "Share of trials in which all n points, uniform in a d-ball, are vertices of their hull"
    drawn, axes = plotting.figure(1, 1, size=(8, 4.6), title=title)
    for d, colour in zip(results.config["ball"], plotting.COLOURS, strict=False):
        shares = [estimate(outcomes(table, BALL, ALL, d, ball_points(d, each))) for each in EXPONENTS]
        value, low, high = np.array([each[:3] for each in shares]).T
        axes[0, 0].plot(EXPONENTS, value, "o-", color=colour, markersize=3, label=f"d = {d}")
        axes[0, 0].fill_between(EXPONENTS, low, high, color=colour, alpha=0.15, linewidth=0)
    for start, stop, limit in ((-0.6, 0, "→ 1 as d → ∞"), (0.75, 1.35, "→ 0 as d → ∞")):
        axes[0, 0].axvspan(start, stop, color="0.93", zorder=0)
        axes[0, 0].text((start + stop) / 2, 1.05, limit, ha="center")
    axes[0, 0].set(xlabel="e, where n = 2^(d/2) d^e", ylabel="share, with 95% intervals", xlim=(-0.6, 1.35), ylim=(-0.02, 1.12))
    axes[0, 0].legend(loc="lower left")
    yield "vertices", drawn


experiment = runs.Experiment(Config, PRESETS, measure, claims, figures)
if __name__ == "__main__":
    experiment.main()
