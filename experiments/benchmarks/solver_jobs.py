"""The jobs of `experiments.bench_solvers`: one solver on one problem, in a separate process with a time limit."""

from __future__ import annotations

import multiprocessing
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import jax
import numpy as np

import hullx
from experiments.shared import baselines
from experiments.shared.product_time import product_seconds
from hullx.data import Sample, load

SWEEP = "hullx.sweep"


class Case(NamedTuple):
    """How a job calls hullx.project."""

    solver: str = "active_set"
    dtype: type = np.float64
    queries: int = 64
    gradient: bool = False  # also the gradient of the sum of all distances in the queries
    jitted: bool = False


PROJECT = {
    f"hullx.project {dtype.__name__}{how}": case._replace(dtype=dtype)
    for dtype in (np.float32, np.float64)
    for how, case in {
        "": Case(),
        ", 1 query": Case(queries=1),
        ", 1,024 queries": Case(queries=1024),
        ", gradient": Case(gradient=True),
        ", in jit": Case(jitted=True),
        ", gradient in jit": Case(gradient=True, jitted=True),
    }.items()
}
# First-order methods get few queries, because they take hundreds of steps.
OTHERS = {
    "hullx.project sketching": Case("sketching"),
    "hullx.project frank_wolfe": Case("frank_wolfe", queries=4),
    "hullx.project projected_gradient": Case("projected_gradient", queries=4),
}
HULLX = (SWEEP, *PROJECT, *OTHERS)
FIRST_ORDER = ("hullx.project frank_wolfe", "hullx.project projected_gradient")
BATCHED = tuple(name for name in HULLX if name not in FIRST_ORDER)
CHECKED = 20  # number of queries whose gap is recomputed
# A job that takes this many seconds is not run a second time.
LONG = 60
# Results of a job without an answer; "each" is seconds per query, "floor" the seconds of two matrix products.
NOTHING = {
    "each": np.array([np.nan]),
    "seconds": np.nan,
    "first": np.nan,
    "floor": np.nan,
    "gap": np.nan,
    "queries": 0,
    "points_gb": np.nan,
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


def load_problem(job: Job) -> tuple[np.ndarray, np.ndarray]:
    """Queries and points, float32, by name: a data set, gaussian<d> or relu<d>, each with :n for the number of points.

    relu<d> is a random ReLU layer on MNIST. A third of its queries are test images, a third convex combinations of points, and
    a third points of the hull moved outward along a residual by a millionth of the points' spread.
    """
    sample, rng = Sample(job.problem), np.random.default_rng(job.seed)
    name, size = sample.name, sample.train_size
    if name.startswith("gaussian"):
        d = int(name.removeprefix("gaussian"))
        # As in the notebook of arXiv 2102.10502: queries are centred at (1, …, 1).
        points = rng.standard_normal((size or 0, d), dtype=np.float32)
        return rng.standard_normal((job.queries, d), dtype=np.float32) + 1, points
    data = load("mnist" if name.startswith("relu") else name, train_size=size, data_dir=job.data_dir)
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


def run_in_process(job: Job) -> dict[str, Any]:
    """The job's results, or the reason for their absence."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_run_job, args=(job, theirs), daemon=True)
    process.start()
    theirs.close()
    nothing = NOTHING | {"undecided": 0, "peak_gb": np.nan, "loaded_gb": np.nan}
    try:
        found = ours.recv() if ours.poll(job.limit) else nothing | {"status": f"no answer in {job.limit:.0f} s"}
    except EOFError:
        found = nothing | {"status": "failed"}
    process.kill()
    process.join()
    return found


def _run_job(job: Job, pipe: Connection) -> None:
    """Run the job in its own process, and send the results."""
    queries, points = load_problem(job)
    # Memory after loading: the solver's own use is what exceeds it.
    loaded = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        found = (_run_hullx if job.solver in HULLX else _run_peer)(job, queries, points)
    except (ImportError, ArithmeticError) as error:
        found = NOTHING | {"undecided": 0, "status": str(error)}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    pipe.send(found | {"peak_gb": peak / 2**20, "loaded_gb": loaded / 2**20})


def _run_hullx(job: Job, queries: np.ndarray, points: np.ndarray) -> dict[str, Any]:
    """Time the first and second call on the whole batch, and the two products that bound the time from below."""
    floor = 2 * product_seconds(queries, points)
    case = (PROJECT | OTHERS).get(job.solver, Case(dtype=np.float32, queries=len(queries)))
    queries, points = queries[: case.queries].astype(case.dtype, copy=False), points.astype(case.dtype, copy=False)
    known = {"rtol": job.rtol, "solver": case.solver}

    def total(queries: jax.Array, points: jax.Array) -> tuple[jax.Array, hullx.Projection]:
        found = hullx.project(queries, points, **known)
        return found.distance.sum(), found

    gradient = jax.value_and_grad(total, has_aux=True)
    call = gradient if case.gradient else partial(hullx.project, **known)
    call = jax.jit(call) if case.jitted else call

    def projections() -> hullx.Projection:
        if job.solver == SWEEP:
            return hullx.sweep(queries, points, rtol=job.rtol, progress=False)
        found = jax.tree.map(np.asarray, call(queries, points))
        return found[0][1] if case.gradient else found

    with jax.enable_x64(case.dtype == np.float64):
        if job.solver != SWEEP:
            queries, points = jax.block_until_ready(jax.device_put((queries, points)))
        first, result = _time(projections)
        second, result = _time(projections) if first < LONG else (first, result)
    queries, points = np.asarray(queries), np.asarray(points)
    gaps = [
        baselines.gap(queries[i], points, np.bincount(result.support[i], result.weights[i], len(points)))
        for i in np.flatnonzero(result.status == hullx.Status.CONVERGED)[:CHECKED]
    ]
    ends = {member.name: int((result.status == member).sum()) for member in hullx.Status}
    return {
        "each": np.array([second / len(queries)]),
        "seconds": second,
        "first": first,
        "floor": floor,
        "queries": len(queries),
        "undecided": int((~result.decided).sum()),
        "gap": max(gaps, default=0.0),
        "points_gb": points.nbytes / 2**30,
        "status": " ".join(f"{count} {name}" for name, count in ends.items() if count),
    }


def _run_peer(job: Job, queries: np.ndarray, points: np.ndarray) -> dict[str, Any]:
    """Solve queries one by one; solvers that compile solve the first query once before."""
    jax.config.update("jax_enable_x64", True)
    solve = baselines.solvers(job.rtol)[job.solver]()
    if job.solver in baselines.COMPILED:
        solve(queries[0], points)
    gaps, each, began = [], [], time.perf_counter()
    for query in queries:
        seconds, weights = _time(lambda query=query: solve(query, points))
        each.append(seconds)
        gaps.append(baselines.gap(query, points, weights))
        if time.perf_counter() - began > job.limit / 10 or len(gaps) == CHECKED:
            break
    seconds = {"seconds": sum(each), "first": sum(each), "floor": 0.0}
    known = {"queries": len(each), "undecided": 0, "gap": max(gaps), "points_gb": points.nbytes / 2**30, "status": ""}
    return {"each": np.array(each), **seconds, **known}


def _time(call: Callable[[], Any]) -> tuple[float, Any]:
    """The seconds of a call, and its result."""
    began = time.perf_counter()
    result = call()
    return time.perf_counter() - began, result


def costs(rows: list[dict[str, Any]], problems: tuple[str, ...]) -> dict[str, list[str]]:
    """A table of solvers by problems: seconds per query of the first solver, and multiples of it for the others.

    In brackets: the seconds of the first call, compilation included, and the number of undecided queries.
    """
    found = {(row["solver"], row["problem"]): row for row in reversed(rows)}
    solvers = list(dict.fromkeys(row["solver"] for row in rows))

    def cell(solver: str, problem: str) -> str:
        row, sweep = (found.get((each, problem), {}) for each in (solver, solvers[0]))
        if not row.get("queries"):
            return "–"
        each, base = row["seconds_a_query"], sweep.get("seconds_a_query", np.nan)
        taken = f"{each:.2g} s" if solver == solvers[0] or np.isnan(base) else f"{each / base:.1f} ×"
        left = f", {row['undecided']} open" if row["undecided"] else ""
        return f"{taken} ({row['first']:.1f} s{left})"

    return {"": solvers} | {problem: [cell(solver, problem) for solver in solvers] for problem in problems}
