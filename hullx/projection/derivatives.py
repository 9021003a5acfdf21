"""Derivatives of projections, by formulas that replace differentiating the solver.

The solver runs on constants and returns a support S with weights w. While S stays the support, the projection is the one onto
S's affine hull, a smooth function of the query q and of the points x_i, i ∈ S. With p = Σ w_i x_i, r = q − p, u = r/‖r‖,
and dots for tangents,

    distance    ⟨u, q̇ − Σ w_i ẋ_i⟩                                             (envelope theorem; Danskin 1967)
    weights     ẇ = N t,   t_i = ⟨ẋ_i, r⟩ + ⟨x_i − p, q̇ − Σ w_j ẋ_j⟩          (the optimality conditions, differentiated)
    point       ṗ = Σ w_i ẋ_i + Σ ẇ_i x_i
    direction   u̇ = (ṙ − u ⟨u, ṙ⟩) / ‖r‖,   ṙ = q̇ − ṗ

where N is the inverse of the Gram matrix of S among weights that sum to 0 (`core.pool.tableau`). Transposed, with v a cotangent
of p and P the projector onto the directions of S's affine hull: q̄ = P v, x̄_i = w_i (v − P v) + y_i r, Σ y_i = 0, and
q̄ + Σ x̄_i = v.

Each value is a `jax.custom_jvp` that returns the solver's result, so it costs nothing unless it is differentiated. Its rule
uses these same values, so it can be differentiated again.

Where the projection is not differentiable, hullx returns a fixed, finite derivative:

- for a query in the hull, including its boundary and vertices (Status.INSIDE): distance and direction have derivative 0, and
  ṗ = P(q̇ − Σ w_i ẋ_i) + Σ w_i ẋ_i with P the projector onto the directions of the whole hull;
- for points that coincide or are affinely dependent: the shared derivative goes to the points that the solver chose (a nearest
  point that is itself one of the points counts as a vertex, even if other points span a face around it);
- for a query with NaN or infinity: 0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_batching import custom_vmap
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Float

from hullx.core.pool.problem import PoolProblem
from hullx.core.pool.tableau import inverse
from hullx.jax_settings import with_jax_defaults
from hullx.numerics.batching import over_queries
from hullx.numerics.loops import loop_start
from hullx.numerics.norms import power_of_two
from hullx.types import Array, Projection, Status

# Steps of iterative refinement of N t: the support's condition number limits the accuracy of N.
REFINEMENTS = 2
# Slots that suffice for most supports.
NARROW = 128


def differentiable(found: Projection, queries: Float[Array, "m d"], points: Float[Array, "n d"]) -> Projection:
    """The same projections with distance, point, weights and direction differentiable in queries and points.

    Args:
        found: projections of all m queries, as constants.
        queries: raw.
        points: raw.
    """
    arguments = found, queries, points
    return found._replace(
        distance=distance(*arguments), point=point(*arguments), weights=weights(*arguments), direction=direction(*arguments)
    )


def _value(name: str, tangent: Callable[..., Array]) -> Callable[[Projection, Array, Array], Array]:
    """A function value(found, queries, points): a field of `found` with derivative tangent(found, queries, points, q̇, ẋ).

    ẋ is None for constant points, because zeros of their shape would cost more than everything else.
    """

    @jax.custom_jvp
    def value(found: Projection, queries: Array, points: Array) -> Array:
        return getattr(found, name)

    @with_jax_defaults
    def rule(primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Array, Array]:
        found, queries, points = primals
        # A query with NaN would spoil the derivatives in the points, which all queries share.
        clean = found._replace(
            **{field: _finite(getattr(found, field)) for field in ("distance", "point", "weights", "direction")}
        )
        query_dot, points_dot = (None if isinstance(each, SymbolicZero) else each for each in tangents[1:])
        query_dot = jnp.zeros_like(queries) if query_dot is None else query_dot
        return value(*primals), tangent(clean, _finite(queries), points, query_dot, points_dot)

    value.defjvp(rule, symbolic_zeros=True)
    return value


def _finite(field: Array) -> Array:
    return jnp.where(jnp.isfinite(field), field, 0)


def _distance_dot(found: Projection, queries: Array, points: Array, query_dot: Array, points_dot: Array | None) -> Array:
    relative_dot = query_dot - _weighted_tangents(found, queries, points, points_dot)
    slope = (direction(found, queries, points) * relative_dot).sum(1)
    return jnp.where(_outside(found), slope, 0)


def _weights_dot(found: Projection, queries: Array, points: Array, query_dot: Array, points_dot: Array | None) -> Array:
    return _support_tangents(found, queries, points, query_dot, points_dot)[0]


def _point_dot(found: Projection, queries: Array, points: Array, query_dot: Array, points_dot: Array | None) -> Array:
    _, moved, mixed = _support_tangents(found, queries, points, query_dot, points_dot)
    inside = found.status == Status.INSIDE
    axes = _hull_directions(inside.any(), lax.stop_gradient(points))
    along = jnp.matmul(jnp.matmul(query_dot - mixed, axes.T, precision="highest"), axes, precision="highest")
    return jnp.where(inside[:, None], along + mixed, moved)


def _direction_dot(found: Projection, queries: Array, points: Array, query_dot: Array, points_dot: Array | None) -> Array:
    outside, along = _outside(found), direction(found, queries, points)
    residual = query_dot - _point_dot(found, queries, points, query_dot, points_dot)
    across = residual - along * (along * residual).sum(1, keepdims=True)
    length = jnp.where(outside, distance(found, queries, points), 1)
    return jnp.where(outside[:, None], across / length[:, None], 0)


distance = _value("distance", _distance_dot)
weights = _value("weights", _weights_dot)
point = _value("point", _point_dot)
direction = _value("direction", _direction_dot)


def _outside(found: Projection) -> Array:
    return (found.status != Status.INSIDE) & (found.status != Status.NONFINITE)


def _weighted_tangents(found: Projection, queries: Array, points: Array, points_dot: Array | None) -> Array:
    """Σ w_i ẋ_i: (m, d)."""
    if points_dot is None:
        return jnp.zeros_like(queries)

    @jax.checkpoint
    def one(support: Array, weights: Array) -> Array:
        return jnp.matmul(weights, points_dot[support], precision="highest")

    def mixed(found: Projection) -> Array:
        return over_queries(one, found.support, weights(found, queries, points))

    return _in_narrow_slots(mixed, found)


def _support_tangents(
    found: Projection, queries: Array, points: Array, query_dot: Array, points_dot: Array | None
) -> tuple[Array, Array, Array]:
    """ẇ, ṗ and Σ w_i ẋ_i of the projections onto the affine hulls of their supports: (m, s), (m, d) and (m, d)."""

    # Gathered rows take s × d numbers per query, too many to store for all queries, so the backward pass gathers them again.
    @jax.checkpoint
    def one(support: Array, weights: Array, query: Array, query_dot: Array) -> tuple[Array, Array, Array]:
        rows, used = points[support], weights > 0
        origin = lax.stop_gradient(rows[weights.argmax()])
        scale = power_of_two(jnp.where(used[:, None], jnp.abs(lax.stop_gradient(rows) - origin), 0).max())
        rows, query = jnp.where(used[:, None], (rows - origin) / scale, 0), (query - origin) / scale
        place = jnp.matmul(weights, rows, precision="highest")
        centred = jnp.where(used[:, None], rows - place, 0)
        mixed, turned = jnp.zeros_like(query), jnp.zeros_like(weights)
        if points_dot is not None:
            rows_dot = points_dot[support] / scale
            mixed = jnp.matmul(weights, rows_dot, precision="highest")
            turned = jnp.where(used, jnp.matmul(rows_dot, query - place, precision="highest"), 0)
        scores = turned + jnp.matmul(centred, query_dot / scale - mixed, precision="highest")
        weights_dot = zero_sum_solution(centred, weights, scores)
        return weights_dot, (mixed + jnp.matmul(weights_dot, centred, precision="highest")) * scale, mixed * scale

    def on_support(found: Projection) -> tuple[Array, Array, Array]:
        weights_dot, *others = over_queries(one, found.support, weights(found, queries, points), queries, query_dot)
        missing = slots - weights_dot.shape[1]
        return jnp.pad(weights_dot, ((0, 0), (0, missing))), *others

    slots = found.support.shape[1]
    return _in_narrow_slots(on_support, found)


def _in_narrow_slots(derivative: Callable[[Projection], Any], found: Projection) -> Any:
    """A derivative on the first NARROW slots if no query uses more; a traced program has slots for any support."""
    if found.support.shape[1] <= NARROW:
        return derivative(found)
    narrow = found._replace(support=found.support[:, :NARROW], weights=found.weights[:, :NARROW])
    used = (found.weights[:, NARROW:] > 0).any()
    return lax.cond(used, lambda: derivative(found), lambda: derivative(narrow))


def zero_sum_solution(rows: Float[Array, "s d"], weights: Float[Array, "s"], scores: Float[Array, "s"]) -> Float[Array, "s"]:
    """N t for the support's rows: the solution δ of X Xᵀ δ = t among vectors with Σ δ = 0, differentiable in rows and scores.

    Rows that are affinely dependent on others get 0.

    Args:
        rows: X, about any nearby origin; rows without weight are zero.
        weights: ≥ 0; positive in the used slots, which include the first.
        scores: t, 0 for rows without weight.
    """
    constant = lax.stop_gradient(rows)
    centred = constant - constant[0]
    gram, none = jnp.matmul(centred, centred.T, precision="highest"), jnp.zeros_like(weights)
    pool = PoolProblem(gram, none, lax.stop_gradient(weights), none.sum(), none == 0)
    found = inverse(pool).inverse

    def product(step: Array) -> Array:
        return jnp.matmul(rows, jnp.matmul(step, rows, precision="highest"), precision="highest")

    def solve(product: Callable[[Array], Array], scores: Array) -> Array:
        step = jnp.matmul(found, scores, precision="highest")
        for _ in range(REFINEMENTS):
            step = step + jnp.matmul(found, scores - product(step), precision="highest")
        return step

    return lax.custom_linear_solve(product, scores, solve, symmetric=True)


@custom_vmap
def _hull_directions(needed: Array, points: Array) -> Array:
    """An orthonormal basis of the hull's directions, one per row, padded with zeros, if needed: (min(n, d), d)."""

    def directions(points: Array) -> Array:
        centred = points - points[0]
        _, sizes, axes = jnp.linalg.svd(jnp.linalg.qr(centred, mode="r"), full_matrices=False)
        # NumPy's matrix_rank uses the same threshold.
        level = sizes[0] * max(points.shape) * float(jnp.finfo(points.dtype).eps)
        return jnp.where((sizes > level)[:, None], axes, 0)

    size = min(points.shape), points.shape[1]
    return lax.cond(needed, directions, lambda points: loop_start(jnp.zeros(size, points.dtype), points), points)


@_hull_directions.def_vmap
@with_jax_defaults
def _(size: int, batched: list[bool], needed: Array, points: Array) -> tuple[Array, bool]:
    """One basis for all queries of one hull; for several hulls, one after the other, only where needed."""
    if not batched[1]:
        return _hull_directions(needed.any(), points), False
    needed = jnp.broadcast_to(needed, (size,)) if not batched[0] else needed
    return lax.map(lambda hull: _hull_directions(*hull), (needed, points)), True
