"""Where the points of a sweep live: on a device, or on disk.

Each gives an `Engine`, the two programs of `columns` bound to its points.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from hullx import columns
from hullx.columns import Frame, Hull, Lanes, Round
from hullx.types import Array

# Bytes of points that are in memory at once when they are read from disk.
CHUNK_BYTES = 2**28


class Engine(NamedTuple):
    """Column generation on a set of points.

    - nearest(queries (b, d), count): rows of the nearest points, (b, count).
    - advance(lanes, steps left (b,), active, gram_dtype): one round of the first `active` lanes, as NumPy arrays.
    - rows: padded number of points, the most candidates there can be.
    """

    nearest: Callable[[np.ndarray, int], np.ndarray]
    advance: Callable[[Lanes, np.ndarray, int, type], Round]
    frame: Frame
    rows: int


def on_device(points: np.ndarray) -> Engine:
    """The points on JAX's default device."""
    hull = jax.tree.map(jnp.asarray, _hull(points))

    def find(queries: np.ndarray, count: int) -> np.ndarray:
        return np.asarray(_nearest(hull, queries, count=count))

    def advance(lanes: Lanes, left: np.ndarray, active: int, gram_dtype: type) -> Round:
        return _as_numpy(_advance(hull, lanes, left, np.int32(active), gram_dtype=gram_dtype))

    return Engine(find, advance, hull.frame, len(hull.placed))


def on_disk(points: np.memmap | Sequence[np.ndarray]) -> Engine:
    """Points that do not fit in memory: one chunk at a time is read, and the rows of the pools.

    Raises:
        ValueError: the points hold NaN or infinity.
    """
    chunks = Chunks(points)
    frame = jax.tree.map(jnp.asarray, chunks.frame())
    if not np.isfinite(frame.radius):
        raise ValueError("points: got NaN or infinity, expected finite numbers: drop those rows")

    def best(vectors: np.ndarray, count: int, curvature: float) -> tuple[np.ndarray, np.ndarray]:
        values, rows = np.zeros((len(vectors), 0), np.float32), np.zeros((len(vectors), 0), np.int64)
        for start, chunk in chunks:
            more = _score_chunk(frame, chunk, vectors, curvature, count=min(count, len(chunk)))
            values = np.concatenate([values, np.asarray(more[0])], 1)
            rows = np.concatenate([rows, start + np.asarray(more[1])], 1)
            order = np.argsort(-values, axis=1, kind="stable")[:, :count]
            values, rows = np.take_along_axis(values, order, 1), np.take_along_axis(rows, order, 1)
        return values, np.where(rows < chunks.count, rows, 0).astype(np.int32)

    def find(queries: np.ndarray, count: int) -> np.ndarray:
        return best(np.asarray(frame.place(jnp.asarray(queries)), np.float32), count, 1.0)[1]

    def advance(lanes: Lanes, left: np.ndarray, active: int, gram_dtype: type) -> Round:
        pool = chunks.rows(np.concatenate([lanes.support, lanes.candidates], 1))
        solution = _solve_batch(frame, lanes, pool, left, np.int32(active), gram_dtype=gram_dtype)
        count = lanes.candidates.shape[1]
        scores, candidates = best(np.asarray(solution.direction, np.float32), count, 0.0)
        others = scores[:, -1] if count < chunks.padded else np.full(len(scores), -np.inf)
        lower = _certify_batch(frame, lanes.queries, chunks.rows(candidates), solution.direction, others, np.int32(active))
        return _as_numpy(Round(solution, candidates, lower))

    return Engine(find, advance, frame, chunks.padded)


