"""The base of sources whose rows the host gathers for each pool.

The host calls several programs per round: solves and certificates on gathered rows, and the best scores of each part of the
points, which it merges.
"""

from __future__ import annotations

from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np

from hullx.core import rounds
from hullx.core.hull import Frame
from hullx.core.pool.solve import Limits, Pool, Solution, pool
from hullx.core.pool.solve import solve as solve_pools
from hullx.core.stages import Method, Stage, working_dtype
from hullx.core.state import Goal, QueryState
from hullx.numerics.batching import in_groups, lockstep
from hullx.types import Array

_pools = jax.jit(jax.vmap(pool))


class GatheringSource:
    """The base class of a `rounds.PointSource` whose rounds are several programs."""

    batch, threads = 1024, 1

    @property
    def precise(self) -> Self:
        """As `rounds.PointSource`: there is no rounded copy."""
        return self

    def nearest(self: rounds.PointSource, queries: np.ndarray, count: int, excluded: np.ndarray | None = None) -> Array:
        """`rounds.nearest`."""
        return rounds.nearest(self, queries, count=count, excluded=excluded)

    def advance(self: rounds.PointSource, state: QueryState, active: np.ndarray, goal: Goal, stage: Stage) -> QueryState:
        """`rounds.advance`."""
        return rounds.advance(self, state, active, goal, stage=stage)


def pools(state: QueryState) -> Pool:
    """The pools of a batch, on the host."""
    return jax.tree.map(np.asarray, _pools(state.support, state.weights, state.candidates))


def merge_top(values: np.ndarray, rows: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The `count` largest scores of each query, in descending order, and their rows: (b, count) each.

    Args:
        values, rows: (b, c), the best of each part of the points, concatenated.
    """
    order = np.argsort(-values, axis=1, kind="stable")[:, :count]
    return np.take_along_axis(values, order, 1), np.take_along_axis(rows, order, 1)


def replace_padding(rows: np.ndarray, n: int) -> np.ndarray:
    """The rows, with padding rows (n or more) replaced by row 0."""
    return np.where(rows < n, rows, 0).astype(np.int32)


def solve(frame: Frame, queries: Array, rows: Array, start: Pool, limits: Limits, *, stage: Stage) -> Solution:
    """The exact solves of a batch on their pools.

    Args:
        queries: raw, (b, d).
        rows: raw members of the pools, (b, c, d).
        start: the pools.
        limits: of each query.
    """

    def group(queries: Array, rows: Array, start: Pool, limits: Limits) -> Solution:
        def some(slots: Array) -> Array:
            return jnp.take_along_axis(rows, slots[..., None], 1)

        return solve_pools(frame, queries, some, None, start, limits, stage=stage)

    return in_groups(group, (queries, rows, start, limits), lockstep(rows[0].size * 8, len(rows)))


def certify(frame: Frame, queries: Array, rows: Array, along: Any, rest: Array, *, method: Method) -> Array:
    """The lower bounds of a batch, (b,), in the frame's units.

    Args:
        queries: raw, (b, d).
        rows: raw candidates, (b, c, d).
        along: residuals of the solution.
        rest: (b,), lower bounds of the slabs of all other points (`rounds.bound_of_others`).
    """
    dtype = working_dtype(method, queries.dtype)

    def one(query: Array, rows: Array, along: Any, rest: Array) -> Array:
        return jnp.minimum(method.precision.slab(frame, query.astype(dtype), rows.astype(dtype), along), rest)

    return in_groups(jax.vmap(one), (queries, rows, along, rest), lockstep(rows[0].size * 8, len(rows)))
