"""What every solver is: `init_state`, `update` and `run`, on one query and the hull, both in the hull's frame.

A solver is a frozen dataclass of settings. Its state has the `Answer` so far and whatever else the solver needs; every update
ends with `certified`, the same proof for all solvers. `hullx.project` places the points, maps `run` over the queries and turns
the last answer into a `Projection`. To watch a solver, step it by hand:

    hull = hull_of(points)
    query = hull.frame.place(query)
    state = solver.init_state(query, hull)
    while not state.answer.done:
        state = solver.update(state, query, hull, rtol=1e-6, max_iter=1000)
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import jax.numpy as jnp
from jax import lax
from jaxtyping import Bool, Float, Int

from hullx import certificate
from hullx.core.hull import Hull
from hullx.core.scores import nearness
from hullx.numerics.loops import loop_start
from hullx.types import Answer, Array, Count, Number, Status


class State(Protocol):
    """What the outside reads of a solver's state."""

    @property
    def answer(self) -> Answer:
        """The projection as far as it is known."""
        ...


@runtime_checkable
class Solver(Protocol):
    """Projects one query, in the frame, onto the hull of points; a hashable object, for it is static under jit."""

    def init_state(self, query: Float[Array, "d"], hull: Hull) -> Any:
        """The state before the first step.

        Args:
            query: in the hull's frame.
            hull: what `hull_of(points)` returns.
        """

    def update(self, state: Any, query: Float[Array, "d"], hull: Hull, *, rtol: Number, max_iter: Count) -> Any:
        """The state after one more step (or round), its answer certified.

        Args:
            state: the one before, not done.
            query, hull: as for `init_state`.
            rtol: relative width of the bracket at which the answer is done.
            max_iter: most iterations in all; an answer that has reached them is done, with Status.MAX_ITER.
        """

    def run(self, query: Float[Array, "d"], hull: Hull, *, rtol: Number, max_iter: Count | None) -> Any:
        """The state at the end: updates until its answer is done.

        Args:
            query, hull, rtol: as for `update`.
            max_iter: the same; None for the solver's own limit.
        """


def slots(n: int, d: int, capacity: int | None) -> int:
    """How many points may carry weight: min(n, d + 1) always suffice, but more than 128 are used only if asked for.

    Args:
        n, d: points, and their dimension.
        capacity: what was asked for.

    Example:
        >>> slots(60_000, 784, None), slots(60_000, 784, 300), slots(4, 2, 300)
        (128, 300, 4)
    """
    return min(n, d + 1, 128) if capacity is None else min(n, capacity)


def certified(
    query: Float[Array, "d"],
    hull: Hull,
    support: Int[Array, "s"],
    weights: Float[Array, "s"],
    iterations: Int[Array, ""],
    rtol: Number,
) -> tuple[Answer, Float[Array, "n"]]:
    """The answer that weights on a support are, proved by one product with all points, and the points' scores ⟨x_j, u⟩.

    Args:
        query: in the frame.
        support: rows of the hull's points.
        weights: ≥ 0, of sum 1.
        iterations: steps so far, which the answer reports.
        rtol: relative width of the bracket at which the answer is done.

    Returns:
        The answer, done and CONVERGED, INSIDE or NONFINITE, or not done and MAX_ITER; and the scores along its direction u.

    Example:
        >>> hull = hullx.solvers.hull_of(square)
        >>> query, half = hull.frame.place(jnp.array([2.0, 0.5])), jnp.array([0.5, 0.5])
        >>> answer, scores = certified(query, hull, jnp.array([1, 3]), half, jnp.array(1), rtol=1e-3)
        >>> Status(int(answer.status)).name, scores
        ('CONVERGED', Array([-0.5,  0.5, -0.5,  0.5], dtype=float32))
    """
    frame = hull.frame
    proof = certificate.bracket(query, hull.placed, frame.radius, support, weights, frame.scale)
    lost = certificate.underflow(len(query), len(weights), frame.scale, query.dtype, query.dtype)
    level = certificate.inside_level(frame.radius, (weights > 0).sum(), lost, query.dtype, query.dtype)
    status = certificate.status(proof.upper, proof.lower, level, rtol)
    undecided = status < 0
    answer = Answer(
        support=support,
        weights=weights,
        upper=proof.upper,
        lower=proof.lower,
        direction=proof.direction,
        iterations=iterations,
        status=jnp.where(undecided, Status.MAX_ITER, status).astype(jnp.int32),
        done=~undecided,
    )
    return answer, proof.scores


def nearest(query: Float[Array, "d"], hull: Hull, count: int) -> Int[Array, "count"]:
    """Rows of the nearest points, nearest first, as good as the dtype tells.

    Args:
        query: in the frame.
        count: from 1 to n.
    """
    # Which rows these are decides the speed and not the answer.
    return lax.top_k(nearness(query, hull.placed, hull.half_squares), count)[1].astype(jnp.int32)


def given_up(answer: Answer, when: Bool[Array, ""], status: Status) -> Answer:
    """The answer, ended with a status where it is not done and a condition holds.

    Args:
        when: the condition.
        status: why it ends.
    """
    ends = ~answer.done & when
    return answer._replace(status=jnp.where(ends, status, answer.status).astype(jnp.int32), done=answer.done | ends)


def until_done(solver: Solver, query: Float[Array, "d"], hull: Hull, rtol: Number, max_iter: Count) -> Any:
    """The state of a solver whose answer is done: updates in a `lax.while_loop`.

    Args:
        query, hull, rtol, max_iter: as for `Solver.update`.
    """
    return lax.while_loop(
        lambda state: ~state.answer.done,
        lambda state: solver.update(state, query, hull, rtol=rtol, max_iter=max_iter),
        loop_start(solver.init_state(query, hull), query, hull.placed),
    )
