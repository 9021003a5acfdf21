"""`project` and `distance` under jit, vmap and grad: the same numbers, and the right derivatives."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hullx

pytestmark = pytest.mark.unoptimised


@pytest.fixture
def problem(rng: np.random.Generator) -> tuple[jax.Array, jax.Array]:
    """Queries around a cloud in 6 dimensions."""
    return jnp.asarray(rng.normal(size=(5, 6)) * 2), jnp.asarray(rng.normal(size=(30, 6)))


def test_eager_jit_vmap_loop_agree(problem) -> None:
    """In float32, which compiles in a third of the time; the transformations do not ask for the dtype."""
    queries, points = problem
    eager = hullx.project(queries, points)
    others = (
        jax.jit(jax.vmap(hullx.project, (0, None)))(queries, points),
        jax.tree.map(lambda *fields: jnp.stack(fields), *[hullx.project(query, points) for query in queries]),
        jax.tree.map(lambda field: field[:, 0], hullx.project(queries[:, None], points)),
    )
    for other in others:
        np.testing.assert_allclose(other.distance, eager.distance, rtol=2e-6)
        np.testing.assert_allclose(other.point, eager.point, atol=1e-5)
        np.testing.assert_array_equal(other.status, eager.status)


@pytest.mark.thorough
def test_constants_are_projected_while_jax_traces(problem) -> None:
    queries, points = (np.asarray(part) for part in problem)
    eager, swept = (np.asarray(hullx.distance(queries, points)), hullx.sweep(queries, points, progress=False).distance)
    for given in (points, hullx.prepare(points)):
        np.testing.assert_array_equal(jax.jit(lambda x, given=given: x * hullx.distance(queries, given))(1.0), eager)
    np.testing.assert_array_equal(jax.jit(lambda x: x * hullx.distance(queries, hullx.prepare(points)))(1.0), eager)
    np.testing.assert_allclose(
        jax.jit(lambda x: hullx.sweep(queries, points, progress=False).distance.sum() * x)(1.0), swept.sum()
    )
    traced = jax.jit(lambda width: hullx.distance(queries, points, atol=width))(0.0)
    np.testing.assert_allclose(traced, eager, rtol=2e-6)
    with pytest.raises(TypeError, match="atol: got a traced number, expected a known one"):
        jax.jit(lambda width: hullx.sweep(queries, points, atol=width).distance)(0.0)
    slope = jax.jit(jax.vmap(jax.grad(lambda x: (x * hullx.distance(queries, points)).sum())))(jnp.ones(2))
    np.testing.assert_allclose(slope, [eager.sum()] * 2, rtol=1e-6)


@pytest.mark.thorough
@pytest.mark.parametrize("wrapped", [lambda function: function, jax.jit], ids=["eager", "jit"])
def test_slots_are_as_many_whatever_the_stage(wrapped: Callable) -> None:
    points = np.random.default_rng(0).normal(size=(300, 1600)).astype(np.float32)
    result = wrapped(hullx.project)(3 * points[:2], points)
    assert result.weights.shape == result.support.shape == (2, 300)
    np.testing.assert_array_equal(result.support[:, 0], [0, 1])
    np.testing.assert_array_equal((result.weights > 0).sum(1), [1, 1])
    assert (result.status == hullx.Status.CONVERGED).all()


def test_leading_shape_is_kept(problem) -> None:
    queries, points = problem
    result = hullx.project(jnp.stack([queries, queries]), points)
    assert result.distance.shape == (2, 5)
    assert result.point.shape == (2, 5, 6)
    assert result.weights.shape == result.support.shape == (2, 5, 7)
    assert hullx.project(queries[:0], points).distance.shape == (0,)


@pytest.mark.thorough
def test_batched_hulls(problem) -> None:
    queries, points = (array.astype(jnp.float32) for array in problem)
    hulls = jnp.stack([points, points + 1])
    result = jax.vmap(hullx.distance, (None, 0))(queries, hulls)
    np.testing.assert_allclose(result[1], hullx.distance(queries, points + 1), rtol=1e-5)


def test_repeated_calls_compile_nothing(problem, compilations: list) -> None:
    """Eager calls too: other numbers, settings and tolerances are no other program."""
    queries, points = (np.pad(array, ((0, 0), (0, 70))) for array in problem)  # of a dimension that no other test has
    hullx.distance(queries[0], points, max_iter=100)
    seen = len(compilations)
    for i, query in enumerate(queries):
        hullx.distance(query, points * 1.5, rtol=10.0 ** -(i + 2), max_iter=50 + i)
    assert len(compilations) == seen > 0


def test_similar_shapes_share_programs(rng: np.random.Generator, compilations: list) -> None:
    """Numbers of queries, points and columns are filled up to a few sizes."""
    points = rng.normal(size=(1000, 13)).astype(np.float32)
    hullx.project(points[:64] * 2, points)
    seen = len(compilations)
    for m, n, d in (
        (64, 1000, 13),
        (33, 1000, 9),
        (50, 997, 12),
        (60, 900, 13),
        (40, 1000, 10),
        (100, 1000, 11),
        (130, 950, 13),
    ):
        found = hullx.project(3 * points[:m, :d], points[:n, :d])
        assert (found.point.shape, found.support.shape) == ((m, d), (m, d + 1))
    assert len(compilations) == seen


ORDERS = {
    "grad(jit(vmap))": lambda f: jax.grad(lambda q, x: jax.jit(jax.vmap(f, (0, None)))(q, x).sum()),
    "grad(vmap(jit))": lambda f: jax.grad(lambda q, x: jax.vmap(jax.jit(f), (0, None))(q, x).sum()),
    "jit(grad(vmap))": lambda f: jax.jit(jax.grad(lambda q, x: jax.vmap(f, (0, None))(q, x).sum())),
    "jit(vmap(grad))": lambda f: jax.jit(jax.vmap(jax.grad(f), (0, None))),
    "vmap(grad(jit))": lambda f: jax.vmap(jax.grad(jax.jit(f)), (0, None)),
    "vmap(jit(grad))": lambda f: jax.vmap(jax.jit(jax.grad(f)), (0, None)),
    "grad of a batch": lambda f: jax.grad(lambda q, x: f(q, x).sum()),
    "grad(scan)": lambda f: jax.grad(lambda q, x: jax.lax.scan(lambda sum_, one: (sum_ + f(one, x), None), 0.0, q)[0]),
    "grad(checkpoint)": lambda f: jax.grad(lambda q, x: jax.checkpoint(f)(q, x).sum()),
}


QUICK_ORDERS = ("grad(jit(vmap))", "vmap(jit(grad))", "grad of a batch", "grad(scan)")


@pytest.mark.thorough
@pytest.mark.parametrize(
    "order", [order if order in QUICK_ORDERS else pytest.param(order, marks=pytest.mark.slow) for order in ORDERS]
)
def test_gradients_in_every_order(problem, order: str) -> None:
    queries, points = (array.astype(jnp.float32) for array in problem)
    result = hullx.project(queries, points)
    expected = np.where(np.asarray(result.status == hullx.Status.INSIDE)[:, None], 0, result.direction)
    np.testing.assert_allclose(ORDERS[order](hullx.distance)(queries, points), expected, atol=1e-5)


@pytest.mark.slow
def test_jacobians_of_points_in_batches_of_hulls(problem) -> None:
    """vmap over queries, over hulls and over both, nested either way."""
    queries, points = (array.astype(jnp.float32) for array in problem)
    hulls = jnp.stack([points, points[::-1] + 1])

    def jacobian(query, points):
        return jax.jacfwd(lambda query: hullx.project(query, points).point)(query)

    over_hulls = jax.vmap(jax.vmap(jacobian, (0, None)), (None, 0))(queries, hulls)
    over_queries = jax.vmap(jax.vmap(jacobian, (None, 0)), (0, None))(queries, hulls)
    np.testing.assert_allclose(over_hulls, over_queries.swapaxes(0, 1), atol=1e-5)
    for h, hull in enumerate(hulls):
        for q, query in enumerate(queries[:1]):
            np.testing.assert_allclose(over_hulls[h, q], jacobian(query, hull), atol=1e-5)


@pytest.mark.slow
def test_linearize(problem) -> None:
    queries, points = (array.astype(jnp.float32) for array in problem)
    value, slope = jax.linearize(lambda q: hullx.project(q, points).point, queries)
    tangent = jnp.ones_like(queries)
    expected = jax.jvp(lambda q: hullx.project(q, points).point, (queries,), (tangent,))
    np.testing.assert_allclose(value, expected[0])
    np.testing.assert_allclose(slope(tangent), expected[1], atol=1e-6)


SHARDED = """
from functools import partial
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import NamedSharding, PartitionSpec
import hullx

