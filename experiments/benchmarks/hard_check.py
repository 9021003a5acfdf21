"""One check for the answers of all solvers: bounds of the distance from returned weights, rounding included.

The weights are made feasible: negative ones become 0, and they are divided by their sum. Then r = q − Σ w_i x_i gives an upper
bound ‖r‖ of the distance, and any direction v a lower bound min_j ⟨q − x_j, v⟩ / ‖v‖. v is r, or the direction that a solver
returns, if that proves more. Arithmetic is NumPy's longdouble, with 64 bits on x86; rounding errors are bounded by Higham
(2002), section 3.1, and added. Tests compare the bounds with rational arithmetic.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

RTOL = 1e-6
# float32 answers: weights and directions are rounded by eps/2 a number, which moves each bound by about eps/2 of the distance
# to the farthest point. A factor of 8 allows for both, and for a few roundings.
FLOAT32 = 8 * float(np.finfo(np.float32).eps)
EPS = np.finfo(np.longdouble).eps


class Answer(NamedTuple):
    """What a solver returns for one query: weights of some points, and a direction if it returns one."""

    support: np.ndarray
    weights: np.ndarray
    direction: np.ndarray | None = None


class Bounds(NamedTuple):
    """Certified bounds of a distance, and the distance to the farthest point: numbers, or arrays of one shape."""

    lower: Any
    upper: Any
    farthest: Any


def bounds(query: np.ndarray, points: np.ndarray, answer: Answer) -> Bounds:
    """Bounds of the distance of a query (d,) to the hull of points (n, d) that an answer proves; (0, ∞) for no weights."""
    rows = query.astype(np.longdouble) - points.astype(np.longdouble)  # (n, d): q − x_i, each rounded once
    lengths = np.linalg.norm(rows, axis=1)
    farthest = float(lengths.max())
    weights = np.maximum(answer.weights.astype(np.longdouble), 0)
    if not (np.isfinite(weights).all() and weights.sum() > 0):
        return Bounds(0.0, np.inf, farthest)
    weights = weights / weights.sum()
    used, d = answer.support[weights > 0], rows.shape[1]
    weights = weights[weights > 0]
    residual = weights @ rows[used]
    # Of each coordinate of the residual: one rounding a row, one a product, k of the sum, k + 1 of the weights' own sum.
    error = EPS * (2 * len(used) + 5) * (weights @ lengths[used])
    upper = np.linalg.norm(residual) * (1 + EPS * (d + 2)) + error
    lower = np.longdouble(0)
    for direction in (residual, answer.direction):
        if direction is not None and np.isfinite(direction).all() and direction.any():
            wide = direction.astype(np.longdouble)
            unit = wide / np.linalg.norm(wide)
            # The unit's length is right to (d + 4) eps/2; a product has d roundings, and one for each row.
            lower = max(lower, (rows @ unit - EPS * (2 * d + 6) * lengths).min())
    return Bounds(
        float(np.nextafter(float(lower), -np.inf)) if lower > 0 else 0.0, float(np.nextafter(float(upper), np.inf)), farthest
    )


def gap(found: Bounds) -> Any:
    """The certified relative gap, from 0 to 1; of arrays, element by element."""
    with np.errstate(invalid="ignore"):
        return np.where(np.isinf(found.upper), 1.0, (found.upper - found.lower) / found.upper)


def solved(found: Bounds, spread: Any, dtype: type = np.float64) -> Any:
    """Whether bounds are tight enough: upper − lower ≤ 10^-6 · upper, or upper ≤ 10^-6 · spread (in the hull).

    Answers in float32 may exceed both by `FLOAT32` times the distance to the farthest point. NaN and ∞ are not solved. Arrays
    are compared element by element.
    """
    allowed = FLOAT32 * found.farthest if dtype == np.float32 else 0.0
    with np.errstate(invalid="ignore"):
        tight = found.upper - found.lower <= RTOL * found.upper + allowed
    return np.isfinite(found.upper) & (tight | (found.upper <= RTOL * spread + allowed))
