"""What every solver is: `init_state`, `update` and `run`, on one query and centred points.

A solver is a frozen dataclass of settings. Its state has the `Answer` so far and whatever else the solver needs; every update
ends with `certified`, the same proof for all solvers. `hullx.project` centres the points, maps `run` over the queries and turns
the last answer into a `Projection`. To watch a solver, step it by hand:

    state = solver.init_state(query, frame)
    while not state.answer.done:
        state = solver.update(state, query, frame, rtol=1e-6, max_iter=1000)
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import jax.numpy as jnp
from jax import lax
from jaxtyping import Bool, Float, Int

from hullx import certificate
from hullx.numerics.loops import varying
from hullx.numerics.norms import norm_bound, power_of_two
from hullx.types import Answer, Array, Status


class Frame(NamedTuple):
    """Points in coordinates without units: (points − centre) / scale.

    Centring keeps rounding errors at the size of the hull (and first-order methods fast); the scale is a power of two,
    so dividing by it is exact, and puts every coordinate into [−1, 1]. The radius is no less than any point's norm.
    """

    points: Float[Array, "n d"]
    centre: Float[Array, "d"]
    scale: Float[Array, ""]
    radius: Float[Array, ""]

    def place(self, queries: Float[Array, "... d"]) -> Float[Array, "... d"]:
        """Queries in the frame's coordinates."""
        return (queries - self.centre) / self.scale


def frame(points: Float[Array, "n d"]) -> Frame:
    """The frame of the points, on the device; its radius is NaN where they are not finite."""
    # Any centre will do. Averaging differences to the first point keeps the average accurate far from the origin; in units of
    # the largest, their sum does not overflow.
    apart = points - points[0]
    unit = power_of_two(jnp.abs(apart).max())
    centre = points[0] + (apart / unit).mean(0) * unit
    centred = points - centre
    scale = power_of_two(jnp.abs(centred).max())
    scaled = centred / scale
    # A maximum may drop NaN: XLA's on a CPU does.
    finite = jnp.isfinite(scaled).all()
    return Frame(scaled, centre, scale, jnp.where(finite, norm_bound(scaled).max(), jnp.nan))


class State(Protocol):
    """What the outside reads of a solver's state."""

    @property
    def answer(self) -> Answer: ...


class Solver(Protocol):
    """Projects one query onto the hull of a frame's points."""

    def init_state(self, query: Float[Array, "d"], frame: Frame) -> Any: ...

    def update(self, state, query: Float[Array, "d"], frame: Frame, *, rtol: float, max_iter: int) -> Any: ...

    def run(self, query: Float[Array, "d"], frame: Frame, *, rtol: float, max_iter: int | None) -> Any: ...


def slots(n: int, d: int, capacity: int | None) -> int:
    """How many points may carry weight: min(n, d + 1) always suffice, but more than 128 are used only if asked for."""
    return min(n, d + 1, 128) if capacity is None else min(n, capacity)


def certified(
    query: Float[Array, "d"],
    frame: Frame,
    support: Int[Array, "s"],
    weights: Float[Array, "s"],
    iterations: Int[Array, ""],
    rtol: float,
) -> tuple[Answer, Float[Array, "n"]]:
    """The answer that weights on a support are, proved by one product with all points, and the points' scores ⟨x_j, u⟩."""
    proof = certificate.bracket(query, frame.points, frame.radius, support, weights, frame.scale)
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


def nearest(query: Float[Array, "d"], frame: Frame, count: int) -> Int[Array, "count"]:
    """Rows of the nearest points, nearest first."""
    # −‖x − q‖²/2 up to a constant, as one product. Which rows these are decides the speed and not the answer.
    nearness = jnp.matmul(frame.points, query, precision="highest") - (frame.points**2).sum(1) / 2
    return lax.top_k(nearness, count)[1].astype(jnp.int32)


def given_up(answer: Answer, when: Bool[Array, ""], status: Status) -> Answer:
    """The answer, ended with a status where it is not done and a condition holds."""
    ends = ~answer.done & when
    return answer._replace(status=jnp.where(ends, status, answer.status).astype(jnp.int32), done=answer.done | ends)


def until_done(solver: Solver, query: Float[Array, "d"], frame: Frame, rtol: float, max_iter: int) -> Any:
    """Updates until the answer is done."""
    return lax.while_loop(
        lambda state: ~state.answer.done,
        lambda state: solver.update(state, query, frame, rtol=rtol, max_iter=max_iter),
        varying(solver.init_state(query, frame), query, frame.points),
    )
