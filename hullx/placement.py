"""Where the points of a sweep live: on a device, or on disk (on many devices: `mesh`).

Each gives an `Engine`, the two programs of `columns` bound to its points.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from hullx import columns
from hullx.chunks import Chunks
from hullx.columns import Frame, Hull, Lanes, Round
from hullx.types import Array


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


class Source(NamedTuple):
    """What column generation needs of points that are not whole on one device.

    - best(vectors (b, d) float32, count, nearness): the largest ⟨x_j, v⟩ − [nearness] ‖x_j‖²/2 and their rows, each (b, count).
    - gather(rows (b, p)): those points, (b, p, d).
    - solve, certify: `solve_batch` and `certify_batch`, wherever they run.
    """

    count: int
    rows: int
    best: Callable[[np.ndarray, int, bool], tuple[np.ndarray, np.ndarray]]
    gather: Callable[[np.ndarray], Array]
    solve: Callable[..., columns.Solution]
    certify: Callable[..., Array]


def assembled(frame: Frame, source: Source) -> Engine:
    """The engine of a source: the same rounds as on one device, in four programs instead of one."""

    def best(vectors: np.ndarray, count: int, nearness: bool) -> tuple[np.ndarray, np.ndarray]:
        values, rows = source.best(vectors, count, nearness)
        values, rows = values[: len(vectors)], rows[: len(vectors)]
        # A row past the last point is padding.
        return values, np.where(rows < source.count, rows, 0).astype(np.int32)

    def find(queries: np.ndarray, count: int) -> np.ndarray:
        return best(np.asarray(frame.place(queries), np.float32), count, True)[1]

    def advance(lanes: Lanes, left: np.ndarray, active: int, gram_dtype: type) -> Round:
        pool = source.gather(np.concatenate([lanes.support, lanes.candidates], 1))
        solution = source.solve(lanes, pool, left, np.int32(active), gram_dtype)
        solution = jax.tree.map(lambda field: np.asarray(field)[: len(left)], solution)
        count = lanes.candidates.shape[1]
        scores, candidates = best(np.asarray(solution.direction, np.float32), count, False)
        others = scores[:, -1] if count < source.rows else np.full(len(scores), -np.inf, np.float32)
        pool = source.gather(candidates)
        lower = source.certify(lanes.queries, pool, solution.direction, others, np.int32(active))
        return Round(solution, candidates, np.asarray(lower)[: len(left)])

    return Engine(find, advance, frame, source.rows)


def on_disk(points: np.memmap | Sequence[np.ndarray]) -> Engine:
    """Points that do not fit in memory: one chunk at a time is read, and the rows of the pools.

    Raises:
        ValueError: the points hold NaN or infinity.
    """
    chunks = Chunks(points)
    frame = chunks.frame()

    def best(vectors: np.ndarray, count: int, nearness: bool) -> tuple[np.ndarray, np.ndarray]:
        values, rows = np.zeros((len(vectors), 0), np.float32), np.zeros((len(vectors), 0), np.int64)
        for start, chunk in chunks:
            more = _score_chunk(frame, chunk, vectors, np.float32(nearness), count=min(count, len(chunk)))
            values = np.concatenate([values, np.asarray(more[0])], 1)
            rows = np.concatenate([rows, start + np.asarray(more[1])], 1)
            order = np.argsort(-values, axis=1, kind="stable")[:, :count]
            values, rows = np.take_along_axis(values, order, 1), np.take_along_axis(rows, order, 1)
        return values, rows

    def solve(lanes: Lanes, pool: Array, left: np.ndarray, active: np.int32, gram_dtype: type) -> columns.Solution:
        return _solve_batch(frame, lanes, pool, left, active, gram_dtype=gram_dtype)

    return assembled(frame, Source(chunks.count, chunks.padded, best, chunks.rows, solve, partial(_certify_batch, frame)))


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
def _score_chunk(frame: Frame, chunk: Array, vectors: Array, nearness: Array, *, count: int) -> tuple[Array, Array]:
    placed = ((chunk - frame.centre) / frame.scale.astype(chunk.dtype)).astype(jnp.float32)
    scores = jnp.matmul(vectors, placed.T, precision="highest")
    return lax.top_k(scores - nearness * (placed * placed).sum(1) / 2, count)


def solve_batch(
    frame: Frame, lanes: Lanes, pool: Array, left: Array, active: Array, *, gram_dtype, together: int | None = None
) -> columns.Solution:
    """The exact solves of a batch on their pools, `together` at a time."""

    def one(lane: Lanes, rows: Array, steps: Array) -> columns.Solution:
        return columns.solve(frame, lane.queries, rows, *lane[1:], steps, gram_dtype=gram_dtype)

    together = together or columns.lockstep(pool[0].size * 4, len(pool))
    return columns.each(one, (lanes, pool, left), active, together)


def certify_batch(frame: Frame, queries: Array, rows: Array, directions: Array, others: Array, active: Array) -> Array:
    """The lower bounds of a batch."""
    together = columns.lockstep(rows[0].size * 4, len(rows))
    largest = columns.each(partial(columns.largest_exact, frame), (rows, directions), active, together)
    return columns.lower_bound(frame, queries, directions, largest, others)


_solve_batch = jax.jit(solve_batch, static_argnames=("gram_dtype", "together"))
_certify_batch = jax.jit(certify_batch)
