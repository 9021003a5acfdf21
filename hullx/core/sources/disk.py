"""A source of points that do not fit in memory: it reads one chunk at a time, and the rows of the pools."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from hullx.core.hull import Frame, half_squares
from hullx.core.pool.solve import Limits, Solution
from hullx.core.scores import lower_bounds, nearness, replace_excluded, scores_in_double, without, worst_violators
from hullx.core.sources import gathered
from hullx.core.sources.chunks import Chunks
from hullx.core.stages import Method, Stage
from hullx.core.state import QueryState
from hullx.types import Array


class DiskSource(gathered.GatheringSource):
    """Chunks of points for a sweep, as a `rounds.PointSource`.

    Raises:
        ArgumentError: the points hold NaN or infinity, or numbers of a size that their dtype cannot compute with.
    """

    def __init__(self, chunks: Chunks) -> None:
        self.chunks, self.rows, self.scored, self.frame = chunks, chunks.padded, chunks.size, chunks.frame()

    def solve(self, state: QueryState, limits: Limits, active: Array, stage: Stage) -> Solution:
        """As `rounds.PointSource`."""
        start = gathered.pools(state)
        rows = self.chunks.rows(start.members)
        return _solve(self.frame, state.queries, rows, start, limits, stage=stage)

    def best(
        self, vectors: Array, count: int, active: Array, *, nearest: bool, excluded: Array | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """As `rounds.PointSource`."""
        vectors = np.asarray(vectors)

        def best_of_chunk(start: int, chunk: Array) -> tuple[Array, Array]:
            left_out, most = self._left_out(start, len(vectors), excluded), min(count, len(chunk))
            return _best(self.frame, chunk, vectors, *left_out, count=most, nearest=nearest)

        values, rows = self._merge_chunks(best_of_chunk, len(vectors), count, vectors.dtype)
        return values, replace_excluded(rows, excluded)

    def certify(
        self, queries: np.ndarray, candidates: np.ndarray, along: Any, rest: Array, active: Array, method: Method
    ) -> Array:
        """As `rounds.PointSource`."""
        return _certify(self.frame, queries, self.chunks.rows(candidates), along, rest, method=method)

    def certify_all(
        self, queries: np.ndarray, along: Any, count: int, excluded: Array | None = None
    ) -> tuple[Array, np.ndarray]:
        """As `rounds.PointSource`."""

        def best_of_chunk(start: int, chunk: Array) -> tuple[Array, Array]:
            (left_out, real), most = self._left_out(start, len(queries), excluded), min(count, len(chunk))
            return _worst_violators(self.frame, chunk, queries, along, count=most, excluded=left_out, n=real)

        violation, rows = self._merge_chunks(best_of_chunk, len(queries), count, np.dtype(np.float64))
        rows = replace_excluded(rows, excluded)
        return _lower_bounds(self.frame, queries, violation[:, 0], along), rows

    def _left_out(self, start: int, queries: int, excluded: Array | None) -> tuple[np.ndarray, np.int32]:
        """What has no score in the chunk of a first row: each query's row, or a negative number; later rows are padding."""
        none = np.full(queries, -1, np.int32)
        mine = none if excluded is None else np.asarray(excluded, np.int32)
        return mine - np.int32(start), np.int32(self.chunks.count - start)

    def _merge_chunks(
        self, function: Callable[[int, Array], tuple[Array, Array]], queries: int, count: int, dtype: np.dtype
    ) -> tuple[np.ndarray, np.ndarray]:
        """The `count` largest values over all chunks, in descending order, and their rows.

        Args:
            function: of a chunk's first row number and its rows.
        """
        values, rows = np.zeros((queries, 0), dtype), np.zeros((queries, 0), np.int64)
        for start, chunk in self.chunks:
            more = function(start, chunk)
            both = np.concatenate([values, np.asarray(more[0])], 1), np.concatenate([rows, start + np.asarray(more[1])], 1)
            values, rows = gathered.merge_top(*both, count)
        return values, gathered.replace_padding(rows, self.chunks.count)


_solve = jax.jit(gathered.solve, static_argnames="stage")
_certify = jax.jit(gathered.certify, static_argnames="method")
_worst_violators = jax.jit(worst_violators, static_argnames="count")
_lower_bounds = jax.jit(lower_bounds)


@partial(jax.jit, static_argnames=("count", "nearest"))
def _best(
    frame: Frame, chunk: Array, vectors: Array, excluded: Array, n: Array, *, count: int, nearest: bool
) -> tuple[Array, Array]:
    if vectors.dtype == jnp.float64:
        values, rows = lax.top_k(without(scores_in_double(frame, chunk, vectors), excluded, n), count)
        return values, rows
    placed = frame.place(chunk).astype(jnp.float32)
    offset = half_squares(placed) if nearest else jnp.zeros((), jnp.float32)
    values, rows = lax.top_k(without(nearness(vectors, placed, offset), excluded, n), count)
    return values, rows
