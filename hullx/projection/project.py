"""Projection of queries onto the convex hull of points, as a pure function that composes with jit, vmap and grad."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Float

from hullx import solvers
from hullx.ambient import own_settings
from hullx.core.hull import Hull, hull_of
from hullx.core.refine import refine
from hullx.numerics.batching import over_queries
from hullx.projection import derivatives
from hullx.projection.arguments import promoted, settings
from hullx.types import Array, Count, Number, Projection, Status


@own_settings
def project(
    queries: Float[Array, "... d"],
    points: Float[Array, "n d"],
    *,
    solver: str | solvers.Solver = "active_set",
    rtol: float = 1e-6,
    max_iter: int | None = None,
) -> Projection:
    """The projections of queries onto the convex hull of points, each with a certified bracket of its distance.

        minimise ‖Xᵀa − q‖   subject to   a ≥ 0, Σ a = 1

    lower ≤ true distance ≤ distance always holds; Status.CONVERGED says that distance − lower ≤ rtol · distance. The bracket
    includes the rounding errors of the arithmetic in use: 1e-6 needs float64 (jax.enable_x64); in float32 the bracket
    is as narrow as float32 can prove. `hullx.sweep` certifies in float64 whatever JAX's setting.

    distance, point, weights and direction are differentiable in queries and points, to any order (`projection.derivatives`);
    lower is a constant.

    Args:
        queries: one query (d,) or any batch of them (..., d), floating point.
        points: the points that span the hull, one a row, (n, d).
        solver: a name or a configured solver; static under jit.
        rtol: relative width of the bracket at which a query is done, from 0 to less than 1.
        max_iter: most steps a query takes, 1 or more; None for the solver's own limit, which no ordinary problem reaches.

    Returns:
        A `Projection`; its fields have the queries' leading shape and the dtype that queries and points promote to.

    Raises:
        ArgumentTypeError, ArgumentError: (TypeError, ValueError) an argument has a wrong type, dtype, shape or value; points
            are not finite or of a size that their dtype cannot compute with (outside jit; under jit every query is then
            NONFINITE, or its bracket is as wide as underflow makes it).

    Example:
        >>> square = jnp.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
        >>> hullx.project(jnp.array([2.0, 0.5]), square).point
        Array([1. , 0.5], dtype=float32)

    Reference: R. Yousefzadeh, "Deep Learning Generalization, Extrapolation, and Over-parameterization" (2022),
    arXiv 2203.10366.
    """
    return _project(*promoted(queries, points), *settings(solver, rtol, max_iter))


@own_settings
def distance(
    queries: Float[Array, "... d"],
    points: Float[Array, "n d"],
    *,
    solver: str | solvers.Solver = "active_set",
    rtol: float = 1e-6,
    max_iter: int | None = None,
) -> Float[Array, "..."]:
    """The distances of queries to the convex hull of points: `project(...).distance`, with the same arguments and errors.

    With r = q − p, the gradient is r/‖r‖ in the query and −w_i r/‖r‖ in the i-th point (envelope theorem; Danskin 1967), and 0
    for a query in the hull (Status.INSIDE).

    Args:
        queries, points, solver, rtol, max_iter: as for `project`.

    Returns:
        The certified upper bounds, in units of the data, with the queries' leading shape (...).

    Example:
        >>> jax.value_and_grad(hullx.distance)(jnp.array([2.0, 0.5]), square)
        (Array(1.00000..., dtype=float32), Array([1., 0.], dtype=float32))

    Reference: Danskin (1967), "The Theory of Max-Min and its Application to Weapons Allocation Problems".
    """
    return _distance(*promoted(queries, points), *settings(solver, rtol, max_iter))


# Compiled as one program each, or an eager call would compile its loops anew each time.
@partial(jax.jit, static_argnames="solver")
def _project(queries: Array, points: Array, solver: solvers.Solver, rtol: Number, max_iter: Count | None) -> Projection:
    flat = queries.reshape(-1, queries.shape[-1])
    found = derivatives.differentiable(_solved(flat, points, solver, rtol, max_iter), flat, points)
    return jax.tree.map(lambda field: field.reshape(*queries.shape[:-1], *field.shape[1:]), found)


@partial(jax.jit, static_argnames="solver")
def _distance(queries: Array, points: Array, solver: solvers.Solver, rtol: Number, max_iter: Count | None) -> Array:
    flat = queries.reshape(-1, queries.shape[-1])
    found = _solved(flat, points, solver, rtol, max_iter)
    return derivatives.distance(found, flat, points).reshape(queries.shape[:-1])


def _solved(queries: Array, points: Array, solver: solvers.Solver, rtol: Number, max_iter: Count | None) -> Projection:
    """The projections of a batch, as constants."""
    queries, points = lax.stop_gradient((queries, points))
    hull = hull_of(points)
    return over_queries(lambda query: _solve(query, hull, solver, rtol, max_iter), queries)


def _solve(query: Array, hull: Hull, solver: solvers.Solver, rtol: Number, max_iter: Count | None) -> Projection:
    frame = hull.frame
    placed = frame.place(query)
    finite = jnp.isfinite(placed).all() & jnp.isfinite(frame.radius)
    # A lane of NaN would never converge and hold up its batch: it is solved for the centre, and marked at the end.
    found = solver.run(jnp.where(finite, placed, 0), hull, rtol=rtol, max_iter=max_iter).answer
    if query.dtype == jnp.float64:
        found = refine(jnp.where(finite, query, frame.centre), hull, found, rtol)
    point = jnp.matmul(found.weights, hull.placed[found.support], precision="highest")
    distance = found.upper * frame.scale
    finite = finite & jnp.isfinite(distance)

    def mark(value: Array) -> Array:
        return jnp.where(finite, value, jnp.nan)

    return Projection(
        distance=mark(distance),
        lower=mark(found.lower * frame.scale),
        point=mark(point * frame.scale + frame.centre),
        support=found.support,
        weights=mark(found.weights),
        iterations=found.iterations,
        status=jnp.where(finite, found.status, Status.NONFINITE).astype(jnp.int32),
        direction=mark(found.direction),
    )
