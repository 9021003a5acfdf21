"""A coarse start of the search: projections in the 192 directions of largest variance.

Their supports nearly equal the final ones, at a fraction of the cost: 784 or 3,072 dimensions cost 4 or 16 times as much as
192. (Measured on 64 test images: 99.7% of the final support points are among the 96 best coarse ones on MNIST, 94% among the
128 best on CIFAR-10.) Sketches for hulls of images are due to Yousefzadeh (2021), arXiv 2102.10502; here they affect only the
speed, not the answer.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from hullx.core.hull import SAMPLE, Coarse, Frame, Hull, half_squares
from hullx.core.queue import Start, Work, run_queue
from hullx.core.sources.device import DeviceSource
from hullx.core.stages import Method, Setup, batch_size, host_stages
from hullx.core.state import Goal, QueryState
from hullx.runs.progress import Tally
from hullx.types import Array

# Number of directions.
DIMENSION = 192
# In fewer dimensions than this, a coarse start saves no time.
WORTHWHILE = 2 * DIMENSION
# Relative width of the bracket at which a coarse projection is good enough.
RTOL = 1e-3
# Queries placed at a time, which limits the memory for their float64 copies.
PIECE = 256


def coarse(hull: Hull) -> Coarse | None:
    """The points in their principal directions; None in low dimension."""
    if hull.points.shape[1] < WORTHWHILE:
        return None
    directions = basis(hull.placed, int(hull.n))
    return Coarse(jnp.asarray(directions), *_project(hull.placed, directions, hull.half_squares))


def basis(placed: Array, count: int) -> np.ndarray:
    """An orthonormal basis of most of the variance of the first `count` rows, (d, k) float32.

    Randomized subspace iteration on a sample of them. Source: Halko, Martinsson and Tropp (2011), "Finding structure with
    randomness", algorithm 4.4.

    Args:
        placed: (w, d), in the frame.
        count: number of points; later rows are padding.
    """
    sample = np.asarray(placed[: count : max(1, count // SAMPLE)])
    found = np.random.default_rng(0).standard_normal((placed.shape[1], DIMENSION), np.float32)
    for _ in range(2):
        found, _ = np.linalg.qr(sample.T @ (sample @ found))
    return found


@jax.jit
def _project(placed: Array, directions: Array, squares: Array) -> tuple[Array, Array]:
    rows = jnp.matmul(placed, directions, precision="highest")
    return rows, jnp.where(jnp.isfinite(squares), half_squares(rows), jnp.inf)


def coarse_source(hull: Hull) -> DeviceSource | None:
    """The source of the points in their principal directions, or None if the hull has none."""
    if hull.coarse is None:
        return None
    _, rows, squares = hull.coarse
    # In units of the points' frame, so raw and placed rows are one array. No bound computed here is used.
    frame = Frame(jnp.zeros_like(rows[0]), jnp.ones_like(hull.frame.scale), hull.frame.radius)
    return DeviceSource(Hull(rows, rows, squares, hull.n, frame))


def coarse_start(
    queries: np.ndarray, hull: Hull, source: DeviceSource, goal: Goal, tally: Tally, excluded: np.ndarray | None = None
) -> Start:
    """Supports, weights and candidates of the projections in the principal directions, as a start of the search.

    Args:
        queries: raw, (m, d).
        hull: the hull whose principal directions `source` has.
        goal: of the full search; the coarse one uses RTOL if that is larger.
        tally: called with (0, 0) between batches, so that it can end the search.
        excluded: (m,), rows that do not belong to the hulls, or None.
    """
    assert hull.coarse is not None
    directions, frame = np.asarray(hull.coarse.basis), jax.tree.map(np.asarray, hull.frame)
    pieces = np.array_split(queries, len(queries) // PIECE + 1)
    placed = np.concatenate([frame.place(piece.astype(np.float64)).astype(np.float32) @ directions for piece in pieces])
    n, batch = int(hull.n), batch_size(len(queries), source.batch, source.rows)
    # An unfinished support is a good enough start, so use only the first stage.
    stages = host_stages(n, placed.shape[1], rows=source.rows, batch=batch, setup=Setup())[:1]
    slots, m = stages[0].candidates, len(queries)
    found = Start(np.zeros((m, slots), np.int32), np.zeros((m, slots)), np.zeros((m, slots), np.int32), np.zeros(m, np.int32))

    def record(state: QueryState) -> None:
        for field, values in zip(found, (state.support, state.weights, state.candidates, state.steps), strict=True):
            field[state.row] = values

    goal = goal._replace(rtol=max(RTOL, float(goal.rtol)))
    assert stages[0].method is Method.FLOAT32
    run_queue(placed, Work(source, stages, goal, record, lambda done, certified: tally(0, 0)), excluded=excluded)
    return found
