"""Other people's solvers for the projection onto a hull, each as a function from one query and the points to weights.

    minimise ‖Xᵀa − q‖²   subject to   a ≥ 0, Σ a = 1

All work in float64. First-order methods stop when `gap` is at most the tolerance asked for, the others at their own tolerance.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np
import optax
import scipy.optimize
import scipy.sparse

Solve = Callable[[np.ndarray, np.ndarray], np.ndarray]

# Steps of a first-order method between two looks at its gap.
STEPS = 100
ROWS = 8192


def gap(query: np.ndarray, points: np.ndarray, weights: np.ndarray) -> float:
    """The certified relative gap of any weights, in float64 NumPy from the raw points: 1 where it proves nothing.

    Weights are first made feasible. ‖r‖ is an upper bound of the distance, min_j ⟨q − x_j, r⟩/‖r‖ a lower one.
    """
    weights = np.maximum(weights, 0)
    weights = weights / weights.sum()
    used = np.flatnonzero(weights)
    residual = weights[used] @ (query.astype(np.float64) - points[used])
    upper = np.linalg.norm(residual)
    scores = [((query.astype(np.float64) - points[i : i + ROWS]) @ residual).min() for i in range(0, len(points), ROWS)]
    return float(min(1 - min(scores) / upper**2, 1)) if upper > 0 else 0.0


def nnls(query: np.ndarray, points: np.ndarray) -> np.ndarray:
    """SciPy's non-negative least squares with a large row of ones: u/Σu is the exact projection (any height of the row is)."""
    rows = points.astype(np.float64) - query
    height = np.linalg.norm(rows, axis=1).max()
    target = np.append(np.zeros(points.shape[1]), height)
    solution, _ = scipy.optimize.nnls(np.vstack([rows.T, np.full(len(rows), height)]), target, maxiter=10 * len(rows))
    return solution / solution.sum()


def quadratic(name: str) -> Solve:
    """A quadratic-programming solver by its name in qpsolvers (Caron et al.), tolerances at 1e-9 where it has them."""
    import qpsolvers  # pyright: ignore[reportMissingImports]

    tight = {
        "clarabel": {"tol_gap_abs": 1e-12, "tol_gap_rel": 1e-9, "tol_feas": 1e-9},
        "osqp": {"eps_abs": 1e-9, "eps_rel": 1e-9, "max_iter": 1_000_000},
        "piqp": {"eps_abs": 1e-9, "eps_rel": 1e-9},
        "proxqp": {"eps_abs": 1e-9, "max_iter": 100_000},
        "daqp": {},
    }[name]

    def solve(query: np.ndarray, points: np.ndarray) -> np.ndarray:
        rows = points.astype(np.float64) - query
        rows /= np.linalg.norm(rows, axis=1).max()
        n, d = rows.shape
        if name == "daqp":  # dense, and in the dual: it wants the n × n matrix, made definite
            gram = rows @ rows.T + 1e-8 * np.eye(n)
            found = qpsolvers.solve_qp(gram, np.zeros(n), A=np.ones((1, n)), b=np.ones(1), lb=np.zeros(n), solver=name)
        else:  # unknowns (a, r) with r = Xᵀa: no n × n matrix
            cost = scipy.sparse.diags_array(np.append(np.zeros(n), np.ones(d))).tocsc()
            blocks = [[rows.T, -scipy.sparse.eye_array(d)], [np.ones((1, n)), None]]
            equations = scipy.sparse.csc_matrix(scipy.sparse.bmat(blocks))
            bounds = np.append(np.zeros(n), np.full(d, -np.inf))
            right = np.append(np.zeros(d), 1.0)
            found = qpsolvers.solve_qp(cost, np.zeros(n + d), A=equations, b=right, lb=bounds, solver=name, **tight)
        if found is None:
            raise ArithmeticError(f"{name} found no solution")
        return found[:n]

    return solve


def projected_gradient(rtol: float) -> Solve:
    """jaxopt.ProjectedGradient, accelerated, on centred points with the step 1/L."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import jaxopt
        from jaxopt.projection import projection_simplex

    def iterate(query: np.ndarray, points: np.ndarray) -> Iterator[np.ndarray]:
        rows, step = _centred(query, points)
        solver = jaxopt.ProjectedGradient(_loss, projection_simplex, stepsize=step, jit=True, unroll=False)
        start = jnp.full(len(rows), 1 / len(rows))

        @jax.jit
        def steps(weights, state):
            return jax.lax.fori_loop(0, STEPS, lambda _, pair: tuple(solver.update(*pair, rows=rows)), (weights, state))

        pair = start, solver.init_state(start, rows=rows)
        while True:
            pair = steps(*pair)
            yield np.asarray(pair[0])

    return _until(iterate, rtol)


def optax_gradient(rtol: float) -> Solve:
    """Projected Nesterov momentum from Optax's parts: sgd and projections.projection_simplex."""

    def iterate(query: np.ndarray, points: np.ndarray) -> Iterator[np.ndarray]:
        rows, step = _centred(query, points)
        optimizer = optax.sgd(step, momentum=0.9, nesterov=True)
        start = jnp.full(len(rows), 1 / len(rows))

        @jax.jit
        def steps(weights, state):
            def body(_, pair):
                updates, state = optimizer.update(jax.grad(_loss)(pair[0], rows), pair[1])
                return optax.projections.projection_simplex(optax.apply_updates(pair[0], updates)), state

            return jax.lax.fori_loop(0, STEPS, body, (weights, state))

        pair = start, optimizer.init(start)
        while True:
            pair = steps(*pair)
            yield np.asarray(pair[0])

    return _until(iterate, rtol)


def _loss(weights: jax.Array, rows: jax.Array) -> jax.Array:
    return ((weights @ rows) ** 2).sum() / 2


def _centred(query: np.ndarray, points: np.ndarray) -> tuple[jax.Array, float]:
    """x_i − q, and 1/L where L is the largest eigenvalue of their d × d Gram matrix."""
    rows = points.astype(np.float64) - query
    return jnp.asarray(rows), float(1 / np.linalg.eigvalsh(rows.T @ rows)[-1])


def _until(iterate: Callable[[np.ndarray, np.ndarray], Iterator[np.ndarray]], rtol: float) -> Solve:
    def solve(query: np.ndarray, points: np.ndarray) -> np.ndarray:
        for weights in iterate(query, points):
            if gap(query, points, weights) <= rtol:
                return weights
        raise AssertionError("the iteration has no end of its own")

    return solve


def peers(rtol: float) -> dict[str, Callable[[], Solve]]:
    """How to make each peer, by the name in the table."""
    return {
        "scipy nnls": lambda: nnls,
        **{f"{name} (qpsolvers)": lambda name=name: quadratic(name) for name in ("piqp", "clarabel", "osqp", "daqp", "proxqp")},
        "jaxopt ProjectedGradient": lambda: projected_gradient(rtol),
        "optax projected momentum": lambda: optax_gradient(rtol),
    }
