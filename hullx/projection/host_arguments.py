"""Checks and conversion of queries and points on the host, for points in parts or larger than memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.core
import numpy as np

from hullx.arguments import check_numbers, finite_and_max
from hullx.core.hull import Hull
from hullx.errors import ArgumentError, ArgumentTypeError
from hullx.inputs import numeric_array
from hullx.projection.arguments import given


class Input(NamedTuple):
    """Queries and points as NumPy arrays of one dtype."""

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


def host_input(queries: Any, points: Any) -> Input:
    """Check queries and points; convert them to their promoted dtype, at least float32.

    Args:
        queries, points: the user's arguments, of any type.

    Raises:
        ArgumentTypeError, ArgumentError: they are invalid; the message says what to change.
    """
    traced = [("queries", queries), *(("points", leaf) for leaf in jax.tree.leaves(points))]
    for name, value in traced:
        if isinstance(value, jax.core.Tracer):
            raise ArgumentTypeError(
                f"{name}: got a traced value, expected numbers, because this function runs on the host: call it outside jit; "
                "hullx.project works under jit"
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
