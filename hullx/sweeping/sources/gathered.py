"""What sources have in common whose rows the host gathers for each pool.

A round is several programs, which the host calls in turn: solves and certificates on rows at hand, and the best scores of
several parts of the points, merged.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from hullx.core import rounds
from hullx.core.digits.plain import Plain
from hullx.core.hull import Frame
from hullx.core.pool.solve import Pool, Solution, pool
from hullx.core.pool.solve import solve as solve_pools
from hullx.core.rounds import Batch, Round
from hullx.core.stage import Stage
from hullx.numerics.batching import in_groups, lockstep
from hullx.types import Array

pools = jax.jit(jax.vmap(pool))


class Gathered:
    """Rounds in several programs, of a `rounds.Source`: what such a source inherits."""

    batch, threads = 1024, 1

    def nearest(self: rounds.Source, queries: np.ndarray, count: int) -> Array:
        """`rounds.nearest`."""
        return rounds.nearest(self, queries, count=count)

    def advance(self: rounds.Source, batch: Batch, left: np.ndarray, active: Array, stage: Stage) -> Round:
        """`rounds.advance`."""
        return rounds.advance(self, batch, left, active, stage=stage)


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
    frame: Frame, queries: Array, rows: Array, start: Pool, left: Array, *, stage: Stage, together: int | None = None
) -> Solution:
    """The exact solves of a batch on their pools.

    Args:
        queries, rows: raw: (b, d), and the pools' members (b, c, d).
        start: the pools, of which `rows` are the members.
        left: most steps of each query, (b,).
        together: queries in lockstep, divides b; None for `lockstep`.
    """

    def group(queries: Array, rows: Array, start: Pool, left: Array) -> Solution:
        members = frame.place(rows.astype(jnp.float64))
        return solve_pools(frame, queries, members, rows, start, left, stage=stage)

    return in_groups(group, (queries, rows, start, left), together or lockstep(rows[0].size * 8, len(rows)))


def certify(frame: Frame, queries: Array, rows: Array, directions: Array, rest: Array) -> Array:
    """The lower bounds of a batch, (b,), in the frame's units.

    Args:
        queries: raw, (b, d).
        rows: the candidates, raw: (b, c, d).
        directions: (b, d) float64, of length 1.
        rest: (b,): lower bounds of the slabs of all other points (`rounds.bound_of_others`).
    """

    def one(query: Array, rows: Array, direction: Array, rest: Array) -> Array:
        return jnp.minimum(Plain().slab(frame, query, rows, direction), rest)

    return in_groups(jax.vmap(one), (queries, rows, directions, rest), lockstep(rows[0].size * 8, len(rows)))
