"""Least squares over the probability simplex: projections onto the hull of a matrix's columns."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from hullx.arguments import check_count, check_numbers, finite_and_max, is_concrete
from hullx.errors import ArgumentError, ArgumentTypeError
from hullx.inputs import numeric_array
from hullx.jax_settings import with_jax_defaults
from hullx.projection import project
from hullx.simplex.uniqueness import Face, WeightRange, is_independent, optimal_face, range_on_face
from hullx.sweeping import sweep
from hullx.types import Array, Projection

# The default rtol. The error of the fitted point is at most √(2 rtol) times the residual, so float64 deserves a narrow bracket.
RTOL = {np.dtype(np.float64): 1e-12, np.dtype(np.float32): 1e-6}


class SimplexFit(NamedTuple):
    """Solutions of min ‖A w − b‖ over the simplex, each with its certificate. `...` is () for one right-hand side, else (k,).

    - weights: w ≥ 0 of sum 1, one column per right-hand side, so that A @ weights is the fit; None with `dense=False`.
    - residual: an upper bound of the smallest ‖A w − b‖: the residual of these weights plus a bound of its rounding error.
    - lower: a certified lower bound of the smallest residual; positive if b is proved to be outside the hull of A's columns.
    - projection: the `Projection` of each b: sparse weights (`support`, `weights`), the fit (`point`), the status.
    - matrix, target: A and B, for `unique` and `weight_range`; None for results of jit, vmap or grad.
    """

    weights: Float[Array, "n ..."] | None
    residual: Float[Array, "..."]
    lower: Float[Array, "..."]
    projection: Projection
    matrix: Float[np.ndarray, "m n"] | None = None
    target: Float[np.ndarray, "m ..."] | None = None

    @property
    def unique(self) -> Bool[np.ndarray, "..."]:
        """Whether the weights are proved to be unique: all columns that may carry weight are affinely independent.

        A column may carry weight unless its slack is positive for every fit within the bracket. Independence is decided up to
        rounding in float64. False means "not proved": `weight_range` shows how far the weights may move.

        Example:
            >>> triangle = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
            >>> bool(hullx.simplex_lstsq(triangle, np.array([0.2, 0.2])).unique)
            True
            >>> bool(hullx.simplex_lstsq(np.asarray(square).T, np.array([0.5, 0.5])).unique)  # two diagonals
            False
        """
        return self._each(lambda face, _: is_independent(face.offsets), np.bool(False))

    def weight_range(self, column: int) -> WeightRange:
        """The range of one column's weight among all weights with the same fit, by linear programming (HiGHS).

        Args:
            column: of A.

        Returns:
            `WeightRange` with a number per right-hand side, within 1e-9 where the optimal face is well conditioned; low = high
            if the weights are unique.

        Raises:
            ArgumentTypeError, ArgumentError: the column is not an integer, or A has no such column.

        Example:
            >>> found = hullx.simplex_lstsq(np.asarray(square).T, np.array([0.5, 0.5])).weight_range(0)
            >>> found.low.round(6), found.high.round(6)
            (np.float64(0.0), np.float64(0.5))
        """
        check_count("column", column, least=0)
        n = self._inputs()[0].shape[1]
        if column >= n:
            raise ArgumentError(f"column: got {column}, expected less than {n}, the number of columns of A: lower it")
        found = self._each(
            lambda face, weights: np.asarray(range_on_face(face, weights, int(column))), np.array([np.nan, np.nan])
        )
        return WeightRange(found[..., 0], found[..., 1])

    def _inputs(self) -> tuple[np.ndarray, np.ndarray]:
        if self.matrix is None or self.target is None:
            raise ArgumentTypeError(
                "simplex_lstsq: got a result of jit, vmap or grad, which has no verdict on uniqueness, expected one with "
                "numbers: call simplex_lstsq outside jit"
            )
        return self.matrix, self.target

    def _each(self, function: Any, otherwise: Any) -> np.ndarray:
        """A function of each right-hand side's face and dense weights, or another value where it is not finite."""
        matrix, target = self._inputs()
        points, one = np.asarray(matrix, np.float64).T, target.ndim == 1
        found = self.projection
        fields = found.distance, found.lower, found.support, found.weights
        results = list[Any]()
        batch = [np.asarray(each)[None] if one else np.asarray(each) for each in fields]
        for b, upper, lower, support, sparse in zip(np.atleast_2d(np.asarray(target, np.float64).T), *batch, strict=True):
            if not np.isfinite(upper):
                results.append(otherwise)
                continue
            weights = np.bincount(support, sparse, len(points))
            face: Face = optimal_face(b, points, weights, float(upper), float(lower))
            results.append(function(face, weights))
        return np.asarray(results[0] if one else results).reshape((() if one else (len(results),)) + np.shape(otherwise))


