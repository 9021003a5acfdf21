"""What does a certified projection cost with hullx and with other solvers, in one run?

Each job runs in a separate process, one after the other, under a time limit. Measured: seconds per query, the certified gap
(recomputed in float64 NumPy from the raw points), and the process's peak memory. hullx is timed on its second call, or on the
first if that takes a minute. The table also has the first call, with compilation. Other solvers (peers) solve queries one by
one, as many as a tenth of the limit allows and at least one.

    python -m experiments.bench_solvers                 digits, three solvers, half a minute
    python -m experiments.bench_solvers cpu             hullx.sweep and peers; MNIST at four sizes, CIFAR-10, Gaussian samples
    python -m experiments.bench_solvers project         hullx alone: project against sweep, its first calls, its gradients
    python -m experiments.bench_solvers paper           whole test sets by hullx.sweep, against two products

Install the peers: `pip install -e '.[bench]'`. The table marks those that are not installed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from experiments.shared import baselines
from hullx import runs
from hullx.data import Sample
from hullx.runs import plotting
from hullx.runs.progress import progress

from .solver_jobs import BATCHED, HULLX, SWEEP, Job, costs, run_in_process

SECONDS, RATIO, GAP = "seconds a query", "÷ hullx.sweep", "certified gap"
# Time limit in seconds of hullx's jobs on whole batches.
BATCH_LIMIT = 1200
# Number of queries for the problems of the curves.
CURVE_QUERIES = 256
PEERS = tuple(baselines.solvers(0))
ALL = (*HULLX, *PEERS)


@dataclass(frozen=True)
class Config(runs.Config):
    """Settings of the benchmark.

    Attributes:
        problems: names as in `solver_jobs.load_problem`, name or name:n.
        curves: problems whose seconds per query are drawn against n, d and the number of queries.
        queries: number of queries for hullx on each problem.
        solvers: hullx.sweep (first), other hullx solvers and peers, by their names in the table.
        limit: time limit of a peer's job in seconds, loading and compilation included.
    """

    problems: tuple[str, ...] = ("digits",)
    curves: tuple[str, ...] = ()
    queries: int = 1000
    solvers: tuple[str, ...] = (SWEEP, "hullx.project float32", "scipy nnls")
    limit: float = 30


MNIST = tuple(f"mnist:{n}" for n in (1000, 5000, 20000, 60000))
OTHERS = "cifar10:50000", "gaussian64:50000"
CURVES = tuple(f"gaussian{d}:5000" for d in (8, 16, 32, 64, 128, 256))
PRESETS = {
    "smoke": Config(),
    "cpu": Config(problems=("digits", *MNIST, *OTHERS), curves=CURVES, solvers=(SWEEP, *PEERS)),
    "project": Config(problems=("gaussian64:1000", "digits", MNIST[-1]), queries=1024, solvers=HULLX, limit=60),
    "paper": Config(problems=("digits", MNIST[-1], *OTHERS, "relu64:50000"), queries=10_000, solvers=(SWEEP,)),
}


def measure(config: Config, run: runs.Run[Config]) -> None:
    """Run all jobs in turn, and cache each."""
    runs.known("--solvers", config.solvers, ALL)
    common = {name: getattr(config, name) for name in ("rtol", "limit", "seed", "data_dir")}
    jobs = [Job(problem, solver, config.queries, **common) for problem in config.problems for solver in config.solvers]
    jobs += [Job(problem, solver, CURVE_QUERIES, **common) for problem in config.curves for solver in (SWEEP, "scipy nnls")]
    jobs += [Job("mnist:5000", SWEEP, count, **common) for count in ((1, 10, 100, 10_000) if config.curves else ())]
    # hullx's exact solvers solve whole batches of queries, so their limit is longer.
    jobs = [replace(job, limit=BATCH_LIMIT) if job.solver in BATCHED else job for job in dict.fromkeys(jobs)]
    rows, ours = [], {}
    with progress("jobs", len(jobs), "jobs") as report:
        for done, job in enumerate(jobs, 1):
            found = run.cached(f"{job.problem}, {job.solver}, {job.queries}", run_in_process, job)
            each = found.pop("each")
            row = {"problem": job.problem, "solver": job.solver, "asked": job.queries, "seconds_a_query": each.mean(), **found}
            rows.append(row)
            run.metric(**row)
            run.table("jobs", {name: [each[name] for each in rows] for name in row})
            report(done, f"{job.problem} {job.solver}: {each.mean():.2g} s a query {found['status']}")
            if job.queries != config.queries or job.problem in config.curves:
                continue
            if job.solver == SWEEP:
                ours[job.problem] = each.mean()
            record = partial(run.record, data=job.problem, group=job.solver)
            each = each if len(each) > 1 else each.mean()
            record(SECONDS, each)
            record(RATIO, each / ours.get(job.problem, np.nan))
            record(GAP, found["gap"])
            record("first call, seconds", found["first"])
            record("peak memory, GB", found["peak_gb"])
            record("memory ÷ points", (found["peak_gb"] - found["loaded_gb"]) / found["points_gb"])
            record("÷ two products", found["seconds"] / found["floor"] if job.solver == SWEEP else np.nan)
            record("undecided", runs.Estimate(found["undecided"], np.nan, np.nan, found["queries"], "count"))
            record("failed", np.array([not found["queries"]]), statistic="count")
    run.table("costs", costs(rows, config.problems))


def claims(results: runs.Results) -> Iterator[runs.Claim]:
    """hullx.sweep against the fastest peer on each problem, and its gaps."""
    for data in results.names("data"):
        others = [row for row in results.select(data=data, quantity=RATIO) if row.group not in HULLX and row.value > 0]
        if others:
            fastest = min(others, key=lambda row: row.value)
            name, note = "hullx.sweep is faster per query than any peer", f"fastest peer: {fastest.group}"
            about = {"data": data, "group": SWEEP, "unit": " ×"}
            verdict = runs.above(fastest.estimate, 1)
            yield runs.Claim.of(fastest.estimate, name, "here", "fastest peer above 1 ×", verdict, note=note, **about)
        if SWEEP not in results.names("group", data=data):
            continue
        gap, rtol = results.estimate(GAP, data=data, group=SWEEP), results.config["rtol"]
        verdict = runs.HOLDS if gap.value <= rtol else runs.FAILS  # for each checked query
        about = {"data": data, "group": SWEEP, "note": "largest of up to 20"}
        yield runs.Claim.of(gap, "gaps recomputed from raw points meet the tolerance", "here", f"{rtol:g}", verdict, **about)


def figures(results: runs.Results) -> plotting.Figures:
    """Seconds per query against the number of points, the dimension and the number of queries, if they vary."""
    jobs = results.table("jobs")
    jobs = {name: values[jobs["queries"] > 0] for name, values in jobs.items()}
    samples = [Sample(name) for name in jobs["problem"]]
    n = np.array([sample.train_size or 0 for sample in samples])
    dimension = np.array([int(sample.name.removeprefix("gaussian")) if "gaussian" in sample else 0 for sample in samples])
    mnist = np.array([sample.name == "mnist" for sample in samples])
    single = jobs["asked"] == results.config["queries"]
    panels = [
        ("points n (MNIST, d = 784)", n, mnist & single),
        ("dimension d (Gaussian samples, n = 5,000)", dimension, (dimension > 0) & (n == 5000)),
        ("queries (MNIST, n = 5,000)", jobs["asked"], mnist & (n == 5000) & (jobs["solver"] == SWEEP)),
    ]
    panels = [panel for panel in panels if len(np.unique(panel[1][panel[2]])) > 1]
    drawn = bars(results)
    for place, data in zip(drawn.axes, results.names("data"), strict=True):
        plotting.whole_decades(place, [row.value for row in results.select(data=data, quantity=SECONDS)])
    yield "solvers", drawn
    if panels:
        size = 1.5 + 4.2 * len(panels), 5.6
        drawn, axes = plotting.figure(1, len(panels), size=size, title="Cost of a certified projection: seconds per query")
        for place, (label, horizontal, chosen) in zip(axes[0], panels, strict=True):
            order = np.argsort(horizontal[chosen], kind="stable")
            shown = {name: values[chosen][order] for name, values in (jobs | {"horizontal": horizontal}).items()}
            plotting.lines(place, shown, "horizontal", "seconds_a_query", by="solver", names=ALL, marker="o", markersize=4)
            place.set(xlabel=label, ylabel=SECONDS, xscale="log", yscale="log")
        drawn.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
        yield "cost", drawn


def bars(results: runs.Results):
    """Draw the seconds per query of each solver on each problem."""
    problems = results.names("data")
    title = "Cost of a certified projection: seconds per query by solver (no dot: no answer in time, or not installed)"
    drawn, axes = plotting.figure(1, len(problems), size=(2.5 + 2.2 * len(problems), 4.4), title=title)
    for place, data in zip(axes[0], problems, strict=True):
        rows = results.select(data=data, quantity=SECONDS)
        for i, row in enumerate(rows):
            place.plot(row.value, i, "o", color=plotting.COLOURS[0 if row.group in HULLX else 1])
        place.set(title=data, xscale="log", xlabel=SECONDS, yticks=range(len(rows)), ylim=(len(rows) - 0.5, -0.5))
        place.set_yticklabels([row.group for row in rows] if place is axes[0, 0] else [])
        place.grid(axis="y", alpha=0.3)
    return drawn


experiment = runs.Experiment(Config, PRESETS, measure, claims, figures)
if __name__ == "__main__":
    experiment.main()
