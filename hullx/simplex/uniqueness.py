"""Whether the weights of a simplex least-squares problem are unique, and the range of each weight if they are not.

The fitted point p* is unique; its weights need not be. With r* = b − p*, a point x_j with ⟨x_j − p*, r*⟩ < 0 has weight 0 in
every solution (complementary slackness). The certified bracket bounds ‖p − p*‖ ≤ e = √(distance² − lower²) for the computed
point p, so this holds wherever

    ⟨x_j − p, r⟩ + e (‖x_j − p‖ + ‖r‖) + e² < 0,    r = b − p                    (a safe screening test)

All other points span the optimal face, up to the bracket. If they are affinely independent, the weights are unique.

Reference: Ndiaye, Fercoq, Gramfort and Salmon (2017), "Gap safe screening rules for sparsity enforcing penalties".
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from hullx.numerics.norms import gamma

# Singular values up to this factor above NumPy's threshold of `matrix_rank` count as 0.
RANK_SLACK = 8
# HiGHS accepts no smaller tolerance.
LP_TOLERANCE = 1e-10


class WeightRange(NamedTuple):
    """The smallest and the largest weight of one column among all weights with the same fit, each in [0, 1].

    NaN if the linear program fails or the right-hand side is not finite.
    """

    low: Float[np.ndarray, "..."]
    high: Float[np.ndarray, "..."]


class Face(NamedTuple):
    """The points that may carry weight in a solution.

    - rows: of the points.
    - offsets: x_j − p of these points, (k, d), in a unit of their own.
    """

    rows: Int[np.ndarray, "k"]
    offsets: Float[np.ndarray, "k d"]


def optimal_face(
    query: Float[np.ndarray, "d"], points: Float[np.ndarray, "n d"], weights: Float[np.ndarray, "n"], upper: float, lower: float
) -> Face:
    """The points that the screening test cannot exclude.

    Args:
        query, points: raw, float64.
        weights: of the projection.
        upper, lower: its bracket.
    """
    # Differences to the query have errors relative to themselves, wherever the origin is. In their own unit no square overflows
    # or vanishes.
    apart = points - query
    _, exponent = np.frexp(np.abs(apart).max(initial=0.0))
    apart, upper, lower = np.ldexp(apart, -exponent), float(np.ldexp(upper, -exponent)), float(np.ldexp(lower, -exponent))
    used = np.flatnonzero(weights)
    residual = -(weights[used] @ apart[used])
    offsets = apart + residual
    lengths, length = np.linalg.norm(apart, axis=1), float(np.linalg.norm(residual))
    rounding = float(gamma(len(used) + 8, np.float64)) * lengths[used].max(initial=0.0)
    error = np.sqrt(max(upper - lower, 0.0) * (upper + lower)) * (1 + 1e-14) + rounding
    reach = lengths + length
    slack = float(gamma(len(query) + 8, np.float64)) * reach * length + error * (reach + length) + error**2
    rows = np.flatnonzero(~(offsets @ residual + slack < 0))
    return Face(rows, offsets[rows])


def is_independent(offsets: Float[np.ndarray, "k d"]) -> bool:
    """Whether points are affinely independent, up to rounding.

    Example:
        >>> is_independent(np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])), is_independent(np.array([[0.0], [1.0], [2.0]]))
        (True, False)
    """
    directions = offsets[1:] - offsets[0]
    if len(directions) > directions.shape[1]:
        return False
    # Rows of unit length, because the units of single points do not matter.
    lengths = np.linalg.norm(directions, axis=1, keepdims=True)
    if not len(directions) or not (lengths > 0).all():
        return not len(directions)
    sizes = np.linalg.svd(directions / lengths, compute_uv=False)
    return bool(sizes[-1] > RANK_SLACK * max(directions.shape) * np.finfo(np.float64).eps * sizes[0])


def range_on_face(face: Face, weights: Float[np.ndarray, "n"], column: int) -> tuple[float, float]:
    """The range of one weight among all weights with the same point, by two linear programs on the face (HiGHS).

    Args:
        face: from `optimal_face`.
        weights: of the projection.
        column: its row among the points.
    """
    place = np.flatnonzero(face.rows == column)
    if not len(place):
        return 0.0, 0.0
    mine = float(weights[column])
    if is_independent(face.offsets):
        return mine, mine
    from scipy.optimize import linprog  # imported here, because it takes 0.2 s

    # Coordinates along the face: as few equations as its dimension, of similar size.
    lengths = np.linalg.norm(face.offsets, axis=1)
    left, sizes, _ = np.linalg.svd(face.offsets / (lengths.max() or 1.0), full_matrices=False)
    level = max(face.offsets.shape) * np.finfo(np.float64).eps * sizes[0]
    equations = np.concatenate([(left * sizes)[:, sizes > level].T, np.ones((1, len(face.rows)))])
    held = weights[face.rows]
    held = equations @ (held / held.sum())
    bounds: list[float] = []
    for sign in (1.0, -1.0):
        cost = np.zeros(len(face.rows))
        cost[place[0]] = sign
        found = linprog(
            cost,
            A_eq=equations,
            b_eq=held,
            method="highs",
            options={"primal_feasibility_tolerance": LP_TOLERANCE, "dual_feasibility_tolerance": LP_TOLERANCE},
        )
        bounds.append(sign * float(found.fun) if found.status == 0 else np.nan)
    low, high = bounds
    return float(np.clip(min(low, mine), 0, 1)), float(np.clip(max(high, mine), 0, 1))