@with_jax_defaults
def simplex_lstsq(
    A: Float[Array, "m n"],
    B: Float[Array, "m"] | Float[Array, "m k"],
    *,
    rtol: float | None = None,
    max_iter: int | None = None,
    dense: bool = True,
    progress: bool | str = False,
) -> SimplexFit:
    """The weights that minimise ‖A w − b‖ over the simplex w ≥ 0, Σ w = 1, for one or many right-hand sides b.

    A w is the projection of b onto the convex hull of A's columns, so this is `hullx.project(b, A.T)` in the conventions of
    `numpy.linalg.lstsq`. lower ≤ true smallest residual ≤ residual always holds, rounding included.

    Outside jit and grad, `hullx.sweep` solves all right-hand sides: the result has NumPy arrays, with weights and bracket in
    float64 for every x64 setting of JAX. Under jit, vmap or grad it has JAX arrays from `hullx.project`, differentiable in A
    and B. The weights' derivative is that on their support.

    Args:
        A: one column per point, (m, n), finite.
        B: one right-hand side (m,), or one per column (m, k). One with NaN or infinity gets NaN and Status.NONFINITE.
        rtol: relative width of the bracket at which a right-hand side is decided; None for 1e-12 in float64 and 1e-6 in
            float32.
        max_iter: maximum steps per right-hand side; None for a limit that no ordinary problem reaches.
        dense: whether to return full columns of n weights. The sparse weights are always in `projection`.
        progress: whether to show progress on standard error, outside jit.

    Returns:
        A `SimplexFit`; `unique` and `weight_range` tell whether its weights are the only ones.

    Raises:
        ArgumentTypeError, ArgumentError: (TypeError, ValueError) an argument has a wrong type, dtype, shape or value.

    Example:
        >>> found = hullx.simplex_lstsq(np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]), np.array([2.0, 1.0]))
        >>> found.weights, found.residual.round(12), bool(found.unique)
        (array([0., 1., 0.]), np.float64(1.414213562373), True)

    Reference: Abadie, Diamond and Hainmueller (2010), "Synthetic control methods for comparative case studies", for a use.
    """
    matrix, target = _checked(A, B)
    dtype = np.dtype(jnp.promote_types(jnp.promote_types(matrix.dtype, target.dtype), jnp.float32))
    traced = not (is_concrete(matrix) and is_concrete(target))
    dtype = jax.dtypes.canonicalize_dtype(dtype) if traced else dtype
    rtol = RTOL[dtype] if rtol is None else rtol
    if traced:
        found = project(target.T, matrix.T, rtol=rtol, max_iter=max_iter)
        weights = _dense(found, matrix.shape[1]) if dense else None
        return SimplexFit(weights, found.distance, found.lower, found)
    matrix, target = np.asarray(matrix, dtype), np.asarray(target, dtype)
    check_numbers("A", finite_and_max(matrix), dtype)
    found = sweep(np.atleast_2d(target.T), matrix.T, rtol=rtol, max_iter=max_iter, progress=progress)
    weights = np.zeros((len(found.distance), matrix.shape[1])) if dense else None
    if weights is not None:
        np.add.at(weights, (np.arange(len(weights))[:, None], found.support), found.weights)
        weights[~np.isfinite(found.distance)] = np.nan
    if target.ndim == 1:
        found, weights = Projection(*(field[0] for field in found)), None if weights is None else weights[0]
    return SimplexFit(None if weights is None else weights.T, found.distance, found.lower, found, matrix, target)


def _dense(found: Projection, n: int) -> Array:
    """The weights of traced projections as columns of n numbers."""
    shape = found.weights.shape

    def one(support: Array, weights: Array) -> Array:
        return jnp.zeros(n, weights.dtype).at[support].add(weights)

    rows = jax.vmap(one)(found.support.reshape(-1, shape[-1]), found.weights.reshape(-1, shape[-1]))
    return rows.reshape(*shape[:-1], n).T


def _checked(A: Any, B: Any) -> tuple[Any, Any]:
    """A and B as arrays of real floating numbers, of matching shapes."""
    matrix, target = numeric_array("A", A), numeric_array("B", B)
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise ArgumentError(f"A: got shape {matrix.shape}, expected (m, n) with m and n at least 1")
    if target.ndim not in (1, 2) or target.shape[0] != matrix.shape[0]:
        m = matrix.shape[0]
        remedy = ": transpose it" if target.ndim == 2 and target.shape[1] == m else ""
        raise ArgumentError(
            f"B: got shape {target.shape}, expected ({m},) or ({m}, k) to match A of shape {matrix.shape}{remedy}"
        )
    return matrix, target
