"""The driver outside jit: a queue of queries that runs rounds of column generation until each query is decided.

The driver takes a batch of fixed shape, runs one round, and puts undecided queries back. A query whose support outgrows its
stage moves to a stage with more capacity. A query that its arithmetic cannot decide moves to one with more precision.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import numpy as np

from hullx.core.sources import HostSource
from hullx.core.stages import Method, Stage, next_stages, working_dtype
from hullx.core.state import CROWDED, GOING, STUCK, Goal, QueryState, final_status, init, pad_slots, reopen, subset, to_host
from hullx.numerics.batching import fill
from hullx.runs.progress import Tally
from hullx.types import decided

# The growth of a starting support that its first stage must allow.
GROWTH = 1.2
# Fresh queries begin in a stage with more capacity once this share of a batch outgrows the first stage.
CROWDED_SHARE = 0.25


class Start(NamedTuple):
    """The start of the search, one query per row: a support with weights, and candidates."""

    support: np.ndarray  # (m, k)
    weights: np.ndarray  # (m, k) float64; NaN or 0 for a query that was never projected
    candidates: np.ndarray  # (m, c)
    steps: np.ndarray  # (m,) so far

    def part(self, rows: slice) -> Start:
        """The start of some of the queries."""
        return Start(*(field[rows] for field in self))


class Work(NamedTuple):
    """The source, stages, goal and callbacks of a queue."""

    source: HostSource
    stages: list[Stage]
    goal: Goal
    record: Callable[[QueryState], None]  # called with the states of finished queries
    tally: Tally


@dataclass
class Queue:
    """Waiting queries: rows of those without a first round, and states of the others by stage."""

    fresh: np.ndarray
    waiting: list[QueryState | None]
    entry: int = 0  # the first stage of a fresh query

    def put(self, state: QueryState, to: np.ndarray, stages: list[Stage]) -> None:
        """Add queries, each to a stage given by its index."""
        for stage in np.unique(to):
            moving, here = pad_slots(subset(state, to == stage), stages[stage].candidates), self.waiting[stage]
            self.waiting[stage] = moving if here is None else _concatenate(here, moving)

    def take(self, stages: list[Stage], begin: Callable[[np.ndarray], None]) -> tuple[int, QueryState] | None:
        """The stage and state of the next batch: a full one if possible, adding fresh queries, else an incomplete one."""
        while True:
            waiting = [0 if state is None else len(state.row) for state in self.waiting]
            full = [i for i, count in enumerate(waiting) if count >= stages[i].batch]
            if full or not len(self.fresh):
                break
            some_rows, self.fresh = np.split(self.fresh, [stages[self.entry].batch])
            begin(some_rows)
        now = full[0] if full else next((i for i, count in enumerate(waiting) if count), None)
        if now is None or (state := self.waiting[now]) is None:
            return None
        batch = stages[now].batch
        self.waiting[now] = subset(state, slice(batch, None)) if len(state.row) > batch else None
        return now, subset(state, slice(batch))


def run_queue(
    queries: np.ndarray,
    work: Work,
    *,
    start: Start | None = None,
    undecided: QueryState | None = None,
    excluded: np.ndarray | None = None,
) -> None:
    """Project queries onto a source's points; record the state of each query when it ends.

    Args:
        queries: raw, (m, d).
        start: the initial supports; None for the nearest points.
        undecided: states of the queries left undecided by a first stage, instead of all queries.
        excluded: (m,) int32, rows that do not belong to the hulls, or None.
    """
    source, stages, goal, record, tally = work
    fresh = np.flatnonzero(np.isfinite(queries).all(1)) if undecided is None else np.zeros(0, np.int64)
    queue = Queue(fresh, [None] * len(stages))
    done, certified = len(queries) - len(fresh if undecided is None else undecided.row), 0
    if undecided is not None:
        queue.put(reopen(undecided, undecided.status < 0), _next_stage(stages, 0, undecided.status), stages)

    def begin(rows: np.ndarray) -> None:
        if start is None:
            stage = stages[queue.entry]
            queue.put(_on_nearest(source, queries, rows, stage, excluded), np.full(len(rows), queue.entry), stages)
        else:
            queue.put(*_on_start(queries, rows, start, stages, int(goal.most), excluded), stages)

    while (taken := queue.take(stages, begin)) is not None:
        now, state = taken
        found = _advance(source, state, goal, stages[now])
        to = _next_stage(stages, now, found.status)
        # A query also ends if no stage has the capacity or precision that it needs.
        over = (found.status >= 0) | ((found.status != GOING) & (to == now))
        ended = subset(found, over)
        ended = ended._replace(status=final_status(ended.status))
        record(ended)
        queue.put(subset(reopen(found, to != now), ~over), to[~over], stages)
        wider, _ = next_stages(stages, now)
        crowded = (found.status == CROWDED).mean() > CROWDED_SHARE
        if now == queue.entry and stages[wider].method is Method.FLOAT32 and crowded:
            queue.entry = wider
        done, certified = done + int(over.sum()), certified + int(decided(ended.status).sum())
        tally(done, certified)


def _advance(source: HostSource, state: QueryState, goal: Goal, stage: Stage) -> QueryState:
    """Run one round of a batch, padded to the stage's size; return host arrays."""
    count = len(state.row)
    padded = jax.tree.map(lambda field: fill(field, stage.batch), state)
    found = source.advance(padded, np.arange(stage.batch) < count, goal, stage)
    return to_host(found, count)


