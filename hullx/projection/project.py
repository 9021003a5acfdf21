"""Projection of queries onto the convex hull of points, as a pure function that composes with jit, vmap and grad."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Float

from hullx import solvers
from hullx.ambient import own_settings
from hullx.arguments import known
from hullx.core.hull import Frame, Hull, hull_of
from hullx.core.pool.solve import heaviest
from hullx.core.search import CROWDED, STUCK, Search, begun, searched, undecided, widened
from hullx.core.stage import Stage
from hullx.numerics.batching import over_batches
from hullx.projection import derivatives
from hullx.projection.arguments import promoted, settings
from hullx.projection.stages import slots, stages, step_limit
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
    includes the rounding errors of the arithmetic in use, which is that of the arguments' dtype, and slices with more of its
    digits where they are needed: 1e-6 is within reach of float32. `hullx.sweep` certifies in float64 whatever JAX's setting.

    Outside of jit only the stages that some query needs are compiled. Inside, all is one small program, with 128 support slots
    if the solver names no capacity, and with the last resort for queries as near the hull as rounding (else Status.ROUNDING)
    only if `solvers.ActiveSet(last_resort=True)` asks for it.

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
    queries, points = promoted(queries, points)
    return _attached(_found(queries, points, *settings(solver, rtol, max_iter)), queries, points)


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
    queries, points = promoted(queries, points)
    return _distance(_found(queries, points, *settings(solver, rtol, max_iter)), queries, points)


def _found(queries: Array, points: Array, solver: solvers.Solver, rtol: Number, max_iter: Count | None) -> Projection:
    """The projections of all queries in one row, as constants: stage by stage, and outside jit only those that are needed."""
    queries, points = lax.stop_gradient((queries, points))
    flat = queries.reshape(-1, queries.shape[-1])
    count, (n, d) = len(flat), points.shape
    flat = flat if count else points[:1]
    traced = not (known(queries) and known(points))
    first, *later = stages(solver, len(flat), n, d, points.dtype, traced=traced)
    limit = step_limit(solver, n, d) if max_iter is None else max_iter
    search, rest = _first(flat, points, rtol, limit, stage=first)
    hull = Hull(points, *rest)
    for stage in later:
        if not known(search.status):
            search = _later(search, hull, None, rtol, limit, stage=stage)
            continue
        # So many at a time of those that are left: one program for however many they are.
        left = np.flatnonzero(np.isin(search.status, undecided(stage.method)))
        for start in range(0, len(left), stage.batch):
            rows = left[start : start + stage.batch]
            rows = np.pad(rows, (0, stage.batch - len(rows)), constant_values=len(flat))
            search = _later(search, hull, rows, rtol, limit, stage=stage)
    return _ended(search, hull.frame, count=count, slots=slots(n, d, solver.capacity))


# Compiled as one program each; eager calls of their parts would compile each operation.


@partial(jax.jit, static_argnames="stage")
def _first(queries: Array, points: Array, rtol: Number, limit: Count, *, stage: Stage) -> tuple[Search, tuple[Any, ...]]:
    """The first stage, and the hull but for the points, which would be copied."""
    hull = hull_of(points)
    return over_batches(lambda part: searched(begun(part, hull, stage), hull, stage, rtol, limit), queries, stage.batch), hull[
        1:
    ]


@partial(jax.jit, static_argnames="stage")
def _later(search: Search, hull: Hull, rows: Array | None, rtol: Number, limit: Count, *, stage: Stage) -> Search:
    """A further stage for some queries, by their rows, or for all."""
    search = widened(search, stage)
    # Rows beyond the last fill a batch.
    some = search if rows is None else jax.tree.map(lambda field: field.at[rows].get(mode="clip"), search)
    found = over_batches(lambda part: searched(part, hull, stage, rtol, limit), some, stage.batch)
    return found if rows is None else jax.tree.map(lambda all, part: all.at[rows].set(part, mode="drop"), search, found)


@partial(jax.jit, static_argnames=("count", "slots"))
def _ended(search: Search, frame: Frame, *, count: int, slots: int) -> Projection:
    distance, status = search.upper * frame.scale, search.status
    width = search.weights.shape[1]
    order = jax.vmap(partial(heaviest, count=min(slots, width)))(search.weights)
    weights, support = (jnp.take_along_axis(field, order, 1) for field in (search.weights, search.support))
    # A stage that needed no more may have had fewer.
    weights, support = (jnp.pad(field, ((0, 0), (0, max(slots - width, 0)))) for field in (weights, support))
    # Where a query is decided, but by more points than there are slots, they are not all told.
    told = weights.sum(1, keepdims=True) / search.weights.sum(1, keepdims=True)
    more = (search.weights > 0).sum(1) > slots
    weights, status = jnp.where(more[:, None], weights / told, weights), jnp.where(more, CROWDED, status)
    status = jnp.where(status == CROWDED, Status.CAPACITY, jnp.where(status == STUCK, Status.ROUNDING, status))
    finite = (status != Status.NONFINITE) & jnp.isfinite(distance)

    def mark(value: Array) -> Array:
        return jnp.where(finite.reshape(-1, *[1] * (value.ndim - 1)), value, jnp.nan)

    found = Projection(
        distance=mark(distance),
        lower=mark(search.lower * frame.scale),
        point=mark(search.point),
        support=support,
        weights=mark(weights),
        iterations=search.steps,
        status=jnp.where(finite, status, Status.NONFINITE).astype(jnp.int32),
        direction=mark(search.direction),
    )
    return jax.tree.map(lambda field: field[:count], found)


@jax.jit
def _attached(found: Projection, queries: Array, points: Array) -> Projection:
    found = derivatives.differentiable(found, queries.reshape(-1, queries.shape[-1]), points)
    return jax.tree.map(lambda field: field.reshape(*queries.shape[:-1], *field.shape[1:]), found)


@jax.jit
def _distance(found: Projection, queries: Array, points: Array) -> Array:
    return derivatives.distance(found, queries.reshape(-1, queries.shape[-1]), points).reshape(queries.shape[:-1])
