"""Where the search begins: the projections in the few directions in which the points vary most.

They rest on nearly the same points, at a fraction of the price: 784 or 3,072 dimensions cost 4 or 16 times as much as 192.
(Measured on 64 test images: of the final supports 99.7% are among its 96 best points on MNIST, 94% among its 128 best on
CIFAR-10.) Sketches for hulls of images are due to Yousefzadeh (2021), arXiv 2102.10502; here they decide the speed and not the
answer.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hullx.core.hull import SAMPLE, Frame, Hull, half_squares
from hullx.core.stage import Method, Stage
from hullx.runs.progress import Tally
from hullx.sweeping.ladder import batch_of, fitted
from hullx.sweeping.queue import Goal, Start, drain
from hullx.sweeping.sources.device import DeviceSource
from hullx.types import Array

# Directions.
DIMENSION = 192
# Points in fewer dimensions than these are as well searched themselves.
WORTHWHILE = 2 * DIMENSION
# Support slots, and rows of the pool, of the one stage: a support that needs more will do as it is.
SLOTS = (64, 96)
# Relative width of the bracket at which a projection is good enough to begin with.
RTOL = 1e-3
# Queries that are placed at a time, for they are placed in float64.
PIECE = 256


class Principal(NamedTuple):
    """Points in their principal directions, and what brings queries there."""

    source: DeviceSource
    frame: Frame  # of the points themselves
    basis: np.ndarray  # (d, k) float32

    def place(self, queries: np.ndarray) -> np.ndarray:
        """Queries, raw (m, d), in these dimensions: (m, k) float32."""
        pieces = np.array_split(queries, len(queries) // PIECE + 1)
        return np.concatenate([self.frame.place(piece.astype(np.float64)).astype(np.float32) @ self.basis for piece in pieces])


def principal(source: DeviceSource) -> Principal | None:
    """The source's points in their principal directions, where that is worthwhile."""
    hull = source.placed.hull
    if hull.points.shape[1] < WORTHWHILE:
        return None
    directions = basis(hull.placed, int(hull.n))
    rows, squares = _turned(hull.placed, directions)
    # In the units of the points' frame: raw and placed rows are one array, and nothing is proved there.
    frame = Frame(jnp.zeros_like(rows[0]), jnp.ones_like(hull.frame.scale), hull.frame.radius)
    return Principal(DeviceSource(Hull(rows, rows, squares, hull.n, frame)), source.frame, directions)


def basis(placed: Array, count: int) -> np.ndarray:
    """An orthonormal basis of nearly the most variance of the first `count` rows, (d, k) float32.

    Randomized subspace iteration on a sample of them. Source: Halko, Martinsson and Tropp (2011), "Finding structure with
    randomness", algorithm 4.4.

    Args:
        placed: (w, d), in the frame.
        count: those that are points.
    """
    sample = np.asarray(placed[: count : max(1, count // SAMPLE)])
    found = np.random.default_rng(0).standard_normal((placed.shape[1], DIMENSION), np.float32)
    for _ in range(2):
        found, _ = np.linalg.qr(sample.T @ (sample @ found))
    return found


@jax.jit
def _turned(placed: Array, directions: Array) -> tuple[Array, Array]:
    rows = jnp.matmul(placed, directions, precision="highest")
    return rows, half_squares(rows)


def begin(queries: np.ndarray, directions: Principal, n: int, goal: Goal, tally: Tally) -> Start:
    """Where the search among n points may begin: the projections in their principal directions.

    Args:
        queries: raw, (m, d).
        directions: the points in these directions.
        goal: of the search; this one stops at RTOL if that is wider.
        tally: called with (0, 0) now and then, for it may end the search.
    """
    placed = directions.place(queries)
    stage = Stage(*SLOTS, Method.FLOAT32, batch_of(len(queries), directions.source))
    ladder = [fitted(stage, min(n, placed.shape[1] + 1), directions.source)]
    goal = goal._replace(rtol=max(RTOL, goal.rtol), data_dtype=placed.dtype)
    found, candidates = drain(placed, directions.source, ladder, goal, None, lambda done, certified: tally(0, 0))
    return Start(found.support, found.weights, candidates, found.iterations)
