"""Where the points of a sweep live: on a device, or on disk (on many devices: `mesh`).

Each gives an `Engine`, the two programs of `core.rounds` bound to its points.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from threading import Lock
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from hullx.core import rounds
from hullx.core.rounds import Frame, Hull, Lanes, Method, Pool, Round
from hullx.sweeping import principal
from hullx.sweeping.sources.chunks import Chunks
from hullx.types import Array

# On a CPU a product of so many queries is as fast per query as any (measured at n = 60,000, d = 784: 128 as 512, 64 a tenth
# slower), and the fewer there are, the less the last, partly filled rounds cost.
CPU_BATCH = 128


class Engine(NamedTuple):
    """Column generation on a set of points.

    - nearest(queries (b, d), count): rows of the nearest points, (b, count).
    - advance(lanes, steps left (b,), active, method): one round of the first `active` lanes, as NumPy arrays.
    - rows: padded number of points, the most candidates there can be.
    - batch: most queries that it is worth giving to one call.
    - threads: how many may call it side by side.
    - sketch: the same points in fewer dimensions, where the search begins, if that is worthwhile.
    """

    nearest: Callable[[np.ndarray, int], np.ndarray]
    advance: Callable[[Lanes, np.ndarray, int, Method], Round]
    frame: Frame
    rows: int
    batch: int = 1024
    threads: int = 1
    sketch: Sketch | None = None


class Sketch(NamedTuple):
    """The points in fewer dimensions.

    - place(queries (b, d)): the queries in these dimensions.
    - engine: column generation there.
    """

    place: Callable[[np.ndarray], np.ndarray]
    engine: Engine


def on_device(points: np.ndarray) -> Engine:
    """The points on JAX's default device."""
    hull = _hull(points)
    begin = None
    if points.shape[1] >= principal.WORTHWHILE:
        basis = principal.basis(hull.placed, len(points))
        begin = Sketch(partial(_sketched, jax.tree.map(np.asarray, hull.frame), basis), _engine(_sketched_hull(hull, basis)))
    return _engine(hull)._replace(sketch=begin)


def _engine(hull: Hull) -> Engine:
    compiling, compiled = Lock(), set()

    def find(queries: np.ndarray, count: int) -> np.ndarray:
        return np.asarray(_nearest(hull, queries, count=count))

    def advance(lanes: Lanes, left: np.ndarray, active: int, method: Method) -> Round:
        shape = (*lanes.support.shape, lanes.candidates.shape[1], method)
        # Threads that meet a new shape wait for the first of them, or each would compile it. Programs with batched LAPACK
        # kernels run one at a time, for two may each hold a thread that the other waits for.
        with nullcontext() if shape in compiled and method is not Method.FACTORED else compiling:
            found = _as_numpy(_advance(hull, lanes, left, np.int32(active), method=method))
            compiled.add(shape)
        return found

    engine = Engine(find, advance, jax.tree.map(np.asarray, hull.frame), len(hull.placed))
    if next(iter(hull.placed.devices())).platform == "cpu":
        return engine._replace(batch=CPU_BATCH, threads=os.cpu_count() or 1)
    return engine


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
    solve: Callable[..., rounds.Solution]
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

    def advance(lanes: Lanes, left: np.ndarray, active: int, method: Method) -> Round:
        start = jax.tree.map(np.asarray, _pools(lanes.support, lanes.weights, lanes.candidates))
        rows = source.gather(start.members)
        solution = source.solve(lanes.queries, rows, start, left, np.int32(active), method)
        solution = jax.tree.map(lambda field: np.asarray(field)[: len(left)], solution)
        count = lanes.candidates.shape[1]
        scores, candidates = best(np.asarray(solution.direction, np.float32), count, False)
        others = scores[:, -1] if count < source.rows else np.full(len(scores), -np.inf, np.float32)
        rows = source.gather(candidates)
        lower = source.certify(lanes.queries, rows, solution.direction, others, np.int32(active))
        return Round(solution, candidates, np.asarray(lower)[: len(left)])

    return Engine(find, advance, frame, source.rows)


def on_disk(chunks: Chunks) -> Engine:
    """Points that do not fit in memory: one chunk at a time is read, and the rows of the pools.

    Raises:
        ArgumentError: the points hold NaN or infinity, or numbers of a size that their dtype cannot compute with.
    """
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

    def solve(
        queries: np.ndarray, rows: Array, start: Pool, left: np.ndarray, active: np.int32, method: Method
    ) -> rounds.Solution:
        return _solve_batch(frame, queries, rows, start, left, active, method=method)

    return assembled(frame, Source(chunks.count, chunks.padded, best, chunks.rows, solve, partial(_certify_batch, frame)))