rng = np.random.default_rng(0)
queries, points = jnp.asarray(rng.normal(size=(280, 6)) * 2), jnp.asarray(rng.normal(size=(30, 6)))
mesh, spec = jax.make_mesh((jax.device_count(),), ("queries",)), PartitionSpec("queries")

@partial(jax.shard_map, mesh=mesh, in_specs=(spec, PartitionSpec()), out_specs=(spec, spec))
def split(queries, points):
    result = hullx.project(queries, points)
    return result.distance, result.point

def loss(project, queries, points):
    distance, point = project(queries, points)
    return (distance**2).sum() + (point**3).sum()

placed = [jax.device_put(each, NamedSharding(mesh, how)) for each, how in ((queries, spec), (points, PartitionSpec()))]
ours = jax.jit(jax.value_and_grad(partial(loss, split), (0, 1)))(*placed)
alone = jax.value_and_grad(partial(loss, lambda q, x: (hullx.distance(q, x), hullx.project(q, x).point)), (0, 1))
for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(alone(queries, points)), strict=True):
    single = jnp.result_type(float) == np.float32  # the value is a sum of 280 terms
    np.testing.assert_allclose(one, other, rtol=2e-6 if single else 1e-7, atol=1e-4 if single else 1e-12)
values = hullx.project(queries, points)
for one, other in zip(jax.jit(split)(*placed), (values.distance, values.point), strict=True):  # without derivatives
    np.testing.assert_allclose(one, other, atol=1e-6)
"""


@pytest.mark.slow
@pytest.mark.parametrize("x64", ["0", "1"])
def test_values_and_gradients_through_shard_map(x64: str) -> None:
    """Queries split over four devices, 70 each, more than a batch: the same values and gradients as on one device."""
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=4", "JAX_PLATFORMS": "cpu", "JAX_ENABLE_X64": x64}
    done = subprocess.run([sys.executable, "-c", SHARDED], env=os.environ | flags, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
