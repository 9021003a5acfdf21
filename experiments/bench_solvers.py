"""What does a certified projection cost, by hullx and by what people use instead, all in one run?

Every job runs in a process of its own, one after the other, under a time limit: seconds a query, the certified gap (recomputed
in float64 NumPy from the raw points), and the process's peak memory. hullx is timed on its second call (on the first where that
takes a minute); the first, with compilation, stands beside it in the table. Peers solve queries one by one, as many as a tenth
of the limit allows and at least one.

    python -m experiments.bench_solvers                 digits, a minute
    python -m experiments.bench_solvers cpu             and MNIST at four sizes, CIFAR-10, Gaussian samples
    python -m experiments.bench_solvers paper           whole test sets by hullx.sweep, against two products

The peers: `pip install -e '.[bench]'`. One that is not installed is named so.
"""

from __future__ import annotations

import dataclasses
import multiprocessing
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import jax
import numpy as np
from rich.console import Console
from rich.table import Table

import hullx
from experiments import peers
from experiments.command import main
from hullx.data import load
from hullx.runs import folder as record
from hullx.runs import plotting

SWEEP = "hullx.sweep"
# hullx.project: solver, dtype, and how many queries it gets, for a first-order method takes thousands of steps.
PROJECT = {
    "hullx.project float64": ("active_set", np.float64, 64),
    "hullx.project float32": ("active_set", np.float32, 64),
    "hullx.project sketching": ("sketching", np.float64, 64),
    "hullx.project frank_wolfe": ("frank_wolfe", np.float64, 4),
    "hullx.project projected_gradient": ("projected_gradient", np.float64, 4),
}
HULLX = (SWEEP, *PROJECT)
EXACT = ("active_set", "sketching")
BATCHED = (SWEEP, *(name for name, (solver, *_) in PROJECT.items() if solver in EXACT))
CHECKED = 20  # queries whose gap is recomputed
PRODUCT_ROWS = 256
# A job that takes so many seconds is not run a second time, and one of hullx's that takes so many is given up.
LONG, BATCH_LIMIT = 60, 1200
# What is known of a job without an answer.
NOTHING = dict.fromkeys(("seconds_a_query", "seconds", "seconds_first", "floor", "gap"), np.nan) | {"queries": 0}


@dataclass(frozen=True)
class Config:
    """Settings of the benchmark.

    Attributes:
        problems: as in `problem`, name or name:n.
        curves: problems whose seconds a query are drawn against n, d and the number of queries.
        queries: of each problem for hullx.
        with_peers: whether the peers run too.
        limit: seconds that a peer's job may take, loading and compilation included.
        rtol: relative width of the bracket that is asked for.
        seed: of the random problems and subsets.
        data_dir: where TFDS data sets lie; TFDS's default if not given.
    """

    problems: tuple[str, ...] = ("digits",)
    curves: tuple[str, ...] = ()
    queries: int = 1000
    with_peers: bool = True
    limit: float = 30
    rtol: float = 1e-6
    seed: int = 0
    data_dir: str | None = None


MNIST = tuple(f"mnist:{n}" for n in (1000, 5000, 20000, 60000))
PRESETS = {
    "smoke": Config(),
    "cpu": Config(
        problems=("digits", *MNIST, "cifar10:50000", "gaussian64:50000"),
        curves=tuple(f"gaussian{d}:5000" for d in (8, 16, 32, 64, 128, 256)),
    ),
    "paper": Config(
        problems=("digits", "mnist:60000", "cifar10:50000", "gaussian64:50000", "relu64:50000"),
        queries=10_000,
        with_peers=False,
    ),
}


@dataclass(frozen=True)
class Job:
    """One solver on one problem."""

    problem: str
    solver: str
    queries: int
    rtol: float
    limit: float
    seed: int
    data_dir: str | None


def problem(job: Job) -> tuple[np.ndarray, np.ndarray]:
    """Queries and points, float32, by name: a data set, gaussian<d>, or relu<d>, each with :n for the number of points.

    relu<d> is a random ReLU layer on MNIST: a third of its queries are test images, a third convex combinations of points, and
    a third points of the hull moved out along a residual by a millionth of the cloud's size.
    """
    name, _, size = job.problem.partition(":")
    rng = np.random.default_rng(job.seed)
    if name.startswith("gaussian"):
        d = int(name.removeprefix("gaussian"))
        # The setting of the notebook of arXiv 2102.10502: queries around (1, …, 1).
        points = rng.standard_normal((int(size), d), dtype=np.float32)
        return rng.standard_normal((job.queries, d), dtype=np.float32) + 1, points
    data = load("mnist" if name.startswith("relu") else name, train_size=int(size) if size else None, data_dir=job.data_dir)
    queries, points = data.test.rows[: job.queries], data.train.rows
    if not name.startswith("relu"):
        return queries, points
    d = int(name.removeprefix("relu"))
    layer = rng.standard_normal((points.shape[1], d), dtype=np.float32) / np.float32(points.shape[1] ** 0.5)
    points, queries = np.maximum(points @ layer, 0), np.maximum(queries @ layer, 0)
    third = len(queries) // 3
    weights = rng.dirichlet(np.ones(8), third)
    queries[:third] = np.einsum("mk,mkd->md", weights, points[rng.integers(0, len(points), (third, 8))])
    outside = hullx.sweep(queries[third : 2 * third], points, progress=False)
    queries[third : 2 * third] = outside.point + 1e-6 * np.linalg.norm(points.std(0)) * outside.direction
    return queries, points


