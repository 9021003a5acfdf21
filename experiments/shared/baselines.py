"""Other people's methods: solvers for the projection onto a hull, and methods that summarise many points by few.

A solver maps one query and the points to weights.

    minimise ‖Xᵀa − q‖²   subject to   a ≥ 0, Σ a = 1

All methods work in float64. First-order methods stop when `gap` is at most the requested tolerance. The others stop at their
own tolerance.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax
import scipy.optimize
from sklearn.cluster import KMeans
from sklearn.decomposition import NMF

from experiments.shared import optional_peers
from experiments.shared.optional_peers import Solve
from hullx.solvers.projected_gradient import jaxopt_solver, loss

# Steps of a first-order method between two checks of its gap.
STEPS = 100
# Steps of optax.nnls, which has no stopping rule.
NNLS_STEPS = 10_000
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


def optax_nnls(query: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Optax's non-negative least squares by an accelerated projected gradient (Polyak 2015), with a row of ones."""
    rows, target = optional_peers.with_ones(query, points)
    solution = np.asarray(_optax_nnls(jnp.asarray(rows), jnp.asarray(target)))
    return solution / solution.sum()


@jax.jit
def _optax_nnls(rows: jax.Array, target: jax.Array) -> jax.Array:
    return optax.nnls(rows, target, NNLS_STEPS)


STOP_AT_GAP = PROJECTED_GRADIENT, OPTAX = "jaxopt ProjectedGradient", "optax projected momentum"
OPTAX_NNLS, JAX_NNLS = "optax nnls", "jaxnnls"
COMPILED = (*STOP_AT_GAP, OPTAX_NNLS, JAX_NNLS)
DENSE = "daqp (qpsolvers)", OPTAX_NNLS, JAX_NNLS  # these build an n × n matrix
PROGRAMS = "piqp", "clarabel", "osqp", "daqp", "proxqp"


def solvers(rtol: float, *, tight: bool = False) -> dict[str, Callable[[], Solve]]:
    """A function that makes each solver, by its name in the table; it raises ImportError if that is not installed.

    Args:
        rtol: certified gap at which the first-order methods stop.
        tight: whether the others use the smallest tolerances that they reach, instead of 1e-9.
    """
    return {
        "scipy nnls": lambda: nnls,
        **{f"{name} (qpsolvers)": partial(optional_peers.quadratic, name, tight=tight) for name in PROGRAMS},
        PROJECTED_GRADIENT: lambda: projected_gradient(rtol),
        OPTAX: lambda: optax_gradient(rtol),
        OPTAX_NNLS: lambda: optax_nnls,
        JAX_NNLS: optional_peers.jax_nnls,
        "moreau": partial(optional_peers.moreau, tight=tight),
        "mlsynth active set": optional_peers.mlsynth,
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
