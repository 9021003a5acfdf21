"""The projection of a whole data set onto a hull, at the price of a few matrix products, certified in float64.

The host keeps a queue of queries. A query first meets `columns.nearest`, then `columns.advance` until it is decided;
those not yet decided go back into the queue, so that both programs always run on full batches of one shape. A query whose
support outgrows the capacity of its stage, or that float32 cannot settle, moves to the next stage: more capacity, float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, cast

import jax
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Float

from hullx import certificate, columns, placement
from hullx.mesh import on_mesh
from hullx.placement import Engine
from hullx.progress import Report
from hullx.progress import progress as show_progress
from hullx.projection import LANES, check, project
from hullx.resume import in_batches
from hullx.solvers.active_set import step_limit
from hullx.types import Projection, Status

# Scores of a batch are one array of float32: at most this many bytes.
SCORE_BYTES = 2**27
# Fewer queries than these make a product no cheaper: reading the points is what takes the time.
SMALLEST_BATCH = 32


# Support slots and candidates of the rounds in float32. Supports are 7–46 on MNIST; on CIFAR-10 47 on average, up to 303.
# Fewer candidates cost more rounds, more candidates larger Gram matrices (measured: flat around these numbers).
FLOAT32 = ((32, 96), (64, 96), (96, 96))


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
    points: Float[np.ndarray, "n d"] | Sequence[Float[np.ndarray, "_ d"]],
    *,
    rtol: float = 1e-6,
    max_iter: int | None = None,
    mesh: Mesh | None = None,
    resume: str | Path | None = None,
    warm_start: Projection | None = None,
    progress: bool | str = True,
) -> Projection:
    """The projections of m queries onto the convex hull of n points, certified in float64 whatever JAX's setting.

    The same answer as `hullx.project`, for whole data sets: driven from the host, not differentiable, and much faster.
    Memory is that of the points three times, and of the result.

    Args:
        queries: floating-point array; a query with NaN or infinity gets Status.NONFINITE and NaN.
        points: floating-point array, finite. A `numpy.memmap` or a sequence of arrays is read a chunk at a time, so that it may
            be larger than memory.
        rtol: relative width of the bracket at which a query is done.
        max_iter: most active-set steps a query takes; None for a limit that no ordinary problem reaches.
        mesh: shard the points over its axis "points" and the queries over its axis "queries" (it has one of them or both). With
            several processes each calls with the same arguments and gets the same result. None for JAX's default device.
        resume: a folder for finished batches of queries. A run that was killed and is started again with the same arguments
            continues there, and gives bit for bit the result of an uninterrupted run.
        warm_start: an earlier result for the same queries, say on the last epoch's features: where the search starts.
            It changes the work and not the answer.
        progress: whether to show queries done, certified, rate and remaining time on standard error; a string is its title.

    Returns:
        A `Projection` of NumPy arrays: point and direction in the arguments' dtype, the other numbers in float64.

    Raises:
        TypeError, ValueError: an argument has a wrong dtype or shape, points are not finite, or the folder to resume from
            belongs to other data or settings.

    Example:
        >>> result = hullx.sweep(test_images.reshape(len(test_images), -1), train_images.reshape(len(train_images), -1))
        >>> (result.status == hullx.Status.CONVERGED).mean(), result.distance.mean()
    """
    queries = np.asarray(queries)
    if queries.ndim != 2:
        raise ValueError(f"queries: got shape {queries.shape}, expected (m, d): flatten each query to one row")
    on_disk = isinstance(points, np.memmap | list | tuple)
    dtype = _check_parts(queries, points) if on_disk else check(queries, np.asarray(points))
    points = points if on_disk else np.asarray(points, dtype)
    queries = np.asarray(queries, dtype)
    if warm_start is not None and len(warm_start.support) != len(queries):
        raise ValueError(f"warm_start: got {len(warm_start.support)} projections, expected one a query, {len(queries)}")

    title = progress if isinstance(progress, str) else "projecting"
    with jax.enable_x64(True), show_progress(title, len(queries), "queries", shown=bool(progress)) as report:
        if mesh is not None:
            engine = on_mesh(points, mesh)
        elif on_disk:
            engine = placement.on_disk(cast(Sequence[np.ndarray], points))
        else:
            engine = placement.on_device(np.asarray(points))

        def run(part: slice, report: Report) -> Projection:
            start = None if warm_start is None else jax.tree.map(lambda field: np.asarray(field)[part], warm_start)
            result = _stream(queries[part], engine, _shape(points), rtol, max_iter, start, report)
            return result if on_disk else _polished(result, queries[part], np.asarray(points), rtol)

        if resume is None:
            return run(slice(None), report)
        settings = {"rtol": rtol, "max_iter": max_iter}
        return in_batches(Path(resume), queries, points, warm_start, settings, run, report)


def stages(n: int, d: int, m: int, engine: Engine) -> list[Stage]:
    """Rounds of growing capacity: in float32, then in float64 up to the largest affinely independent support."""
    most, lanes = min(n, d + 1), SMALLEST_BATCH
    batch = lanes
    while batch < min(m, 1024) and 2 * batch * min(engine.rows, 2**20) * 4 <= SCORE_BYTES:
        batch *= 2

    def stage(slots: int, candidates: int, gram_dtype: type, batch: int) -> Stage:
        return Stage(min(slots, most), min(engine.rows, candidates), gram_dtype, batch)

    ladder = [stage(slots, candidates, np.float32, batch) for slots, candidates in FLOAT32]
    slots = FLOAT32[-1][0]
    while True:
        ladder.append(stage(slots, max(slots, 192), np.float64, lanes))
        if slots >= most:
            return ladder
        slots *= 4


def _stream(
    queries: np.ndarray,
    engine: Engine,
    shape: tuple[int, int, np.dtype],
    rtol: float,
    max_iter: int | None,
    warm_start: Projection | None,
    report: Report,
) -> Projection:
    m, (n, d, dtype) = len(queries), shape
    limit = step_limit(n, d) if max_iter is None else max_iter
    ladder = stages(n, d, m, engine)
    result = _nothing_yet(m, d, queries.dtype)
    fresh = np.flatnonzero(np.isfinite(queries).all(1))
    done, certified = m - len(fresh), 0
    entry = 0  # the stage at which queries begin
    waiting = [_begin(engine, queries, fresh[:0], stage) for stage in ladder]
    if warm_start is not None:
        waiting, fresh = _resumed(warm_start, fresh, ladder), fresh[:0]

    while len(fresh) or any(len(each.query) for each in waiting):
        # A stage with a full batch, or else more queries to fill one, or else what is left.
        filled = [i for i, each in enumerate(waiting) if len(each.query) >= ladder[i].batch]
        now = filled[0] if filled else next((i for i, each in enumerate(waiting) if len(each.query)), entry)
        if len(fresh) and not filled:
            now = entry
            waiting[now] = _joined(waiting[now], _begin(engine, queries, fresh[: ladder[now].batch], ladder[now]))
            fresh = fresh[ladder[now].batch :]
        lanes, waiting[now] = _split(waiting[now], ladder[now].batch)
        found, candidates, lower = _advance(engine, queries, lanes, ladder[now], limit)

        steps, width = lanes.steps + found.steps, found.upper - lower
        # A round that let no row in, or came no closer, and hardly tightened the bracket: more of the same will not help.
        stalled = (width > 0.5 * lanes.width) & ~(found.entered & (found.upper < lanes.upper))
        level = certificate.inside_level(engine.frame.radius, (found.weights > 0).sum(1), dtype, np.float64)
        status = np.array(certificate.status(found.upper, lower, level, rtol))
        if now == len(ladder) - 1:
            status[(status < 0) & stalled] = Status.ROUNDING
        status[(status < 0) & (steps >= limit)] = Status.MAX_ITER
        decided = status >= 0
        result = _recorded(result, lanes.query, found, lower, steps, status, float(engine.frame.scale), decided)

        kept = Waiting(lanes.query, found.support, found.weights, candidates, found.upper, width, steps)
        following = np.where(found.full, now + 1, np.where(stalled, max(now + 1, len(FLOAT32)), now))
        following = np.minimum(following, len(ladder) - 1)
        for stage in np.unique(following[~decided]):
            moving = jax.tree.map(lambda field, here=~decided & (following == stage): field[here], kept)
            waiting[stage] = _joined(waiting[stage], _widened(moving, ladder[stage]))
        if now == entry and found.full.mean() > 0.25:
            entry = min(entry + 1, len(ladder) - 1)
        done += int(decided.sum())
        certified += int((status[decided] <= Status.INSIDE).sum())
        report(done, f"{certified:,} certified")
    slots = max(int((result.weights > 0).sum(1).max(initial=1)), 1)
    return result._replace(support=result.support[:, :slots], weights=result.weights[:, :slots])


def _polished(result: Projection, queries: np.ndarray, points: np.ndarray, rtol: float) -> Projection:
    """Queries that float64 could not settle, once more by `project`, which has digits beyond float64 for them."""
    rest = np.flatnonzero((result.status == Status.ROUNDING) & (points.dtype == np.float64))
    if not len(rest):
        return result
    # Full batches, or each number of queries would compile a program of its own.
    filled = _filled(queries[rest], -(-len(rest) // LANES) * LANES)
    sharper = jax.tree.map(lambda field: np.asarray(field)[: len(rest)], project(filled, points, rtol=rtol))
    slots = max(sharper.support.shape[1] - result.support.shape[1], 0)
    result = result._replace(
        support=np.pad(result.support, ((0, 0), (0, slots))), weights=np.pad(result.weights, ((0, 0), (0, slots)))
    )
    for field, values in zip(result, sharper, strict=True):
        if field.ndim == 2:
            field[rest] = 0
            field[rest, : values.shape[1]] = values
        else:
            field[rest] = values
    return result


def _begin(engine: Engine, queries: np.ndarray, rows: np.ndarray, stage: Stage) -> Waiting:
    """Queries before their first round: on the nearest point, with the nearest points as candidates."""
    count, first = len(rows), np.arange(stage.capacity) == 0
    candidates = np.zeros((0, stage.candidates), np.int32)
    if count:
        candidates = engine.nearest(_filled(queries[rows], stage.batch), stage.candidates)[:count]
    return Waiting(
        query=rows,
        support=np.where(first, candidates[:, :1], 0).astype(np.int32),
        weights=np.tile(first.astype(np.float64), (count, 1)),
        candidates=candidates,
        upper=np.full(count, np.inf),
        width=np.full(count, np.inf),
        steps=np.zeros(count, np.int64),
    )


def _resumed(earlier: Projection, fresh: np.ndarray, ladder: list[Stage]) -> list[Waiting]:
    """Queries that start on an earlier result's support, with that support as candidates, in the first stage that holds it."""
    weights = np.where(np.isfinite(earlier.weights), earlier.weights, 0)[fresh]
    weights, support = np.asarray(weights, np.float64), np.asarray(earlier.support, np.int32)[fresh]
    weights[weights.sum(1) == 0, 0] = 1  # what was never projected starts on the first point
    order = np.argsort(-weights, axis=1, kind="stable")
    weights, support = np.take_along_axis(weights, order, 1), np.take_along_axis(support, order, 1)
    weights /= weights.sum(1, keepdims=True)
    size = (weights > 0).sum(1)
    stage_of = np.searchsorted([stage.capacity for stage in ladder[:-1]], size)
    waiting = []
    for i, stage in enumerate(ladder):
        mine = stage_of == i
        slots = min(stage.capacity, weights.shape[1])
        none = np.full(mine.sum(), np.inf)
        start = Waiting(
            query=fresh[mine],
            support=support[mine, :slots],
            weights=weights[mine, :slots],
            candidates=support[mine, :1],
            upper=none,
            width=none,
            steps=np.zeros(mine.sum(), np.int64),
        )
        waiting.append(_widened(start, stage))
    return waiting


