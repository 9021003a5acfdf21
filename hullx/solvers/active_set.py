"""The default solver: exact active set on a pool of rows, fed by column generation over all of them.

A query's projection rests on few points (7–46 of MNIST's 60,000), so a round solves exactly on a pool (the support at
hand and the best candidates), then scores all points along the new residual. That one product both certifies the answer
and finds the rows that violate it, which are the next candidates. The objective falls in every round that finds a
violator, so rounds end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp

from hullx.arguments import check_count
from hullx.core.hull import Hull
from hullx.core.pool.factored import PoolSolution, solve_pool
from hullx.core.rounds import stalled
from hullx.core.scores import next_candidates, repeated
from hullx.solvers.base import certified, given_up, nearest, slots, until_done
from hullx.types import Answer, Array, Count, Number, Status


class ActiveSetState(NamedTuple):
    """The answer, and the rows that the next round adds to the support's."""

    answer: Answer
    candidates: Array  # (c,) int32


def step_limit(n: int, d: int) -> int:
    """Most steps for a query: in practice it takes a small multiple of its support's size; Lawson and Hanson allow 3n.

    Args:
        n, d: points, and their dimension.
    """
    return 200 + 40 * min(n, d + 1)


@dataclass(frozen=True)
class ActiveSet:
    """Exact projection by Wolfe's and Lawson and Hanson's active set with column generation.

    Attributes:
        candidates: rows that enter the pool in a round, besides the support.
        capacity: most points that may carry weight. None means min(n, d + 1), which always suffices, but at most 128, for
            the work of a step grows with its cube. A query that needs more ends with Status.CAPACITY and a valid bracket.

    Raises:
        ArgumentTypeError, ArgumentError: a setting is no whole number of 1 or more.

    Example:
        >>> hullx.project(jnp.array([2.0, 0.5]), square, solver=ActiveSet()).point
        Array([1. , 0.5], dtype=float32)

    Reference: Wolfe (1976), "Finding the nearest point in a polytope"; Lawson and Hanson (1974), "Solving Least Squares
    Problems", chapter 23.
    """

    candidates: int = 192
    capacity: int | None = None

    def __post_init__(self) -> None:
        check_count("candidates", self.candidates)
        check_count("capacity", self.capacity, none="min(n, d + 1), at most 128")

    def init_state(self, query: Array, hull: Hull) -> ActiveSetState:
        """The nearest point as the support, the nearest points as the candidates."""
        n, d = hull.placed.shape
        candidates = nearest(query, hull, min(n, self.candidates))
        return ActiveSetState(first_answer(query, candidates[0], slots(n, d, self.capacity)), candidates)

    def update(self, state: ActiveSetState, query: Array, hull: Hull, *, rtol: Number, max_iter: Count) -> ActiveSetState:
        """One round: solve on the pool, score all points, certify."""
        before = state.answer
        pool = pooled(before, state.candidates, query, hull)
        solution = solve_pool(pool.gram, pool.scores, before.weights, pool.blocked, max_iter - before.iterations)
        support = pool.members[solution.slots]
        iterations = before.iterations + solution.steps
        answer, scores = certified(query, hull, support, solution.weights, iterations, rtol)
        answer = judged(before, answer, solution, max_iter)
        candidates = next_candidates(scores, support, solution.weights > 0, len(state.candidates))
        return ActiveSetState(answer, candidates)

    def run(self, query: Array, hull: Hull, *, rtol: Number, max_iter: Count | None) -> ActiveSetState:
        """Rounds until the bracket is within rtol, or nothing more can be done."""
        limit = step_limit(*hull.placed.shape) if max_iter is None else max_iter
        return until_done(self, query, hull, rtol, limit)


def first_answer(query: Array, row: Array, capacity: int) -> Answer:
    """All weight on one row, and nothing proved yet.

    Args:
        query: in the frame; its dtype is the answer's.
        row: of the points.
        capacity: slots of the support.
    """
    first = jnp.arange(capacity) == 0
    return Answer(
        support=jnp.where(first, row, 0).astype(jnp.int32),
        weights=first.astype(query.dtype),
        upper=jnp.asarray(jnp.inf, query.dtype),
        lower=jnp.zeros((), query.dtype),
        direction=jnp.zeros_like(query),
        iterations=jnp.zeros((), jnp.int32),
        status=jnp.asarray(Status.MAX_ITER, jnp.int32),
        done=jnp.asarray(False),
    )


class Pool(NamedTuple):
    """Rows among which a support is sought, its own k slots first, then candidates; coordinates are about the point p."""

    members: Array  # (k + c,) int32
    gram: Array  # ⟨x_i − p, x_j − p⟩
    scores: Array  # ⟨x_i − p, r⟩
    square: Array  # ‖r‖²
    blocked: Array  # unused slots, and candidates that are in the support already


def pooled(answer: Answer, candidates: Array, query: Array, hull: Hull) -> Pool:
    """The pool of an answer's support and of candidates.

    Args:
        answer: with k slots.
        candidates: c rows, (c,) int32.
        query: in the frame, (d,).
    """
    members = jnp.concatenate([answer.support, candidates])
    rows = hull.placed[members] - answer.weights @ hull.placed[answer.support]
    residual = answer.weights @ (query - hull.placed[answer.support])
    return Pool(
        members=members,
        gram=jnp.matmul(rows, rows.T, precision="highest"),
        scores=jnp.matmul(rows, residual, precision="highest"),
        square=(residual**2).sum(),
        blocked=jnp.concatenate([answer.weights == 0, repeated(candidates, answer.support, answer.weights)]),
    )


def judged(before: Answer, answer: Answer, solution: PoolSolution, max_iter: Count) -> Answer:
    """The answer of a round, ended if another round will not do better.

    Args:
        before: the answer of the round before.
        answer: this round's.
        solution: this round's solve on the pool.
        max_iter: iterations at which it ends.
    """
    entered = ((solution.slots >= len(solution.weights)) & (solution.weights > 0)).any()
    stuck = stalled(before.upper, before.upper - before.lower, answer.upper, answer.upper - answer.lower, entered)
    answer = given_up(answer, solution.finished & stuck, Status.ROUNDING)
    answer = given_up(answer, solution.full, Status.CAPACITY)
    return given_up(answer, answer.iterations >= max_iter, Status.MAX_ITER)