def work(job: Job, pipe: Connection) -> None:
    """The job, in its own process: sends its row of the table."""
    queries, points = problem(job)
    # Once loaded, what counts is what the solver adds.
    loaded = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        row = (measure_hullx if job.solver in HULLX else measure_peer)(job, queries, points)
    except (ImportError, ArithmeticError) as error:
        row = NOTHING | {"status": str(error)}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    pipe.send(row | {"peak_mb": peak / 1024, "loaded_mb": loaded / 1024})


def measure_hullx(job: Job, queries: np.ndarray, points: np.ndarray) -> dict:
    """First and second call on the whole batch, and the two products that are the floor."""
    floor = 2 * product_seconds(queries, points)
    solver, dtype, count = PROJECT.get(job.solver, ("", np.float32, len(queries)))
    queries, points = queries[:count].astype(dtype, copy=False), points.astype(dtype, copy=False)

    def call() -> hullx.Projection:
        if job.solver == SWEEP:
            return hullx.sweep(queries, points, rtol=job.rtol, progress=False)
        return jax.tree.map(np.asarray, hullx.project(queries, points, rtol=job.rtol, solver=solver))

    with jax.enable_x64(dtype == np.float64):
        first, result = timed(call)
        second, result = timed(call) if first < LONG else (first, result)
    # float32 proves no more than its rounding: the gap is that of what it found all the same.
    used = (result.status == hullx.Status.CONVERGED) | (job.solver != SWEEP)
    gaps = [
        peers.gap(queries[i], points, np.bincount(result.support[i], result.weights[i], len(points)))
        for i in np.flatnonzero(used)[:CHECKED]
    ]
    return {
        "seconds_a_query": second / len(queries),
        "seconds": second,
        "seconds_first": first,
        "floor": floor,
        "queries": len(queries),
        "gap": max(gaps, default=0.0),
        "status": " ".join(f"{count} {name}" for name, count in record.statuses(result.status).items()),
    }


def measure_peer(job: Job, queries: np.ndarray, points: np.ndarray) -> dict:
    """One query after the other; the first comes once more before, where that compiles something."""
    jax.config.update("jax_enable_x64", True)
    solve = peers.peers(job.rtol)[job.solver]()
    if job.solver in peers.COMPILED:
        solve(queries[0], points)
    gaps, began = [], time.perf_counter()
    spent = 0.0
    for query in queries:
        seconds, weights = timed(lambda query=query: solve(query, points))
        spent += seconds
        gaps.append(peers.gap(query, points, weights))
        if time.perf_counter() - began > job.limit / 10 or len(gaps) == CHECKED:
            break
    return {
        "seconds_a_query": spent / len(gaps),
        "seconds": spent,
        "seconds_first": spent,
        "floor": 0.0,
        "queries": len(gaps),
        "gap": max(gaps),
        "status": "",
    }


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds that a call takes, and its result."""
    began = time.perf_counter()
    result = call()
    return time.perf_counter() - began, result


def product_seconds(queries: np.ndarray, points: np.ndarray) -> float:
    """Seconds of one float32 product of queries by points, from a few batches of queries."""
    product = jax.jit(lambda a, b: jax.numpy.matmul(a, b.T, precision="highest"))
    batch, placed = queries[:PRODUCT_ROWS].astype(np.float32), jax.numpy.asarray(points, np.float32)
    jax.block_until_ready(product(batch, placed))
    repeats = 3
    seconds, _ = timed(lambda: [jax.block_until_ready(product(batch, placed)) for _ in range(repeats)])
    return seconds / repeats / len(batch) * len(queries)


def in_process(job: Job) -> dict:
    """The job's row, or why there is none."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=work, args=(job, theirs), daemon=True)
    process.start()
    theirs.close()
    memory = {"peak_mb": np.nan, "loaded_mb": np.nan}
    try:
        row = ours.recv() if ours.poll(job.limit) else NOTHING | memory | {"status": f"no answer in {job.limit:.0f} s"}
    except EOFError:
        row = NOTHING | memory | {"status": "failed"}
    process.kill()
    process.join()
    return {"problem": job.problem, "solver": job.solver, **row}


