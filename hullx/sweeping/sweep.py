"""Projection of a whole data set onto a hull by few matrix products, certified in float64."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jax.sharding import Mesh
from jaxtyping import Float, Int

from hullx.core import driver
from hullx.core.coarse_start import coarse_of_chunks, for_many_queries
from hullx.core.driver import Problem
from hullx.core.hull import Hull
from hullx.core.queue import Start
from hullx.core.sources.chunks import Chunks
from hullx.core.sources.disk import DiskSource
from hullx.core.sources.mesh import MeshSource
from hullx.core.stages import MOST_STEPS, Setup, largest_support, step_limit
from hullx.core.state import Goal
from hullx.jax_settings import eagerly, with_jax_defaults
from hullx.projection.host_arguments import Input, host_input
from hullx.projection.prepared import in_dtype, on_device
from hullx.runs.fingerprint import digest
from hullx.runs.progress import Tally
from hullx.runs.progress import progress as show_progress
from hullx.sweeping.arguments import check_settings, checked_exclusion
from hullx.sweeping.resume import in_batches
from hullx.types import Projection

# For fewer queries, principal directions of the points would take longer than the projection.
FEW = 64


@with_jax_defaults
def sweep(  # noqa: PLR0913  a row to exclude belongs to each query, not to the settings
    queries: Float[np.ndarray, "m d"],
    points: Float[np.ndarray, "n d"] | Hull | Sequence[Float[np.ndarray, "_ d"]],
    *,
    rtol: float = 1e-6,
    atol: float = 0.0,
    max_iter: int | None = None,
    mesh: Mesh | None = None,
    resume: str | Path | None = None,
    warm_start: Projection | None = None,
    exclude: Int[np.ndarray, "m"] | None = None,
    progress: bool | str = True,
) -> Projection:
    """The projections of m queries onto the convex hull of n points, certified in float64 for every JAX setting.

    Gives the same answers as `hullx.project`, by the same rounds, for whole data sets: NumPy arrays in and out, not
    differentiable, with threads, a coarse start, progress and resume folders.
    Memory: the result, two copies of the points (three if they are not C-contiguous and aligned to 64 bytes; those from
    `hullx.data.load` are) and on some processors half a copy more (`hullx.prepare`), and on a CPU about 0.5 GB for compiled
    programs and scores on two cores, with up to 0.13 GB more for each further one. Of points on disk only chunks of 0.25 GB are
    in memory and, in 384 dimensions or more, at most 1.2 GB for the coarse start. An accelerator holds states and pools, about
    1 GB (CIFAR-10).

    Args:
        queries: (m, d), of any type that `project` accepts; a query with NaN or infinity gets Status.NONFINITE and NaN.
        points: (n, d), finite, or the result of `prepare`. A `numpy.memmap` or a sequence of arrays (n_i, d) is read in chunks
            and may exceed memory.
        rtol: relative width of the bracket at which a query is decided, from 0 to less than 1.
        atol: absolute width, added to rtol · distance, in units of the data, as for `hullx.project`.
        max_iter: maximum active-set steps per query, 1 or more; None for a limit that no ordinary problem reaches.
        mesh: shard the points over its axis "points" and the queries over its axis "queries" (it has one of them or both). All
            processes call with the same arguments and get the same result. None for JAX's default device.
        resume: a folder for finished batches of queries. The same call after an interruption resumes there, with results
            bitwise identical to those of an uninterrupted run. Damaged batch files are detected, reported and recomputed.
        warm_start: an earlier result for the same queries, for example on the last epoch's features, as the start of the
            search. It changes the work, not the answer.
        exclude: a row of the points for each query, which is left out of its hull, or −1 for none: (m,) integers.
            `sweep(X, X, exclude=np.arange(len(X)))` projects each row onto the hull of all others, without copies. Not for a
            mesh.
        progress: whether to show queries done, certified, rate and remaining time on standard error; a string is its title.

    Returns:
        A `Projection` of NumPy arrays: point and direction in the dtype that queries and points promote to, at least float32;
        distance, lower and weights in float64.

    Raises:
        ArgumentTypeError, ArgumentError: (TypeError, ValueError) an argument has a wrong type, dtype, shape or value; points
            are not finite or of a size that their dtype cannot compute with.
        ResumeError: the folder to resume from belongs to other data or settings, or is in use by another process.
        StorageError: a finished batch cannot be written; earlier batches are kept.

    Example:
        >>> digits = hullx.data.load("digits", train_size=100, test_size=8)
        >>> result = hullx.sweep(digits.test.rows, digits.train.rows, progress=False)
        >>> float(result.decided.mean()), float(result.outside.mean()), result.point.shape
        (1.0, 1.0, (8, 64))
    """
    checked_input = host_input(queries, points)
    check_settings(rtol, atol, max_iter, mesh, resume, warm_start, progress, checked_input)
    excluded = None if exclude is None else checked_exclusion(exclude, checked_input, mesh)
    title = progress if isinstance(progress, str) else "projecting"
    with (
        eagerly(),
        show_progress(title, len(checked_input.queries), "queries", shown=bool(progress)) as report,
    ):
        several = warm_start is None and len(checked_input.queries) > FEW
        problem = _problem(checked_input, mesh, several)
        n, d = checked_input.n, checked_input.dimension
        most = largest_support(n, d, Setup())
        limit = step_limit(most) if max_iter is None else min(max_iter, MOST_STEPS)
        goal = Goal(rtol, limit, most, float(atol) / float(problem.source.frame.scale))
        earlier = None if warm_start is None else _start(warm_start)

        def tally(done: int, certified: int) -> None:
            report(done, f"{certified:,} certified")

        def run(part: slice, tally: Tally) -> Projection:
            some = checked_input.queries[part]
            left_out = None if excluded is None else excluded[part]
            return driver.solve(some, problem, goal, start=earlier and earlier.part(part), tally=tally, excluded=left_out)

        if resume is None:
            return run(slice(None), tally)
        settings: dict[str, Any] = {"rtol": float(rtol), "max_iter": None if max_iter is None else int(max_iter)}
        if atol:  # folders of sweeps without it stay valid
            settings["atol"] = float(atol)
        if excluded is not None:
            settings["exclude"] = digest([excluded])
        return in_batches(Path(resume), checked_input.queries, checked_input.arrays, warm_start, settings, run, tally)


def _problem(points: Input, mesh: Mesh | None, several: bool) -> Problem:
    """The problem with points on a mesh, on disk, or on the default device; for several queries, with a coarse start."""
    if mesh is None and not points.chunked:
        if isinstance(points.points, Hull):
            hull = points.points
        else:
            hull = on_device(np.asarray(points.points), points.dtype, queries=len(points.queries))
        hull = in_dtype(hull, points.dtype)
        return driver.on_device(for_many_queries(hull) if several else hull, Setup(), queries=len(points.queries))
    chunks = Chunks(points.arrays, points.dtype)
    if mesh is not None:
        return Problem(MeshSource(chunks, mesh), points.dimension)
    source = DiskSource(chunks)
    low = coarse_of_chunks(chunks, source.frame) if several else None
    return Problem(source, points.dimension, low)


def _start(earlier: Projection) -> Start:
    """An earlier result as the start; the first candidates are the heaviest support points."""
    support, weights = np.asarray(earlier.support, np.int32), np.array(earlier.weights, np.float64)
    return Start(support, weights, support[:, :1], np.zeros(len(support), np.int64))
