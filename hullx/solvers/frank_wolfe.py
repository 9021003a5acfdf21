"""Blended pairwise conditional gradient: a first-order method whose every step is one product with the points.

With scores σ_j = ⟨x_j, r⟩ along the residual r = q − p, a step moves weight from the support's worst point a to its best one s,
if that promises more than a step towards the best of all points w does:

    σ_s − σ_a ≥ σ_w − ⟨p, r⟩:  p ← p + γ (x_s − x_a), 0 ≤ γ ≤ w_a        else:  p ← p + γ (x_w − p), 0 ≤ γ ≤ 1

each with the exact minimiser γ. No inverse and no Gram matrix: memory is that of the points. It converges linearly on
polytopes, slowly where the hull is flat; the exact `ActiveSet` needs far fewer products. Source: Tsuji, Tanaka and Pokutta
(2022), "Pairwise conditional gradients without swap steps and sparser kernel herding", algorithm 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp

from hullx.arguments import check_count
from hullx.core.hull import Hull
from hullx.solvers.base import certified, given_up, nearest, until_done
from hullx.types import Answer, Array, Count, Number, Status

# Steps after which it gives up if nothing is said.
LIMIT = 10_000


class FrankWolfeState(NamedTuple):
    """The answer, and the scores of all points that certify it."""

    answer: Answer
    scores: Array  # (n,)


@dataclass(frozen=True)
class FrankWolfe:
    """Blended pairwise conditional gradient with exact line search.

    Attributes:
        capacity: most points that may carry weight; more than an exact solver needs, for the support need not be affinely
            independent. A query that needs more ends with Status.CAPACITY and a valid bracket.

    Raises:
        ArgumentTypeError, ArgumentError: the capacity is no whole number of 1 or more.

    Example:
        >>> FrankWolfe(capacity=1024)  # for hullx.project(queries, points, solver=FrankWolfe(capacity=1024))
        FrankWolfe(capacity=1024)
    """

    capacity: int = 256

    def __post_init__(self) -> None:
        check_count("capacity", self.capacity)

    def init_state(self, query: Array, hull: Hull) -> FrankWolfeState:
        """The nearest point."""
        capacity = min(len(hull.placed), self.capacity)
        support = jnp.where(jnp.arange(capacity) == 0, nearest(query, hull, 1), 0).astype(jnp.int32)
        weights = (jnp.arange(capacity) == 0).astype(query.dtype)
        answer, scores = certified(query, hull, support, weights, jnp.zeros((), jnp.int32), 0.0)
        return FrankWolfeState(answer, scores)

    def update(self, state: FrankWolfeState, query: Array, hull: Hull, *, rtol: Number, max_iter: Count) -> FrankWolfeState:
        """One step, certified."""
        support, weights = state.answer.support, state.answer.weights
        used, slot = weights > 0, jnp.arange(len(weights))
        own = state.scores[support]
        best, worst = jnp.where(used, own, -jnp.inf).argmax(), jnp.where(used, own, jnp.inf).argmin()
        towards = state.scores.argmax()
        pairwise = own[best] - own[worst] >= state.scores[towards] - weights @ own

        known = used & (support == towards)
        target = jnp.where(known.any(), known.argmax(), used.argmin())
        full = ~pairwise & ~known.any() & used.all()
        support = jnp.where(~pairwise & ~full & (slot == target), towards, support).astype(jnp.int32)
        exchange = (slot == best).astype(weights.dtype) - (slot == worst)
        move = jnp.where(pairwise, exchange, (slot == target) - weights)
        longest = jnp.where(pairwise, weights[worst], 1)

        differences = query - hull.placed[support]
        residual, along = weights @ differences, -(move @ differences)
        square = along @ along
        length = jnp.clip(residual @ along / jnp.where(square > 0, square, 1), 0, longest)
        length = jnp.where((square > 0) & ~full, length, 0)
        dropped = pairwise & (length == longest) & (slot == worst)
        weights = jnp.where(dropped, 0, jnp.maximum(weights + length * move, 0))
        weights = weights / weights.sum()

        answer, scores = certified(query, hull, support, weights, state.answer.iterations + 1, rtol)
        answer = given_up(answer, full, Status.CAPACITY)
        answer = given_up(answer, length == 0, Status.ROUNDING)
        return FrankWolfeState(given_up(answer, answer.iterations >= max_iter, Status.MAX_ITER), scores)

    def run(self, query: Array, hull: Hull, *, rtol: Number, max_iter: Count | None) -> FrankWolfeState:
        """Steps until the bracket is within rtol, or nothing more can be done."""
        return until_done(self, query, hull, rtol, LIMIT if max_iter is None else max_iter)
