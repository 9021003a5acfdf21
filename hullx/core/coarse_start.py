"""A coarse start of the search: projections in the 252 directions of largest variance.

Their supports nearly equal the final ones, at a fraction of the cost: 784 or 3,072 dimensions cost 3 or 12 times as much.
(Measured on 64 test images in 192 directions: 99.7% of the final support points are among the 96 best coarse ones on MNIST, 94%
among the 128 best on CIFAR-10. With 252 directions, a tenth fewer rounds follow on CIFAR-10.) Sketches for hulls of images are
due to Yousefzadeh (2021), arXiv 2102.10502; here they affect only the speed, not the answer.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hullx.core.hull import SAMPLE, Coarse, Frame, Hull, half_squares
from hullx.core.queue import Start, Work, run_queue
from hullx.core.rounded import rounded_copy
from hullx.core.sources.chunks import Chunks
from hullx.core.sources.device import DeviceSource
from hullx.core.stages import Method, Setup, batch_size, host_stages, largest_support
from hullx.core.state import Goal, QueryState
from hullx.numerics.aligned import aligned
from hullx.numerics.processor import on_cpu
from hullx.runs.progress import Tally
from hullx.types import Array

# Number of directions; with the columns of a rounded copy, 256.
DIMENSION = 252
# In fewer dimensions than this, a coarse start saves no time.
WORTHWHILE = 384
# Relative width of the bracket at which a coarse projection is good enough.
RTOL = 1e-3
# Of points on disk, the rows in principal directions are in memory, with their rounded copy 6 bytes a number: maximum bytes,
# and the fewest directions worth it.
BYTES, FEWEST = 9 * 2**27, 64
# Rows placed at a time, which limits the memory for their copies.
PIECE = 256


class CoarsePoints(NamedTuple):
    """Points in the directions of largest variance, as a source of their own.

    - source: the points in these directions.
    - basis: the directions, orthonormal, (d, k) float32.
    - frame: the frame of the points.
    - n: number of points.
    """

    source: DeviceSource
    basis: np.ndarray
    frame: Frame
    n: int


def coarse(hull: Hull) -> Coarse:
    """The points in their principal directions."""
    sample = np.asarray(hull.placed[: int(hull.n) : max(1, int(hull.n) // SAMPLE)])
    directions = principal_basis(sample, DIMENSION)
    rows, squares = _project(hull.placed, directions, hull.half_squares)
    return Coarse(jnp.asarray(directions), rows, squares, rounded_copy(rows, squares))


def for_many_queries(hull: Hull) -> Hull:
    """The hull with what makes many queries faster in high dimension: principal directions, and a rounded copy.

    Accelerators do without: their products take a small part of a round.
    """
    if hull.points.shape[1] < WORTHWHILE or hull.coarse is not None or not on_cpu(hull.placed):
        return hull
    return hull._replace(coarse=coarse(hull), rounded=rounded_copy(hull.placed, hull.half_squares))


def principal_basis(sample: np.ndarray, count: int) -> np.ndarray:
    """An orthonormal basis of most of the variance of placed rows, (d, count) float32.

    Randomized subspace iteration. Source: Halko, Martinsson and Tropp (2011), "Finding structure with randomness",
    algorithm 4.4.
    """
    found = np.random.default_rng(0).standard_normal((sample.shape[1], count), np.float32)
    for _ in range(2):
        found, _ = np.linalg.qr(sample.T @ (sample @ found))
    return found


def coarse_of_hull(hull: Hull) -> CoarsePoints | None:
    """The points of a hull in its principal directions, or None if it has none."""
    if hull.coarse is None:
        return None
    return _coarse_points(hull.coarse, jax.tree.map(np.asarray, hull.frame), int(hull.n))


def coarse_of_chunks(chunks: Chunks, frame: Frame) -> CoarsePoints | None:
    """Points on disk in their principal directions, in one pass; None in low dimension, and if they need too much memory."""
    count = min(DIMENSION, BYTES // (6 * chunks.padded))
    if count < FEWEST or chunks.dimension < WORTHWHILE:
        return None
    sample = chunks.rows(np.linspace(0, chunks.count - 1, min(chunks.count, SAMPLE)).astype(np.int64))
    directions = principal_basis(np.asarray(frame.place(sample), np.float32), count)
    rows, squares = aligned((chunks.padded, count)), np.empty(chunks.padded, np.float32)
    for start, chunk in chunks:
        for first in range(0, len(chunk), PIECE):
            here = slice(start + first, start + min(first + PIECE, len(chunk)))
            np.matmul(frame.place(chunk[first : first + PIECE]).astype(np.float32), directions, out=rows[here])
            squares[here] = np.square(rows[here]).sum(1) / 2
    squares[chunks.count :] = np.inf  # as `Hull.half_squares` of padding
    rows, squares = jnp.asarray(rows), jnp.asarray(squares)
    return _coarse_points(Coarse(jnp.asarray(directions), rows, squares, rounded_copy(rows, squares)), frame, chunks.count)


def _coarse_points(points: Coarse, frame: Frame, n: int) -> CoarsePoints:
    # In units of the points' frame, so raw and placed rows are one array. No bound computed here is used.
    basis, rows, squares, rounded = points
    here = Frame(jnp.zeros_like(rows[0]), jnp.ones_like(frame.scale), jnp.asarray(frame.radius))
    return CoarsePoints(DeviceSource(Hull(rows, rows, squares, n, here, rounded=rounded)), np.asarray(basis), frame, n)


@jax.jit
def _project(placed: Array, directions: Array, squares: Array) -> tuple[Array, Array]:
    rows = jnp.matmul(placed, directions, precision="highest")
    return rows, jnp.where(jnp.isfinite(squares), half_squares(rows), jnp.inf)


def coarse_start(
    queries: np.ndarray, coarse_points: CoarsePoints, goal: Goal, tally: Tally, excluded: np.ndarray | None = None
) -> Start:
    """Supports, weights and candidates of the projections in the principal directions, as a start of the search.

    Args:
        queries: raw, (m, d).
        goal: of the full search; the coarse one uses RTOL if that is larger.
        tally: called with (0, 0) between batches, so that it can end the search.
        excluded: (m,), rows that do not belong to the hulls, or None.
    """
    source, basis, frame, n = coarse_points
    pieces = np.array_split(queries, len(queries) // PIECE + 1)
    with np.errstate(over="ignore", invalid="ignore"):  # placed queries may exceed float32's range; they start at any point
        placed = np.concatenate([frame.place(piece.astype(np.float64)).astype(np.float32) @ basis for piece in pieces])
    batch = batch_size(len(queries), source.batch, source.scored)
    # An unfinished support is a good enough start, so use only the first stage.
    stages = host_stages(source.rows, placed.shape[1], batch=batch, setup=Setup())[:1]
    slots, m = stages[0].candidates, len(queries)
    found = Start(np.zeros((m, slots), np.int32), np.zeros((m, slots)), np.zeros((m, slots), np.int32), np.zeros(m, np.int32))

    def record(state: QueryState) -> None:
        for field, values in zip(found, (state.support, state.weights, state.candidates, state.steps), strict=True):
            field[state.row] = values

    goal = goal._replace(rtol=max(RTOL, float(goal.rtol)), most=largest_support(n, placed.shape[1], Setup()))
    assert stages[0].method is Method.FLOAT32
    run_queue(placed, Work(source, stages, goal, record, lambda done, certified: tally(0, 0)), excluded=excluded)
    return found