def _next_stage(stages: list[Stage], now: int, status: np.ndarray) -> np.ndarray:
    """The stage of each query's next round: more capacity if CROWDED, more precision if STUCK, else the same."""
    wider, better = next_stages(stages, now)
    return np.where(status == CROWDED, wider, np.where(status == STUCK, better, now))


def _on_nearest(
    source: HostSource, queries: np.ndarray, rows: np.ndarray, stage: Stage, excluded: np.ndarray | None
) -> QueryState:
    """Initial states on the nearest point, with the nearest points as candidates."""
    mine = None if excluded is None else excluded[rows]
    filled = None if mine is None else fill(mine, stage.batch)
    candidates = np.asarray(source.nearest(fill(queries[rows], stage.batch), stage.candidates, filled))[: len(rows)]
    return init(rows, queries[rows], candidates, working_dtype(stage.method, queries.dtype), mine)


def _on_start(
    queries: np.ndarray, rows: np.ndarray, start: Start, stages: list[Stage], most: int, excluded: np.ndarray | None
) -> tuple[QueryState, np.ndarray]:
    """Initial states on given supports, in the first stage that leaves room for growth."""
    weights = np.where(np.isfinite(start.weights[rows]), start.weights[rows], 0)
    support, candidates = np.asarray(start.support, np.int32)[rows], start.candidates[rows]
    mine = None if excluded is None else excluded[rows]
    if mine is not None:
        # Another row, the first or the second, replaces an excluded one, without its weight.
        other = np.where(mine == 0, 1, 0).astype(np.int32)[:, None]
        weights = np.where(support == mine[:, None], 0, weights)
        support, candidates = (np.where(field == mine[:, None], other, field) for field in (support, candidates))
    weights[weights.sum(1) == 0, 0] = 1  # queries without weights start on the first point
    order = np.argsort(-weights, axis=1, kind="stable")
    weights, support = np.take_along_axis(weights, order, 1), np.take_along_axis(support, order, 1)
    # A coarse start or an earlier result may have a larger support than the solver allows.
    weights, support = weights[:, :most], support[:, :most]
    size = np.minimum((weights > 0).sum(1) * GROWTH, most)
    stage_of = (np.array([stage.capacity for stage in stages]) >= size[:, None]).argmax(1)
    slots = max(stage.candidates for stage in (stages[i] for i in np.unique(stage_of)))
    state = init(rows, queries[rows], candidates, working_dtype(stages[0].method, queries.dtype), mine)
    state = pad_slots(state._replace(steps=start.steps[rows].astype(np.int32)), slots)
    width = min(state.support.shape[1], support.shape[1])
    weights = weights[:, :width] / weights[:, :width].sum(1, keepdims=True)
    missing = ((0, 0), (0, state.support.shape[1] - width))
    state = state._replace(support=np.pad(support[:, :width], missing), weights=np.pad(weights, missing))
    return state, stage_of


def _concatenate(these: QueryState, those: QueryState) -> QueryState:
    return jax.tree.map(lambda *pair: np.concatenate(pair), these, those)
