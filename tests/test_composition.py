"""`project` and `distance` under jit, vmap and grad: the same numbers, and the right derivatives."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

import hullx

x64 = pytest.mark.usefixtures("x64")


@pytest.fixture
def problem(rng: np.random.Generator) -> tuple[jax.Array, jax.Array]:
    """Queries around a cloud in 6 dimensions."""
    return jnp.asarray(rng.normal(size=(5, 6)) * 2), jnp.asarray(rng.normal(size=(30, 6)))


def test_eager_jit_vmap_loop_agree(problem) -> None:
    """In float32, which compiles in a third of the time; the transformations do not ask for the dtype."""
    queries, points = problem
    eager = hullx.project(queries, points)
    others = (
        jax.jit(hullx.project)(queries, points),
        jax.vmap(hullx.project, (0, None))(queries, points),
        jax.jit(jax.vmap(hullx.project, (0, None)))(queries, points),
        jax.tree.map(lambda *fields: jnp.stack(fields), *[hullx.project(query, points) for query in queries]),
        jax.tree.map(lambda field: field[:, 0], hullx.project(queries[:, None], points)),
    )
    for other in others:
        np.testing.assert_allclose(other.distance, eager.distance, rtol=2e-6)
        np.testing.assert_allclose(other.point, eager.point, atol=1e-5)
        np.testing.assert_array_equal(other.status, eager.status)


def test_leading_shape_is_kept(problem) -> None:
    queries, points = problem
    result = hullx.project(jnp.stack([queries, queries]), points)
    assert result.distance.shape == (2, 5)
    assert result.point.shape == (2, 5, 6)
    assert result.weights.shape == result.support.shape == (2, 5, 7)
    assert hullx.project(queries[:0], points).distance.shape == (0,)


@x64
def test_batched_hulls(problem) -> None:
    queries, points = problem
    hulls = jnp.stack([points, points + 1])
    result = jax.vmap(hullx.distance, (None, 0))(queries, hulls)
    np.testing.assert_allclose(result[1], hullx.distance(queries, points + 1), rtol=1e-13)


@x64
def test_gradient_is_the_unit_residual(problem) -> None:
    queries, points = problem
    result = hullx.project(queries, points)
    gradients = jax.vmap(jax.grad(hullx.distance), (0, None))(queries, points)
    outside = result.outside
    assert outside.any()
    expected = np.where(outside[:, None], result.direction, 0)
    np.testing.assert_allclose(gradients, expected, atol=1e-9)


@x64
def test_derivatives_match_finite_differences(problem) -> None:
    queries, points = problem
    query = queries[np.asarray(hullx.project(queries, points).distance).argmax()]
    check_grads(lambda q, x: hullx.distance(q, x), (query, points), order=2, modes=("fwd", "rev"), rtol=1e-6)
    check_grads(lambda q, x: hullx.project(q, x).point, (query, points), order=1, modes=("fwd", "rev"), rtol=1e-6)


@x64
def test_gradient_at_distance_zero_is_zero() -> None:
    triangle = jnp.array([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]])
    for query in ([0.0, 0.0], [1.0, 1.0], [2.0, 0.0]):
        gradients = jax.grad(hullx.distance, argnums=(0, 1))(jnp.array(query), triangle)
        assert all(bool(jnp.isfinite(gradient).all()) for gradient in gradients)
    np.testing.assert_array_equal(jax.grad(hullx.distance)(jnp.zeros(2), triangle), 0)


def test_one_trace_for_repeated_calls(problem) -> None:
    queries, points = problem
    traces = []

    @jax.jit
    def counted(query, points):
        traces.append(1)
        return hullx.distance(query, points)

    for query in queries:
        counted(query, points)
    assert len(traces) == 1


@x64
def test_solver_can_be_stepped_by_hand(problem) -> None:
    queries, points = problem
    frame = hullx.solvers.frame(points)
    solver = hullx.solvers.ActiveSet(candidates=3)
    query = frame.place(queries[0])
    state = solver.init_state(query, frame)
    uppers = []
    while not state.done:
        state = solver.update(state, query, frame, rtol=1e-6, max_iter=100)
        uppers.append(float(state.upper))
    assert len(uppers) > 1
    assert sorted(uppers, reverse=True) == uppers
    np.testing.assert_allclose(state.upper * frame.scale, hullx.distance(queries[0], points), rtol=1e-12)
