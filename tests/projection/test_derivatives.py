"""Derivatives of projections: finite differences, jaxopt's implicit ones, unrolled ones, closed forms, degenerate cases."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hullx
from hullx.projection import derivatives
from hullx.solvers.projected_gradient import implicit_weights
from hullx.types import Status

pytestmark = [pytest.mark.unoptimised, pytest.mark.usefixtures("x64")]

FIELDS = "distance", "point", "weights", "direction"
# Central differences with this step are off by about its square.
STEP = 1e-5

solved = jax.jit(hullx.project)


@pytest.fixture
def problem(rng: np.random.Generator) -> tuple[jax.Array, jax.Array]:
    """A query outside a cloud in 4 dimensions, whose projection has several neighbours."""
    points = jnp.asarray(rng.normal(size=(15, 4)))
    queries = jnp.asarray(rng.normal(size=(20, 4)) * 2)
    sizes = np.asarray(hullx.project(queries, points).support_size)
    return queries[(sizes == 3).argmax()], points


@partial(jax.jit, static_argnames="field")
def attached(query: jax.Array, points: jax.Array, field: str, found=None) -> jax.Array:
    """A field of the projection of one query, with derivatives: the solver itself stays outside of what is compiled."""
    found = solved(query, points) if found is None else found
    batch = jax.tree.map(lambda value: value[None], found)
    return getattr(derivatives.differentiable(batch, query[None], points), field)[0]


def moved(found, query: jax.Array, points: jax.Array, field: str, tangents: tuple) -> jax.Array:
    """The directional derivative of a field."""
    return jax.jvp(lambda q, x: attached(q, x, field, found), (query, points), tangents)[1]


jitted_moved = jax.jit(moved, static_argnames="field")


def tangents(rng: np.random.Generator, query: jax.Array, points: jax.Array) -> tuple[jax.Array, jax.Array]:
    return jnp.asarray(rng.normal(size=query.shape)), jnp.asarray(rng.normal(size=points.shape))


def difference(function, query: jax.Array, points: jax.Array, along: tuple) -> jax.Array:
    """The central difference of function(query, points), once extrapolated (Richardson 1911)."""
    slopes = []
    for step in (2 * STEP, STEP):
        ends = [function(query + sign * step * along[0], points + sign * step * along[1]) for sign in (1, -1)]
        slopes.append((ends[0] - ends[1]) / (2 * step))
    return (4 * slopes[1] - slopes[0]) / 3


@pytest.mark.parametrize("field", FIELDS)
def test_first_derivatives_match_finite_differences(problem, rng, field: str) -> None:
    query, points = problem
    along = tangents(rng, query, points)
    expected = difference(lambda q, x: getattr(solved(q, x), field), query, points, along)
    np.testing.assert_allclose(jitted_moved(solved(query, points), query, points, field, along), expected, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("field", FIELDS)
def test_second_derivatives_match_finite_differences(problem, rng, field: str) -> None:
    query, points = problem
    first, second = tangents(rng, query, points), tangents(rng, query, points)

    def slope(q: jax.Array, x: jax.Array) -> jax.Array:
        return jitted_moved(solved(q, x), q, x, field, first)

    found = solved(query, points)
    twice = jax.jit(lambda q, x: jax.jvp(lambda q, x: moved(found, q, x, field, first), (q, x), second)[1])
    np.testing.assert_allclose(twice(query, points), difference(slope, query, points, second), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("field", FIELDS)
def test_reverse_mode_is_the_transpose_of_forward_mode(problem, rng, field: str) -> None:
    query, points = problem
    found, along = solved(query, points), tangents(rng, query, points)
    value, pull = jax.vjp(lambda q, x: attached(q, x, field, found), query, points)
    cotangent = jnp.asarray(rng.normal(size=value.shape))
    back = pull(cotangent)
    expected = (cotangent * jitted_moved(found, query, points, field, along)).sum()
    np.testing.assert_allclose(sum((a * b).sum() for a, b in zip(back, along, strict=True)), expected, rtol=1e-12)
    np.testing.assert_array_equal(value, getattr(found, field))


def test_hessian_of_the_distance(problem) -> None:
    """(I − u uᵀ − P)/‖r‖ in the query, P the projector onto the directions of the support's hull; symmetric in the points."""
    query, points = problem
    found = solved(query, points)
    hessian = jax.jit(jax.hessian(lambda q, x: attached(q, x, "distance", found), (0, 1)))(query, points)
    rows = points[found.support][found.weights > 0]
    directions = (rows - rows[0]).T
    projector = directions @ jnp.linalg.pinv(directions)
    expected = (jnp.eye(len(query)) - jnp.outer(found.direction, found.direction) - projector) / found.distance
    np.testing.assert_allclose(hessian[0][0], expected, atol=1e-11)
    flat = hessian[1][1].reshape(points.size, points.size)
    np.testing.assert_allclose(flat, flat.T, atol=1e-11)
    np.testing.assert_allclose(hessian[0][1].reshape(4, -1), hessian[1][0].reshape(-1, 4).T, atol=1e-11)


