"""Independent answers: nothing here uses hullx or JAX."""

from __future__ import annotations

import numpy as np
import scipy.optimize


def nnls_distance(query: np.ndarray, points: np.ndarray) -> tuple[float, np.ndarray]:
    """Distance to the hull and weights by SciPy's non-negative least squares, in float64.

    With the points translated by −q and a row of ones of height s, the minimiser of ‖(X − q)ᵀu‖² + s²(1ᵀu − 1)² over u ≥ 0
    divided by its sum is exactly the vector of projection weights, for any s > 0 (homogeneity of both terms).
    """
    rows = points.astype(np.float64) - query.astype(np.float64)
    height = np.linalg.norm(rows, axis=1).max()
    system = np.vstack([rows.T, np.full(len(rows), height)])
    target = np.zeros(len(system))
    target[-1] = height
    solution, _ = scipy.optimize.nnls(system, target, maxiter=30 * len(rows))
    weights = solution / solution.sum()
    return float(np.linalg.norm(weights @ rows)), weights


def check_bracket(result, queries: np.ndarray, points: np.ndarray, rtol: float | None = None) -> None:
    """Recomputes in float64, from the raw points alone, what a projection claims."""
    queries, points = queries.astype(np.float64), points.astype(np.float64)
    weights = np.asarray(result.weights, np.float64)
    support = np.asarray(result.support)
    distance, lower = np.asarray(result.distance, np.float64), np.asarray(result.lower, np.float64)
    size = np.linalg.norm(points - points.mean(0), axis=1).max()
    slack = 1e-14 * (size + np.linalg.norm(queries - points.mean(0), axis=1))
    np.testing.assert_array_less(-1e-30, weights)
    sums = weights.sum(1, keepdims=True)
    tolerance = 1e-12 if np.asarray(result.weights).dtype == np.float64 else 1e-5
    np.testing.assert_allclose(sums, 1, rtol=tolerance)
    residual = queries - np.einsum("ms,msd->md", weights / sums, points[support])
    upper = np.linalg.norm(residual, axis=1)
    # The distance claimed is no smaller than that of the point claimed.
    assert (upper <= distance + slack).all()
    # The direction claimed separates by at least the lower bound claimed.
    direction = np.asarray(result.direction, np.float64)
    length = np.maximum(np.linalg.norm(direction, axis=1), 1e-300)
    slab = (np.einsum("md,md->m", queries, direction) - (direction @ points.T).max(1)) / length
    rounding = np.finfo(np.asarray(result.direction).dtype).eps * (size + distance)
    assert (lower <= np.maximum(slab, 0) + slack + rounding).all()
    if rtol is not None:
        assert (distance - lower <= rtol * distance).all()
