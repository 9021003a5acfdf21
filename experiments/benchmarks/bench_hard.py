"""Which solvers project onto hulls correctly on hard problems, by one independent check, and in which time?

The problems are public and reproducible: seven classes of float32 points (`hard_problems`), d = 2, 8, 16, n = 64, 1,024,
16,384, drawn independently, with 8 queries each: on vertices, on faces, just outside and inside, far, and mixtures. All solvers
get the same numbers. One check (`hard_check`) turns returned weights into certified bounds of the distance, rounding included.

Fixed before the run:
- A query is solved if upper − lower ≤ 10^-6 · upper, or, in the hull, upper ≤ 10^-6 · spread, where the spread is the root of
  the summed variances. Answers in float32 may exceed both by 8 eps of float32 times the distance to the farthest point.
- The distance of a query is right if the same holds with the largest lower bound that any solver's answer proves. This is
  milder: a solver need not prove what it finds.
- A problem is solved if all of its queries are. Problems are the units of all intervals, which are exact binomial ones.
- hullx solves a class if each of its four calls (sweep and project, float32 and float64) solves every problem and the share's
  lower bound is at least 95%: 72 of 72 problems. Whether a query is decided, by hullx, does not count; only the check does.
- hullx's own brackets must not contradict the check's bounds.
- Each solver has a time limit for each class, from small problems to large ones. A problem that is not finished then counts as
  not solved, and later ones as not attempted. Peers that need an n × n matrix get n up to 4,096.

hullx solves the 8 queries of a problem as one batch, at rtol = 10^-6, and its second call is timed. Peers solve queries one by
one, in float64, at the smallest tolerances that they reach (`optional_peers.TIGHT`); those that compile solve the first query
once before. Peers that are not installed are left out: `pip install -e '.[bench]'` and `pip install jaxnnls moreau mlsynth`.

    python -m experiments.bench_hard                    hullx.sweep and SciPy's nnls, small problems: under a minute
    python -m experiments.bench_hard cpu                72 problems in each class, hullx and peers, 12 minutes
    python -m experiments.bench_hard paper              144 problems in each class, all peers, a minute for each: not timed yet
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from hullx import runs
from hullx.runs import plotting
from hullx.runs.progress import progress

from .hard_check import RTOL, Bounds, gap, solved
from .hard_jobs import HULLX, PEERS, Checked, run_hullx, run_peer
from .hard_problems import CLASSES, KINDS, draw, spread

SOLVED, RIGHT, ATTEMPTED, SECONDS = "problems solved", "distances right", "problems attempted", "seconds a query"
ALL_CALLS, CONTRADICTED = "hullx, all calls", "reported brackets contradicted"
QUERIES = f"{len(KINDS)} queries each"


@dataclass(frozen=True)
class Config(runs.Config):
    """Settings of the benchmark.

    Attributes:
        classes: classes of problems in `hard_problems.CLASSES`.
        dimensions: dimensions d of the problems.
        sizes: numbers n of points, in ascending order.
        repeats: number of problems for each class, n and d.
        solvers: calls of hullx, and peers, by their names in the table.
        limit: time limit in seconds for each solver and class, without start and imports.
        limit_hullx: the same for hullx, which compiles on the way.
    """

    classes: tuple[str, ...] = tuple(CLASSES)
    dimensions: tuple[int, ...] = (8,)
    sizes: tuple[int, ...] = (64,)
    repeats: int = 10
    solvers: tuple[str, ...] = ("hullx.sweep float64", "scipy nnls")
    limit: float = 4
    limit_hullx: float = 600


SOME = "scipy nnls", "piqp (qpsolvers)", "clarabel (qpsolvers)", "daqp (qpsolvers)", "optax nnls", "jaxnnls", "moreau"
CPU = Config(dimensions=(2, 8, 16), sizes=(64, 1024, 16384), repeats=8, solvers=(*HULLX, *SOME, "mlsynth active set"))
PRESETS = {"smoke": Config(), "cpu": CPU, "paper": replace(CPU, repeats=16, solvers=(*HULLX, *PEERS), limit=60)}


def measure(config: Config, run: runs.Run[Config]) -> None:
    """Run every solver on every class."""
    runs.known("--solvers", config.solvers, (*HULLX, *PEERS))
    runs.known("--classes", config.classes, CLASSES)
    rows, done, jobs = list[tuple[Any, ...]](), 0, len(config.classes) * len(config.solvers)
    sizes = [(n, d) for n in config.sizes for _ in range(config.repeats) for d in config.dimensions]
    with progress("jobs", jobs, "jobs") as report:
        for name in config.classes:
            problems, found = [draw(name, config.seed + i, n, d) for i, (n, d) in enumerate(sizes)], dict[str, Checked]()
            for solver in config.solvers:
                run_job, limit = (run_hullx, config.limit_hullx) if solver in HULLX else (run_peer, config.limit)
                job = run.cached(f"{name}, {solver}", run_job, solver, problems, limit, config.rtol)
                done += 1
                report(done, f"{name}, {solver}: {len(job.seconds)} of {len(problems)} attempted {job.remark}")
                if len(job.seconds):  # otherwise the peer is not installed
                    found[solver] = job
            rows += record_class(run, name, sizes, np.array([spread(each.points) for each in problems]), found)
    run.tabulate("problems", ("class", "solver", "n", "d", "solved", "right", "gap", "seconds", "undecided"), rows)


def record_class(
    run: runs.Run[Config], name: str, sizes: list[tuple[int, int]], spreads: np.ndarray, found: dict[str, Checked]
) -> list[tuple[Any, ...]]:
    """Record the numbers of all solvers on one class; return the rows of the table of problems."""
    best, rows, ours = np.zeros((len(sizes), len(KINDS))), list[tuple[Any, ...]](), [job for job in found if job in HULLX]
    for job in found.values():
        best[: len(job.bounds)] = np.fmax(best[: len(job.bounds)], job.bounds[..., 0])
    all_solved, all_right = np.ones(len(sizes), bool), np.ones(len(sizes), bool)
    for solver, job in found.items():
        record, count = partial(run.record, data=name, group=solver), len(job.seconds)
        dtype, proved = HULLX[solver][1] if solver in HULLX else np.float64, Bounds(*np.moveaxis(job.bounds, 2, 0))
        fine = solved(proved, spreads[:count, None], dtype)
        # Right by the largest lower bound that any solver's answer proves.
        right = solved(proved._replace(lower=best[:count]), spreads[:count, None], dtype)
        record(SOLVED, fine.all(1))
        record(RIGHT, right.all(1))
        record(ATTEMPTED, runs.Estimate(count, np.nan, np.nan, len(sizes), "count"))
        n = np.array([n for n, _ in sizes[:count]])
        for size in dict.fromkeys(n.tolist()):
            record(f"{SECONDS}, n = {size:,}", job.seconds[(n == size) & np.isfinite(job.seconds)], statistic="median")
        if solver in HULLX:
            record("undecided", runs.Estimate(job.undecided.sum(), np.nan, np.nan, fine.size, "count"))
            for every, each in ((all_solved, fine), (all_right, right)):
                every[:] &= np.append(each.all(1), np.zeros(len(sizes) - count, bool))  # not attempted: not solved
        outside = proved.upper > RTOL * spreads[:count, None]
        gaps = np.where(outside, gap(proved), 0).max(1)
        columns = fine.sum(1), right.sum(1), gaps, job.seconds, job.undecided
        rows += [(name, solver, *size, *each) for size, *each in zip(sizes, *columns, strict=False)]
    if ours:
        about: dict[str, Any] = {"data": name, "group": ALL_CALLS}
        run.record(SOLVED, all_solved, **about)
        run.record(RIGHT, all_right, **about)
        least = min(len(found[solver].seconds) for solver in ours)
        run.record(CONTRADICTED, sum(found[solver].contradicted[:least] for solver in ours) > 0, **about)
    return rows


def claims(results: runs.Results) -> Iterator[runs.Claim]:
    """hullx solves all problems of each class, and reports no wrong bracket."""
    for row in results.select(quantity=SOLVED, group=ALL_CALLS):
        about = {"data": row.data, "group": row.group, "sets": row.n, "note": QUERIES}
        yield runs.Claim.of(row.estimate, "hullx solves all problems", "here", "all", runs.all_of(row.estimate), **about)
    wrong = results.select(quantity=CONTRADICTED)
    if wrong:
        count = sum(row.n for row in wrong)
        right = runs.share_interval(round(sum((1 - row.value) * row.n for row in wrong)), count)
        name = "the check contradicts none of hullx's brackets"
        yield runs.Claim.of(right, name, "here", "none", runs.all_of(right), sets=count, note=QUERIES)


def figures(results: runs.Results) -> plotting.Figures:
    """Share of problems solved by class and solver, and seconds per query by n and solver."""
    classes = results.names("data")
    solvers = [name for name in results.names("group") if name != ALL_CALLS]
    chosen = {(row.group, row.data): row for row in results.select(quantity=SOLVED)}
    attempted = {(row.group, row.data): row.n for row in results.select(quantity=ATTEMPTED)}
    shares = np.array([[chosen[s, c].value if (s, c) in chosen else np.nan for c in classes] for s in solvers])
    title = "Share of hard problems with all 8 queries solved (number of problems solved / attempted)"
    drawn, axes = plotting.figure(title=title, size=(3.4 + 1.05 * len(classes), 1.8 + 0.42 * len(solvers)))
    place = axes[0, 0]
    image = place.imshow(shares, vmin=0, vmax=1, cmap="cividis", aspect="auto")
    for i, solver in enumerate(solvers):
        for j, name in enumerate(classes):
            if (solver, name) in chosen:
                row = chosen[solver, name]
                text = f"{round(row.value * row.n)} / {row.n}"
                place.text(j, i, text, ha="center", va="center", fontsize=8, color="white" if row.value < 0.5 else "black")
    place.set(xticks=range(len(classes)), xticklabels=classes, yticks=range(len(solvers)), yticklabels=solvers)
    place.set_xlabel(f"class of problems, {max(attempted.values())} each: those attempted in time, small ones first")
    drawn.colorbar(image, ax=place, label="share solved")
    yield "solved", drawn

    sizes = results.config["sizes"]
    times = [row.value for row in results.rows if row.quantity.startswith(SECONDS) and np.isfinite(row.value)]
    title = "Seconds per query on hard problems: median of each class, by number of points"
    drawn, axes = plotting.figure(1, len(sizes), title=title, size=(2.5 + 2.6 * len(sizes), 1.6 + 0.36 * len(solvers)))
    for place, n in zip(axes[0], sizes, strict=True):
        for i, solver in enumerate(solvers):
            seconds = [row.value for row in results.select(quantity=f"{SECONDS}, n = {n:,}", group=solver)]
            place.plot(seconds, [i] * len(seconds), "o", color=plotting.COLOURS[0 if solver in HULLX else 1], alpha=0.5)
        place.set(title=f"n = {n:,}", xlabel=SECONDS, yticks=range(len(solvers)), ylim=(len(solvers) - 0.5, -0.5))
        plotting.whole_decades(place, times)
        place.set_yticklabels(solvers if place is axes[0, 0] else [])
        place.grid(axis="y", alpha=0.3)
    yield "seconds", drawn


experiment = runs.Experiment(Config, PRESETS, measure, claims, figures)
if __name__ == "__main__":
    experiment.main()
