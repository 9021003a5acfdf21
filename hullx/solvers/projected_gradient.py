"""Accelerated projected gradient, by jaxopt: the common simple method, with a certificate.

    a ← P(b − ∇f(b)/L),    f(a) = ‖Xᵀa − q‖²/2,    P the projection onto the simplex

with Nesterov's momentum (Beck and Teboulle 2009, FISTA), on a pool. It serves as a baseline, and provides jaxopt's implicit
derivatives (`implicit_weights`), which hold a weight for each point.

Only this file uses jaxopt, which is no longer maintained; the rest of hullx works without it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax.numpy as jnp
from jax import lax
from jaxtyping import Float

from hullx.arguments import check_count
from hullx.core.pool.problem import PoolProblem
from hullx.extras import require
from hullx.numerics.loops import loop_start
from hullx.types import Array

# Default maximum of steps in `implicit_weights`.
LIMIT = 20_000
# A solve stops at this step length in weights.
SHORT = 1e-6
# ‖M‖ ≤ (tr M^p)^(1/p) for M positive semidefinite, p = 2^SQUARINGS; at most d^(1/p) times too large: 1.11 at d = 784.
SQUARINGS = 6


@dataclass(frozen=True)
class ProjectedGradient:
    """jaxopt.ProjectedGradient, accelerated, with a fixed step from an upper bound of the Lipschitz constant.

    Attributes:
        steps: maximum steps per round.
        capacity: as for `ActiveSet`.

    Raises:
        ArgumentTypeError, ArgumentError: a setting is not an integer ≥ 1.
        PackageError: (when it runs) jaxopt is not installed.

    Example:
        >>> ProjectedGradient(steps=50)  # for hullx.project(queries, points, solver=ProjectedGradient(steps=50))
        ProjectedGradient(steps=50, capacity=None)
    """

    steps: int = 500
    capacity: int | None = None

    def __post_init__(self) -> None:
        check_count("steps", self.steps)
        check_count("capacity", self.capacity, none="min(n, d + 1)")

    def solve(self, pool: PoolProblem, max_steps: Array) -> tuple[Array, Array]:
        """As `Solver`, until a step is short."""
        lipschitz = bound(pool.gram)
        linear = (pool.scores + pool.gram @ pool.weights) / lipschitz
        # Make closed rows worse than any other row.
        linear = jnp.where(pool.closed, linear.min() - 4 - jnp.abs(linear).max(), linear)
        given = {"gram": pool.gram / lipschitz, "linear": linear}
        solver, limit = jaxopt_solver(pool_loss), jnp.minimum(max_steps, self.steps)

        def step(pair: tuple[Any, ...]) -> tuple[Any, ...]:
            return tuple(solver.update(*pair, **given))

        def going(pair: tuple[Any, ...]) -> Array:
            return (pair[1].iter_num < limit) & (pair[1].error > SHORT)

        start = pool.weights, solver.init_state(pool.weights, **given)
        weights, state = lax.while_loop(going, step, loop_start(start, pool.gram, pool.scores))
        return weights, state.iter_num.astype(jnp.int32)


def pool_loss(weights: Array, gram: Array, linear: Array) -> Array:
    """⟨a, G a⟩/2 − ⟨a, b⟩: the objective of a pool's weights on the simplex, up to a constant.

    Args:
        weights: a, (P,).
        gram: G, (P, P).
        linear: b, (P,): t + G w.
    """
    return weights @ (jnp.matmul(gram, weights, precision="highest") / 2 - linear)


def implicit_weights(
    query: Float[Array, "d"], points: Float[Array, "n d"], *, max_iter: int = LIMIT, tol: float = 1e-10
) -> Float[Array, "n"]:
    """All weights of the projection by jaxopt, with jaxopt's implicit derivatives at its fixed point.

    Reverse mode only: `jax.jacrev(lambda query: implicit_weights(query, points) @ points)(query)`. It serves as a check of
    `hullx.projection.derivatives`.

    Args:
        query: in raw coordinates, like the points.
        points: one per row.
        max_iter: maximum number of steps.
        tol: step length at which jaxopt stops.

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
    centred = lax.stop_gradient(points - centre)
    root = bound(centred.T @ centred if points.shape[1] < len(points) else centred @ centred.T) ** 0.5
    start = jnp.full(len(points), 1 / len(points), points.dtype)
    solver = jaxopt_solver(loss, max_iter, tol)
    return solver.run(start, rows=(points - centre) / root, query=(query - centre) / root).params


def bound(matrix: Float[Array, "P P"]) -> Float[Array, ""]:
    """An upper bound of the largest eigenvalue of a positive semidefinite matrix: the Lipschitz constant of the gradient.

    The p-th root of tr M^p, p = 2^SQUARINGS, by squaring; 1 for the zero matrix.

    Example:
        >>> bound(jnp.eye(2)).round(2)
        Array(1.01, dtype=float32)
    """
    trace = jnp.trace(matrix)
    total = jnp.where(trace > 0, trace, 1)
    matrix, exponent, log = matrix / total, 1.0, jnp.log(total)
    for _ in range(SQUARINGS):
        matrix, exponent = jnp.matmul(matrix, matrix, precision="highest"), 2 * exponent
        trace = jnp.trace(matrix)
        # tr M^p = exp(p log), because each square is normalised to trace 1.
        matrix, log = matrix / jnp.where(trace > 0, trace, 1), log + jnp.log(jnp.where(trace > 0, trace, 1)) / exponent
    return jnp.exp(log) * (1 + 1e-3)


def loss(weights: Array, rows: Array, query: Array) -> Array:
    """‖Σ a_i x_i − q‖²/2: the objective of a projection's weights on the simplex.

    Args:
        weights: a, (n,).
        rows: the x_i, (n, d).
        query: q, (d,).
    """
    return ((jnp.matmul(weights, rows, precision="highest") - query) ** 2).sum() / 2


@lru_cache
def jaxopt_solver(objective: Callable[..., Array], max_iter: int = LIMIT, tol: float = 0.0) -> Any:
    """jaxopt's solver for a loss, scaled so that its gradient's Lipschitz constant is 1.

    Args:
        objective: `loss` or `pool_loss`.
        max_iter: maximum steps of its `run`.
        tol: step length at which `run` stops.

    Raises:
        PackageError: jaxopt is not installed.
    """
    require("solver projected_gradient", "jaxopt")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import jaxopt
        from jaxopt.projection import projection_simplex
    return jaxopt.ProjectedGradient(
        objective, projection_simplex, stepsize=lambda _: 1.0, maxiter=max_iter, tol=tol, jit=True, unroll=False
    )
