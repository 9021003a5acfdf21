"""The queue of a sweep: queries in rounds of column generation, until each is decided.

A query first meets `nearest` of `core.rounds`, then `advance` until it is decided; those not yet decided go back into the
queue, so that both programs always run on full batches of one shape. A query whose support outgrows the capacity of its stage,
or that its arithmetic cannot settle, moves to the next stage: more capacity, more digits.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import numpy as np

from hullx import certificate
from hullx.core import rounds
from hullx.core.rounds import Method
from hullx.runs.progress import Tally
from hullx.sweeping.results import nothing_yet, recorded
from hullx.sweeping.sources.device import Engine, Sketch
from hullx.types import Projection, Status

# Scores of a batch are one array of float32: at most this many bytes.
SCORE_BYTES = 2**27
# Fewer queries than these make a product no cheaper: reading the points is what takes the time.
SMALLEST_BATCH = 32
# Support slots, and rows of the pool, in the rounds in float32. Supports are 7–46 on MNIST; on CIFAR-10 47 on average, up to
# 303. Each pair is a program to compile: finer steps save a tenth of the time on MNIST and cost as much in compilation.
FLOAT32 = ((64, 96), (128, 160), (256, 288))
# The same among sketches, where a support that needs more will do as it is.
SKETCHED = (64, 96)
# A start's support may grow by so much before it needs a wider stage.
ROOM = 1.2
# Relative width of the bracket at which a projection among sketches is good enough to begin with.
SKETCH_RTOL = 1e-3


class Stage(NamedTuple):
    """The static shape of one compiled round."""

    capacity: int  # support slots
    candidates: int
    method: Method
    batch: int


class Waiting(NamedTuple):
    """Queries between rounds, one a row."""

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


class Goal(NamedTuple):
    """When a query is done."""

    rtol: float
    max_steps: int
    data_dtype: np.dtype  # of queries and points as they came


def stages(n: int, d: int, m: int, engine: Engine) -> list[Stage]:
    """Rounds of growing capacity in float32, then in float64 up to the largest affinely independent support, twice."""
    most, batch = min(n, d + 1), _batch(m, engine)
    sizes = [FLOAT32[1][0]]
    while sizes[-1] < most:
        sizes.append(4 * sizes[-1])
    ladder = [Stage(*size, Method.FLOAT32, batch) for size in FLOAT32]
    for method in (Method.FLOAT64, Method.FACTORED):
        ladder += [Stage(slots, slots + 128, method, SMALLEST_BATCH) for slots in sizes]
    return [_fitted(stage, most, engine) for stage in ladder]


def _batch(m: int, engine: Engine) -> int:
    """How many of m queries go together: as many as the engine makes use of, and as their scores find room for."""
    batch = SMALLEST_BATCH
    while batch < min(m, engine.batch) and 2 * batch * engine.rows * 4 <= SCORE_BYTES:
        batch *= 2
    return batch


def _fitted(stage: Stage, most: int, engine: Engine) -> Stage:
    """A stage no larger than the problem."""
    return stage._replace(capacity=min(stage.capacity, most), candidates=min(stage.candidates, engine.rows))


def _following(ladder: list[Stage], now: int) -> tuple[int, int]:
    """Where a query goes on: the stage with more capacity, and the one that copes with more; this one if there is none."""
    here, later = ladder[now], range(now + 1, len(ladder))
    wider = (i for i in later if ladder[i].capacity > here.capacity)
    better = (i for i in later if ladder[i].method != here.method and ladder[i].capacity >= here.capacity)
    return next(wider, now), next(better, now)


def roughly(queries: np.ndarray, sketch: Sketch, n: int, goal: Goal, tally: Tally) -> Start:
    """Where the search among the points themselves may begin: the projections among their sketches."""
    placed = sketch.place(queries)
    stage = Stage(*SKETCHED, Method.FLOAT32, _batch(len(queries), sketch.engine))
    ladder = [_fitted(stage, min(n, placed.shape[1] + 1), sketch.engine)]
    goal = goal._replace(rtol=max(SKETCH_RTOL, goal.rtol), data_dtype=placed.dtype)
    found, candidates = stream(placed, sketch.engine, ladder, goal, None, lambda done, certified: tally(0, 0))
    return Start(found.support, found.weights, candidates, found.iterations)


def stream(
    queries: np.ndarray, engine: Engine, ladder: list[Stage], goal: Goal, start: Start | None, tally: Tally
) -> tuple[Projection, np.ndarray]:
    """The projections of queries onto an engine's points, and each query's best candidates, as many as the first stage has.

    Args:
        tally: called with how many queries are done and how many of them certified, after each round.
    """
    result = nothing_yet(len(queries), queries.shape[1], queries.dtype)
    last = np.zeros((len(queries), ladder[0].candidates), np.int32)
    fresh = np.flatnonzero(np.isfinite(queries).all(1))
    done, certified = len(queries) - len(fresh), 0
    entry = 0  # the stage at which queries begin
    waiting = [_begin(engine, queries, fresh[:0], stage) for stage in ladder]
    if start is not None:
        waiting, fresh = _started(start, fresh, ladder), fresh[:0]

    while len(fresh) or any(len(each.query) for each in waiting):
        # A stage with a full batch, or else more queries to fill one, or else what is left.
        ready = [i for i, each in enumerate(waiting) if len(each.query) >= ladder[i].batch]
        now = ready[0] if ready else next((i for i, each in enumerate(waiting) if len(each.query)), entry)
        if len(fresh) and not ready:
            now = entry
            waiting[now] = _joined(waiting[now], _begin(engine, queries, fresh[: ladder[now].batch], ladder[now]))
            fresh = fresh[ladder[now].batch :]
        lanes, waiting[now] = _split(waiting[now], ladder[now].batch)
        found, candidates, lower = _advance(engine, queries, lanes, ladder[now], goal.max_steps)
        steps, width = lanes.steps + found.steps, found.upper - lower

        # A round that let no row in, or came no closer, and hardly tightened the bracket: more of the same will not help.
        stalled = found.full | (width > 0.5 * lanes.width) & ~(found.entered & (found.upper < lanes.upper))
        wider, better = _following(ladder, now)
        to = np.where(found.full & (wider > now), wider, np.where(stalled, better, now))

        level = _inside_level(engine.frame, found, goal.data_dtype)
        status = np.array(certificate.status(found.upper, lower, level, goal.rtol))
        status[(status < 0) & stalled & (to == now)] = Status.ROUNDING
        status[(status < 0) & (steps >= goal.max_steps)] = Status.MAX_ITER
        decided = status >= 0
        result = recorded(result, lanes.query, found, lower, steps, status, float(engine.frame.scale), decided)
        last[lanes.query] = candidates[:, : last.shape[1]]

        kept = Waiting(lanes.query, found.support, found.weights, candidates, found.upper, width, steps)
        for stage in np.unique(to[~decided]):
            moving = jax.tree.map(lambda field, here=~decided & (to == stage): field[here], kept)
            waiting[stage] = _joined(waiting[stage], _widened(moving, ladder[stage]))
        if now == entry and ladder[wider].method is Method.FLOAT32 and found.full.mean() > 0.25:
            entry = wider
        done += int(decided.sum())
        certified += int(((status == Status.CONVERGED) | (status == Status.INSIDE)).sum())
        tally(done, certified)
    return result, last


def _inside_level(frame: rounds.Frame, found: rounds.Solution, data_dtype: np.dtype) -> np.ndarray:
    lost = certificate.underflow(found.point.shape[1], found.weights.shape[1], frame.scale, data_dtype, np.float64)
    return certificate.inside_level(frame.radius, (found.weights > 0).sum(1), lost, data_dtype, np.float64)


def _begin(engine: Engine, queries: np.ndarray, rows: np.ndarray, stage: Stage) -> Waiting:
    """Queries before their first round: on the nearest point, with the nearest points as candidates."""
    count, first = len(rows), np.arange(stage.capacity) == 0
    candidates = np.zeros((0, stage.candidates), np.int32)
    if count:
        candidates = engine.nearest(filled(queries[rows], stage.batch), stage.candidates)[:count]
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
        slots = min(stage.capacity, weights.shape[1])
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


def _advance(engine: Engine, queries: np.ndarray, lanes: Waiting, stage: Stage, limit: int) -> rounds.Round:
    """One round of a batch."""
    batch = rounds.Lanes(queries[lanes.query], lanes.support, lanes.weights, lanes.candidates)
    padded, left = jax.tree.map(lambda field: filled(field, stage.batch), (batch, limit - lanes.steps))
    found = engine.advance(padded, left, len(lanes.query), stage.method)
    return jax.tree.map(lambda field: field[: len(lanes.query)], found)


def filled(rows: np.ndarray, count: int) -> np.ndarray:
    """Rows filled up to a count with copies of the last one: programs are compiled for one shape."""
    return np.concatenate([rows, np.repeat(rows[-1:], count - len(rows), 0)])


def _joined(these: Waiting, those: Waiting) -> Waiting:
    return Waiting(*(np.concatenate(pair) for pair in zip(these, those, strict=True)))


def _split(these: Waiting, count: int) -> tuple[Waiting, Waiting]:
    return Waiting(*(field[:count] for field in these)), Waiting(*(field[count:] for field in these))


def _widened(these: Waiting, stage: Stage) -> Waiting:
    """The same queries with the slots and candidates of a stage further up; the weakest candidates go if it has fewer."""
    slots = ((0, 0), (0, stage.capacity - these.support.shape[1]))
    missing = ((0, 0), (0, max(stage.candidates - these.candidates.shape[1], 0)))
    return these._replace(
        support=np.pad(these.support, slots),
        weights=np.pad(these.weights, slots),
        candidates=np.pad(these.candidates[:, : stage.candidates], missing, mode="edge"),
    )
