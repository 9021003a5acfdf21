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
from jax import lax

from hullx.arguments import check_count
from hullx.core.pool.factored import PoolSolution, solve_pool
from hullx.solvers.base import Answer, Frame, certified, given_up, nearest, slots, until_done
from hullx.types import Array, Status


class ActiveSetState(NamedTuple):
    """The answer, and the rows that the next round adds to the support's."""

    answer: Answer
    candidates: Array  # (c,) int32


def step_limit(n: int, d: int) -> int:
    """Most steps for a query: in practice it takes a small multiple of its support's size; Lawson and Hanson allow 3n."""
    return 200 + 40 * min(n, d + 1)


@dataclass(frozen=True)
class ActiveSet:
    """Exact projection by Wolfe's and Lawson and Hanson's active set with column generation.

    Attributes:
        candidates: rows that enter the pool in a round, besides the support.
        capacity: most points that may carry weight. None means min(n, d + 1), which always suffices, but at most 128, for
            the work of a step grows with its cube. A query that needs more ends with Status.CAPACITY and a valid bracket.
    """

    candidates: int = 192
    capacity: int | None = None

    def __post_init__(self) -> None:
        check_count("candidates", self.candidates)
        check_count("capacity", self.capacity, none="min(n, d + 1), at most 128")

    def init_state(self, query: Array, frame: Frame) -> ActiveSetState:
        """The nearest point as the support, the nearest points as the candidates."""
        n, d = frame.points.shape
        candidates = nearest(query, frame, min(n, self.candidates))
        return ActiveSetState(first_answer(query, candidates[0], slots(n, d, self.capacity)), candidates)

    def update(self, state: ActiveSetState, query: Array, frame: Frame, *, rtol: float, max_iter: int) -> ActiveSetState:
        """One round: solve on the pool, score all points, certify."""
        before = state.answer
        pool = pooled(before, state.candidates, query, frame)
        solution = solve_pool(pool.gram, pool.scores, before.weights, pool.blocked, max_iter - before.iterations)
        support = pool.members[solution.slots]
        iterations = before.iterations + solution.steps
        answer, scores = certified(query, frame, support, solution.weights, iterations, rtol)
        answer = judged(before, answer, solution, max_iter)
        in_support = jnp.zeros(len(frame.points), bool).at[support].max(solution.weights > 0)
        _, candidates = lax.top_k(jnp.where(in_support, -jnp.inf, scores), len(state.candidates))
        return ActiveSetState(answer, candidates.astype(jnp.int32))

    def run(self, query: Array, frame: Frame, *, rtol: float, max_iter: int | None) -> ActiveSetState:
        """Rounds until the bracket is within rtol, or nothing more can be done."""
        limit = step_limit(*frame.points.shape) if max_iter is None else max_iter
        return until_done(self, query, frame, rtol, limit)


def first_answer(query: Array, row: Array, capacity: int) -> Answer:
    """All weight on one row, and nothing proved yet."""
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


def pooled(answer: Answer, candidates: Array, query: Array, frame: Frame) -> Pool:
    """The pool of an answer's support and of candidates."""
    members = jnp.concatenate([answer.support, candidates])
    repeated = ((candidates[:, None] == answer.support) & (answer.weights > 0)).any(1)
    rows = frame.points[members] - answer.weights @ frame.points[answer.support]
    residual = answer.weights @ (query - frame.points[answer.support])
    return Pool(
        members=members,
        gram=jnp.matmul(rows, rows.T, precision="highest"),
        scores=jnp.matmul(rows, residual, precision="highest"),
        square=(residual**2).sum(),
        blocked=jnp.concatenate([answer.weights == 0, repeated]),
    )


def judged(before: Answer, answer: Answer, solution: PoolSolution, max_iter: int) -> Answer:
    """The answer of a round, ended if another round will not do better."""
    # A round that let no row in, or did not come closer, and did not tighten the bracket.
    entered = ((solution.slots >= len(solution.weights)) & (solution.weights > 0)).any()
    wider = answer.upper - answer.lower > 0.5 * (before.upper - before.lower)
    stalled = solution.finished & wider & (~entered | (answer.upper >= before.upper))
    answer = given_up(answer, stalled, Status.ROUNDING)
    answer = given_up(answer, solution.full, Status.CAPACITY)
    return given_up(answer, answer.iterations >= max_iter, Status.MAX_ITER)
