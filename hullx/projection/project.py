"""Projection of queries onto the convex hull of points, as a function that composes with jit, vmap and grad."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from hullx import solvers
from hullx.arguments import is_concrete
from hullx.core import driver
from hullx.core.hull import Hull
from hullx.core.pool.solve import heaviest
from hullx.core.results import pad_support, round_outwards
from hullx.core.search import search
from hullx.core.stages import MOST_STEPS, Setup, Stage, largest_support, step_limit, traced_stages
from hullx.core.state import Goal, final_status
from hullx.errors import ArgumentError
from hullx.jax_settings import eagerly, with_jax_defaults
from hullx.numerics.conversion import upcast
from hullx.projection import derivatives, prepared
from hullx.projection.arguments import Given, check_settings, constant, given
from hullx.types import Array, Number, Projection


@with_jax_defaults
def project(
    queries: Float[Array, "... d"],
    points: Float[Array, "n d"] | Hull,
    *,
    solver: str | solvers.Solver = "active_set",
    rtol: float = 1e-6,
    atol: float = 0.0,
    max_iter: int | None = None,
) -> Projection:
    """The projections of queries onto the convex hull of points, each with a certified bracket of its distance.

        minimise ‖Xᵀa − q‖   subject to   a ≥ 0, Σ a = 1

    lower ≤ true distance ≤ distance always holds, rounding included. Status.CONVERGED means
    distance − lower ≤ rtol · distance + atol.

    Outside jit, NumPy float64 keeps full precision for every x64 setting of JAX. Brackets are computed in float64, or with
    twice its digits if a query needs them, and rounded outwards to the dtype of the result. Supports may have any size.

    Under jit, vmap or scan everything compiles into one program. Arrays have the dtypes that JAX gives them. Without x64,
    brackets are computed in slices of float32, which reach 1e-6; some queries in mixed units end with Status.ROUNDING.
    Queries within rounding error of the hull also do if more than 128 points can carry weight.
    `solvers.ActiveSet(last_resort=True)` then adds extended precision, which takes longer to compile.

    distance, point, weights and direction are differentiable in queries and points to any order (`projection.derivatives`);
    lower is constant.

    Args:
        queries: one query (d,) or any batch of them (..., d). Floating-point arrays of NumPy or JAX; outside jit also integers,
            booleans, lists, numeric DataFrames and objects with `__array__` or `__jax_array__`.
        points: the points that span the hull, one per row, (n, d), or the result of `prepare`.
        solver: a name or a configured solver; static under jit.
        rtol: relative width of the bracket at which a query is decided, from 0 to less than 1.
        atol: absolute width of the bracket, added to rtol · distance, in units of the data, 0 or more. CONVERGED queries with
            lower = 0 have distance ≤ atol: near the hull, and not proved to be outside or inside.
        max_iter: maximum steps per query, 1 or more; None for a limit that no ordinary problem reaches.

    Returns:
        A `Projection` of JAX arrays with the queries' leading shape. Their dtype is float64 if queries or points are
        float64 and x64 is on, else float32.

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
    inputs, setup = given(queries, points), solvers.setup(check_settings(solver, rtol, atol, max_iter))
    found, slots = _solve(inputs, setup, Tolerances(rtol, atol), max_iter), _slots(inputs, setup)
    if inputs.differentiated:
        return _attach_derivatives(found, *_arrays(inputs), slots=slots)
    return _reshape(found, inputs, slots)


@with_jax_defaults
def distance(
    queries: Float[Array, "... d"],
    points: Float[Array, "n d"] | Hull,
    *,
    solver: str | solvers.Solver = "active_set",
    rtol: float = 1e-6,
    atol: float = 0.0,
    max_iter: int | None = None,
) -> Float[Array, "..."]:
    """The distances of queries to the convex hull of points: `project(...).distance`, with the same arguments and errors.

    With r = q − p, the gradient is r/‖r‖ in the query and −w_i r/‖r‖ in the i-th point (envelope theorem; Danskin 1967), and 0
    for a query in the hull (Status.INSIDE).

    Args:
        queries, points, solver, rtol, atol, max_iter: as for `project`.

    Returns:
        The certified upper bounds, in units of the data, with the queries' leading shape (...).

    Example:
        >>> jax.value_and_grad(hullx.distance)(jnp.array([2.0, 0.5]), square)
        (Array(1.00000..., dtype=float32), Array([1., 0.], dtype=float32))

    Reference: Danskin (1967), "The Theory of Max-Min and its Application to Weapons Allocation Problems".
    """
    inputs, setup = given(queries, points), solvers.setup(check_settings(solver, rtol, atol, max_iter))
    found = _solve(inputs, setup, Tolerances(rtol, atol), max_iter)
    return _distance(found, *_arrays(inputs)) if inputs.differentiated else _reshape(found, inputs, 1).distance


class Tolerances(NamedTuple):
    """The width of a bracket at which a query is decided: rtol · distance + atol."""

    rtol: Number
    atol: Number


def _solve(inputs: Given, setup: Setup, width: Tolerances, max_iter: int | None) -> Projection:
    """The projections of the flattened queries, as constants, in the dtype of the result."""
    width = Tolerances(*constant(tuple(width)))
    concrete = inputs.concrete and all(map(is_concrete, (*width, max_iter)))
    return (_solve_eager if concrete else _solve_traced)(inputs, setup, width, max_iter)


def _limit(setup: Setup, max_iter: int | None, n: int, d: int) -> int:
    if max_iter is not None:
        return min(max_iter, MOST_STEPS) if is_concrete(max_iter) else max_iter
    return step_limit(min(n, d + 1)) if setup.own is None else 2**30


