"""The bracket against independent computations, and the formulas against their definitions."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles import check_bracket, nnls_distance

import hullx
from hullx import Status, certificate
from hullx.numerics.norms import norm, power_of_two, unit

# Whole digits that are projected together, by one program.
COUNT = 64


def projected(problem, dtype: type, max_iter: int = 10_000) -> hullx.Projection:
    queries, points = (value.astype(dtype) for value in problem)
    with jax.enable_x64(dtype is np.float64):
        return jax.tree.map(np.asarray, hullx.project(queries, points, max_iter=max_iter))


@pytest.fixture
def found(narrow) -> hullx.Projection:
    return projected(narrow, np.float64)


@pytest.fixture
def found_in_float32(narrow) -> hullx.Projection:
    return projected(narrow, np.float32)


def oracle(queries: np.ndarray, points: np.ndarray) -> np.ndarray:
    """SciPy's distances."""
    return np.array([nnls_distance(query, points)[0] for query in queries])


def test_bracket_contains_nnls_for_all_digits(digits, narrow, found) -> None:
    for (queries, points), result in ((digits, hullx.sweep(*digits, progress=False)), (narrow, found)):
        truth = oracle(queries, points)
        # 1e-14 is the oracle's own rounding error.
        assert (result.lower <= truth * (1 + 1e-14)).all()
        assert (truth <= result.distance * (1 + 1e-14)).all()
        np.testing.assert_allclose(result.distance, truth, rtol=1e-12)
        assert (result.status == Status.CONVERGED).all()
        check_bracket(result, queries, points, rtol=1e-6)


def test_bracket_is_valid_without_x64(narrow, found_in_float32) -> None:
    result, truth = found_in_float32, oracle(*narrow)
    assert result.distance.dtype == np.float32
    assert (result.lower.astype(np.float64) <= truth).all()
    assert (truth <= result.distance.astype(np.float64)).all()
    check_bracket(result, *narrow)
    assert (result.status == Status.CONVERGED).all()
    assert (result.distance - result.lower <= np.float32(1e-6) * result.distance).all()


@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "widest"), [(np.float32, 1e-6), (np.float64, 1e-12)])
def test_project_of_whole_digits(digits, dtype: type, widest: float) -> None:
    """The same in 64 dimensions."""
    result, truth = projected(digits, dtype), oracle(*digits)
    assert (result.lower.astype(np.float64) <= truth * (1 + 1e-14)).all()
    assert (truth <= result.distance.astype(np.float64) * (1 + 1e-14)).all()
    assert ((result.distance - result.lower) / result.distance < widest).all()
    check_bracket(result, *digits)


def test_weights_are_optimal(narrow, found) -> None:
    """The optimality conditions: all points of the support have the same score along r, and no point a larger one."""
    queries, points = (value.astype(np.float64) for value in narrow)
    for query, point, support, weights in zip(queries, found.point, found.support, found.weights, strict=False):
        scores = (points - point) @ (query - point)
        assert scores.max() < 1e-13
        np.testing.assert_allclose(scores[support[weights > 0]], 0, atol=1e-13)


@pytest.mark.thorough
@pytest.mark.parametrize("limit", [1, 6])
def test_max_iter_gives_a_valid_bracket(digits, limit: int) -> None:
    queries, points = digits[0][:COUNT], digits[1]
    found = projected((queries, points), np.float64)
    swept = hullx.sweep(queries.astype(np.float64), points.astype(np.float64), max_iter=limit, progress=False)
    for result in (projected((queries, points), np.float64, limit), swept):
        stopped = result.status == Status.MAX_ITER
        assert stopped.sum() > COUNT / 2
        assert (result.iterations <= limit).all()
        assert (result.lower <= found.distance).all()
        assert (found.lower <= result.distance).all()
        check_bracket(result, queries, points)


