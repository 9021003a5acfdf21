"""Solvers from packages that may not be installed: qpsolvers (Caron et al.), jaxnnls, moreau and mlsynth.

Each function returns a solver, which maps one query and the points to weights, and raises ImportError without its package:
`pip install -e '.[bench]'` brings qpsolvers; for the others, `pip install jaxnnls moreau mlsynth`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse

Solve = Callable[[np.ndarray, np.ndarray], np.ndarray]

# Tolerances of 1e-9.
USUAL: dict[str, dict[str, Any]] = {
    "clarabel": {"tol_gap_abs": 1e-12, "tol_gap_rel": 1e-9, "tol_feas": 1e-9},
    "osqp": {"eps_abs": 1e-9, "eps_rel": 1e-9, "max_iter": 1_000_000},
    "piqp": {"eps_abs": 1e-9, "eps_rel": 1e-9},
    "proxqp": {"eps_abs": 1e-9, "max_iter": 100_000},
    "daqp": {},
}
# Tolerances that solvers try first if they are to be `tight`: those with the most successes on small hard problems, n = 64.
TIGHT: dict[str, list[dict[str, Any]]] = {
    "clarabel": [
        {"tol_gap_abs": least, "tol_gap_rel": rest, "tol_feas": rest} for least, rest in ((1e-15, 1e-13), (1e-14, 1e-11))
    ],
    "piqp": [{"eps_abs": 1e-14, "eps_rel": 1e-14, "eps_duality_gap_abs": 1e-15, "eps_duality_gap_rel": 1e-14}],
    "proxqp": [{"eps_abs": 1e-12, "max_iter": 1000}],
}


def quadratic(name: str, *, tight: bool = False) -> Solve:
    """A quadratic-programming solver by its name in qpsolvers, with tolerances of 1e-9 if it has any.

    Args:
        tight: whether it tries the tolerances in `TIGHT` first.
    """
    import qpsolvers  # pyright: ignore[reportMissingImports]

    if name not in qpsolvers.available_solvers:
        raise ImportError(f"{name} is not installed: pip install -e '.[bench]'")
    tries = [*(TIGHT.get(name, []) if tight else []), USUAL[name]]

    def solve(query: np.ndarray, points: np.ndarray) -> np.ndarray:
        rows = _rows(query, points)
        n, d = rows.shape
        if name == "daqp":  # a dense dual solver: needs the n × n matrix, made definite
            gram = rows @ rows.T + 1e-8 * np.eye(n)
            found = qpsolvers.solve_qp(gram, np.zeros(n), A=np.ones((1, n)), b=np.ones(1), lb=np.zeros(n), solver=name)
        else:  # unknowns (a, r) with r = Xᵀa: no n × n matrix
            equations = scipy.sparse.csc_matrix(scipy.sparse.bmat(_equations(rows)))
            bounds = np.append(np.zeros(n), np.full(d, -np.inf))
            known = {"A": equations, "b": np.append(np.zeros(d), 1.0), "lb": bounds, "solver": name}
            cost = scipy.sparse.csc_matrix(_cost(n, d))
            tried = (qpsolvers.solve_qp(cost, np.zeros(n + d), **known, **settings) for settings in tries)
            found = next((each for each in tried if each is not None), None)
        if found is None:
            raise ArithmeticError(f"{name} found no solution")
        return found[:n]

    return solve


def moreau(*, tight: bool = False) -> Solve:
    """Moreau's interior-point method for conic programs, on unknowns (a, r) with r = Xᵀa; tolerances of 1e-9, or 1e-13."""
    import moreau as conic  # pyright: ignore[reportMissingImports]

    least, rest = (1e-15, 1e-13) if tight else (1e-12, 1e-9)
    tolerances = conic.IPMSettings(tol_gap_abs=least, tol_gap_rel=rest, tol_feas=rest)
    settings = conic.Settings(solver="ipm", device="cpu", ipm_settings=tolerances)

    def solve(query: np.ndarray, points: np.ndarray) -> np.ndarray:
        rows = _rows(query, points)
        n, d = rows.shape
        matrix = scipy.sparse.csr_array(scipy.sparse.bmat([*_equations(rows), [-scipy.sparse.eye_array(n), None]]))
        right = np.concatenate([np.zeros(d), np.ones(1), np.zeros(n)])
        cones = conic.Cones(num_zero_cones=d + 1, num_nonneg_cones=n)
        cost = scipy.sparse.csr_array(_cost(n, d))
        return np.asarray(conic.Solver(cost, np.zeros(n + d), matrix, right, cones=cones, settings=settings).solve().x)[:n]

    return solve


def mlsynth() -> Solve:
    """mlsynth's active-set method for least squares on the simplex."""
    from mlsynth.utils.bilevel.active_set import solve_simplex_qp  # pyright: ignore[reportMissingImports]

    return lambda query, points: solve_simplex_qp(_rows(query, points).T, np.zeros(points.shape[1]))


def jax_nnls() -> Solve:
    """jaxnnls (Krawczyk 2025), an interior-point method for non-negative least squares, with a row of ones."""
    from jaxnnls import solve_nnls  # pyright: ignore[reportMissingImports]

    solve_one = jax.jit(solve_nnls)

    def solve(query: np.ndarray, points: np.ndarray) -> np.ndarray:
        rows, target = with_ones(query, points)
        solution = np.maximum(solve_one(jnp.asarray(rows.T @ rows), jnp.asarray(rows.T @ target))[0], 0)
        return solution / solution.sum()

    return solve


def with_ones(query: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The columns x_i − q, the longest of length 1, above a row of ones, (d + 1, n), and the target (0, …, 0, 1)."""
    rows = _rows(query, points)
    return np.vstack([rows.T, np.ones(len(rows))]), np.append(np.zeros(points.shape[1]), 1.0)


def _rows(query: np.ndarray, points: np.ndarray) -> np.ndarray:
    rows = points.astype(np.float64) - query
    return rows / np.linalg.norm(rows, axis=1).max()


def _equations(rows: np.ndarray) -> list[list[Any]]:
    return [[rows.T, -scipy.sparse.eye_array(rows.shape[1])], [np.ones((1, len(rows))), None]]


def _cost(n: int, d: int) -> Any:
    return scipy.sparse.diags_array(np.append(np.zeros(n), np.ones(d)))
