"""Checks and conversion of the arguments of `sweep`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.core
import numpy as np
from jax.sharding import Mesh

from hullx.arguments import check_count, check_numbers, finite_and_max
from hullx.core.hull import Hull
from hullx.errors import ArgumentError, ArgumentTypeError
from hullx.inputs import numeric_array
from hullx.projection.arguments import check_rtol, given
from hullx.types import Projection


class Input(NamedTuple):
    """The arguments as NumPy arrays of one dtype."""

    queries: np.ndarray  # (m, d)
    points: np.ndarray | Hull | Sequence[np.ndarray]  # (n, d), or parts that are read in chunks
    dtype: np.dtype
    chunked: bool
    n: int

    @property
    def dimension(self) -> int:
        """d."""
        return self.queries.shape[1]

    @property
    def arrays(self) -> list[np.ndarray]:
        """The points, in their original arrays."""
        if isinstance(self.points, Hull):
            return [np.asarray(self.points.points)[: self.n]]
        return [self.points] if isinstance(self.points, np.ndarray) else list(self.points)


def checked(queries: Any, points: Any) -> Input:
    """Queries and points, checked and converted to the dtype that they promote to, at least float32.

    Args:
        queries, points: the user's arguments, of any type.

    Raises:
        ArgumentTypeError, ArgumentError: they are invalid; the message says what to change.
    """
    traced = [("queries", queries), *(("points", leaf) for leaf in jax.tree.leaves(points))]
    for name, value in traced:
        if isinstance(value, jax.core.Tracer):
            raise ArgumentTypeError(
                f"{name}: got a traced value, expected numbers, because sweep is driven from the host: call it outside jit, or "
                "hullx.project inside"
            )
    queries = numeric_array("queries", queries)
    if queries.ndim != 2:
        remedy = "give queries[None] for one query" if queries.ndim == 1 else "flatten each query to one row"
        raise ArgumentError(f"queries: got shape {queries.shape}, expected (m, d): {remedy}")
    if not _in_parts(points):
        mine = given(queries, points)
        if isinstance(mine.points, Hull):
            return Input(np.asarray(queries, mine.dtype), mine.points, mine.dtype, False, int(mine.points.n))
        numbers = np.asarray(mine.points, mine.dtype)
        check_numbers("points", finite_and_max(numbers), mine.dtype)
        return Input(np.asarray(queries, mine.dtype), numbers, mine.dtype, False, len(numbers))
    parts = [points] if isinstance(points, np.memmap) else list(points)
    if not parts:
        raise ArgumentError("points: got an empty sequence, expected at least one array of points")
    # Memory maps are kept and read in chunks.
    names = ["points" if len(parts) == 1 else f"points[{i}]" for i in range(len(parts))]
    read = [part if isinstance(part, np.memmap) else numeric_array(name, part) for name, part in zip(names, parts, strict=True)]
    for name, part in zip(names, read, strict=True):
        if part.ndim != 2 or part.shape[1] != queries.shape[1] or not part.shape[1]:
            raise ArgumentError(
                f"{name}: got shape {part.shape}, expected (n, {queries.shape[1]}) to match queries of shape {queries.shape}: "
                "flatten queries and points in the same way"
            )
        if isinstance(part, np.memmap):
            numeric_array(name, part[:0])  # checks its dtype only
    count = sum(map(len, read))
    if not count:
        raise ArgumentError(f"points: got {len(parts)} arrays without rows, expected at least one point")
    # Check shapes and dtypes only; numbers are checked when they are read.
    dtype = np.result_type(np.float32, queries.dtype, *(part.dtype for part in read))
    read = [part if isinstance(part, np.memmap) else np.asarray(part) for part in read]
    return Input(np.asarray(queries, dtype), read, dtype, True, count)


def _in_parts(points: Any) -> bool:
    """Whether points are a memory map or a sequence of arrays."""
    if isinstance(points, np.memmap):
        return True
    return isinstance(points, list | tuple) and not isinstance(points, Hull) and all(np.ndim(part) == 2 for part in points)


def check_settings(
    rtol: float, max_iter: int | None, mesh: Any, resume: Any, warm_start: Any, progress: Any, given: Input
) -> None:
    """Check the settings of `sweep`.

    Args:
        given: queries and points, which a warm start must match.

    Raises:
        ArgumentTypeError, ArgumentError: a setting is invalid; the message says what to change.
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
            f"of shape {weights.shape}, expected one per query, {m}: give a result for the same queries"
        )
    if support.size and (support.min() < 0 or support.max() >= given.n or (weights < 0).any()):
        raise ArgumentError(
            f"warm_start: got rows from {support.min()} to {support.max()} and weights from {np.nanmin(weights)} on, expected "
            f"rows of the {given.n} points and weights of 0 or more: give a result for the same points"
        )
