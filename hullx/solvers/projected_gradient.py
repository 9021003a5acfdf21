"""Accelerated projected gradient, by jaxopt: the method that people write first, with the certificate that it lacks.

    a ← P(b − ∇f(b)/L),    f(a) = ‖Xᵀa − q‖²/2,    P the projection onto the simplex

with Nesterov's momentum (Beck and Teboulle 2009, FISTA). Every weight of every point is kept, so memory and work go with n;
`ActiveSet` needs neither. It is here to compare with, and for jaxopt's own implicit derivatives (`implicit_weights`).

This is the one file that uses jaxopt, which is no longer maintained: the rest of hullx works without it.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Float

from hullx.arguments import check_count
from hullx.core.hull import Hull
from hullx.errors import PackageError
from hullx.numerics.loops import loop_start
from hullx.solvers.base import certified, given_up, until_done
from hullx.types import Answer, Array, Count, Number, Status

# Steps after which it gives up if nothing is said.
LIMIT = 20_000
# ‖M‖ ≤ (tr M^p)^(1/p) for M positive semidefinite, p = 2^SQUARINGS; at most d^(1/p) times too large: 1.11 at d = 784.
SQUARINGS = 6


class ProjectedGradientState(NamedTuple):
    """The answer (the largest weights), all weights, and jaxopt's own state."""

    answer: Answer
    weights: Array  # (n,)
    jaxopt: Any
    lipschitz: Array


@dataclass(frozen=True)
class ProjectedGradient:
    """jaxopt.ProjectedGradient, accelerated, with a fixed step from a safe bound of the Lipschitz constant.

    Attributes:
        steps: between two looks at the certificate.
        capacity: how many of the largest weights the answer keeps: many, for inside the hull it has no reason to leave out any.

    Raises:
        ArgumentTypeError, ArgumentError: a setting is no whole number of 1 or more.
        PackageError: (when it runs) jaxopt is not installed.

    Example:
        >>> ProjectedGradient(steps=50)  # for hullx.project(queries, points, solver=ProjectedGradient(steps=50))
        ProjectedGradient(steps=50, capacity=512)
    """

    steps: int = 20
    capacity: int = 512

    def __post_init__(self) -> None:
        check_count("steps", self.steps)
        check_count("capacity", self.capacity)

    def init_state(self, query: Array, hull: Hull) -> ProjectedGradientState:
        """Equal weights."""
        n = len(hull.placed)
        lipschitz = bound(hull.placed)
        weights = jnp.full(n, 1 / n, query.dtype)
        support = jnp.arange(min(n, self.capacity), dtype=jnp.int32)
        answer, _ = certified(query, hull, support, weights[support], jnp.zeros((), jnp.int32), 0.0)
        # Equal weights on some points are no solution, whatever their bracket.
        answer = answer._replace(status=jnp.asarray(Status.MAX_ITER, jnp.int32), done=jnp.asarray(False))
        state = jaxopt_solver().init_state(weights, rows=hull.placed / lipschitz**0.5, query=query / lipschitz**0.5)
        return ProjectedGradientState(answer, weights, state, lipschitz)

    def update(
        self, state: ProjectedGradientState, query: Array, hull: Hull, *, rtol: Number, max_iter: Count
    ) -> ProjectedGradientState:
        """Some steps, then the certificate."""
        root = state.lipschitz**0.5
        rows, placed = hull.placed / root, query / root

        def step(_: Array, pair: tuple[Any, ...]) -> tuple[Any, ...]:
            return tuple(jaxopt_solver().update(*pair, rows=rows, query=placed))

        weights, inner = lax.fori_loop(0, self.steps, step, loop_start((state.weights, state.jaxopt), query, hull.placed))
        largest, support = lax.top_k(weights, len(state.answer.weights))
        iterations = state.answer.iterations + self.steps
        answer, _ = certified(query, hull, support.astype(jnp.int32), largest / largest.sum(), iterations, rtol)
        answer = given_up(answer, iterations >= max_iter, Status.MAX_ITER)
        return ProjectedGradientState(answer, weights, inner, state.lipschitz)

    def run(self, query: Array, hull: Hull, *, rtol: Number, max_iter: Count | None) -> ProjectedGradientState:
        """Steps until the bracket is within rtol, or nothing more can be done."""
        return until_done(self, query, hull, rtol, LIMIT if max_iter is None else max_iter)


