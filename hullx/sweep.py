"""The projection of a whole data set onto a hull, at the price of a few matrix products, certified in float64."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import jax
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Float

from hullx import placement
from hullx.lanes import LANES
from hullx.mesh import on_mesh
from hullx.progress import Tally
from hullx.progress import progress as show_progress
from hullx.projection import check, project
from hullx.results import replaced
from hullx.resume import in_batches
from hullx.solvers.active_set import step_limit
from hullx.stream import SMALLEST_BATCH, Goal, Start, filled, roughly, stages, stream
from hullx.threads import side_by_side
from hullx.types import Projection, Status


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
    Memory is that of the points twice (three times where they are not C-contiguous at a multiple of 64 bytes, as those that
    `hullx.data.load` gives are), that of the result, and on a CPU about 0.5 GB for compiled programs and scores.

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

        def tally(done: int, certified: int) -> None:
            report(done, f"{certified:,} certified")

        n, d = _shape(points)
        earlier = None if warm_start is None else _start(warm_start)
        goal = Goal(rtol, step_limit(n, d) if max_iter is None else max_iter, dtype)

        def batch(part: slice, tally: Tally) -> Projection:
            mine = queries[part]

            def run(some: slice, tally: Tally) -> Projection:
                these, begin = mine[some], earlier and Start(*(field[part][some] for field in earlier))
                if begin is None and engine.sketch is not None:
                    begin = roughly(these, engine.sketch, n, goal, tally)
                return stream(these, engine, stages(n, d, len(these), engine), goal, begin, tally)[0]

            result = side_by_side(run, len(mine), max(min(engine.threads, len(mine) // SMALLEST_BATCH), 1), tally)
            return result if on_disk else _polished(result, mine, np.asarray(points), rtol)

        if resume is None:
            return batch(slice(None), tally)
        settings = {"rtol": rtol, "max_iter": max_iter}
        return in_batches(Path(resume), queries, points, warm_start, settings, batch, tally)


def _polished(result: Projection, queries: np.ndarray, points: np.ndarray, rtol: float) -> Projection:
    """Queries that float64 could not settle, once more by `project`, which has digits beyond float64 for them."""
    rest = np.flatnonzero((result.status == Status.ROUNDING) & (points.dtype == np.float64))
    if not len(rest):
        return result
    # Full batches, or each number of queries would compile a program of its own.
    batch = filled(queries[rest], -(-len(rest) // LANES) * LANES)
    sharper = jax.tree.map(lambda field: np.asarray(field)[: len(rest)], project(batch, points, rtol=rtol))
    return replaced(result, rest, sharper)


def _start(earlier: Projection) -> Start:
    """An earlier result as the start; the first round's candidates are its supports themselves."""
    support, weights = np.asarray(earlier.support, np.int32), np.array(earlier.weights, np.float64)
    return Start(support, weights, support[:, :1], np.zeros(len(support), np.int64))


def _shape(points: np.ndarray | Sequence[np.ndarray]) -> tuple[int, int]:
    """Number and dimension of the points."""
    parts = [points] if isinstance(points, np.ndarray) else points
    return sum(map(len, parts)), parts[0].shape[1]


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
