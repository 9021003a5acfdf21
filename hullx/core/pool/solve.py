"""The solve of a query on its pool: from rows to a pool problem, to weights, to a refined projection.

The solve is exact on the pool with every solver: it ends with the equations of the rows with weight, and is refined from the
raw numbers (`core.precision`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from hullx.core.hull import Frame
from hullx.core.pool import tableau
from hullx.core.pool.problem import PoolProblem
from hullx.core.pool.tableau import Solved
from hullx.core.precision.slices import EXTENDED
from hullx.core.scores import is_repeat
from hullx.core.stages import Method, Stage, working_dtype
from hullx.numerics import extended
from hullx.numerics.extended import Pair
from hullx.numerics.pairs import Numbers
from hullx.types import Array

# Rows that are refined beyond a stage's capacity, because a support may outgrow it by a few.
SPARE = 8


class Pool(NamedTuple):
    """The rows of a query's pool; rows with weight come first."""

    members: Array  # (c,) int32
    weights: Array  # (c,)
    blocked: Array  # (c,) bool, repeated rows


class Limits(NamedTuple):
    """Limits of each query's solve: of steps, of points with weight, and the relative width of the bracket."""

    steps: Array  # (b,)
    size: Array  # (b,)
    rtol: Array  # (b,)


class Solution(NamedTuple):
    """Refined exact solves of a batch on its pools."""

    support: Array  # (b, c) int32, unordered
    weights: Array  # (b, c)
    point: Array  # (b, d) raw
    direction: Array  # (b, d) of length 1
    along: Any  # the directions in full precision, for `core.precision`
    upper: Array  # (b,), in the frame's units
    inside: Array  # (b,), whether the point reproduces the query
    size: Array  # (b,), number of points with weight, including those that were not refined
    steps: Array
    entered: Array  # whether a candidate joined the support, after refinement


def pool(support: Array, weights: Array, candidates: Array) -> Pool:
    """The pool of a query, as long as its candidates: the support, then the best candidates outside it."""
    key = jnp.concatenate([jnp.where(weights > 0, 2, 0), jnp.where(is_repeat(candidates, support, weights), 0, 1)])
    # top_k keeps the order of equal keys.
    kinds, first = lax.top_k(key.astype(jnp.float32), len(candidates))
    weights = jnp.concatenate([weights, jnp.zeros(len(candidates), weights.dtype)])[first]
    return Pool(jnp.concatenate([support, candidates])[first], jnp.where(kinds == 2, weights, 0), kinds == 0)


def solve(
    frame: Frame,
    queries: Array,
    rows: Callable[[Array], Array],
    placed: Array | None,
    start: Pool,
    limits: Limits,
    *,
    stage: Stage,
) -> Solution:
    """The exact solves of a batch on its pools, in lockstep.

    Args:
        queries: raw, (b, d).
        rows: raw rows (b, k, d) by their slots in the pools (b, k).
        placed: all rows of the pools in the frame, (b, c, d) in float32, or None.
        start: the pools.
        limits: of each query.
    """
    method, dtype, slots = stage.method, working_dtype(stage.method, queries.dtype), start.members.shape[1]
    queries, every = queries.astype(dtype), jnp.broadcast_to(jnp.arange(slots), start.members.shape)
    if method is Method.EXTENDED:
        pools = jax.vmap(partial(_extended_pool_problem, frame))(queries, rows(every).astype(dtype), start)
    else:
        members = frame.place(rows(every).astype(dtype)) if placed is None else placed
        members = members.astype(jnp.float32) if method.narrow else members
        pools = jax.vmap(_pool_problem)(frame.place(queries), members, start)
    solved = jax.vmap(partial(_solve_pool, stage))(pools, limits)
    # Rows without weight need no refinement. Of a support that outgrew the stage, the heaviest rows are refined.
    used = jax.vmap(partial(heaviest, count=min(stage.capacity + SPARE, slots)))(solved.weights)
    size = (solved.weights > 0).sum(1)
    solved, gram = jax.vmap(_restricted)(solved, pools.gram, used)
    refined = jax.vmap(partial(method.precision.refine, frame))(queries, rows(used).astype(dtype), solved, gram, limits.rtol)
    weights = jnp.zeros(start.members.shape, refined.weights.dtype)
    weights = jnp.put_along_axis(weights, used, refined.weights, 1, inplace=False)
    return Solution(
        support=start.members,
        weights=weights,
        point=refined.point,
        direction=refined.direction,
        along=refined.along,
        upper=refined.upper,
        inside=refined.inside,
        size=jnp.where(size > used.shape[1], size, (weights > 0).sum(1)),
        steps=solved.steps,
        entered=((weights > 0) & (start.weights == 0)).any(1),
    )


