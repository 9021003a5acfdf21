"""What every solver is: `init_state`, `update` and `run`, on one query and centred points.

A solver is a frozen dataclass of settings. Its state carries at least the fields of `State`; `hullx.project` centres the
points, maps `run` over the queries and turns the last state into a `Projection`. To watch a solver, step it by hand:

    state = solver.init_state(query, frame)
    while not state.done:
        state = solver.update(state, query, frame, rtol=1e-6)
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import jax.numpy as jnp
from jax import lax
from jaxtyping import Bool, Float, Int

from hullx.certificate import norm
from hullx.types import Array


class Frame(NamedTuple):
    """Points in coordinates without units: (points − centre) / scale.

    Centring keeps rounding errors at the size of the hull (and first-order methods fast); the scale is a power of two,
    so dividing by it is exact, and puts every coordinate into [−1, 1].
    """

    points: Float[Array, "n d"]
    centre: Float[Array, "d"]
    scale: Float[Array, ""]
    radius: Float[Array, ""]

    def place(self, queries: Float[Array, "... d"]) -> Float[Array, "... d"]:
        """Queries in the frame's coordinates."""
        return (queries - self.centre) / self.scale


def frame(points: Float[Array, "n d"]) -> Frame:
    """The frame of the points, on the device. Derivatives flow through the points; centre and scale count as constants."""
    # Any centre will do. Averaging differences to the first point keeps the average accurate far from the origin.
    centre = lax.stop_gradient(points[0] + (points - points[0]).mean(0))
    centred = points - centre
    largest = lax.stop_gradient(jnp.abs(centred).max())
    _, exponent = jnp.frexp(largest)
    scale = jnp.where(largest > 0, jnp.ldexp(jnp.ones((), points.dtype), exponent), 1)
    scaled = centred / scale
    return Frame(scaled, centre, scale, norm(scaled).max())


class State(Protocol):
    """The fields of a solver's state that the outside reads."""

    support: Int[Array, "s"]
    weights: Float[Array, "s"]
    upper: Float[Array, ""]
    lower: Float[Array, ""]
    direction: Float[Array, "d"]
    iterations: Int[Array, ""]
    status: Int[Array, ""]
    done: Bool[Array, ""]


class Solver(Protocol):
    """Projects one query onto the hull of a frame's points."""

    def init_state(self, query: Float[Array, "d"], frame: Frame) -> Any: ...

    def update(self, state, query: Float[Array, "d"], frame: Frame, *, rtol: float, max_iter: int) -> Any: ...

    def run(self, query: Float[Array, "d"], frame: Frame, *, rtol: float, max_iter: int | None) -> Any: ...