def test_separating_hyperplane(narrow, found_in_float32) -> None:
    queries, points = narrow
    normal, offset = certificate.separating_hyperplane(jnp.asarray(points), jnp.asarray(found_in_float32.direction[0]))
    assert (points @ normal <= offset + 1e-5).all()
    assert queries[0] @ normal - offset >= float(found_in_float32.lower[0])
    np.testing.assert_allclose(np.linalg.norm(normal), 1, rtol=1e-6)


@pytest.mark.usefixtures("x64")
def test_gap_bounds_the_error_of_any_weights(narrow, found, rng: np.random.Generator) -> None:
    """‖p − p*‖² ≤ gap, and the gap vanishes at the projection, for the support's dense weights."""
    query, points = narrow[0][0].astype(np.float64), narrow[1].astype(np.float64)
    result = jax.tree.map(lambda field: jnp.asarray(field[0]), found)
    dense = result.dense_weights(len(points))
    np.testing.assert_allclose(dense @ points, result.point, atol=1e-14)
    assert abs(float(certificate.gap(jnp.asarray(query), jnp.asarray(points), dense))) < 1e-14
    for weights in rng.dirichlet(np.ones(len(points)), 20):
        gap = float(certificate.gap(jnp.asarray(query), jnp.asarray(points), jnp.asarray(weights)))
        assert np.sum((weights @ points - result.point) ** 2) <= gap


def test_gamma_bounds_the_rounding_of_float32_scores(rng: np.random.Generator) -> None:
    points = rng.normal(size=(200, 500)).astype(np.float32)
    direction = unit(jnp.asarray(rng.normal(size=500), jnp.float32))
    computed = np.asarray(jnp.matmul(points, direction, precision="highest"), np.float64)
    exact = points.astype(np.float64) @ np.asarray(direction, np.float64)
    bound = float(certificate.score_error(500, np.linalg.norm(points, axis=1).max(), jnp.float32))
    assert 0 < np.abs(computed - exact).max() <= bound


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_power_of_two_is_exact_and_safe_to_divide_by(dtype: type, rng: np.random.Generator) -> None:
    info = np.finfo(dtype)
    magnitudes = np.ldexp(rng.uniform(0.5, 1, 4000), rng.integers(info.minexp + 2, info.maxexp, 4000)).astype(dtype)
    with jax.enable_x64(dtype is np.float64):
        found = np.asarray(jax.jit(power_of_two)(magnitudes))
        exact = np.ldexp(dtype(1), np.minimum(np.frexp(magnitudes)[1], info.maxexp - 2))
        np.testing.assert_array_equal(found, exact)
        assert (1 / found >= info.tiny).all()
        # XLA divides many numbers by one through its reciprocal.
        np.testing.assert_allclose(jax.jit(lambda x, s: x / s)(np.ones(5, dtype), found.max()), 1 / found.max(), rtol=1e-7)
        assert power_of_two(jnp.zeros((), dtype)) == 1
        assert power_of_two(jnp.asarray(info.tiny / 2, dtype)) in (1, 2.0 ** (info.minexp + 1))


def test_norms_at_the_end_of_the_range() -> None:
    """Where the reciprocal of the largest entry would be taken for 0."""
    vector = jnp.array([1e38, 1e38, 0.0])
    np.testing.assert_allclose(norm(vector), 2**0.5 * 1e38, rtol=1e-6)
    np.testing.assert_allclose(unit(vector), np.array([1, 1, 0]) / 2**0.5, rtol=1e-6)
    assert jnp.isnan(norm(jnp.array([jnp.nan, 1.0])))
    assert norm(jnp.array([3e38, 3e38])) == jnp.inf


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_norm_is_safe_in_value_and_gradient(scale: float) -> None:
    vector = jnp.array([3.0, 0.0, 4.0]) * scale
    np.testing.assert_allclose(norm(vector), 5 * scale, rtol=1e-6)
    np.testing.assert_allclose(jax.grad(norm)(vector), [0.6, 0, 0.8], rtol=1e-6)
    np.testing.assert_array_equal(jax.grad(norm)(jnp.zeros(3)), np.zeros(3))