def _advance(engine: Engine, queries: np.ndarray, lanes: Waiting, stage: Stage, limit: int) -> columns.Round:
    """One round of a batch."""
    batch = columns.Lanes(queries[lanes.query], lanes.support, lanes.weights, lanes.candidates)
    padded, left = jax.tree.map(lambda field: _filled(field, stage.batch), (batch, limit - lanes.steps))
    found = engine.advance(padded, left, len(lanes.query), stage.gram_dtype)
    return jax.tree.map(lambda field: field[: len(lanes.query)], found)


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
    found: columns.Solution,
    lower: np.ndarray,
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
        (result.lower, lower * scale),
        (result.point, found.point),
        (result.iterations, steps),
        (result.status, status),
        (result.direction, found.direction),
    ):
        field[rows] = values[which]
    return result


def _shape(points: np.ndarray | Sequence[np.ndarray]) -> tuple[int, int, np.dtype]:
    """Number, dimension and dtype of the points."""
    parts = [points] if isinstance(points, np.ndarray) else points
    return sum(map(len, parts)), parts[0].shape[1], parts[0].dtype


def _check_parts(queries: np.ndarray, points: np.ndarray | Sequence[np.ndarray]) -> np.dtype:
    """The dtype of points on disk, or an error that says what to change."""
    parts = [points] if isinstance(points, np.ndarray) else points
    if not parts:
        raise ValueError("points: got an empty sequence, expected at least one array of points")
    for part in parts:
        # Shapes and dtypes only: whether the numbers are finite is seen when they are read.
        check(queries, jax.ShapeDtypeStruct(np.shape(part), np.asarray(part[:0]).dtype))
        if part.dtype != parts[0].dtype or part.dtype != np.result_type(part.dtype, queries.dtype, np.float32):
            raise TypeError(f"points: got parts of dtype {part.dtype}, expected {queries.dtype}, as the queries")
    return parts[0].dtype
