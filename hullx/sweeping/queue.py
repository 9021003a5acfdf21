"""The queue of a sweep: queries in rounds of column generation, until each is decided.

A query first meets `nearest` of `core.rounds`, then `advance` until it is decided; those not yet decided go back into the
queue, so that both always run on full batches of one shape. A query whose support outgrows the capacity of its stage, or that
its arithmetic cannot settle, moves to the next stage: more capacity, more digits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np

from hullx import certificate
from hullx.core import rounds
from hullx.core.hull import Frame
from hullx.core.rounds import Batch, Round
from hullx.core.stage import Method
from hullx.numerics.batching import filled
from hullx.runs.progress import Tally
from hullx.sweeping.ladder import Stage, following
from hullx.sweeping.results import nothing_yet, recorded
from hullx.sweeping.sources import Points
from hullx.types import Projection, Status, decided

# A start's support may grow by so much before it needs a wider stage.
ROOM = 1.2
# Queries begin in a wider stage once so many of a batch have outgrown the first.
CROWDED = 0.25


class Waiting(NamedTuple):
    """Queries between rounds, one a row.

    - query: its row among all queries.
    - support, weights, candidates: as in `rounds.Batch`, of the shape of its stage.
    - upper, width: of the bracket that the last round found, in the frame's units; infinite before the first.
    - steps: taken so far.
    """

    query: np.ndarray
    support: np.ndarray
    weights: np.ndarray
    candidates: np.ndarray
    upper: np.ndarray
    width: np.ndarray
    steps: np.ndarray


class Start(NamedTuple):
    """Where the search begins, one query a row: a support with weights, and what may join it."""

    support: np.ndarray  # (m, k)
    weights: np.ndarray  # (m, k) float64; NaN or 0 for a query that was never projected
    candidates: np.ndarray  # (m, c)
    steps: np.ndarray  # (m,) taken so far

    def part(self, rows: slice) -> Start:
        """The same of some of the queries."""
        return Start(*(field[rows] for field in self))


class Goal(NamedTuple):
    """When a query is done."""

    rtol: float
    max_steps: int
    data_dtype: np.dtype  # of queries and points as they came


@dataclass
class Line:
    """Queries that wait for their next round: rows of those that have had none, and by stage those that have."""

    fresh: np.ndarray
    waiting: list[Waiting]
    entry: int = 0  # the stage at which queries begin

    def empty(self) -> bool:
        """Whether nobody waits."""
        return not len(self.fresh) and not any(len(each.query) for each in self.waiting)

    def take(self, queries: np.ndarray, source: Points, ladder: list[Stage]) -> tuple[int, Waiting]:
        """The next batch and its stage: one that is full, or else more queries to fill one, or else what is left.

        Args:
            queries: all of them, raw.
        """
        full = [i for i, each in enumerate(self.waiting) if len(each.query) >= ladder[i].batch]
        now = full[0] if full else next((i for i, each in enumerate(self.waiting) if len(each.query)), self.entry)
        if len(self.fresh) and not full:
            now = self.entry
            some, self.fresh = self.fresh[: ladder[now].batch], self.fresh[ladder[now].batch :]
            self.waiting[now] = _joined(self.waiting[now], _begun(source, queries, some, ladder[now]))
        batch, self.waiting[now] = _split(self.waiting[now], ladder[now].batch)
        return now, batch

    def put(self, waiting: Waiting, to: np.ndarray, ladder: list[Stage]) -> None:
        """Queries back, each into a stage.

        Args:
            to: each one's stage, by its place in the ladder.
        """
        for stage in np.unique(to):
            moving = _some(waiting, to == stage)
            self.waiting[stage] = _joined(self.waiting[stage], _widened(moving, ladder[stage]))


def drain(
    queries: np.ndarray, source: Points, ladder: list[Stage], goal: Goal, start: Start | None, tally: Tally
) -> tuple[Projection, np.ndarray]:
    """The projections of queries onto a source's points, and each query's best candidates, as many as the first stage has.

    Args:
        queries: raw, (m, d).
        ladder: the stages, of which the first is where queries begin.
        start: where the search begins; None for the nearest points.
        tally: called with how many queries are done and how many of them certified, after each round.
    """
    result = nothing_yet(len(queries), queries.shape[1], queries.dtype)
    last = np.zeros((len(queries), ladder[0].candidates), np.int32)
    finite = np.flatnonzero(np.isfinite(queries).all(1))
    done, certified = len(queries) - len(finite), 0
    none = [_begun(source, queries, finite[:0], stage) for stage in ladder]
    line = Line(finite, none) if start is None else Line(finite[:0], _started(start, finite, ladder))

    while not line.empty():
        now, waiting = line.take(queries, source, ladder)
        found = _advance(source, queries, waiting, ladder[now], goal.max_steps)
        solution, steps, width = found.solution, waiting.steps + found.solution.steps, found.solution.upper - found.lower
        full = (solution.weights > 0).sum(1) > ladder[now].capacity
        stuck = full | rounds.stalled(waiting.upper, waiting.width, solution.upper, width, solution.entered)
        to = _onwards(ladder, now, full, stuck)
        status = _judged(source.frame, goal, found, steps, stuck & (to == now))
        over = status >= 0
        query, ended, steps_taken, how = _some((waiting.query, found, steps, status), over)
        result = recorded(result, query, ended, steps_taken, how, float(source.frame.scale))
        last[waiting.query] = found.candidates[:, : last.shape[1]]
        kept = Waiting(waiting.query, solution.support, solution.weights, found.candidates, solution.upper, width, steps)
        line.put(_some(kept, ~over), to[~over], ladder)
        wider, _ = following(ladder, now)
        if now == line.entry and ladder[wider].method is Method.FLOAT32 and full.mean() > CROWDED:
            line.entry = wider
        done += int(over.sum())
        certified += int(decided(status).sum())
        tally(done, certified)
    return result, last


def _advance(source: Points, queries: np.ndarray, waiting: Waiting, stage: Stage, limit: int) -> Round:
    """One round of a batch, as NumPy arrays."""
    batch = Batch(queries[waiting.query], waiting.support, waiting.weights, waiting.candidates)
    padded, left = jax.tree.map(lambda field: filled(field, stage.batch), (batch, limit - waiting.steps))
    active = np.arange(stage.batch) < len(waiting.query)
    found = source.advance(padded, left, active, stage)
    return jax.tree.map(lambda field: np.asarray(field)[: len(waiting.query)], found)


def _onwards(ladder: list[Stage], now: int, full: np.ndarray, stuck: np.ndarray) -> np.ndarray:
    """The stage of each query's next round: more capacity for a full support, more digits where this stage is no help."""
    wider, better = following(ladder, now)
    return np.where(full & (wider > now), wider, np.where(stuck, better, now))


