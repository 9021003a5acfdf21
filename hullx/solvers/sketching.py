"""Generalized Cauchy point: one piecewise-linear search decides which rows of a pool may carry weight.

After R. Yousefzadeh (2021), "A sketching method for finding the closest point on a convex hull", arXiv 2102.10502: a sketch is
the small part of the data that matters for one query. Each round takes a sketch and follows the projected gradient's path to
its first minimiser, the generalized Cauchy point. That point decides which points of the sketch may carry weight; an exact
solve finds their weights. Here the sketch is the pool. hullx adds one product with all points, which certifies the answer and
finds the worst violators for the next sketch.

The Cauchy point belongs to the bound-constrained form of the problem, in which the weights need not sum to 1:

    minimise over u ≥ 0    ‖Σ u_i (x_i − q)‖²/2 + s (Σ u_i − 1)²/2

whose minimiser is a multiple of the projection's weights for every s > 0 (homogeneity).
"""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp
from jax import lax

from hullx.arguments import check_count
from hullx.core.pool.problem import PoolProblem
from hullx.numerics.loops import loop_start
from hullx.types import Array


@dataclass(frozen=True)
class Sketching:
    """Exact projection through generalized Cauchy points.

    Attributes:
        capacity: as for `ActiveSet`.

    Raises:
        ArgumentTypeError, ArgumentError: the capacity is not an integer ≥ 1.

    Example:
        >>> Sketching(capacity=32)  # for hullx.project(queries, points, solver=Sketching(capacity=32))
        Sketching(capacity=32)

    Reference: Yousefzadeh (2021), "A sketching method for finding the closest point on a convex hull", arXiv 2102.10502.
    """

    capacity: int | None = None

    def __post_init__(self) -> None:
        check_count("capacity", self.capacity, none="min(n, d + 1)")

    def solve(self, pool: PoolProblem, max_steps: Array) -> tuple[Array, Array]:
        """As `Solver`: the Cauchy point's weights, the start of the exact step."""
        weights = pool.weights
        # Relative to p instead of the first row.
        products = pool.gram @ weights
        gram = pool.gram - products - products[:, None] + weights @ products
        scores = pool.scores - weights @ pool.scores
        found = cauchy_point(gram, scores, pool.square, weights, pool.closed)
        return found / found.sum(), jnp.ones((), jnp.int32)


def cauchy_point(gram: Array, scores: Array, square: Array, weights: Array, closed: Array) -> Array:
    """The first minimiser of the bound-constrained objective along max(u − t g, 0), t ≥ 0: (P,).

    The path has a bend wherever a weight reaches 0; the search goes from bend to bend. Source: Conn, Gould and Toint (1988),
    "Testing a class of methods for solving minimization problems with simple bounds on the variables"; Nocedal and Wright
    (2006), algorithm 16.5.

    Args:
        gram, scores: ⟨x_i − p, x_j − p⟩, (P, P), and ⟨x_i − p, r⟩, (P,), of the pool's rows; p is the current point.
        square: ‖r‖².
        weights: (P,), at p; the path starts at their multiple that minimises the objective.
        closed: (P,) bool, rows that must keep weight 0.
    """
    penalty = jnp.maximum(jnp.diagonal(gram).max(), square)
    penalty = jnp.where(penalty > 0, penalty, 1)

    def curve(direction: Array) -> Array:
        # With x_i − q = (x_i − p) − r.
        total = direction.sum()
        products = jnp.matmul(gram, direction, precision="highest") - scores * total - scores @ direction
        return products + (square + penalty) * total

    # The best multiple α w of the weights; there the gradient is −α ⟨x_i − p, r⟩.
    multiple = penalty / (penalty + square)
    start, gradient = multiple * weights, -multiple * (scores - weights @ scores)
    direction = jnp.where((start > 0) | (~closed & (gradient < 0)), -gradient, 0)

    def body(state: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        place, gradient, direction, _ = state
        bend = curve(direction)
        slope, curvature = gradient @ direction, direction @ bend
        best = jnp.where(curvature > 0, -slope / jnp.where(curvature > 0, curvature, 1), 0)
        ratios = jnp.where((direction < 0) & (place > 0), place / -direction, jnp.inf)
        length = jnp.maximum(jnp.minimum(best, ratios.min()), 0)
        ended = (slope >= 0) | (best <= ratios.min())
        stopped = ratios <= length
        place = jnp.where(stopped, 0, jnp.maximum(place + length * direction, 0))
        return place, gradient + length * bend, jnp.where(stopped, 0, direction), ended

    return lax.while_loop(
        lambda state: ~state[3], body, loop_start((start, gradient, direction, jnp.asarray(False)), gram, weights)
    )[0]
