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

from hullx import certificate
from hullx.solvers.base import Frame
from hullx.solvers.lawson_hanson import solve_pool
from hullx.types import Array, Status


class ActiveSetState(NamedTuple):
    """See `solvers.base.State`; `candidates` are the rows that the next round adds to the support's."""

    support: Array  # (s,) int32
    weights: Array  # (s,)
    candidates: Array  # (c,) int32
    upper: Array
    lower: Array
    direction: Array  # (d,)
    iterations: Array
    status: Array
    done: Array


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

    def init_state(self, query: Array, frame: Frame) -> ActiveSetState:
        """The nearest point as the support, the nearest points as the candidates."""
        n, d = frame.points.shape
        capacity = min(n, d + 1, 128) if self.capacity is None else min(n, self.capacity)
        # −‖x − q‖²/2 up to a constant, as one product. Which rows these are decides the speed and not the answer.
        nearness = jnp.matmul(frame.points, query, precision="highest") - (frame.points**2).sum(1) / 2
        _, nearest = lax.top_k(nearness, min(n, self.candidates))
        first = jnp.arange(capacity) == 0
        return ActiveSetState(
            support=jnp.where(first, nearest[0], 0).astype(jnp.int32),
            weights=first.astype(query.dtype),
            candidates=nearest.astype(jnp.int32),
            upper=jnp.asarray(jnp.inf, query.dtype),
            lower=jnp.zeros((), query.dtype),
            direction=jnp.zeros_like(query),
            iterations=jnp.zeros((), jnp.int32),
            status=jnp.asarray(Status.MAX_ITER, jnp.int32),
            done=jnp.asarray(False),
        )

    def update(self, state: ActiveSetState, query: Array, frame: Frame, *, rtol: float, max_iter: int) -> ActiveSetState:
        """One round: solve on the pool, score all points, certify."""
        capacity = len(state.support)
        pool = jnp.concatenate([state.support, state.candidates])
        repeated = (state.candidates[:, None] == state.support) & (state.weights > 0)
        unused = state.weights == 0
        origin = state.weights @ frame.points[state.support]
        rows = frame.points[pool] - origin
        residual = state.weights @ (query - frame.points[state.support])
        solution = solve_pool(
            jnp.matmul(rows, rows.T, precision="highest"),
            jnp.matmul(rows, residual, precision="highest"),
            state.weights,
            jnp.concatenate([unused, repeated.any(1)]),
            max_iter - state.iterations,
        )
        support, weights = pool[solution.slots], solution.weights
        proof = certificate.bracket(query, frame.points, frame.radius, support, weights)

        in_support = jnp.zeros(len(frame.points), bool).at[support].max(weights > 0)
        _, candidates = lax.top_k(jnp.where(in_support, -jnp.inf, proof.scores), len(state.candidates))
        iterations = state.iterations + solution.steps
        level = certificate.inside_level(frame.radius, (weights > 0).sum(), query.dtype, query.dtype)
        status = certificate.status(proof.upper, proof.lower, level, rtol)
        # A round that let no row in, or did not come closer, and did not tighten the bracket will not do better next time.
        entered = ((solution.slots >= capacity) & (weights > 0)).any()
        wider = proof.upper - proof.lower > 0.5 * (state.upper - state.lower)
        stalled = solution.finished & wider & (~entered | (proof.upper >= state.upper))
        status = jnp.where((status < 0) & stalled, Status.ROUNDING, status)
        status = jnp.where((status < 0) & solution.full, Status.CAPACITY, status)
        undecided = status < 0
        return ActiveSetState(
            support=support,
            weights=weights,
            candidates=candidates.astype(jnp.int32),
            upper=proof.upper,
            lower=proof.lower,
            direction=proof.direction,
            iterations=iterations,
            status=jnp.where(undecided, Status.MAX_ITER, status).astype(jnp.int32),
            done=~undecided | (iterations >= max_iter),
        )

    def run(self, query: Array, frame: Frame, *, rtol: float, max_iter: int | None) -> ActiveSetState:
        """Rounds until the bracket is within rtol, or nothing more can be done."""
        n, d = frame.points.shape
        limit = step_limit(n, d) if max_iter is None else max_iter
        return lax.while_loop(
            lambda state: ~state.done,
            lambda state: self.update(state, query, frame, rtol=rtol, max_iter=limit),
            self.init_state(query, frame),
        )