def _judged(frame: Frame, goal: Goal, found: Round, steps: np.ndarray, lost: np.ndarray) -> np.ndarray:
    """How each query has ended; −1 for those that go on.

    Args:
        lost: queries for which no stage can do more.
    """
    solution = found.solution
    underflow = certificate.underflow(
        solution.point.shape[1], solution.weights.shape[1], frame.scale, goal.data_dtype, np.float64
    )
    terms = (solution.weights > 0).sum(1)
    level = certificate.inside_level(frame.radius, terms, underflow, goal.data_dtype, np.float64)
    status = np.array(certificate.status(solution.upper, found.lower, level, goal.rtol))
    status[(status < 0) & lost] = Status.ROUNDING
    status[(status < 0) & (steps >= goal.max_steps)] = Status.MAX_ITER
    return status


def _begun(source: Points, queries: np.ndarray, rows: np.ndarray, stage: Stage) -> Waiting:
    """Queries before their first round: on the nearest point, with the nearest points as candidates."""
    count, first = len(rows), np.arange(stage.candidates) == 0
    candidates = np.zeros((0, stage.candidates), np.int32)
    if count:
        found = source.nearest(filled(queries[rows], stage.batch), stage.candidates)
        candidates = np.asarray(found)[:count]
    return Waiting(
        query=rows,
        support=np.where(first, candidates[:, :1], 0).astype(np.int32),
        weights=np.tile(first.astype(np.float64), (count, 1)),
        candidates=candidates,
        upper=np.full(count, np.inf),
        width=np.full(count, np.inf),
        steps=np.zeros(count, np.int64),
    )


def _started(start: Start, fresh: np.ndarray, ladder: list[Stage]) -> list[Waiting]:
    """Queries that begin on a given support, in the first stage that leaves it room to grow."""
    weights = np.where(np.isfinite(start.weights), start.weights, 0)[fresh]
    support = np.asarray(start.support, np.int32)[fresh]
    weights[weights.sum(1) == 0, 0] = 1  # what was never projected starts on the first point
    order = np.argsort(-weights, axis=1, kind="stable")
    weights, support = np.take_along_axis(weights, order, 1), np.take_along_axis(support, order, 1)
    weights /= weights.sum(1, keepdims=True)
    size = (weights > 0).sum(1) * ROOM
    stage_of = np.searchsorted([stage.capacity for stage in ladder[:-1] if stage.method is ladder[0].method], size)
    waiting = []
    for i, stage in enumerate(ladder):
        mine = stage_of == i
        slots = min(stage.candidates, weights.shape[1])
        none = np.full(mine.sum(), np.inf)
        here = Waiting(
            query=fresh[mine],
            support=support[mine, :slots],
            weights=weights[mine, :slots],
            candidates=start.candidates[fresh[mine]],
            upper=none,
            width=none,
            steps=start.steps[fresh[mine]].astype(np.int64),
        )
        waiting.append(_widened(here, stage))
    return waiting


def _some(fields: Any, which: np.ndarray) -> Any:
    return jax.tree.map(lambda field: field[which], fields)


def _joined(these: Waiting, those: Waiting) -> Waiting:
    return Waiting(*(np.concatenate(pair) for pair in zip(these, those, strict=True)))


def _split(these: Waiting, count: int) -> tuple[Waiting, Waiting]:
    return Waiting(*(field[:count] for field in these)), Waiting(*(field[count:] for field in these))


def _widened(these: Waiting, stage: Stage) -> Waiting:
    """The same queries with the slots of a stage further up."""
    slots = ((0, 0), (0, stage.candidates - these.support.shape[1]))
    missing = ((0, 0), (0, max(stage.candidates - these.candidates.shape[1], 0)))
    return these._replace(
        support=np.pad(these.support, slots),
        weights=np.pad(these.weights, slots),
        candidates=np.pad(these.candidates[:, : stage.candidates], missing, mode="edge"),
    )
