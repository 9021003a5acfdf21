"""What sources have in common whose rows the host gathers for each pool.

A round is several programs, which the host calls in turn: solves and certificates on rows at hand, and the best scores of
several parts of the points, merged.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from hullx.core import rounds
from hullx.core.hull import Frame
from hullx.core.rounds import Batch, Method, Pool, Round, Solution
from hullx.numerics.batching import lockstep, over_first
from hullx.types import Array

pools = jax.jit(jax.vmap(rounds.pool))


class Gathered:
    """Rounds in several programs, of a `rounds.Source`: what such a source inherits."""

    batch, threads = 1024, 1

    def nearest(self: rounds.Source, queries: np.ndarray, count: int) -> Array:
        """`rounds.nearest`."""
        return rounds.nearest(self, queries, count=count)

    def advance(self: rounds.Source, batch: Batch, left: np.ndarray, active: Array, method: Method) -> Round:
        """`rounds.advance`."""
        return rounds.advance(self, batch, left, active, method=method)


def merged(values: np.ndarray, rows: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The `count` largest of each query's scores, in falling order, and their rows: (b, count) each.

    Args:
        values, rows: (b, c), the best of each part of the points side by side.
    """
    order = np.argsort(-values, axis=1, kind="stable")[:, :count]
    return np.take_along_axis(values, order, 1), np.take_along_axis(rows, order, 1)


def points_only(rows: np.ndarray, n: int) -> np.ndarray:
    """Rows of points: one past the last of n is padding, which becomes row 0."""
    return np.where(rows < n, rows, 0).astype(np.int32)


def solve(
    frame: Frame,
    queries: Array,
    rows: Array,
    start: Pool,
    left: Array,
    active: Array | int,
    *,
    method: Method,
    together: int | None = None,
) -> Solution:
    """The exact solves of a batch on their pools, `together` at a time.

    Args:
        queries, rows: raw: (b, d), and the pools' members (b, c, d).
        start: the pools, of which `rows` are the members.
        left: most steps of each query, (b,).
        active: how many of the b queries count.
        together: divides b; None for `lockstep`.
    """

    def one(query: Array, rows: Array, start: Pool, steps: Array) -> Solution:
        members = frame.place(rows.astype(jnp.float64))
        return rounds.solve(frame, query, members, start, steps, method=method, raw=lambda slots: rows[slots])

    together = together or lockstep(rows[0].size * 4, len(rows))
    return over_first(one, (queries, rows, start, left), active, together)


def certify(frame: Frame, queries: Array, rows: Array, directions: Array, others: Array, active: Array | int) -> Array:
    """The lower bounds of a batch, (b,), in the frame's units.

    Args:
        queries: raw, (b, d).
        rows: the candidates, raw: (b, c, d).
        directions: (b, d) float64, of length 1.
        others: (b,): no point that is not a candidate scores higher (`rounds.lower_bound`).
        active: how many of the b queries count.
    """
    together = lockstep(rows[0].size * 4, len(rows))
    largest = over_first(partial(rounds.largest, frame), (rows, directions), active, together)
    return rounds.lower_bound(frame, queries, directions, largest, others)