def run(config: Config, folder: record.Run) -> None:
    """All jobs in turn; the table is rewritten after each, so that an interrupted run keeps what it has."""
    solvers = [*HULLX, *peers.peers(config.rtol)] if config.with_peers else [SWEEP]
    common = {name: getattr(config, name) for name in ("rtol", "limit", "seed", "data_dir")}
    jobs = [Job(problem, solver, config.queries, **common) for problem in config.problems for solver in solvers]
    jobs += [Job(problem, solver, 256, **common) for problem in config.curves for solver in (SWEEP, "scipy nnls")]
    if config.curves:
        jobs += [Job("mnist:5000", SWEEP, count, **common) for count in (1, 10, 100, 10_000)]
    # hullx's exact solvers do whole batches of queries, and get the time for it.
    jobs = [dataclasses.replace(job, limit=BATCH_LIMIT) if job.solver in BATCHED else job for job in jobs]
    rows: list[dict] = []
    for job in jobs:
        rows.append({"asked": job.queries, **in_process(job)})
        folder.metric(**rows[-1])
        folder.table("jobs", {name: [row[name] for row in rows] for name in rows[0]})
        last = rows[-1]
        Console(stderr=True).print(f"{job.problem} {job.solver}: {last['seconds_a_query']:.2g} s a query {last['status']}")
    tables = {name: ratios(name, [row for row in rows if row["problem"] == name]) for name in config.problems}
    folder.finish({"config": dataclasses.asdict(config), "ratios": tables, "claims": {}})
    figures(folder.folder)
    for name in config.problems:
        Console().print(closing_table(name, rows), highlight=False)


def ratios(name: str, rows: list[dict]) -> dict:
    """Seconds a query of each solver over hullx.sweep's."""
    ours = next(row["seconds_a_query"] for row in rows if row["solver"] == SWEEP)
    return {row["solver"]: float(row["seconds_a_query"] / ours) for row in rows}


def closing_table(name: str, rows: list[dict]) -> Table:
    """One row a solver."""
    table = Table(title=name)
    for heading in (
        "solver",
        "seconds a query",
        "÷ hullx.sweep",
        "certified gap",
        "peak memory",
        "÷ two products",
        "how it ended",
    ):
        table.add_column(heading, justify="left" if heading == "solver" else "right")
    mine = [row for row in rows if row["problem"] == name]
    for row, ratio in zip(mine, ratios(name, mine).values(), strict=True):
        answered = row["queries"] > 0
        table.add_row(
            row["solver"],
            f"{row['seconds_a_query']:.2g}" if answered else "–",
            f"{ratio:,.2g}" if answered else "–",
            f"{row['gap']:.0e}" if answered else "–",
            f"{row['peak_mb'] / 1024:.1f} GB" if answered else "–",
            f"{row['seconds'] / row['floor']:.1f}" if row["solver"] == SWEEP and answered else "",
            row["status"],
        )
    return table


def figures(folder: Path) -> None:
    """Seconds a query against the number of points, the dimension and the number of queries: those of them that vary."""
    jobs = record.read_table(folder, "jobs")
    jobs = {name: values[jobs["queries"] > 0] for name, values in jobs.items()}
    names = [name.partition(":") for name in jobs["problem"]]
    n = np.array([int(size or 0) for _, _, size in names])
    dimension = np.array([int(name.removeprefix("gaussian")) if name.startswith("gaussian") else 0 for name, _, _ in names])
    mnist = np.array([name == "mnist" for name, _, _ in names])
    single = jobs["asked"] == jobs["asked"][0]
    panels = [
        ("points n (MNIST, d = 784)", n, mnist & single),
        ("dimension d (Gaussian samples, n = 5,000)", dimension, (dimension > 0) & (n == 5000)),
        ("queries (MNIST, n = 5,000)", jobs["asked"], mnist & (n == 5000) & (jobs["solver"] == SWEEP)),
    ]
    panels = [panel for panel in panels if len(np.unique(panel[1][panel[2]])) > 1]
    if not panels:
        return
    with plotting.figure(folder, "cost", 1, len(panels), size=(1.5 + 4.2 * len(panels), 4.6)) as axes:
        for place, (label, horizontal, chosen) in zip(axes[0], panels, strict=True):
            draw(place, {name: values[chosen] for name, values in jobs.items()}, horizontal[chosen])
            place.set(xlabel=label, ylabel="seconds a query", xscale="log", yscale="log")
        axes[0, 0].legend(fontsize=7, loc="lower left", bbox_to_anchor=(0, 1), ncols=2)


def draw(axes, rows: dict[str, np.ndarray], horizontal: np.ndarray) -> None:
    """A line a solver."""
    solvers = [*HULLX, *peers.peers(0)]
    for i, solver in enumerate(solvers):
        mine = rows["solver"] == solver
        order = np.argsort(horizontal[mine])
        if mine.any():
            style = {"color": plotting.COLOURS[i % len(plotting.COLOURS)], "marker": "os^"[i // len(plotting.COLOURS)]}
            axes.plot(horizontal[mine][order], rows["seconds_a_query"][mine][order], label=solver, markersize=4, **style)


if __name__ == "__main__":
    main("experiments.bench_solvers", __doc__, PRESETS, run)
