"""What `experiments.bench_solvers` times: one solver on one problem, in a process of its own and under a time limit."""

from __future__ import annotations

import multiprocessing
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import jax
import numpy as np

import hullx
from experiments import peers
from experiments.products import product_seconds
from hullx.data import Sample, load

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
# A job that takes so many seconds is not run a second time.
LONG = 60
# What is known of a job without an answer: seconds in all, of each query where they come one by one, and of two products.
NOTHING = {"each": np.array([np.nan]), "seconds": np.nan, "first": np.nan, "floor": np.nan, "gap": np.nan, "queries": 0}


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
    sample, rng = Sample(job.problem), np.random.default_rng(job.seed)
    name, size = sample.name, sample.train_size
    if name.startswith("gaussian"):
        d = int(name.removeprefix("gaussian"))
        # The setting of the notebook of arXiv 2102.10502: queries around (1, …, 1).
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


def in_process(job: Job) -> dict[str, Any]:
    """What came of the job, or why nothing did."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(job, theirs), daemon=True)
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


def _work(job: Job, pipe: Connection) -> None:
    """The job, in its own process: sends what came of it."""
    queries, points = problem(job)
    # Once loaded, what counts is what the solver adds.
    loaded = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        found = (_hullx if job.solver in HULLX else _peer)(job, queries, points)
    except (ImportError, ArithmeticError) as error:
        found = NOTHING | {"undecided": 0, "status": str(error)}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    pipe.send(found | {"peak_gb": peak / 2**20, "loaded_gb": loaded / 2**20})


def _hullx(job: Job, queries: np.ndarray, points: np.ndarray) -> dict[str, Any]:
    """First and second call on the whole batch, and the two products that are the floor."""
    floor = 2 * product_seconds(queries, points)
    solver, dtype, count = PROJECT.get(job.solver, ("", np.float32, len(queries)))
    queries, points = queries[:count].astype(dtype, copy=False), points.astype(dtype, copy=False)

    def call() -> hullx.Projection:
        if job.solver == SWEEP:
            return hullx.sweep(queries, points, rtol=job.rtol, progress=False)
        return jax.tree.map(np.asarray, hullx.project(queries, points, rtol=job.rtol, solver=solver))

    with jax.enable_x64(dtype == np.float64):
        first, result = _timed(call)
        second, result = _timed(call) if first < LONG else (first, result)
    # float32 proves no more than its rounding: the gap is that of what it found all the same.
    used = (result.status == hullx.Status.CONVERGED) | (job.solver != SWEEP)
    gaps = [
        peers.gap(queries[i], points, np.bincount(result.support[i], result.weights[i], len(points)))
        for i in np.flatnonzero(used)[:CHECKED]
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
        "status": " ".join(f"{count} {name}" for name, count in ends.items() if count),
    }


def _peer(job: Job, queries: np.ndarray, points: np.ndarray) -> dict[str, Any]:
    """One query after the other; the first comes once more before, where that compiles something."""
    jax.config.update("jax_enable_x64", True)
    solve = peers.peers(job.rtol)[job.solver]()
    if job.solver in peers.COMPILED:
        solve(queries[0], points)
    gaps, each, began = [], [], time.perf_counter()
    for query in queries:
        seconds, weights = _timed(lambda query=query: solve(query, points))
        each.append(seconds)
        gaps.append(peers.gap(query, points, weights))
        if time.perf_counter() - began > job.limit / 10 or len(gaps) == CHECKED:
            break
    seconds = {"seconds": sum(each), "first": sum(each), "floor": 0.0}
    return {"each": np.array(each), **seconds, "queries": len(each), "undecided": 0, "gap": max(gaps), "status": ""}


def _timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds that a call takes, and its result."""
    began = time.perf_counter()
    result = call()
    return time.perf_counter() - began, result
