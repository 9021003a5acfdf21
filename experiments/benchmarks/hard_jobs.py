"""The jobs of `experiments.bench_hard`: all problems of a class by one solver, under a time limit."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import jax
import numpy as np

import hullx
from experiments.shared import baselines

from .hard_check import Answer, bounds
from .hard_problems import Problem

HULLX = {
    f"hullx.{function} {dtype.__name__}": (function, dtype)
    for function in ("sweep", "project")
    for dtype in (np.float64, np.float32)
}
PEERS = tuple(name for name in baselines.solvers(0) if name not in baselines.STOP_AT_GAP)
# Peers that build the n × n matrix of products get no larger problems.
DENSE_ROWS = 4096


class Checked(NamedTuple):
    """What the check says of a job, for the k problems that were attempted, in their order, and a remark."""

    bounds: np.ndarray  # (k, 8, 3) `Bounds` of each query; NaN without an answer
    seconds: np.ndarray  # (k,) per query; NaN without an answer
    undecided: np.ndarray  # (k,) number of queries that hullx reports as undecided
    contradicted: np.ndarray  # (k,) number of hullx's reported brackets that the check contradicts
    remark: str = ""


def run_hullx(name: str, problems: list[Problem], limit: float, rtol: float) -> Checked:
    """hullx on all problems, each as one batch, until the limit; the second call is timed."""
    function, dtype = HULLX[name]
    rows, began = [], time.perf_counter()
    for problem in problems:
        if time.perf_counter() - began > limit:
            break
        queries, points = problem.queries.astype(dtype), problem.points.astype(dtype)
        call: Callable[..., Any] = partial(hullx.sweep, progress=False) if function == "sweep" else hullx.project
        with jax.enable_x64(dtype == np.float64):
            call(queries, points, rtol=rtol)
            start = time.perf_counter()
            found = jax.tree.map(np.asarray, call(queries, points, rtol=rtol))
            seconds = (time.perf_counter() - start) / len(queries)
        answers = [Answer(*each) for each in zip(found.support, found.weights, found.direction, strict=True)]
        proved = _proved(problem, answers)
        wrong = (found.lower > proved[:, 1]) | (found.distance < proved[:, 0])
        rows.append((proved, seconds, (~found.decided).sum(), wrong.sum()))
    return _joined(rows, "" if len(rows) == len(problems) else f"stopped after {limit:.0f} s")


def run_peer(name: str, problems: list[Problem], limit: float, rtol: float) -> Checked:
    """A peer on one query after the other, in a separate process, which ends at the limit.

    The problem that it has not finished then counts as not solved, and those after it as not attempted.
    """
    if name in baselines.DENSE:
        problems = [problem for problem in problems if len(problem.points) <= DENSE_ROWS]
    context: Any = multiprocessing.get_context(
        "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    )
    if context.get_start_method() == "forkserver":
        context.set_forkserver_preload([baselines.__name__])  # so that a process starts at once
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(name, problems, rtol, theirs), daemon=True)
    process.start()
    theirs.close()
    rows, remark, ends = [], "", None
    for problem in problems:
        answers, seconds = [], []
        for _ in problem.queries:
            ends = ends or _first(ours, limit)
            if isinstance(ends, str):
                remark = ends
                break
            try:
                left = ends - time.perf_counter()
                said = ours.recv() if left > 0 and ours.poll(left) else None
            except EOFError:
                said, remark = None, "its process died"
            if said is None:
                remark = remark or f"stopped after {limit:.0f} s"
                break
            seconds.append(said[0])
            answers.append(said[1])
        if isinstance(ends, str):
            break
        rows.append((_proved(problem, answers), np.mean(seconds) if seconds else np.nan, 0, 0))
        if remark:
            break
    process.kill()
    process.join()
    return _joined(rows, remark)


def _first(pipe: Connection, limit: float) -> float | str:
    """The time at which a started process must end, or the reason why it does not start."""
    try:
        said = pipe.recv()
    except EOFError:
        return "its process died"
    return said or time.perf_counter() + limit


def _answer(name: str, problems: list[Problem], rtol: float, pipe: Connection) -> None:
    """In a process: send "" once the solver is there, then seconds and an answer for each query."""
    jax.config.update("jax_enable_x64", True)
    try:
        solve = baselines.solvers(rtol, tight=True)[name]()
    except ImportError as error:
        pipe.send(f"not installed: {error}")
        return
    pipe.send("")
    for problem in problems:
        if name in baselines.COMPILED:
            with suppress(Exception):
                solve(problem.queries[0], problem.points)
        for query in problem.queries:
            start, weights = time.perf_counter(), np.zeros(1)
            with suppress(Exception):  # solvers report failure by many types
                weights = solve(query, problem.points)
            seconds = time.perf_counter() - start
            support = np.flatnonzero(weights)
            pipe.send((seconds, Answer(support, weights[support])))


def _proved(problem: Problem, answers: list[Answer]) -> np.ndarray:
    """Bounds for the queries that have answers, and NaN for the others, (8, 3)."""
    proved = np.full((len(problem.queries), 3), np.nan)
    for row, query, answer in zip(proved, problem.queries, answers, strict=False):
        row[:] = bounds(query, problem.points, answer)
    return proved


def _joined(rows: list[tuple[Any, ...]], remark: str) -> Checked:
    columns = [np.array(column) for column in zip(*rows, strict=True)] if rows else [np.zeros((0, 8, 3)), *[np.zeros(0)] * 3]
    return Checked._make([*columns, remark])
