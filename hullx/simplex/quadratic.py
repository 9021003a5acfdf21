"""Convex quadratic programs over the probability simplex, with a certificate on the original problem.

A primal active set, as in Lawson and Hanson (1974, "Solving Least Squares Problems", chapter 23) and Wolfe (1976, "Finding
the nearest point in a polytope"), but from the Gram matrix and for any linear term. The most violating weight enters. A step
goes to the minimiser over the support, or along a direction without curvature as far as the weights stay ≥ 0. Weights that
reach 0 leave. The objective falls strictly, so no support returns.

With g = G w + c, convexity gives f(v) ≥ f(w) + ⟨g, v − w⟩ ≥ f(w) − (⟨g, w⟩ − min_j g_j) for every v of the simplex: Frank and
Wolfe's gap (Jaggi 2013, eq. 2). If G is positive semidefinite only up to ε, that is, G + ε I is, then f(v) may be lower by
ε ‖v − w‖²/2 ≤ ε. The solver's own rounding errors do not matter.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import scipy.linalg
from jaxtyping import Float

from hullx.arguments import check_count, check_numbers, finite_and_max, is_concrete
from hullx.errors import ArgumentError, ArgumentTypeError
from hullx.inputs import numeric_array
from hullx.numerics.norms import gamma

FLOAT64 = np.dtype(np.float64)
# Curvature below this share of the largest on a support counts as 0: half the digits of a Gram matrix's small eigenvalues.
FLAT = 1e-13
# A pivot above this share of the largest diagonal entry proves enough curvature for a Cholesky factorization.
CURVED = 1e-8


class SimplexMinimum(NamedTuple):
    """Minimisers of f(w) = wᵀGw/2 + cᵀw over the simplex. `...` is () for one linear term, else (k,).

    - weights: w ≥ 0 of sum 1, float64; one column per linear term.
    - value: an upper bound of the smallest f: f(w) plus a bound of its rounding error.
    - lower: a certified lower bound of the smallest f, with rounding errors, also of a semidefinite G.
    - steps: number of weights that entered or left.
    """

    weights: Float[np.ndarray, "n ..."]
    value: Float[np.ndarray, "..."]
    lower: Float[np.ndarray, "..."]
    steps: np.ndarray


def simplex_qp(
    gram: Float[np.ndarray, "n n"],
    linear: Float[np.ndarray, "n"] | Float[np.ndarray, "n k"] | None = None,
    *,
    max_iter: int | None = None,
) -> SimplexMinimum:
    """The weights that minimise wᵀGw/2 + cᵀw over the simplex w ≥ 0, Σ w = 1, for a positive semidefinite G.

    G may be singular and c arbitrary. lower ≤ true minimum ≤ value always holds, rounding included. This runs on the host in
    float64, for up to some thousands of weights. If you have a factor A of G = AᵀA, use `simplex_lstsq`: it is faster,
    differentiable, and tells whether the weights are unique.

    Args:
        gram: G, (n, n), finite, positive semidefinite up to the rounding of its dtype (for integers, float64). Only its
            symmetric part matters.
        linear: c, (n,), or one per column (n, k), finite; None for 0.
        max_iter: maximum number of weights that enter or leave; None for 200 + 40 n. Then the bracket is valid but wider.

    Returns:
        A `SimplexMinimum` of float64 NumPy arrays.

    Raises:
        ArgumentTypeError, ArgumentError: (TypeError, ValueError) an argument has a wrong type, shape or value, or G is not
            positive semidefinite.

    Example:
        >>> found = hullx.simplex_qp(np.array([[2.0, 0.0], [0.0, 6.0]]))  # the minimum-norm weights of two orthogonal gradients
        >>> found.weights, found.value.round(12), bool(found.lower <= found.value)
        (array([0.75, 0.25]), np.float64(0.75), True)

    Reference: Sener and Koltun (2018), "Multi-task learning as multi-objective optimization", eq. 3, for a use.
    """
    matrix, terms, one, eps = _checked(gram, linear)
    check_count("max_iter", max_iter, none="200 + 40 n")
    shift = _semidefinite_shift(matrix, eps)
    limit = 200 + 40 * len(matrix) if max_iter is None else max_iter
    magnitude = np.abs(matrix)
    weights, steps = np.zeros_like(terms), np.zeros(terms.shape[1], int)
    bracket = np.zeros((2, terms.shape[1]))
    for i, term in enumerate(terms.T):
        weights[:, i], steps[i] = _active_set(matrix, term, limit)
        bracket[:, i] = _bracket(matrix, magnitude, term, weights[:, i], shift)
    if one:
        return SimplexMinimum(weights[:, 0], bracket[0, 0], bracket[1, 0], steps[0])
    return SimplexMinimum(weights, bracket[0], bracket[1], steps)


def _bracket(matrix: np.ndarray, magnitude: np.ndarray, term: np.ndarray, weights: np.ndarray, shift: float) -> list[float]:
    """Bounds of the minimum, from any weights ≥ 0 whose computed sum is 1.

    With s weights, dividing them by their exact sum changes each by a relative γ_s; a gradient entry has s products and sums
    and one addition. γ_(4s+16) of the sums of magnitudes covers both, twice.
    """
    used = np.flatnonzero(weights)
    mine, error = weights[used], float(gamma(4 * len(used) + 16, np.float64))
    curved, rough = matrix[:, used] @ mine, magnitude[:, used] @ mine
    gradient, size = curved + term, rough + np.abs(term)
    value = mine @ curved[used] / 2 + mine @ term[used]
    lost = error * (mine @ size[used]) + np.finfo(np.float64).tiny
    lowest = (gradient - error * size).min()
    # f(w) − (⟨g, w⟩ − min g) = min g − wᵀGw/2
    least = lowest - mine @ curved[used] / 2 - lost - shift * (1 + error)
    return [float(value + lost), float(least - error * abs(lowest))]


def _active_set(matrix: np.ndarray, term: np.ndarray, limit: int) -> tuple[np.ndarray, int]:
    """Weights of sum 1, and the number of steps."""
    weights, steps = np.zeros(len(matrix)), 0
    weights[(np.diagonal(matrix) / 2 + term).argmin()] = 1
    ulp = np.finfo(np.float64).eps * (np.abs(matrix).max() + np.abs(term).max())
    best, polished = np.inf, False
    while steps < limit:
        used = np.flatnonzero(weights)
        gradient = matrix[:, used] @ weights[used] + term
        gap = weights @ gradient - gradient.min()
        value = weights @ (gradient + term) / 2
        enters = int(gradient.argmin())
        # A row that rounding lets enter does not lower the objective; then one more solve on the support removes its errors.
        stalled = gap <= ulp or weights[enters] > 0 or not value < best
        if stalled and polished:
            break
        polished, best = stalled, min(best, value)
        support = used if stalled else np.append(used, enters)
        weights, more = _minimise_on(support, matrix, term, weights)
        steps += more + (not stalled)
    return weights, steps


def _minimise_on(support: np.ndarray, matrix: np.ndarray, term: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, int]:
    """Weights that minimise over a support's hull from given ones, and the number of weights that left."""
    left = 0
    while len(support) > 1:
        mine = weights[support]
        # Differences to the heaviest row span the directions of sum 0.
        first = int(mine.argmax())
        others = np.delete(np.arange(len(support)), first)
        block = matrix[np.ix_(support, support)]
        gradient = block @ mine + term[support]
        hessian = block - block[first] - block[:, first, None] + block[first, first]
        slope = (gradient - gradient[first])[others]
        step, flat = _step(hessian[np.ix_(others, others)], slope)
        move = np.zeros(len(support))
        move[others], move[first] = step, -step.sum()
        falls = move < 0
        room = np.full(len(support), np.inf)
        room[falls] = mine[falls] / -move[falls]
        length = room.min() if flat else min(1.0, room.min())
        if not np.isfinite(length):
            break
        mine = np.maximum(mine + length * move, 0)
        if length == room.min():
            mine[room.argmin()] = 0
        weights = weights.copy()
        weights[support] = mine / mine.sum()
        kept = mine > 0
        if kept.all():
            break
        support, left = support[kept], left + int((~kept).sum())
    return weights, left