def test_gradients_are_the_closed_forms(problem, rng) -> None:
    """Of the distance, u and −w_i u; of ⟨v, p⟩, parts that sum to v."""
    query, points = problem
    found = solved(query, points)
    in_query, in_points = jax.grad(lambda q, x: attached(q, x, "distance", found), (0, 1))(query, points)
    np.testing.assert_allclose(in_query, found.direction, atol=1e-15)
    np.testing.assert_allclose(in_points, -jnp.outer(found.dense_weights(len(points)), found.direction), atol=1e-15)
    v = jnp.asarray(rng.normal(size=4))
    in_query, in_points = jax.grad(lambda q, x: v @ attached(q, x, "point", found), (0, 1))(query, points)
    np.testing.assert_allclose(in_query + in_points.sum(0), v, atol=1e-13)
    assert (np.abs(in_points).sum(1) > 0).sum() == found.support_size


@pytest.mark.slow
def test_jaxopt_s_implicit_derivatives_agree(problem) -> None:
    query, points = problem
    jacobians = jax.jacrev(lambda q, x: implicit_weights(q, x, tol=1e-13) @ x, (0, 1))(query, points)
    ours = jax.jacrev(lambda q, x: attached(q, x, "point"), (0, 1))(query, points)
    for one, other in zip(ours, jacobians, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-8)


@pytest.mark.slow
def test_unrolled_derivatives_agree(problem) -> None:
    """Through 4,000 steps of projected gradient in which nothing is implicit."""
    query, points = problem
    length = 1 / jnp.linalg.eigvalsh(points.T @ points)[-1]

    def simplex(a: jax.Array) -> jax.Array:
        # Held, Wolfe and Crowder (1974): subtract the level at which the positive part sums to 1.
        falling = jnp.sort(a)[::-1]
        levels = (jnp.cumsum(falling) - 1) / jnp.arange(1, len(a) + 1)
        return jnp.maximum(a - levels[(falling > levels).sum() - 1], 0)

    @jax.jit
    @partial(jax.jacrev, argnums=(0, 1))
    def unrolled(query: jax.Array, points: jax.Array) -> jax.Array:
        def step(weights: jax.Array, _: None) -> tuple[jax.Array, None]:
            return simplex(weights - length * points @ (weights @ points - query)), None

        return jax.lax.scan(step, jnp.full(len(points), 1 / len(points)), length=4000)[0] @ points

    ours = jax.jacrev(lambda q, x: attached(q, x, "point"), (0, 1))(query, points)
    for one, other in zip(ours, unrolled(query, points), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-8)