def _solve_eager(inputs: Given, setup: Setup, width: Tolerances, max_iter: int | None) -> Projection:
    result_dtype = jax.dtypes.canonicalize_dtype(inputs.dtype)
    queries, points, d = constant(inputs.queries), constant(inputs.points), inputs.raw.shape[1]
    with eagerly():
        flat = np.asarray(queries).astype(inputs.dtype).reshape(-1, d)
        hull = points if isinstance(points, Hull) else prepared.on_device(points, inputs.dtype, queries=len(flat))
        hull, n = prepared.in_dtype(hull, inputs.dtype), int(hull.n)
        if setup.capacity is not None and setup.capacity >= min(n, d + 1):
            setup = setup._replace(capacity=None)  # no limit, also for the columns that padding adds
        rtol, atol = width if result_dtype == np.float64 else _before_rounding(width)
        limit, most = _limit(setup, max_iter, n, d), largest_support(n, d, setup)
        goal = Goal(float(rtol), limit, most, float(atol) / float(hull.frame.scale))
        found = driver.solve(flat, driver.on_device(hull, setup, queries=len(flat)), goal)
    # Derivatives compile for each number of slots, so use few numbers.
    found = pad_support(found, min(_slots(inputs, setup), 2 ** (found.support.shape[1] - 1).bit_length()))
    return round_outwards(found, result_dtype, *width)


def _solve_traced(inputs: Given, setup: Setup, width: Tolerances, max_iter: int | None) -> Projection:
    dtype = jax.dtypes.canonicalize_dtype(inputs.dtype)
    queries, points = upcast(constant(inputs.queries), dtype), constant(inputs.points)
    hull = points if isinstance(points, Hull) else prepared.traced(points, dtype)
    if np.dtype(hull.points.dtype).itemsize > np.dtype(dtype).itemsize:
        raise ArgumentError(
            "points: got a hull that was prepared in float64, expected float32 under jit without x64: prepare the points in "
            "float32, or turn x64 on (jax.enable_x64)"
        )
    hull, flat = prepared.in_dtype(hull, dtype)._replace(coarse=None), queries.reshape(-1, queries.shape[-1])
    count, (rows, d), n = len(flat), hull.points.shape, _count(hull)
    # An empty batch projects one dummy query.
    flat = flat if count else hull.points[:1]
    stages = traced_stages(len(flat), n, d, setup, rows=rows)
    rtol, atol = width if dtype == jax.dtypes.canonicalize_dtype(np.float64) else _before_rounding(width)
    goal = Goal(rtol, _limit(setup, max_iter, n, d), largest_support(n, d, setup), atol / hull.frame.scale)
    return _program(flat, hull, goal, width, count=count, stages=tuple(stages))


def _before_rounding(width: Tolerances) -> Tolerances:
    """Tolerances of float64 brackets, which stay within the given ones when they are rounded outwards to float32."""
    eps = float(np.finfo(np.float32).eps)
    larger = max if is_concrete(width.rtol) else jnp.maximum
    return Tolerances(larger(width.rtol - 2 * eps, width.rtol / 2), width.atol / 2)


# One program; otherwise each operation would compile separately.
@partial(jax.jit, static_argnames=("count", "stages"))
def _program(queries: Array, hull: Hull, goal: Goal, width: Tolerances, *, count: int, stages: tuple[Stage, ...]) -> Projection:
    state, scale = search(queries, count, hull, goal, stages=list(stages)), hull.frame.scale
    order = jax.vmap(partial(heaviest, count=stages[-1].capacity))(state.weights)
    found = Projection(
        distance=state.upper * scale,
        lower=state.lower * scale,
        point=state.point,
        support=jnp.take_along_axis(state.support, order, 1),
        weights=jnp.take_along_axis(state.weights, order, 1),
        iterations=state.steps,
        status=final_status(state.status),
        direction=state.direction,
    )
    return jax.tree.map(lambda field: field[:count], round_outwards(found, queries.dtype, *width))


def _arrays(inputs: Given) -> tuple[Array, Array]:
    """Queries and points as JAX arrays of the result's dtype, with their derivatives."""
    dtype = jax.dtypes.canonicalize_dtype(inputs.dtype)
    return upcast(inputs.queries, dtype), upcast(inputs.raw, dtype)


def _slots(inputs: Given, setup: Setup) -> int:
    """The number of support slots of a result."""
    n = _count(inputs.points) if isinstance(inputs.points, Hull) else len(inputs.raw)
    return largest_support(n, inputs.raw.shape[1], setup)


def _count(hull: Hull) -> int:
    """The number of points of a hull, including padding if it is traced."""
    return int(hull.n) if is_concrete(hull.n) else len(hull.points)


def _reshape(found: Projection, inputs: Given, slots: int) -> Projection:
    """Results of flattened queries, reshaped to the queries' leading shape."""
    shape = np.shape(inputs.queries)[:-1]
    found = pad_support(found, slots)
    # Not jnp.asarray, which compiles a copy for each shape.
    return jax.device_put(Projection(*(field.reshape((*shape, *field.shape[1:])) for field in found)))


@partial(jax.jit, static_argnames="slots")
def _attach_derivatives(found: Projection, queries: Array, points: Array, *, slots: int) -> Projection:
    found = derivatives.differentiable(found, queries.reshape(-1, queries.shape[-1]), points)
    found = pad_support(found, slots)
    return jax.tree.map(lambda field: field.reshape(*queries.shape[:-1], *field.shape[1:]), found)


@jax.jit
def _distance(found: Projection, queries: Array, points: Array) -> Array:
    return derivatives.distance(found, queries.reshape(-1, queries.shape[-1]), points).reshape(queries.shape[:-1])
