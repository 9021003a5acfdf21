"""The projection of a whole data set onto a hull, at the price of a few matrix products, certified in float64."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Float

from hullx.ambient import own_settings
from hullx.numerics.batching import LOCKSTEP, filled
from hullx.projection.project import project
from hullx.projection.stages import step_limit
from hullx.runs.progress import Tally
from hullx.runs.progress import progress as show_progress
from hullx.solvers import ActiveSet
from hullx.sweeping.arguments import Input, check_settings, checked
from hullx.sweeping.ladder import SMALLEST_BATCH, stages
from hullx.sweeping.parallel import side_by_side
from hullx.sweeping.principal import Principal, begin, principal
from hullx.sweeping.queue import Goal, Start, drain
from hullx.sweeping.results import replaced
from hullx.sweeping.resume import in_batches
from hullx.sweeping.sources import Points
from hullx.sweeping.sources.chunks import Chunks
from hullx.sweeping.sources.device import on_device
from hullx.sweeping.sources.disk import DiskSource
from hullx.sweeping.sources.mesh import MeshSource
from hullx.types import Projection, Status

# A sweep places its arrays itself, whatever mesh its caller works in (`jax.set_mesh`).
NO_MESH = Mesh(np.empty((), object), ())


@own_settings
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
        queries: floating-point array (m, d); a query with NaN or infinity gets Status.NONFINITE and NaN.
        points: floating-point array (n, d), finite. A `numpy.memmap` or a sequence of arrays (n_i, d) is read a chunk at a
            time, so that it may be larger than memory.
        rtol: relative width of the bracket at which a query is done, from 0 to less than 1.
        max_iter: most active-set steps a query takes, 1 or more; None for a limit that no ordinary problem reaches.
        mesh: shard the points over its axis "points" and the queries over its axis "queries" (it has one of them or both). With
            several processes each calls with the same arguments and gets the same result. None for JAX's default device.
        resume: a folder for finished batches of queries. A run that was killed and is started again with the same arguments
            continues there, and gives bit for bit the result of an uninterrupted run. A batch whose file is damaged is
            projected anew, with a warning that names it.
        warm_start: an earlier result for the same queries, say on the last epoch's features: where the search starts.
            It changes the work and not the answer.
        progress: whether to show queries done, certified, rate and remaining time on standard error; a string is its title.

    Returns:
        A `Projection` of NumPy arrays: point and direction in the arguments' dtype, the other numbers in float64.

    Raises:
        ArgumentTypeError, ArgumentError: (TypeError, ValueError) an argument has a wrong type, dtype, shape or value; points
            are not finite or of a size that their dtype cannot compute with.
        ResumeError: the folder to resume from belongs to other data or settings, or is in use by another process.
        StorageError: a finished batch cannot be written; those before stay.

    Example:
        >>> digits = hullx.data.load("digits", train_size=100, test_size=8)
        >>> result = hullx.sweep(digits.test.rows, digits.train.rows, progress=False)
        >>> float(result.decided.mean()), float(result.outside.mean()), result.point.shape
        (1.0, 1.0, (8, 64))
    """
    given = checked(queries, points)
    check_settings(rtol, max_iter, mesh, resume, warm_start, progress, given)
    title = progress if isinstance(progress, str) else "projecting"
    with (
        jax.set_mesh(NO_MESH),
        jax.enable_x64(True),
        show_progress(title, len(given.queries), "queries", shown=bool(progress)) as report,
    ):
        search = _search(given, mesh, rtol, max_iter)
        earlier = None if warm_start is None else _start(warm_start)

        def tally(done: int, certified: int) -> None:
            report(done, f"{certified:,} certified")

        def run(part: slice, tally: Tally) -> Projection:
            return _swept(search, given.queries[part], earlier and earlier.part(part), tally)

        if resume is None:
            return run(slice(None), tally)
        settings = {"rtol": rtol, "max_iter": max_iter}
        return in_batches(Path(resume), given.queries, given.points, warm_start, settings, run, tally)


class _Search(NamedTuple):
    """The points where they live, the same in their principal directions, and when a query is done."""

    source: Points
    directions: Principal | None
    goal: Goal
    given: Input


def _search(given: Input, mesh: Mesh | None, rtol: float, max_iter: int | None) -> _Search:
    goal = Goal(rtol, step_limit(ActiveSet(), given.n, given.dimension) if max_iter is None else max_iter, given.dtype)
    if mesh is not None:
        return _Search(MeshSource(Chunks(given.points, given.dtype), mesh), None, goal, given)
    if given.chunked:
        return _Search(DiskSource(Chunks(given.points, given.dtype)), None, goal, given)
    source = on_device(np.asarray(given.points))
    return _Search(source, principal(source), goal, given)


def _swept(search: _Search, queries: np.ndarray, start: Start | None, tally: Tally) -> Projection:
    """The projections of some of the queries, as many threads side by side as the source allows."""
    source, directions, goal, given = search

    def run(part: slice, tally: Tally) -> Projection:
        mine, first = queries[part], start and start.part(part)
        if first is None and directions is not None:
            first = begin(mine, directions, given.n, goal, tally)
        return drain(mine, source, stages(given.n, given.dimension, len(mine), source), goal, first, tally)[0]

    result = side_by_side(run, len(queries), max(min(source.threads, len(queries) // SMALLEST_BATCH), 1), tally)
    return result if given.chunked else _refined(result, queries, np.asarray(given.points), goal.rtol)


def _refined(result: Projection, queries: np.ndarray, points: np.ndarray, rtol: float) -> Projection:
    """Queries that float64 could not settle, once more by `project`, which has digits beyond float64 for them."""
    rest = np.flatnonzero((result.status == Status.ROUNDING) & (points.dtype == np.float64))
    if not len(rest):
        return result
    size = min(LOCKSTEP, len(queries))  # full batches, or each number of queries would compile a program of its own
    for start in range(0, len(rest), size):
        some = rest[start : start + size]
        sharper = project(filled(queries[some], size), points, rtol=rtol)
        result = replaced(result, some, jax.tree.map(lambda field: np.asarray(field)[: len(some)], sharper))  # noqa: B023
    return result


def _start(earlier: Projection) -> Start:
    """An earlier result as the start; the first round's candidates are its supports themselves."""
    support, weights = np.asarray(earlier.support, np.int32), np.array(earlier.weights, np.float64)
    return Start(support, weights, support[:, :1], np.zeros(len(support), np.int64))