def _step(hessian: np.ndarray, slope: np.ndarray) -> tuple[np.ndarray, bool]:
    """The step to the minimiser of a quadratic, or a direction of descent without curvature, and whether it is the latter."""
    try:
        factor = scipy.linalg.cho_factor(hessian)
        if np.diagonal(factor[0]).min() ** 2 > CURVED * np.diagonal(hessian).max():
            return -scipy.linalg.cho_solve(factor, slope), False
    except np.linalg.LinAlgError:
        pass
    curvature, axes = np.linalg.eigh(hessian)
    along = axes.T @ slope
    flat = curvature <= FLAT * max(curvature[-1], 0)
    size = np.abs(slope).max()
    if size > 0 and np.abs(along[flat]).max(initial=0) > 1e-10 * size:
        return -(axes[:, flat] @ along[flat]) / size, True
    return -(axes[:, ~flat] @ (along[~flat] / curvature[~flat])), False


def _semidefinite_shift(matrix: np.ndarray, eps: float) -> float:
    """ε ≥ 0 for which G + ε I is proved to be positive semidefinite.

    If a Cholesky factorization of G + s I runs to completion, the smallest eigenvalue of G + s I is at least
    −γ_(n+1)/(1 − γ_(n+1)) times its trace (Rump 2006, "Verification of positive definiteness"). Here s is the rounding of G's
    own dtype, n eps/2 times the trace.

    Raises:
        ArgumentError: G is not positive semidefinite up to that.
    """
    n, trace = len(matrix), float(np.abs(np.diagonal(matrix)).sum())
    error = 2 * float(gamma(n + 2, np.float64))
    shift = (n + 2) * eps * trace + np.finfo(np.float64).tiny
    try:
        np.linalg.cholesky(matrix + shift * np.eye(n))
    except np.linalg.LinAlgError:
        least = float(np.linalg.eigvalsh(matrix)[0])
        raise ArgumentError(
            f"gram: got a matrix with an eigenvalue of {least:.2g}, expected a positive semidefinite one: "
            "compute it as A.T @ A, in float64"
        ) from None
    return shift + error * (trace + n * shift)


