"""Certificates: what a weight vector, whoever found it, proves about the distance of a query to a hull.

Formulas only, no solver. With p = Σ_i a_i x_i a point of the hull and r = q − p,

    upper:  distance ≤ ‖r‖,                         since p is in the hull;
    lower:  distance ≥ min_j ⟨q − x_j, u⟩ / ‖u‖      for every vector u: the slab between q and the hull along u.

With u = r the lower bound is ‖r‖ − gap/‖r‖, where gap = max_j ⟨x_j, r⟩ − ⟨p, r⟩ ≥ 0 is Frank and Wolfe's duality gap
(Jaggi 2013, "Revisiting Frank-Wolfe", eq. 2), and ‖p − p*‖² ≤ gap. Both bounds hold whatever u and a are, so the
rounding errors of a solver do not matter; those of evaluating the two formulas are bounded below, after
Higham (2002), "Accuracy and Stability of Numerical Algorithms", section 3.1.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from hullx.types import Array, Status

# A query counts as inside when its distance to the hull is at most this many units in the last place of the points' radius,
# the bound of the distance's own rounding error aside. Σ a_i x_i over k points is itself off by about √k such units
# (Higham 2002, section 4.2), and k is rarely above 100; 32 leaves a factor of three.
INSIDE_ULPS = 32


class Hyperplane(NamedTuple):
    """A hyperplane {x : ⟨normal, x⟩ = offset} with all points on its lower side."""

    normal: Float[Array, "... d"]
    offset: Float[Array, "..."]


def gamma(operations: int | Array, dtype) -> float | Array:
    """γ_k = k u / (1 − k u): relative error bound of a sum of k rounded products in any order (Higham 2002, eq. 3.4)."""
    error = operations * (float(jnp.finfo(dtype).eps) / 2)
    return error / (1 - error)


def norm(vectors: Float[Array, "... d"]) -> Float[Array, "..."]:
    """Euclidean norm over the last axis, safe against overflow and underflow, with gradient 0 (not NaN) at zero."""
    largest = jax.lax.stop_gradient(jnp.abs(vectors).max(-1, keepdims=True))
    scale = jnp.where(largest > 0, largest, 1)
    squares = ((vectors / scale) ** 2).sum(-1)
    positive = squares > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, squares, 1)), 0) * scale[..., 0]


def unit(vectors: Float[Array, "... d"]) -> Float[Array, "... d"]:
    """vectors / ‖vectors‖; zero where the norm is 0."""
    largest = jnp.abs(vectors).max(-1, keepdims=True)
    scaled = vectors / jnp.where(largest > 0, largest, 1)
    length = norm(scaled)[..., None]
    return scaled / jnp.where(length > 0, length, 1)


def gap(query: Float[Array, "d"], points: Float[Array, "n d"], weights: Float[Array, "n"]) -> Float[Array, ""]:
    """The duality gap max_j ⟨x_j, r⟩ − ⟨p, r⟩ ≥ 0 of one query, for any weights on all n points.

    0 exactly at the projection (up to rounding, which this plain formula does not bound: see `lower_bound`).

    Example:
        >>> gap(jnp.array([2.0, 0.0]), jnp.array([[1.0, 1.0], [1.0, -1.0]]), jnp.array([0.5, 0.5]))
        Array(0., dtype=float32)
    """
    point = jnp.matmul(weights, points, precision="highest")
    scores = jnp.matmul(points - point, query - point, precision="highest")
    return scores.max()


def upper_bound(residual: Float[Array, "... d"], spread: Float[Array, "..."], terms: Array) -> Float[Array, "..."]:
    """‖r‖ and a bound of the error with which it was computed: never below the true distance of its point.

    Args:
        residual: r = Σ_i a_i (q − x_i) as computed, from k = `terms` nonzero weights a.
        spread: Σ_i a_i ‖q − x_i‖, to which the error of r is proportional: 0 if q is a vertex with weight 1.
        terms: k. Each entry of r is a sum of k products of weights (normalised: k more roundings) with differences (1).
    """
    d = residual.shape[-1]
    error = gamma(2 * terms + 4, residual.dtype)
    # The norm's own relative error: d squares, their sum, a root and the scaling.
    return norm(residual) * (1 + gamma(d / 2 + 4, residual.dtype)) + error * spread


def lower_bound(
    query_score: Float[Array, "..."],
    largest_score: Float[Array, "..."],
    score_error: Float[Array, "..."],
) -> Float[Array, "..."]:
    """A certified lower bound of the distance along a unit vector u: ⟨q, u⟩ − max_j ⟨x_j, u⟩, or 0 if that is negative.

    Args:
        query_score: ⟨q, u⟩.
        largest_score: max_j ⟨x_j, u⟩.
        score_error: bound of the rounding error of their difference (`score_error`).
    """
    slab = query_score - largest_score - score_error
    # u is a unit vector only up to a few roundings.
    shrink = 1 - 8 * float(jnp.finfo(query_score.dtype).eps)
    return jnp.maximum(slab * shrink, 0)


def score_error(dimension: int, magnitude: Array, dtype) -> Array:
    """Bound of |computed − exact| ⟨x, u⟩ for a unit vector u and ‖x‖ ≤ magnitude, x rounded once, then d products summed.

    Valid for any order of summation, with or without fused multiply-add. The + 8 pays for rounding x and u, for
    ‖u‖ ≠ 1 and for evaluating the bound itself.
    """
    return gamma(dimension + 8, dtype) * magnitude


class Bracket(NamedTuple):
    """What weights on a support prove about one query, and the scores ⟨x_j, u⟩ that prove it.

    In the limit of exact arithmetic upper = ‖q − p‖ and upper − lower = gap / ‖q − p‖.
    """

    point: Float[Array, "d"]
    residual: Float[Array, "d"]
    direction: Float[Array, "d"]
    scores: Float[Array, "n"]
    upper: Float[Array, ""]
    lower: Float[Array, ""]


def bracket(
    query: Float[Array, "d"],
    points: Float[Array, "n d"],
    radius: Float[Array, ""],
    support: Int[Array, "s"],
    weights: Float[Array, "s"],
) -> Bracket:
    """The certified bracket of one query's distance, from the points themselves: one product with all of them.

    Args:
        points: centred, so that the rounding errors are those of the hull's size and not of its place.
        radius: max_j ‖x_j‖.
        weights: ≥ 0, of any positive sum; they are normalised.
    """
    differences = query - points[support]
    weights = weights / weights.sum()
    residual = jnp.matmul(weights, differences, precision="highest")
    direction = unit(residual)
    scores = jnp.matmul(points, direction, precision="highest")
    query_score = jnp.matmul(query, direction, precision="highest")
    error = score_error(len(query), norm(query) + radius, query.dtype)
    return Bracket(
        point=jnp.matmul(weights, points[support], precision="highest"),
        residual=residual,
        direction=direction,
        scores=scores,
        upper=upper_bound(residual, weights @ norm(differences), (weights > 0).sum()),
        lower=lower_bound(query_score, scores.max(), error),
    )


def inside_level(radius: Array, terms: Array, data_dtype, dtype) -> Array:
    """At most so far from the hull counts as inside: the rounding level of the data, and of evaluating the distance.

    Args:
        radius: of the points about their centre.
        terms: points in the support.
        data_dtype: of queries and points as they came.
        dtype: of the arithmetic, in which `upper_bound` was computed: its error is part of the level.
    """
    eps_data, eps = float(jnp.finfo(data_dtype).eps), float(jnp.finfo(dtype).eps)
    return (INSIDE_ULPS * eps_data + (2 * terms + 4) * eps) * radius


def status(upper: Float[Array, "..."], lower: Float[Array, "..."], level: Array, rtol: float) -> Int[Array, "..."]:
    """CONVERGED or INSIDE where the bracket says so, NONFINITE where it is not finite, −1 where it decides nothing.

    Args:
        level: `inside_level` of the points.
    """
    # NumPy's arrays stay so: a sweep judges batches of every length, and JAX would compile each length anew.
    xp = upper.__array_namespace__()
    decided = xp.where(upper <= level, Status.INSIDE, -1)
    decided = xp.where((upper > 0) & (upper - lower <= rtol * upper), Status.CONVERGED, decided)
    return xp.where(xp.isfinite(upper) & xp.isfinite(lower), decided, Status.NONFINITE).astype(xp.int32)


def separating_hyperplane(points: Float[Array, "n d"], direction: Float[Array, "d"]) -> Hyperplane:
    """The hyperplane with the given normal that touches the hull: ⟨normal, x_j⟩ ≤ offset for every point.

    A query q with ⟨normal, q⟩ > offset is outside the hull, by ⟨normal, q⟩ − offset if the normal has length 1; anyone can
    check that with one matrix product.

    Example:
        >>> result = hullx.project(query, points)
        >>> normal, offset = hullx.certificate.separating_hyperplane(points, result.direction)
        >>> (points @ normal <= offset).all() and normal @ query > offset
    """
    return Hyperplane(direction, jnp.matmul(points, direction, precision="highest").max())