class Chunks:
    """Points in pieces of equal size, the last one padded with the centre: `for start, rows in chunks`."""

    def __init__(self, points: np.memmap | Sequence[np.ndarray]) -> None:
        self.parts = [points] if isinstance(points, np.ndarray) else list(points)
        self.starts = np.cumsum([0, *map(len, self.parts)])
        self.count = int(self.starts[-1])
        self.dimension, self.dtype = self.parts[0].shape[1], self.parts[0].dtype
        self.size = min(max(CHUNK_BYTES // (self.dimension * self.dtype.itemsize), columns.GROUP), self.count)
        self.padded = -(-self.count // self.size) * self.size
        self.centre = np.zeros(self.dimension, self.dtype)

    def __iter__(self) -> Iterator[tuple[int, np.ndarray]]:
        for start in range(0, self.count, self.size):
            stop = min(start + self.size, self.count)
            chunk = np.empty((self.size, self.dimension), self.dtype)
            chunk[stop - start :] = self.centre
            for part, offset in zip(self.parts, self.starts, strict=False):
                low, high = max(start, offset), min(stop, offset + len(part))
                if low < high:
                    chunk[low - start : high - start] = _window(part, low - offset, high - offset)
            yield start, chunk

    def rows(self, wanted: np.ndarray) -> np.ndarray:
        """Points by row number, of any shape."""
        flat = wanted.reshape(-1)
        found = np.empty((len(flat), self.dimension), self.dtype)
        owner = np.searchsorted(self.starts, flat, side="right") - 1
        for which in np.unique(owner):
            mine = owner == which
            found[mine] = self.parts[which][flat[mine] - self.starts[which]]
        return found.reshape(*wanted.shape, self.dimension)

    def frame(self) -> Frame:
        """The frame, in one pass over the points; NaN or infinity anywhere makes its radius so."""
        sample = self.rows(np.linspace(0, self.count - 1, min(self.count, 4096)).astype(np.int64))
        self.centre = columns.frame(sample)[0].centre
        largest = radius = 0.0
        for _, chunk in self:
            centred = chunk - self.centre
            largest = np.maximum(largest, np.abs(centred).max())
            radius = np.maximum(radius, np.sqrt(np.einsum("nd,nd->n", centred, centred, dtype=np.float64).max()))
        scale = 2.0 ** np.frexp(np.float64(largest))[1] if largest > 0 else 1.0
        return Frame(self.centre, np.float64(scale), radius / scale)


def _window(part: np.ndarray, low: int, high: int) -> np.ndarray:
    """Rows of a part. A file is mapped anew for them, so that the pages read do not stay in this process's memory."""
    if isinstance(part, np.memmap) and isinstance(part.base, mmap.mmap) and part.flags.c_contiguous:
        offset = part.offset + low * part.shape[1] * part.dtype.itemsize
        return np.memmap(str(part.filename), part.dtype, "r", offset, (high - low, part.shape[1]))
    return part[low:high]


def _hull(points: np.ndarray) -> Hull:
    """The points and what is derived from them, in host memory."""
    frame, centred = columns.frame(points)
    rows = columns.width(len(points))
    # A padding row is the centre, which never scores above all points: it cannot displace the worst violator.
    placed = np.zeros((rows, points.shape[1]), np.float32)
    placed[: len(points)] = centred
    if len(points) < columns.SMALL:
        points = np.concatenate([points, np.repeat(points[:1], rows - len(points), 0)])
    half_squares = np.einsum("nd,nd->n", placed, placed) / np.float32(2)
    return Hull(points, placed, half_squares, np.int32(len(centred)), frame)


def _as_numpy(found: Round) -> Round:
    return jax.tree.map(np.asarray, found)


_nearest = jax.jit(columns.nearest, static_argnames=("count",))
_advance = jax.jit(columns.advance, static_argnames=("gram_dtype",))


@partial(jax.jit, static_argnames=("count",))
def _score_chunk(frame: Frame, chunk: Array, vectors: Array, curvature: Array, *, count: int) -> tuple[Array, Array]:
    placed = ((chunk - frame.centre) / frame.scale.astype(chunk.dtype)).astype(jnp.float32)
    scores = jnp.matmul(vectors, placed.T, precision="highest")
    return lax.top_k(scores - curvature.astype(jnp.float32) * (placed * placed).sum(1) / 2, count)


@partial(jax.jit, static_argnames=("gram_dtype",))
def _solve_batch(frame: Frame, lanes: Lanes, pool: Array, left: Array, active: Array, *, gram_dtype) -> columns.Solution:
    def one(lane: Lanes, rows: Array, steps: Array) -> columns.Solution:
        return columns.solve(frame, lane.queries, rows, *lane[1:], steps, gram_dtype=gram_dtype)

    return columns.each(one, (lanes, pool, left), active, columns.lockstep(pool[0].size * 4, len(pool)))


@jax.jit
def _certify_batch(frame: Frame, queries: Array, rows: Array, directions: Array, others: Array, active: Array) -> Array:
    together = columns.lockstep(rows[0].size * 4, len(rows))
    largest = columns.each(partial(columns.largest_exact, frame), (rows, directions), active, together)
    return columns.lower_bound(frame, queries, directions, largest, others)
