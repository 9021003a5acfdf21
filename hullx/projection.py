"""Projection of queries onto the convex hull of points, as a pure function that composes with jit, vmap and grad."""

from __future__ import annotations

from functools import partial

import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Float

from hullx import certificate, solvers
from hullx.polish import Polished, polish
from hullx.types import Array, Projection, Status

# Queries solved in lockstep. The slowest of them decides when all are done, and each holds a pool's Gram matrix (0.5 MB in
# float64); 64 keep two CPU cores' products efficient.
LANES = 64


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

    Differentiable in queries and points, to any order, by the optimality conditions on the support found.

    Args:
        queries: one query or any batch of them, floating point.
        points: the points that span the hull, one a row.
        solver: a name or a configured solver; static under jit.
        rtol: relative width of the bracket at which a query is done.
        max_iter: most steps a query takes; None for the solver's own limit, which no ordinary problem reaches. Static
            under jit.

    Returns:
        A `Projection`; its fields have the queries' leading shape and the dtype that queries and points promote to.

    Raises:
        TypeError, ValueError: an argument has a wrong dtype or shape, or points are not finite (outside jit; under jit every
            query is then NONFINITE).

    Example:
        >>> square = jnp.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
        >>> hullx.project(jnp.array([2.0, 0.5]), square).point
        Array([1. , 0.5], dtype=float32)

    Reference: R. Yousefzadeh, "Deep Learning Generalization, Extrapolation, and Over-parameterization" (2022),
    arXiv 2203.10366.
    """
    dtype = jax.dtypes.canonicalize_dtype(check(queries, points))
    queries, points = jnp.asarray(queries).astype(dtype), jnp.asarray(points).astype(dtype)
    return _project(queries, points, solvers.resolve(solver), rtol, max_iter)


# Compiled as one program, or an eager call would compile its loops anew each time.
@partial(jax.jit, static_argnames=("solver", "max_iter"))
def _project(queries: Array, points: Array, solver: solvers.Solver, rtol: float, max_iter: int | None) -> Projection:
    frame = solvers.frame(points)
    one = partial(_project_one, points=points, frame=frame, solver=solver, rtol=rtol, max_iter=max_iter)
    if queries.ndim == 1:
        return one(queries)
    # Batches of one size, the last filled up with its own last query: one program to compile.
    *shape, dimension = queries.shape
    count = int(np.prod(shape))
    lanes = max(min(LANES, count), 1)
    flat = queries.reshape(count, dimension)
    padded = jnp.pad(flat, ((0, -count % lanes), (0, 0)), mode="edge") if count % lanes else flat
    result = lax.map(jax.vmap(one), padded.reshape(-1, lanes, dimension))
    return jax.tree.map(lambda field: field.reshape(-1, *field.shape[2:])[:count].reshape(*shape, *field.shape[2:]), result)


def _project_one(
    query: Array, *, points: Array, frame: solvers.Frame, solver: solvers.Solver, rtol: float, max_iter: int | None
) -> Projection:
    placed = frame.place(query)
    finite = jnp.isfinite(placed).all() & jnp.isfinite(frame.radius)
    # A lane of NaN would never converge and hold up its batch: it is solved for the centre, and marked at the end.
    start = jnp.where(finite, lax.stop_gradient(placed), 0)
    state = solver.run(start, jax.tree.map(lax.stop_gradient, frame), rtol=rtol, max_iter=max_iter)
    if query.dtype == jnp.float64:
        found = Polished(*(getattr(state, name) for name in Polished._fields))
        raw = lax.stop_gradient((jnp.where(finite, query, frame.centre), points))
        state = polish(*raw, frame.centre, frame.scale, lax.stop_gradient(frame.radius), found, rtol)
    weights = _differentiable(state.weights, state.support, placed, frame.points)
    rows = frame.points[state.support]
    point = jnp.matmul(weights, rows, precision="highest")
    distance = certificate.norm(jnp.matmul(weights, placed - rows, precision="highest"))
    # The value is the certified upper bound; the derivatives are the distance's.
    distance = distance + lax.stop_gradient(state.upper - distance)

    def mark(value: Array) -> Array:
        return jnp.where(finite, value, jnp.nan)

    return Projection(
        distance=mark(distance * frame.scale),
        lower=mark(state.lower * frame.scale),
        point=mark(point * frame.scale + frame.centre),
        support=state.support,
        weights=mark(weights),
        iterations=state.iterations,
        status=jnp.where(finite, state.status, Status.NONFINITE).astype(jnp.int32),
        direction=mark(state.direction),
    )


def distance(
    queries: Float[Array, "... d"],
    points: Float[Array, "n d"],
    *,
    solver: str | solvers.Solver = "active_set",
    rtol: float = 1e-6,
    max_iter: int | None = None,
) -> Float[Array, "..."]:
    """The distances of queries to the convex hull of points: `project(...).distance`, with the same arguments.

    With r = q − p, the gradient is r/‖r‖ in the query and −a_i r/‖r‖ in the i-th point (envelope theorem; Danskin 1967), and 0
    where the distance is 0.

    Example:
        >>> jax.grad(hullx.distance)(jnp.array([2.0, 0.5]), square)
        Array([1., 0.], dtype=float32)
    """
    return project(queries, points, solver=solver, rtol=rtol, max_iter=max_iter).distance


def check(queries: Array, points: Array) -> np.dtype:
    """The floating dtype that the two arguments promote to, or an error that says what to change."""
    for name, value in (("queries", queries), ("points", points)):
        dtype = getattr(value, "dtype", None)
        if dtype is None:
            raise TypeError(f"{name}: got {type(value).__name__}, expected an array: convert with jax.numpy.asarray")
        if not jnp.issubdtype(dtype, jnp.floating):
            raise TypeError(f"{name}: got dtype {dtype}, expected a real floating dtype: convert with {name}.astype('float32')")
    if points.ndim != 2:
        raise ValueError(f"points: got shape {points.shape}, expected (n, d): flatten each point to one row")
    if 0 in points.shape:
        raise ValueError(f"points: got shape {points.shape}, expected at least one point of at least one coordinate")
    if queries.ndim == 0 or queries.shape[-1] != points.shape[1]:
        raise ValueError(
            f"queries: got shape {queries.shape}, expected (..., {points.shape[1]}) to match points of shape {points.shape}: "
            "flatten queries and points in the same way"
        )
    # Only numbers can be looked at; NaN and infinity both survive into an extreme.
    known = not isinstance(points, jax.core.Tracer | jax.ShapeDtypeStruct)
    if known and not (np.isfinite(points.max()) and np.isfinite(points.min())):
        raise ValueError(
            "points: got NaN or infinity, expected finite numbers: drop those rows, points[isfinite(points).all(1)]"
        )
    return jnp.promote_types(jnp.promote_types(queries.dtype, points.dtype), jnp.float32)


def _differentiable(weights: Array, support: Array, query: Array, points: Array) -> Array:
    """The same weights, carrying their derivatives in the query and the points.

    On the support the weights solve a quadratic problem, so one Newton step from any weights is its exact solution, as a
    function of query and points. The step is zero at the solution; its derivatives are the solution's.
    """
    used = weights > 0
    differences = query - points[support]
    residual = jnp.matmul(weights, differences, precision="highest")
    rows = points[support] - lax.stop_gradient(jnp.matmul(weights, points[support], precision="highest"))
    rows = jnp.where(used[:, None], rows, 0)
    gram = jnp.matmul(rows, rows.T, precision="highest")
    step = _newton_step(gram, jnp.matmul(rows, residual, precision="highest"), used)
    return weights + (step - lax.stop_gradient(step))


def _newton_step(gram: Array, scores: Array, used: Array) -> Array:
    """`lawson_hanson.affine_step`, in operations that JAX differentiates."""
    shift = lax.stop_gradient(jnp.max(jnp.diagonal(gram), where=used, initial=0))
    shift = jnp.where(shift > 0, shift, 1)
    both = used[:, None] & used[None, :]
    matrix = jnp.where(both, gram + shift, jnp.where(jnp.eye(len(used), dtype=bool), shift, 0))
    # Scores are divided by their largest, so that a far query's do not overflow; neither this nor the shift changes the step.
    largest = lax.stop_gradient(jnp.max(jnp.abs(scores), where=used, initial=0))
    largest = jnp.where(largest > 0, largest, 1)
    sides = jnp.stack([jnp.where(used, scores / largest, 0), used.astype(scores.dtype)])
    towards, along = jax.scipy.linalg.cho_solve((jnp.linalg.cholesky(matrix, symmetrize_input=False), True), sides.T).T
    return jnp.where(used, (towards - along * (towards.sum() / along.sum())) * largest, 0)
