"""Blended pairwise conditional gradient: a first-order method whose steps move weight between two rows or towards one row.

With scores t_j = ⟨x_j, r⟩ along the residual r = q − p, a step moves weight from the support's worst row a to its best row s if
its predicted gain exceeds that of a step towards the best of all rows w:

    t_s − t_a ≥ t_w − ⟨p, r⟩:  p ← p + γ (x_s − x_a), 0 ≤ γ ≤ w_a        else:  p ← p + γ (x_w − p), 0 ≤ γ ≤ 1

each with the exact minimiser γ. It needs no inverse: a step costs P operations, or P² for the second kind. Source: Tsuji,
Tanaka and Pokutta (2022), "Pairwise conditional gradients without swap steps and sparser kernel herding", algorithm 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax

from hullx.arguments import check_count
from hullx.core.pool.problem import PoolProblem
from hullx.numerics.loops import loop_start
from hullx.types import Array

# A solve stops at this duality gap, relative to the initial gap.
GAP = 1e-4


class _State(NamedTuple):
    weights: Array
    scores: Array
    gap: Array
    steps: Array


@dataclass(frozen=True)
class FrankWolfe:
    """Blended pairwise conditional gradient with exact line search.

    Attributes:
        steps: maximum steps per round.
        capacity: as for `ActiveSet`.

    Raises:
        ArgumentTypeError, ArgumentError: a setting is not an integer ≥ 1.

    Example:
        >>> FrankWolfe(steps=100)  # for hullx.project(queries, points, solver=FrankWolfe(steps=100))
        FrankWolfe(steps=100, capacity=None)
    """

    steps: int = 500
    capacity: int | None = None

    def __post_init__(self) -> None:
        check_count("steps", self.steps)
        check_count("capacity", self.capacity, none="min(n, d + 1)")

    def solve(self, pool: PoolProblem, max_steps: Array) -> tuple[Array, Array]:
        """As `Solver`, until the duality gap is small relative to the initial one."""
        gram, rows = pool.gram, jnp.arange(len(pool.weights))

        def gap(weights: Array, scores: Array) -> Array:
            return jnp.where(pool.closed, -jnp.inf, scores).max() - weights @ scores

        def step(state: _State) -> _State:
            weights, scores, _, steps = state
            used = weights > 0
            best, worst = jnp.where(used, scores, -jnp.inf).argmax(), jnp.where(used, scores, jnp.inf).argmin()
            towards = jnp.where(pool.closed, -jnp.inf, scores).argmax()
            pairwise = scores[best] - scores[worst] >= scores[towards] - weights @ scores
            exchange = (rows == best).astype(weights.dtype) - (rows == worst)
            move = jnp.where(pairwise, exchange, (rows == towards) - weights)
            longest = jnp.where(pairwise, weights[worst], 1)
            change = gram @ move
            square = move @ change
            length = jnp.where(square > 0, jnp.clip(move @ scores / jnp.where(square > 0, square, 1), 0, longest), 0)
            dropped = pairwise & (length == longest) & (rows == worst)
            weights = jnp.where(dropped, 0, jnp.maximum(weights + length * move, 0))
            scores = scores - length * change
            return _State(weights, scores, jnp.where(length > 0, gap(weights, scores), 0), steps + 1)

        first = gap(pool.weights, pool.scores)
        limit = jnp.minimum(max_steps, self.steps)
        start = _State(pool.weights, pool.scores, first, jnp.zeros((), jnp.int32))
        end = lax.while_loop(
            lambda state: (state.gap > GAP * first) & (state.steps < limit), step, loop_start(start, gram, pool.scores)
        )
        return end.weights, end.steps