def _checked(gram: Any, linear: Any) -> tuple[np.ndarray, np.ndarray, bool, float]:
    """G's symmetric part and c as (n, k), in float64; whether c was one vector; eps of G's dtype."""
    arrays = dict[str, np.ndarray]()
    eps = 0.0
    for name, value in {"gram": gram, "linear": linear}.items():
        if value is None and name == "linear":
            continue
        given = numeric_array(name, value)
        if not is_concrete(given):
            raise ArgumentTypeError(
                f"{name}: got a traced value, expected numbers, because simplex_qp runs on the host: call it outside jit; "
                "hullx.simplex_lstsq works under jit, with a factor of G"
            )
        # Integers have no rounding, whatever floating dtype they are converted to.
        exact = getattr(value, "dtype", np.asarray(value).dtype).kind in "iub"
        eps = eps or float(np.finfo(np.float64 if exact else np.result_type(np.float32, given.dtype)).eps)
        arrays[name] = np.asarray(given, np.float64)
    matrix = arrays["gram"]
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.size:
        raise ArgumentError(f"gram: got shape {matrix.shape}, expected (n, n), such as A.T @ A")
    n = len(matrix)
    terms = arrays.get("linear", np.zeros(n))
    if terms.ndim not in (1, 2) or len(terms) != n:
        raise ArgumentError(
            f"linear: got shape {terms.shape}, expected ({n},) or ({n}, k) to match gram of shape {matrix.shape}"
        )
    check_numbers("gram", finite_and_max(matrix), FLOAT64)
    if terms.size:
        check_numbers("linear", finite_and_max(terms), FLOAT64)
    return matrix / 2 + matrix.T / 2, terms.reshape(n, -1), terms.ndim == 1, eps
