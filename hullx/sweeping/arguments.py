"""What a sweep is given, checked and brought into one form."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.core
import numpy as np
from jax.sharding import Mesh

from hullx.arguments import check_array, check_count, check_numbers, look
from hullx.errors import ArgumentError, ArgumentTypeError
from hullx.projection.arguments import check, check_rtol
from hullx.types import Projection


class Input(NamedTuple):
    """The arguments as NumPy arrays of one dtype."""

    queries: np.ndarray  # (m, d)
    points: np.ndarray | Sequence[np.ndarray]  # (n, d), or parts that are read a chunk at a time
    dtype: np.dtype
    chunked: bool
    n: int

    @property
    def dimension(self) -> int:
        """d."""
        return self.queries.shape[1]


def checked(queries: Any, points: Any) -> Input:
    """Queries and points, ready to be swept: of the dtype that they promote to, at least float32.

    Args:
        queries, points: what the user has given, of any type.

    Raises:
        ArgumentTypeError, ArgumentError: they cannot be projected; the message says what to change.
    """
    chunked = isinstance(points, np.memmap | list | tuple)
    parts = [points] if isinstance(points, np.memmap) or not chunked else list(points)
    named = [("queries", queries), *((f"points[{i}]" if len(parts) > 1 else "points", part) for i, part in enumerate(parts))]
    for name, value in named:
        if isinstance(value, jax.core.Tracer):
            raise ArgumentTypeError(
                f"{name}: got a traced value, expected numbers, for sweep is driven from the host: call it outside of jit, or "
                "hullx.project inside"
            )
        if isinstance(points, list | tuple) and isinstance(value, list | tuple | float | int):
            raise ArgumentTypeError(
                f"points: got a {type(points).__name__} of {type(value).__name__}s, expected one array, or a sequence of "
                "arrays (m_i, d) that are read one after the other: convert with numpy.asarray(points)"
            )
        check_array(name, value)
    if queries.ndim != 2:
        raise ArgumentError(f"queries: got shape {queries.shape}, expected (m, d): flatten each query to one row")
    if not parts:
        raise ArgumentError("points: got an empty sequence, expected at least one array of points")
    if not chunked:
        dtype = np.dtype(check(queries, points))
        check_numbers("points", look(points), dtype)
        return Input(np.asarray(queries, dtype), np.asarray(points, dtype), dtype, False, len(points))
    for name, part in named[1:]:
        if part.ndim != 2 or part.shape[1] != queries.shape[1] or not part.shape[1]:
            raise ArgumentError(
                f"{name}: got shape {part.shape}, expected (n, {queries.shape[1]}) to match queries of shape {queries.shape}: "
                "flatten queries and points in the same way"
            )
    count = sum(map(len, parts))
    if not count:
        raise ArgumentError(f"points: got {len(parts)} arrays without rows, expected at least one point")
    # Shapes and dtypes only: whether the numbers are finite is seen when they are read.
    dtype = np.result_type(np.float32, queries.dtype, *(part.dtype for part in parts))
    parts = [part if isinstance(part, np.memmap) else np.asarray(part) for part in parts]
    return Input(np.asarray(queries, dtype), parts, dtype, True, count)


def check_settings(
    rtol: float, max_iter: int | None, mesh: Any, resume: Any, warm_start: Any, progress: Any, given: Input
) -> None:
    """Whether a sweep's settings can be used; they are those of `sweep`.

    Args:
        given: queries and points, which a warm start has to fit.

    Raises:
        ArgumentTypeError, ArgumentError: they cannot; the message says what to change.
    """
    check_rtol(rtol)
    check_count("max_iter", max_iter, none="a limit that no ordinary problem reaches")
    if mesh is not None and not isinstance(mesh, Mesh):
        raise ArgumentTypeError(f"mesh: got {type(mesh).__name__}, expected a jax.sharding.Mesh: make one with jax.make_mesh")
    if resume is not None and not isinstance(resume, str | os.PathLike):
        raise ArgumentTypeError(f"resume: got {type(resume).__name__}, expected a folder: give its path")
    if not isinstance(progress, bool | str):
        raise ArgumentTypeError(f"progress: got {type(progress).__name__}, expected True, False or a title: give one of them")
    if warm_start is not None:
        _check_start(warm_start, given)


def _check_start(start: Any, given: Input) -> None:
    if not isinstance(start, Projection):
        raise ArgumentTypeError(f"warm_start: got {type(start).__name__}, expected a Projection: give what sweep returned")
    support, weights = np.asarray(start.support), np.asarray(start.weights)
    m = len(given.queries)
    if support.ndim != 2 or weights.shape != support.shape or len(support) != m:
        raise ArgumentError(
            f"warm_start: got {len(support) if support.ndim else 1} projections, supports of shape {support.shape} and weights "
            f"of shape {weights.shape}, expected one a query, {m}: give a result for the same queries"
        )
    if support.size and (support.min() < 0 or support.max() >= given.n or (weights < 0).any()):
        raise ArgumentError(
            f"warm_start: got rows from {support.min()} to {support.max()} and weights from {np.nanmin(weights)} on, expected "
            f"rows of the {given.n} points and weights of 0 or more: give a result for the same points"
        )
