"""Other people's methods: solvers for the projection onto a hull, and methods that summarise many points by few.

A solver maps one query and the points to weights.

    minimise ‖Xᵀa − q‖²   subject to   a ≥ 0, Σ a = 1

All methods work in float64. First-order methods stop when `gap` is at most the requested tolerance. The others stop at their
own tolerance.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax
import scipy.optimize
import scipy.sparse
from sklearn.cluster import KMeans
from sklearn.decomposition import NMF

from hullx.solvers.projected_gradient import jaxopt_solver, loss

Solve = Callable[[np.ndarray, np.ndarray], np.ndarray]

# Steps of a first-order method between two checks of its gap.
STEPS = 100
ROWS = 8192


def gap(query: np.ndarray, points: np.ndarray, weights: np.ndarray) -> float:
    """The certified relative gap of any weights, in float64 NumPy from the raw points; 1 if the bound is vacuous.

    Weights are first made feasible. ‖r‖ is an upper bound on the distance, min_j ⟨q − x_j, r⟩/‖r‖ a lower bound.
    """
    weights = np.maximum(weights, 0)
    weights = weights / weights.sum()
    used = np.flatnonzero(weights)
    residual = weights[used] @ (query.astype(np.float64) - points[used])
    upper = np.linalg.norm(residual)
    scores = [((query.astype(np.float64) - points[i : i + ROWS]) @ residual).min() for i in range(0, len(points), ROWS)]
    return float(min(1 - min(scores) / upper**2, 1)) if upper > 0 else 0.0


def nnls(query: np.ndarray, points: np.ndarray) -> np.ndarray:
    """SciPy's non-negative least squares with a row of ones; u/Σu is the exact projection for any height of that row."""
    rows = points.astype(np.float64) - query
    height = np.linalg.norm(rows, axis=1).max()
    target = np.append(np.zeros(points.shape[1]), height)
    solution, _ = scipy.optimize.nnls(np.vstack([rows.T, np.full(len(rows), height)]), target, maxiter=10 * len(rows))
    return solution / solution.sum()


def quadratic(name: str) -> Solve:
    """A quadratic-programming solver by its name in qpsolvers (Caron et al.), with tolerances of 1e-9 if it has any."""
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
        if name == "daqp":  # a dense dual solver: needs the n × n matrix, made definite
            gram = rows @ rows.T + 1e-8 * np.eye(n)
            found = qpsolvers.solve_qp(gram, np.zeros(n), A=np.ones((1, n)), b=np.ones(1), lb=np.zeros(n), solver=name)
        else:  # unknowns (a, r) with r = Xᵀa: no n × n matrix
            cost = scipy.sparse.csc_matrix(scipy.sparse.diags_array(np.append(np.zeros(n), np.ones(d))))
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
    """jaxopt.ProjectedGradient, accelerated, with the step 1/L."""
    solver = jaxopt_solver(loss)

    def start(weights: jax.Array, rows: jax.Array):
        return solver.init_state(weights, rows=rows, query=jnp.zeros(rows.shape[1]))

    def step(weights: jax.Array, state, rows: jax.Array):
        return tuple(solver.update(weights, state, rows=rows, query=jnp.zeros(rows.shape[1])))

    return _first_order(start, step, rtol)


def optax_gradient(rtol: float) -> Solve:
    """Projected Nesterov momentum from Optax's parts, sgd and projections.projection_simplex, with the step 1/L."""
    optimizer = optax.sgd(1.0, momentum=0.9, nesterov=True)

    def start(weights: jax.Array, rows: jax.Array):
        return optimizer.init(weights)

    def step(weights: jax.Array, state, rows: jax.Array):
        updates, state = optimizer.update(jax.grad(loss)(weights, rows, jnp.zeros(rows.shape[1])), state)
        return optax.projections.projection_simplex(optax.apply_updates(weights, updates)), state

    return _first_order(start, step, rtol)


def _first_order(start: Callable, step: Callable, rtol: float) -> Solve:
    """Step until the gap is small enough. Each shape compiles once, for all queries."""

    @jax.jit
    def steps(weights: jax.Array, state, rows: jax.Array):
        return jax.lax.fori_loop(0, STEPS, lambda _, pair: step(*pair, rows), (weights, state))

    def solve(query: np.ndarray, points: np.ndarray) -> np.ndarray:
        # Divide the rows x_i − q by the root of the largest eigenvalue of their Gram matrix, so that L = 1.
        rows = points.astype(np.float64) - query
        rows = jnp.asarray(rows / np.linalg.eigvalsh(rows.T @ rows)[-1] ** 0.5)
        weights = jnp.full(len(rows), 1 / len(rows))
        pair = weights, start(weights, rows)
        while True:
            pair = steps(*pair, rows)
            found = np.asarray(pair[0])
            if gap(query, points, found) <= rtol:
                return found

    return solve


COMPILED = PROJECTED_GRADIENT, OPTAX = "jaxopt ProjectedGradient", "optax projected momentum"


def solvers(rtol: float) -> dict[str, Callable[[], Solve]]:
    """A function that makes each solver, by its name in the table."""
    return {
        "scipy nnls": lambda: nnls,
        **{f"{name} (qpsolvers)": lambda name=name: quadratic(name) for name in ("piqp", "clarabel", "osqp", "daqp", "proxqp")},
        PROJECTED_GRADIENT: lambda: projected_gradient(rtol),
        OPTAX: lambda: optax_gradient(rtol),
    }


def alternation(points: np.ndarray, first: np.ndarray, rounds: int, report: Callable[[int], None]) -> np.ndarray:
    """Archetypes (k, d) by Cutler and Breiman (1994), in SciPy: fit all weights, then each archetype given those weights."""
    points, archetypes = points.astype(np.float64), first.astype(np.float64)
    for i in range(rounds):
        weights = np.stack([nnls(row, archetypes) for row in points])
        for j in np.flatnonzero(weights.any(0)):
            # Σ_j ‖x_j − Σ_l a_jl z_l‖² equals ‖z_j − target‖² up to a factor and a constant.
            mine = weights[:, j]
            rest = points - weights @ archetypes + np.outer(mine, archetypes[j])
            archetypes[j] = nnls(mine @ rest / (mine @ mine), points) @ points
        report(i + 1)
    return archetypes.astype(np.float32)


def factorisation(points: np.ndarray, k: int, seed: int) -> tuple[np.ndarray, float]:
    """The parts (k, d) of scikit-learn's NMF, and the residual sum of squares."""
    # Its annotations are narrower than what it accepts.
    model = NMF(n_components=cast(Any, k), init="random", random_state=seed, max_iter=1000, tol=1e-3)
    loadings = model.fit_transform(points)
    return model.components_, float(((points - loadings @ model.components_) ** 2).sum())


def k_means(points: np.ndarray, k: int, seed: int) -> tuple[np.ndarray, float]:
    """The centres (k, d) of scikit-learn's k-means from one start, and the residual sum of squares."""
    model: Any = KMeans(n_clusters=k, random_state=seed, n_init=cast(Any, 1)).fit(points)
    return model.cluster_centers_, float(model.inertia_)