def implicit_weights(
    query: Float[Array, "d"], points: Float[Array, "n d"], *, max_iter: int = LIMIT, tol: float = 1e-10
) -> Float[Array, "n"]:
    """All weights of the projection, as jaxopt finds them and as jaxopt differentiates them: implicitly, by its fixed point.

    Reverse mode only, as jaxopt's: `jax.jacrev(lambda query: implicit_weights(query, points) @ points)(query)`. hullx's
    own (`hullx.projection.derivatives`) need no such thing; these check them.

    Args:
        query: raw, as the points.
        points: one a row.
        max_iter: most steps.
        tol: length of a step at which jaxopt stops.

    Returns:
        Weights ≥ 0 of all points, of sum 1.

    Raises:
        PackageError: jaxopt is not installed.

    Example:
        >>> implicit_weights(jnp.array([2.0, 0.5]), square).round(3)
        Array([0. , 0.5, 0. , 0.5], dtype=float32)

    Reference: Blondel et al. (2022), "Efficient and modular implicit differentiation".
    """
    centre = lax.stop_gradient(points.mean(0))
    root = lax.stop_gradient(bound(points - centre)) ** 0.5
    start = jnp.full(len(points), 1 / len(points), points.dtype)
    solver = jaxopt_solver(max_iter, tol)
    return solver.run(start, rows=(points - centre) / root, query=(query - centre) / root).params


def bound(points: Float[Array, "n d"]) -> Float[Array, ""]:
    """An upper bound of the largest eigenvalue of the points' Gram matrix: the Lipschitz constant of the gradient.

    The p-th root of tr M^p, p = 2^SQUARINGS, by squaring; 1 for points that are all 0.

    Example:
        >>> bound(jnp.eye(3, 2)).round(2)
        Array(1.01, dtype=float32)
    """
    n, d = points.shape
    matrix = points.T @ points if d < n else points @ points.T
    trace = jnp.trace(matrix)
    total = jnp.where(trace > 0, trace, 1)
    matrix, exponent, log = matrix / total, 1.0, jnp.log(total)
    for _ in range(SQUARINGS):
        matrix, exponent = jnp.matmul(matrix, matrix, precision="highest"), 2 * exponent
        trace = jnp.trace(matrix)
        # tr M^p = exp(p log): each square is brought back to trace 1.
        matrix, log = matrix / jnp.where(trace > 0, trace, 1), log + jnp.log(jnp.where(trace > 0, trace, 1)) / exponent
    return jnp.exp(log) * (1 + 1e-3)


def loss(weights: Array, rows: Array, query: Array) -> Array:
    """‖Σ a_i x_i − q‖²/2: what the weights of a projection minimise over the simplex.

    Args:
        weights: a, (n,).
        rows: the x_i, (n, d).
        query: q, (d,).
    """
    return ((jnp.matmul(weights, rows, precision="highest") - query) ** 2).sum() / 2


@lru_cache
def jaxopt_solver(max_iter: int = LIMIT, tol: float = 0.0) -> Any:
    """jaxopt's solver of `loss`, for rows scaled so that the Lipschitz constant is 1.

    Args:
        max_iter: most steps of its `run`.
        tol: length of a step at which `run` stops.

    Raises:
        PackageError: jaxopt is not installed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            import jaxopt
            from jaxopt.projection import projection_simplex
        except ImportError as error:
            raise PackageError(
                "solver projected_gradient needs jaxopt: pip install jaxopt, or choose another solver"
            ) from error
    return jaxopt.ProjectedGradient(
        loss, projection_simplex, stepsize=lambda _: 1.0, maxiter=max_iter, tol=tol, jit=True, unroll=False
    )