SQUARE = ((0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (1.0, 1.0, 0.0))
CUBE = (*SQUARE, *((x, y, 1.0) for x, y, _ in SQUARE))


@jax.jit
def everything(found, query: jax.Array, points: jax.Array, along: tuple, v: jax.Array) -> tuple:
    """Jacobian of the point in the query, the points' shares of v, gradients of the distance, and second derivatives."""
    of_query = jax.jacrev(lambda q: attached(q, points, "point", found))(query)
    shares = jax.grad(lambda x: v @ attached(query, x, "point", found))(points)
    of_distance = jax.grad(lambda q, x: attached(q, x, "distance", found), (0, 1))(query, points)

    def slopes(q: jax.Array, x: jax.Array) -> list[jax.Array]:
        return [moved(found, q, x, field, along) for field in FIELDS]

    return of_query, shares, of_distance, jax.jvp(slopes, (query, points), along)[1]


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("query", "points", "jacobian"),
    [
        pytest.param((0.4, 0.3, 0.2), CUBE, np.eye(3), id="inside"),
        pytest.param((0.5, 0.5, 0.5), CUBE, np.eye(3), id="inside, half-way between two points"),
        pytest.param((0.5, 0.2, 0.0), CUBE, np.eye(3), id="on a face"),
        pytest.param((0.5, 0.0, 0.0), CUBE, np.eye(3), id="on an edge"),
        pytest.param((1.0, 1.0, 1.0), CUBE, np.eye(3), id="on a vertex"),
        pytest.param((0.4, 0.3, 2.0), CUBE, np.diag([1.0, 1, 0]), id="above a face, weights not unique"),
        pytest.param((2.0, 3.0, 0.5), CUBE, np.diag([0.0, 0, 1]), id="beside an edge"),
        pytest.param((2.0, 3.0, 4.0), CUBE, np.zeros((3, 3)), id="nearest to a vertex"),
        pytest.param((0.4, 0.3, 0.0), SQUARE, np.diag([1.0, 1, 0]), id="in a flat hull"),
        pytest.param((0.4, 0.3, 2.0), SQUARE, np.diag([1.0, 1, 0]), id="above a flat hull"),
        pytest.param((2.0, 0.5, 0.0), SQUARE, np.diag([0.0, 1, 0]), id="in the plane of a flat hull"),
        pytest.param((2.0, 0.5, 0.0), (*SQUARE, (1.0, 0.5, 0.0)), np.zeros((3, 3)), id="nearest to a point of an edge"),
        pytest.param((2.0, 0.5, 0.0), SQUARE[:1], np.zeros((3, 3)), id="one point"),
        pytest.param((0.0, 0.0, 0.0), SQUARE[:1], np.zeros((3, 3)), id="on the only point"),
    ],
)
def test_degenerate_cases(query, points, jacobian, rng) -> None:
    """The derivatives that are documented, and never NaN. Points are repeated up to 10: each is there once or more."""
    query, points = jnp.array(query), jnp.resize(jnp.array(points), (10, 3))
    found, v = solved(query, points), jnp.asarray(rng.normal(size=3))
    of_query, shares, of_distance, twice = everything(found, query, points, tangents(rng, query, points), v)
    np.testing.assert_allclose(of_query, jacobian, atol=1e-12)
    np.testing.assert_allclose(v @ of_query + shares.sum(0), v, atol=1e-12)
    unused = np.setdiff1d(np.arange(len(points)), np.asarray(found.support)[np.asarray(found.weights) > 0])
    np.testing.assert_array_equal(shares[unused], 0)
    inside = found.status == Status.INSIDE
    np.testing.assert_allclose(of_distance[0], 0 if inside else found.direction, atol=1e-14)
    np.testing.assert_allclose(of_distance[1].sum(0), -of_distance[0], atol=1e-14)
    assert all(bool(jnp.isfinite(slope).all()) for slope in twice)


@pytest.mark.slow  # one point and flat hulls are among the degenerate cases
@pytest.mark.parametrize("count", [1, 2])
def test_fewer_points_than_dimensions(count: int, rng) -> None:
    """A point and a segment: p is that point, or the foot of a perpendicular."""
    points = jnp.asarray(rng.normal(size=(count, 4)))
    query = points.mean(0) + 0.1 * jnp.asarray(rng.normal(size=4))
    axis = points[-1] - points[0]
    expected = jnp.outer(axis, axis) / (axis @ axis) if count == 2 else jnp.zeros((4, 4))
    for each in (query, points.mean(0)):
        np.testing.assert_allclose(jax.jacfwd(lambda q: hullx.project(q, points).point)(each), expected, atol=1e-12)


@pytest.mark.thorough
def test_a_query_of_nan_leaves_the_others_derivatives_alone(problem) -> None:
    query, points = problem
    both = jnp.stack([query, jnp.full_like(query, jnp.nan)])
    in_both, in_points = jax.grad(lambda q, x: hullx.distance(q, x)[0], (0, 1))(both, points)
    alone = jax.grad(lambda q, x: attached(q, x, "distance"), (0, 1))(query, points)
    np.testing.assert_allclose(in_both, jnp.stack([alone[0], jnp.zeros(4)]), atol=1e-14)
    np.testing.assert_allclose(in_points, alone[1], atol=1e-14)


@pytest.mark.thorough
@pytest.mark.parametrize("scale", [1e-21, 1e18])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_derivatives_do_not_depend_on_units(problem, scale: float, dtype) -> None:
    query, points = (array.astype(dtype) for array in problem)
    ours = jax.jacrev(lambda q: attached(q, points * dtype(scale), "point"))(query * dtype(scale))
    found = jax.jacrev(lambda q: attached(q, points, "point"))(query)
    np.testing.assert_allclose(ours, found, atol=100 * np.finfo(dtype).eps)