def _restricted(solved: Solved, gram: Numbers, used: Array) -> tuple[Solved, Numbers]:
    """The solve of a pool and its inner products, restricted to some rows."""
    inverse, gram = jax.tree.map(lambda matrix: matrix[used][:, used], (solved.inverse, gram))
    return solved._replace(weights=solved.weights[used], rest=solved.rest[used], inverse=inverse), gram


def _pool_problem(query: Array, members: Array, start: Pool) -> PoolProblem:
    """The problem of a pool in the dtype of its members, (c, d); query and members are in the frame."""
    weights, centred = start.weights.astype(members.dtype), members - members[0]
    gram = jnp.matmul(centred, centred.T, precision="highest")
    # The query is placed in full precision, because far from the origin it needs all its digits.
    residual = weights @ (query.astype(members.dtype) - members)
    scores = jnp.matmul(centred, residual, precision="highest")
    return PoolProblem(gram, scores, weights, residual @ residual, start.blocked)


def _extended_pool_problem(frame: Frame, query: Array, raw: Array, start: Pool) -> PoolProblem:
    """The problem of a pool in pairs, from raw numbers, without rounding errors of their dtype."""
    weights, how = start.weights.astype(raw.dtype), extended.slicing(raw.dtype, EXTENDED.slices)
    # Differences of placed numbers are at most 2; `cut` expects numbers of at most 1.
    unit = 2 * frame.scale.astype(raw.dtype)
    sliced = extended.cut(Pair(*(part / unit for part in extended.difference(raw, raw[0]))), how)
    gram = Pair(*(4 * part for part in extended.product(sliced, sliced.swapaxes(1, 2), how)))
    scores = EXTENDED.scores(frame, query, raw, weights)
    return PoolProblem(gram, scores, weights, jnp.zeros((), raw.dtype), start.blocked)


def _solve_pool(stage: Stage, pool: PoolProblem, limits: Limits) -> Solved:
    if stage.solver is None:
        return tableau.solve_pool(pool, limits.steps, most=limits.size)
    weights, steps = stage.solver.solve(pool, limits.steps)
    weights = jnp.where(pool.closed, 0, weights)
    order = heaviest(weights, len(weights))
    weights = weights.at[order].set(jnp.where(jnp.arange(len(weights)) < limits.size, weights[order], 0))
    total = weights.sum()
    # On invalid weights, keep the starting ones.
    weights = jnp.where((total > 0) & jnp.isfinite(total), weights / total, pool.weights)
    return _solve_on_support(pool, weights, steps, limits.steps)


def _solve_on_support(pool: PoolProblem, weights: Array, steps: Array, left: Array) -> Solved:
    """The solve of a pool from other weights, restricted to their rows."""
    shifted, swapped = tableau.recentre(pool, weights, jnp.zeros_like(weights))
    shifted = shifted._replace(closed=jnp.ones_like(pool.closed))
    return tableau.restore_order(tableau.solve_pool(shifted, left - steps), swapped, steps)


def heaviest(weights: Array, count: int) -> Array:
    """Indices of the largest weights, in descending order."""
    return lax.top_k(weights.astype(jnp.float32), count)[1].astype(jnp.int32)
