"""Sketches of growing size: a generalized Cauchy point, an exact solve on what it leaves, and a certificate for all points.

After R. Yousefzadeh (2021), "A sketching method for finding the closest point on a convex hull", arXiv 2102.10502: a sketch is
the small part of the data that matters for one query. Each round takes a sketch, goes down the projected gradient's path to
its first minimiser, the generalized Cauchy point, which decides which points of the sketch may carry weight, and solves
exactly for their weights. What the original lacks is added here: one product with all points, which proves how good the answer
is, and whose worst violators are the next sketch, twice as large. So it ends with the exact answer, whatever the first sketch.

The Cauchy point is that of the bound-constrained form of the problem, in which the weights need not sum to 1:

    minimise over u ≥ 0    ‖Σ u_i (x_i − q)‖²/2 + s (Σ u_i − 1)²/2

whose minimiser is a multiple of the projection's weights for every s > 0 (homogeneity).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax

from hullx.arguments import check_count
from hullx.core.hull import Hull
from hullx.core.pool.factored import solve_pool
from hullx.core.scores import next_candidates
from hullx.numerics.loops import loop_start
from hullx.solvers.active_set import first_answer, judged, pooled, step_limit
from hullx.solvers.base import certified, nearest, slots, until_done
from hullx.types import Answer, Array, Count, Number


class SketchingState(NamedTuple):
    """The answer, and the rows of the next sketch, of which the first `size` count."""

    answer: Answer
    sketch: Array  # (c,) int32
    size: Array


@dataclass(frozen=True)
class Sketching:
    """Exact projection through sketches of growing size.

    Attributes:
        first: points in the first sketch, the nearest ones.
        growth: each sketch is so many times as large as the one before.
        most: points in the largest sketch.
        capacity: most points that may carry weight; None for min(n, d + 1), at most 128. A query that needs more ends with
            Status.CAPACITY and a valid bracket.

    Raises:
        ArgumentTypeError, ArgumentError: a setting is no whole number of 1 or more (2 or more for the growth).

    Example:
        >>> Sketching(first=32)  # for hullx.project(queries, points, solver=Sketching(first=32))
        Sketching(first=32, growth=2, most=512, capacity=None)

    Reference: Yousefzadeh (2021), "A sketching method for finding the closest point on a convex hull", arXiv 2102.10502.
    """

    first: int = 64
    growth: int = 2
    most: int = 512
    capacity: int | None = None

    def __post_init__(self) -> None:
        check_count("first", self.first)
        check_count("growth", self.growth, least=2)
        check_count("most", self.most)
        check_count("capacity", self.capacity, none="min(n, d + 1), at most 128")

    def init_state(self, query: Array, hull: Hull) -> SketchingState:
        """The nearest points as the sketch."""
        n, d = hull.placed.shape
        sketch = nearest(query, hull, min(n, self.most))
        answer = first_answer(query, sketch[0], slots(n, d, self.capacity))
        return SketchingState(answer, sketch, jnp.asarray(min(n, self.first), jnp.int32))

    def update(self, state: SketchingState, query: Array, hull: Hull, *, rtol: Number, max_iter: Count) -> SketchingState:
        """One sketch: Cauchy point, exact solve, certificate, and the next sketch."""
        before = state.answer
        pool = pooled(before, state.sketch, query, hull)
        beyond = jnp.arange(len(state.sketch)) >= state.size
        closed = pool.blocked | jnp.concatenate([jnp.zeros(len(before.weights), bool), beyond])
        remain = cauchy_point(pool.gram, pool.scores, pool.square, before.weights, closed) > 0
        solution = solve_pool(pool.gram, pool.scores, before.weights, closed | ~remain, max_iter - before.iterations)
        support = pool.members[solution.slots]
        answer, scores = certified(query, hull, support, solution.weights, before.iterations + solution.steps, rtol)
        answer = judged(before, answer, solution, max_iter)
        sketch = next_candidates(scores, support, solution.weights > 0, len(state.sketch))
        size = jnp.minimum(self.growth * state.size, len(sketch))
        return SketchingState(answer, sketch, size.astype(jnp.int32))

    def run(self, query: Array, hull: Hull, *, rtol: Number, max_iter: Count | None) -> SketchingState:
        """Sketches until the bracket is within rtol, or nothing more can be done."""
        limit = step_limit(*hull.placed.shape) if max_iter is None else max_iter
        return until_done(self, query, hull, rtol, limit)


def cauchy_point(gram: Array, scores: Array, square: Array, weights: Array, closed: Array) -> Array:
    """The first minimiser of the bound-constrained objective along max(u − t g, 0), t ≥ 0: (P,).

    The path is followed from bend to bend; each is where a weight reaches 0. Source: Conn, Gould and Toint (1988), "Testing a
    class of methods for solving minimization problems with simple bounds on the variables"; Nocedal and Wright (2006),
    algorithm 16.5.

    Args:
        gram, scores: ⟨x_i − p, x_j − p⟩, (P, P), and ⟨x_i − p, r⟩, (P,), of the pool's rows, p the point at hand.
        square: ‖r‖².
        weights: of the first k rows, at p; the path starts at the multiple of them that minimises the objective.
        closed: (P,) bool: rows without weight that are to stay so.
    """
    penalty = jnp.maximum(jnp.diagonal(gram).max(), square)
    penalty = jnp.where(penalty > 0, penalty, 1)

    def curve(direction: Array) -> Array:
        # With x_i − q = (x_i − p) − r.
        total = direction.sum()
        products = jnp.matmul(gram, direction, precision="highest") - scores * total - scores @ direction
        return products + (square + penalty) * total

    # The best multiple α w of the weights; there the gradient is −α ⟨x_i − p, r⟩.
    weights = jnp.concatenate([weights, jnp.zeros(len(scores) - len(weights), weights.dtype)])
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
