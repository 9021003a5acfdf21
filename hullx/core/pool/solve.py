"""A query's solve on its pool: from the rows to equations, to weights, to a refined projection.

The solve is exact on the pool, whoever made the weights: it ends on the equations of the rows that have weight, and what is
left of the digits is refined from the raw numbers (`core.digits`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from hullx.core.digits.sliced import Sliced
from hullx.core.hull import Frame
from hullx.core.pool import factored, tableau
from hullx.core.pool.equations import Equations
from hullx.core.pool.tableau import Solved
from hullx.core.scores import repeated
from hullx.core.stage import Method, Stage
from hullx.types import Array


class Pool(NamedTuple):
    """The rows among which a query's support is sought: those that have weight first."""

    members: Array  # (c,) int32
    weights: Array  # (c,)
    blocked: Array  # (c,) bool: repetitions


class Solution(NamedTuple):
    """Exact solves of a batch on its pools, refined."""

    support: Array  # (b, c) int32, in no order
    weights: Array  # (b, c)
    point: Array  # (b, d) raw
    direction: Array  # (b, d) of length 1
    along: Any  # the directions with all their digits, for `digits`
    upper: Array  # (b,), in the frame's units
    steps: Array
    entered: Array  # some candidate joined the support


def pool(support: Array, weights: Array, candidates: Array) -> Pool:
    """As many rows as there are candidates: those of the support, then the best candidates besides."""
    key = jnp.concatenate([jnp.where(weights > 0, 2, 0), jnp.where(repeated(candidates, support, weights), 0, 1)])
    # The first of equals comes first.
    kinds, first = lax.top_k(key.astype(jnp.float32), len(candidates))
    weights = jnp.concatenate([weights, jnp.zeros(len(candidates), weights.dtype)])[first]
    return Pool(jnp.concatenate([support, candidates])[first], jnp.where(kinds == 2, weights, 0), kinds == 0)


def solve(
    frame: Frame,
    queries: Array,
    members: Array,
    raw: Array,
    start: Pool,
    left: Array,
    *,
    stage: Stage,
) -> Solution:
    """The exact solves on some pools, in lockstep.

    Args:
        queries: raw, (b, d).
        members: the pools' rows in the frame, (b, c, d), in a dtype no narrower than that of the method's matrix.
        raw: the same as they came.
        start: the pools.
        left: most steps of each, (b,).
    """
    method = stage.method
    pools, rows = jax.vmap(partial(_equations, frame, method=method))(queries, members, raw, start)
    solved = jax.vmap(partial(_solved, stage))(pools, rows, left)
    refined = jax.vmap(partial(method.digits.refined, frame))(queries, raw, solved.weights, solved.inverse, pools.gram)
    return Solution(
        support=start.members,
        weights=refined.weights,
        point=refined.point,
        direction=refined.direction,
        along=refined.along,
        upper=refined.upper,
        steps=solved.steps,
        entered=((solved.weights > 0) & (start.weights == 0)).any(1),
    )


def _equations(
    frame: Frame, query: Array, members: Array, raw: Array, start: Pool, *, method: Method
) -> tuple[Equations, Array]:
    """A pool's equations, and its rows about the first."""
    rows = members.astype(method.gram(query.dtype))
    weights, centred = start.weights.astype(rows.dtype), rows - rows[0]
    gram = jnp.matmul(centred, centred.T, precision="highest")
    if method.factors:
        # What was found so far may rest on rows that only rounding tells from affinely dependent ones.
        weights = tableau.independent(gram, weights)
    residual = weights @ (frame.place(query.astype(members.dtype)).astype(rows.dtype) - rows)
    scores = jnp.matmul(centred, residual, precision="highest")
    if method.slices and isinstance(method.digits, Sliced):
        scores = method.digits.scores(frame, query, raw, weights)
    return Equations(gram, scores, weights, residual @ residual, start.blocked), centred


def _solved(stage: Stage, pool: Equations, rows: Array, left: Array) -> Solved:
    if stage.method.factors:
        error = 0 if stage.method.slices else 1
        weights = pool.weights[: stage.capacity]
        found = factored.solve_pool(pool.gram, pool.scores, weights, pool.closed, left, error, rows)
        weights = jnp.zeros_like(pool.weights).at[found.slots].add(found.weights)
        return _on_support(pool, weights, found.steps, left, tableau.inverse)
    if stage.solver is None:
        return tableau.solve_pool(pool, left, well=stage.method.slices)
    weights, steps = stage.solver.solve(pool, left)
    weights = jnp.where(pool.closed, 0, weights)
    total = weights.sum()
    # What is no weights at all has found nothing.
    weights = jnp.where((total > 0) & jnp.isfinite(total), weights / total, pool.weights)
    return _on_support(pool, weights, steps, left, tableau.solve_pool)


def _on_support(
    pool: Equations, weights: Array, steps: Array, left: Array, solve: Callable[[Equations, Array], Solved]
) -> Solved:
    """A solve of a pool on the rows alone that other weights are on, which it starts from."""
    first = heaviest(weights, 1)[0]
    swapped = jnp.arange(len(weights)).at[first].set(0).at[0].set(first)
    about = pool.gram - pool.gram[first] - pool.gram[:, first, None] + pool.gram[first, first]
    scores = pool.scores - pool.gram @ (weights - pool.weights)
    pool = Equations(about[swapped][:, swapped], scores[swapped], weights[swapped], pool.square, jnp.ones_like(pool.closed))
    found = solve(pool, left - steps)
    return Solved(found.weights[swapped], found.inverse[swapped][:, swapped], steps + found.steps)


def heaviest(weights: Array, count: int) -> Array:
    """Places of the largest weights, in falling order."""
    return lax.top_k(weights.astype(jnp.float32), count)[1].astype(jnp.int32)