def _hull(points: np.ndarray) -> Hull:
    """The points and what is derived from them, committed to the default device: threads have one of their own."""
    (device,) = jnp.zeros(()).devices()
    count, rows = len(points), rounds.width(len(points))
    centre = rounds.centre(points[:: max(1, count // 4096)])
    if count < rounds.SMALL:
        points = np.concatenate([points, np.repeat(points[:1], rows - count, 0)])
    points = jax.device_put(points, device)
    frame = rounds.frame(centre, *rounds.spread(points, centre))
    return Hull(points, *_placed(points, frame, count, rows=rows), *jax.device_put((np.int32(count), frame), device))


def _sketched_hull(hull: Hull, basis: np.ndarray) -> Hull:
    """The sketches' hull, in the units of the points' frame: raw and placed rows are one array, and nothing is proved there."""
    rows, half_squares = _sketches(hull.placed, basis)
    origin = Frame(jnp.zeros_like(rows[0]), jnp.ones_like(hull.frame.scale), hull.frame.radius)
    return Hull(rows, rows, half_squares, hull.count, origin)


@jax.jit
def _sketches(placed: Array, basis: np.ndarray) -> tuple[Array, Array]:
    rows = jnp.matmul(placed, basis, precision="highest")
    return rows, (rows * rows).sum(1) / 2


def _sketched(frame: Frame, basis: np.ndarray, queries: np.ndarray) -> np.ndarray:
    # A piece at a time, for they are placed in float64.
    pieces = np.array_split(queries, len(queries) // 256 + 1)
    return np.concatenate([frame.place(piece).astype(np.float32) @ basis for piece in pieces])


@partial(jax.jit, static_argnames=("rows",))
def _placed(points: Array, frame: Frame, count: Array, *, rows: int) -> tuple[Array, Array]:
    placed = jnp.pad(frame.roughly(points), ((0, rows - len(points)), (0, 0)))
    # A padding row is the centre, which never scores above all points: it cannot displace the worst violator.
    placed = jnp.where(jnp.arange(rows)[:, None] < count, placed, 0)
    return placed, (placed * placed).sum(1) / 2


def _as_numpy(found: Round) -> Round:
    return jax.tree.map(np.asarray, found)


_nearest = jax.jit(rounds.nearest, static_argnames=("count",))
_pools = jax.jit(jax.vmap(rounds.pool))
_advance = jax.jit(rounds.advance, static_argnames=("method",))


@partial(jax.jit, static_argnames=("count",))
def _score_chunk(frame: Frame, chunk: Array, vectors: Array, nearness: Array, *, count: int) -> tuple[Array, Array]:
    placed = frame.roughly(chunk)
    scores = jnp.matmul(vectors, placed.T, precision="highest")
    return lax.top_k(scores - nearness * (placed * placed).sum(1) / 2, count)


def solve_batch(
    frame: Frame,
    queries: Array,
    rows: Array,
    start: Pool,
    left: Array,
    active: Array,
    *,
    method: Method,
    together: int | None = None,
) -> rounds.Solution:
    """The exact solves of a batch on their pools, `together` at a time."""

    def one(query: Array, rows: Array, start: Pool, steps: Array) -> rounds.Solution:
        placed_query, placed_rows = (frame.place(part).astype(method.dtype) for part in (query, rows))
        found = rounds.solve(placed_query, placed_rows, start._replace(members=jnp.arange(len(rows))), steps, method=method)
        return rounds.refine(frame, query, rows[found.support], found)._replace(support=start.members[found.support])

    together = together or rounds.lockstep(rows[0].size * 4, len(rows))
    return rounds.each(one, (queries, rows, start, left), active, together)


def certify_batch(frame: Frame, queries: Array, rows: Array, directions: Array, others: Array, active: Array) -> Array:
    """The lower bounds of a batch."""
    together = rounds.lockstep(rows[0].size * 4, len(rows))
    largest = rounds.each(partial(rounds.largest_exact, frame), (rows, directions), active, together)
    return rounds.lower_bound(frame, queries, directions, largest, others)


_solve_batch = jax.jit(solve_batch, static_argnames=("method", "together"))
_certify_batch = jax.jit(certify_batch)
