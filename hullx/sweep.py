"""The projection of a whole data set onto a hull, at the price of a few matrix products, certified in float64.

The host keeps a queue of queries. A query first meets `columns.nearest`, then `columns.advance` until it is decided;
those not yet decided go back into the queue, so that both programs always run on full batches of one shape. A query whose
support outgrows the capacity of its stage, or that float32 cannot settle, moves to the next stage: more capacity, float64.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from hullx import certificate, columns
from hullx.progress import Report
from hullx.progress import progress as show_progress
from hullx.projection import check
from hullx.solvers.active_set import step_limit
from hullx.types import Projection, Status

# Scores of a batch are one array of float32: at most this many bytes.
SCORE_BYTES = 2**27


class Stage(NamedTuple):
    """The static shape of one compiled round."""

    capacity: int  # support slots
    candidates: int
    gram_dtype: type
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


def sweep(
    queries: Float[np.ndarray, "m d"],
    points: Float[np.ndarray, "n d"],
    *,
    rtol: float = 1e-6,
    max_iter: int | None = None,
    progress: bool | str = True,
) -> Projection:
    """The projections of m queries onto the convex hull of n points, certified in float64 whatever JAX's setting.

    The same answer as `hullx.project`, for whole data sets: driven from the host, not differentiable, and much faster.
    Memory is that of the points twice, and of the result.

    Args:
        queries: floating-point array; a query with NaN or infinity gets Status.NONFINITE and NaN.
        points: floating-point array, finite.
        rtol: relative width of the bracket at which a query is done.
        max_iter: most active-set steps a query takes; None for a limit that no ordinary problem reaches.
        progress: whether to show queries done, certified, rate and remaining time on standard error; a string is its title.

    Returns:
        A `Projection` of NumPy arrays: point and direction in the arguments' dtype, the other numbers in float64.

    Raises:
        TypeError, ValueError: an argument has a wrong dtype or shape, or points are not finite.

    Example:
        >>> result = hullx.sweep(test_images.reshape(len(test_images), -1), train_images.reshape(len(train_images), -1))
        >>> (result.status == hullx.Status.CONVERGED).mean(), result.distance.mean()
    """
    queries, points = np.asarray(queries), np.asarray(points)
    if queries.ndim != 2:
        raise ValueError(f"queries: got shape {queries.shape}, expected (m, d): flatten each query to one row")
    dtype = check(queries, points)
    queries, points = np.asarray(queries, dtype), np.asarray(points, dtype)
    title = progress if isinstance(progress, str) else "projecting"
    with jax.enable_x64(True), show_progress(title, len(queries), "queries", shown=bool(progress)) as report:
        return _stream(queries, points, rtol, max_iter, report)


def stages(n: int, d: int, m: int) -> list[Stage]:
    """Rounds of growing capacity: two in float32, then float64 up to the largest affinely independent support."""
    most = min(n, d + 1)
    lanes = columns.LANES
    batch = lanes
    rows = columns.width(n)
    while batch < min(m, 1024) and 2 * batch * rows * 4 <= SCORE_BYTES:
        batch *= 2
    ladder = [Stage(min(slots, most), min(rows, 3 * slots), np.float32, batch) for slots in (32, 64)]
    slots = 128
    while True:
        ladder.append(Stage(min(slots, most), min(rows, max(slots, 192)), np.float64, lanes))
        if slots >= most:
            return ladder
        slots *= 4


# The first stage that solves in float64.
FIRST_FLOAT64 = 2


def _stream(queries: np.ndarray, points: np.ndarray, rtol: float, max_iter: int | None, report: Report) -> Projection:
    m, (n, d) = len(queries), points.shape
    limit = step_limit(n, d) if max_iter is None else max_iter
    hull = columns.hull(points)
    ladder = stages(n, d, m)
    result = _nothing_yet(m, d, queries.dtype)
    fresh = np.flatnonzero(np.isfinite(queries).all(1))
    done, certified = m - len(fresh), 0
    entry = 0  # the stage at which queries begin
    waiting = [_begin(hull, queries, fresh[:0], stage) for stage in ladder]

    while len(fresh) or any(len(each.query) for each in waiting):
        now = next((i for i, each in enumerate(waiting) if len(each.query)), entry)
        if len(fresh) and len(waiting[entry].query) < ladder[entry].batch:
            now = entry
            waiting[now] = _joined(waiting[now], _begin(hull, queries, fresh[: ladder[now].batch], ladder[now]))
            fresh = fresh[ladder[now].batch :]
        lanes, waiting[now] = _split(waiting[now], ladder[now].batch)
        found = _advance(hull, queries, lanes, ladder[now], limit)

        steps, width = lanes.steps + found.steps, found.upper - found.lower
        # A round that let no row in, or came no closer, and hardly tightened the bracket: more of the same will not help.
        stalled = (width > 0.5 * lanes.width) & ~(found.entered & (found.upper < lanes.upper))
        level = certificate.inside_level(hull.radius, (found.weights > 0).sum(1), points.dtype, np.float64)
        status = np.array(certificate.status(found.upper, found.lower, level, rtol))
        if now == len(ladder) - 1:
            status[(status < 0) & stalled] = Status.ROUNDING
        status[(status < 0) & (steps >= limit)] = Status.MAX_ITER
        decided = status >= 0
        result = _recorded(result, lanes.query, found, steps, status, float(hull.scale), decided)

        kept = Waiting(lanes.query, found.support, found.weights, found.candidates, found.upper, width, steps)
        following = np.where(found.full, now + 1, np.where(stalled, max(now + 1, FIRST_FLOAT64), now))
        following = np.minimum(following, len(ladder) - 1)
        for stage in np.unique(following[~decided]):
            moving = jax.tree.map(lambda field, here=~decided & (following == stage): field[here], kept)
            waiting[stage] = _joined(waiting[stage], _widened(moving, ladder[stage]))
        if now == entry and found.full.mean() > 0.25:
            entry += 1
        done += int(decided.sum())
        certified += int((status[decided] <= Status.INSIDE).sum())
        report(done, f"{certified:,} certified")
    slots = max(int((result.weights > 0).sum(1).max(initial=1)), 1)
    return result._replace(support=result.support[:, :slots], weights=result.weights[:, :slots])


def _begin(hull: columns.Hull, queries: np.ndarray, rows: np.ndarray, stage: Stage) -> Waiting:
    """Queries before their first round: on the nearest point, with the nearest points as candidates."""
    count, first = len(rows), np.arange(stage.capacity) == 0
    candidates = np.zeros((0, stage.candidates), np.int32)
    if count:
        candidates = np.asarray(columns.nearest(hull, _filled(queries[rows], stage.batch), count=stage.candidates))[:count]
    return Waiting(
        query=rows,
        support=np.where(first, candidates[:, :1], 0).astype(np.int32),
        weights=np.tile(first.astype(np.float64), (count, 1)),
        candidates=candidates,
        upper=np.full(count, np.inf),
        width=np.full(count, np.inf),
        steps=np.zeros(count, np.int64),
    )


def _advance(hull: columns.Hull, queries: np.ndarray, lanes: Waiting, stage: Stage, limit: int) -> columns.Round:
    """One round of a batch, as NumPy arrays."""
    batch = columns.Lanes(queries[lanes.query], lanes.support, lanes.weights, lanes.candidates)
    padded, left = jax.tree.map(lambda field: _filled(field, stage.batch), (batch, limit - lanes.steps))
    found = columns.advance(hull, padded, left, gram_dtype=stage.gram_dtype)
    return jax.tree.map(lambda field: np.asarray(field)[: len(lanes.query)], found)


def _filled(rows: np.ndarray, count: int) -> np.ndarray:
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


def _nothing_yet(m: int, d: int, dtype: np.dtype) -> Projection:
    """The result before anything is known: NONFINITE, which is what queries that are never begun stay."""
    return Projection(
        distance=np.full(m, np.nan),
        lower=np.full(m, np.nan),
        point=np.full((m, d), np.nan, dtype),
        support=np.zeros((m, 1), np.int32),
        weights=np.full((m, 1), np.nan),
        iterations=np.zeros(m, np.int32),
        status=np.full(m, Status.NONFINITE, np.int32),
        direction=np.full((m, d), np.nan, dtype),
    )


def _recorded(
    result: Projection,
    query: np.ndarray,
    found: columns.Round,
    steps: np.ndarray,
    status: np.ndarray,
    scale: float,
    which: np.ndarray,
) -> Projection:
    """The result with some lanes of a round written into it, supports in order of falling weight."""
    slots = found.support.shape[1] - result.support.shape[1]
    if slots > 0:
        result = result._replace(
            support=np.pad(result.support, ((0, 0), (0, slots))), weights=np.pad(result.weights, ((0, 0), (0, slots)))
        )
    order = np.argsort(-found.weights, axis=1, kind="stable")
    support = np.take_along_axis(np.where(found.weights > 0, found.support, 0), order, 1)
    weights = np.take_along_axis(found.weights, order, 1)
    rows = query[which]
    result.support[rows, : support.shape[1]] = support[which]
    result.weights[rows] = 0
    result.weights[rows, : weights.shape[1]] = weights[which]
    for field, values in (
        (result.distance, found.upper * scale),
        (result.lower, found.lower * scale),
        (result.point, found.point),
        (result.iterations, steps),
        (result.status, status),
        (result.direction, found.direction),
    ):
        field[rows] = values[which]
    return result
