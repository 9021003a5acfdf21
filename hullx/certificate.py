"""Certificates: bounds of the distance of a query to a hull, from any weight vector.

This file has formulas only, no solver. With p = Σ_i a_i x_i a point of the hull and r = q − p,

    upper:  distance ≤ ‖r‖,                         since p is in the hull;
    lower:  distance ≥ min_j ⟨q − x_j, u⟩ / ‖u‖      for every vector u: the slab between q and the hull along u.

With u = r the lower bound is ‖r‖ − gap/‖r‖, where gap = max_j ⟨x_j, r⟩ − ⟨p, r⟩ ≥ 0 is Frank and Wolfe's duality gap
(Jaggi 2013, "Revisiting Frank-Wolfe", eq. 2), and ‖p − p*‖² ≤ gap. Both bounds hold for all u and a, so a solver's
rounding errors do not matter. The functions below bound the rounding errors of evaluating the two formulas, after
Higham (2002), "Accuracy and Stability of Numerical Algorithms", section 3.1.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Bool, Float, Int

from hullx.numerics.norms import gamma, norm_bound
from hullx.types import Array, Number, Status


class Hyperplane(NamedTuple):
    """A hyperplane {x : ⟨normal, x⟩ = offset} with all points on its lower side.

    - normal: a vector of any length.
    - offset: in units of the data times the normal's length.
    """

    normal: Float[Array, "... d"]
    offset: Float[Array, "..."]


def gap(query: Float[Array, "d"], points: Float[Array, "n d"], weights: Float[Array, "n"]) -> Float[Array, ""]:
    """The duality gap max_j ⟨x_j, r⟩ − ⟨p, r⟩ ≥ 0 of one query, for any weights on all n points.

    The gap is 0 exactly at the projection, up to rounding. This formula does not bound rounding; see `lower_bound`.

    Args:
        query: q.
        points: the x_j, one per row.
        weights: ≥ 0, sum to 1; p = Σ w_j x_j, r = q − p.

    Returns:
        The gap in squared units of the data, in their dtype; NaN if a score is not finite.

    Example:
        >>> query, points = jnp.array([2.0, 0.0]), jnp.array([[1.0, 1.0], [1.0, -1.0]])
        >>> gap(query, points, jnp.array([1.0, 0.0])), gap(query, points, jnp.array([0.5, 0.5]))
        (Array(2., dtype=float32), Array(0., dtype=float32))

    Reference: Jaggi (2013), "Revisiting Frank-Wolfe", eq. 2.
    """
    point = jnp.matmul(weights, points, precision="highest")
    return _largest(jnp.matmul(points - point, query - point, precision="highest"))


def underflow(dimension: int, terms: int | Array, scale: Array, data_dtype: DTypeLike, dtype: DTypeLike) -> Array:
    """An upper bound of the underflow error, as a length in the frame's units.

    Compiled code flushes numbers below the smallest normal number to 0: entries of q, of x_i and of their differences to the
    centre, which count 1/s times in the frame; the placed entry; and each of the summed products.

    Args:
        dimension: d.
        terms: products in a sum.
        scale: s, of the frame.
        data_dtype: the original dtype of queries and points.
        dtype: of the arithmetic.

    Example:
        >>> underflow(2, 2, 1.0, jnp.float32, jnp.float32)
        1.66...e-37
    """
    raw, own = float(jnp.finfo(data_dtype).tiny), float(jnp.finfo(dtype).tiny)
    return (4 * (raw / scale) + (terms + 4) * own) * dimension**0.5


def upper_bound(
    weights: Float[Array, "k"], differences: Float[Array, "k d"], lost: Float[Array, ""]
) -> tuple[Float[Array, "d"], Float[Array, ""]]:
    """r = Σ_i w_i (q − x_i), and an upper bound of the distance: ‖r‖ plus a bound of its error.

    Let w̃ be the weights divided by their exact sum: Σ w̃_i x_i is in the hull, so the distance is at most ‖Σ w̃_i (q − x_i)‖.
    With k weights that are not 0, the computed vector differs from that vector by at most

        γ_(2k+4) Σ w_i ‖q − x_i‖ + lost

    because w_i differs from w̃_i by the roundings of k − 1 additions, a reciprocal and a product; a difference has one
    rounding; the sum has those of one product and k − 1 additions; two are spare. The norms are upper bounds (`norm_bound`).

    Args:
        weights: ≥ 0, divided by their computed sum.
        differences: computed q − x_i of the points with weight.
        lost: a bound of the weighted mean length of the differences' errors, except their last rounding: `underflow`.

    Returns:
        r and the bound, in the differences' units and dtype.

    Example:
        >>> residual, upper = upper_bound(jnp.array([0.5, 0.5]), jnp.array([[1.0, -1.0], [1.0, 1.0]]), jnp.zeros(()))
        >>> residual, bool(1 < upper < 1 + 1e-5)
        (Array([1., 0.], dtype=float32), True)
    """
    dtype, terms = differences.dtype, (weights > 0).sum()
    residual = jnp.matmul(weights, differences, precision="highest")
    spread = jnp.matmul(weights, norm_bound(differences), precision="highest") * (1 + gamma(terms + 4, dtype))
    return residual, norm_bound(residual) + (gamma(2 * terms + 4, dtype) * spread + lost) * (1 + gamma(4, dtype))


def lower_bound(
    query_score: Float[Array, "..."], largest_score: Float[Array, "..."], score_error: Float[Array, "..."], dimension: int
) -> Float[Array, "..."]:
    """A certified lower bound of the distance along a unit vector u: ⟨q, u⟩ − max_j ⟨x_j, u⟩, or 0 if that is negative.

    Args:
        query_score: ⟨q, u⟩.
        largest_score: max_j ⟨x_j, u⟩.
        score_error: bound of the rounding error of their difference (`score_error`, and `underflow`).
        dimension: of u, whose length is 1 up to γ_(d/2+4) (`unit`).

    Example:
        >>> lower_bound(jnp.array([2.0, 0.5]), jnp.array(1.0), score_error(2, jnp.array(2.5), jnp.float32), 2)
        Array([0.99999..., 0.        ], dtype=float32)
    """
    slab = query_score - largest_score - score_error
    shrink = max(1 - gamma(dimension / 2 + 8, query_score.dtype), 0.0)
    # Not a maximum, which may drop NaN.
    return jnp.where(slab > 0, slab * shrink, 0)


def score_error(dimension: int, magnitude: Array, dtype: DTypeLike) -> Array:
    """A bound of the error of ⟨x, u⟩ for a unit vector u and ‖x‖ ≤ magnitude: x is rounded once, then d products are summed.

    Valid for any order of summation, with or without fused multiply-add. The + 8 covers placing x (one rounding), rounding u
    to the products' dtype (one), adding the bound to the largest score (one) and the difference of two scores (two), as far as
    `lower_bound` does not cover them; ‖u‖ ≠ 1 costs a relative γ of the bound itself. The rest is spare.

    Args:
        dimension: d.
        magnitude: of x; for the difference of the scores of q and x, ‖q‖ + ‖x‖.
        dtype: of the products and the sum.
    """
    return gamma(dimension + 8, dtype) * magnitude


def reproduces(
    residual: Float[Array, "d"],
    spread: Float[Array, "d"],
    magnitude: Float[Array, "d"],
    terms: Array,
    lost: Array,
    data_dtype: DTypeLike,
    dtype: DTypeLike,
) -> Bool[Array, ""]:
    """Whether a convex combination reproduces every coordinate of a query to that coordinate's own rounding.

    A coordinate q_k is given to one unit in its last place. Σ_i w_i (q_k − x_ik) over t points has an error of at most
    `γ_(2t+4) Σ_i w_i |q_k − x_ik|` (`upper_bound`). Large numbers in other coordinates, or in points without weight, have no
    effect.

    Args:
        residual: Σ_i w_i (q_k − x_ik), as computed.
        spread: `Σ_i w_i |q_k − x_ik|`.
        magnitude: `|q_k|`.
        terms: t, the number of points with weight.
        lost: the underflow error of that evaluation.
        data_dtype: the original dtype of queries and points.
        dtype: of the arithmetic.

    Example:
        >>> residual, spread = jnp.array([1e-8, 0.1]), jnp.array([1.0, 1e6])
        >>> found = [reproduces(residual, spread, jnp.array([1.0, q]), 2, 0.0, jnp.float32, jnp.float32) for q in (1.0, 1e6)]
        >>> bool(found[0]), bool(reproduces(residual, jnp.ones(2), jnp.ones(2), 2, 0.0, jnp.float32, jnp.float32))
        (True, False)
    """
    eps_data, eps = float(jnp.finfo(data_dtype).eps), float(jnp.finfo(dtype).eps)
    return (jnp.abs(residual) <= eps_data * magnitude + (2 * terms + 4) * eps * spread + 2 * lost).all()


def within(upper: Array, lower: Array, rtol: Number, atol: Number) -> Array:
    """Whether a bracket is within tolerance: upper − lower ≤ rtol · upper + atol, and upper ≤ atol if it does not exclude 0.

    Args:
        upper, lower: of the bracket, of any shape; NaN is not within tolerance.
        rtol, atol: 0 or more. With atol = 0, a bracket within tolerance excludes 0.

    Example:
        >>> upper, lower = jnp.array([1.0, 1e-9, 0.0]), jnp.array([1.0, 0.0, 0.0])
        >>> within(upper, lower, 1e-6, 0.0), within(upper, lower, 1e-6, 1e-3)
        (Array([ True, False, False], dtype=bool), Array([ True,  True,  True], dtype=bool))
    """
    near = (upper <= atol) & (atol > 0)
    return ((lower > 0) | near) & (upper - lower <= rtol * upper + atol)


def status(
    upper: Float[Array, "..."], lower: Float[Array, "..."], inside: Bool[Array, "..."], rtol: Number, atol: Number = 0.0
) -> Int[Array, "..."]:
    """CONVERGED or INSIDE if the bracket decides the query, NONFINITE if the bracket is not finite, else −1.

    Args:
        upper, lower: of the bracket.
        inside: whether the point reproduces the query (`reproduces`); used only if no positive bound is proved.
        rtol, atol: CONVERGED means that the bracket is within tolerance (`within`).

    Example:
        >>> upper, lower = jnp.array([1.0, 1e-9, 1.0, 1e-9]), jnp.array([1.0, 0.0, 0.5, 5e-10])
        >>> status(upper, lower, jnp.array([False, True, False, True]), 1e-6)
        Array([ 0,  1, -1, -1], dtype=int32)
    """
    decided = jnp.where(within(upper, lower, rtol, atol), Status.CONVERGED, -1)
    decided = jnp.where(inside & (lower <= 0), Status.INSIDE, decided)
    return jnp.where(jnp.isfinite(upper) & jnp.isfinite(lower), decided, Status.NONFINITE).astype(jnp.int32)


def separating_hyperplane(points: Float[Array, "n d"], direction: Float[Array, "d"]) -> Hyperplane:
    """The hyperplane with the given normal that touches the hull: ⟨normal, x_j⟩ ≤ offset for every point.

    A query q with ⟨normal, q⟩ > offset is outside the hull, by at least ⟨normal, q⟩ − offset if the normal has length 1. One
    matrix product checks this.

    Args:
        points: one per row.
        direction: the normal, of any length, such as a `Projection`'s direction.

    Example:
        >>> query = jnp.array([2.0, 0.5])
        >>> normal, offset = separating_hyperplane(square, hullx.project(query, square).direction)
        >>> bool((square @ normal <= offset).all()), normal @ query - offset
        (True, Array(1., dtype=float32))
    """
    return Hyperplane(direction, _largest(jnp.matmul(points, direction, precision="highest")))


def _largest(scores: Float[Array, "n"]) -> Float[Array, ""]:
    # XLA's maximum on a CPU drops NaN.
    return jnp.where(jnp.isfinite(scores).all(), scores.max(), jnp.nan)
