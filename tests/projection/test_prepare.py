"""Prepared hulls in place of points: the same answers, inside and outside jit, and errors that say what to do."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hullx
from hullx.errors import ArgumentError
from hullx.projection.prepared import padded_size

pytestmark = pytest.mark.unoptimised


@pytest.fixture
def problem(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return 3 * rng.normal(size=(5, 3)), rng.normal(size=(40, 3))


def check_same(found: hullx.Projection, expected: hullx.Projection, *, padded: bool) -> None:
    """The same numbers; up to rounding if points that are not prepared are padded with columns of zeros."""
    tolerance = 16 * np.finfo(np.asarray(expected.distance).dtype).eps if padded else 0
    for name in ("distance", "lower", "point", "direction"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("columns", [3, pytest.param(8, marks=pytest.mark.thorough)])
@pytest.mark.parametrize("dtype", [np.float32, pytest.param(np.float64, marks=pytest.mark.thorough)])
@pytest.mark.parametrize("x64", [False, pytest.param(True, marks=pytest.mark.thorough)])
def test_a_prepared_hull_gives_the_same_answers(problem, dtype: type, x64: bool, columns: int) -> None:
    queries, points = (np.pad(part, ((0, 0), (0, columns - 3))).astype(dtype) for part in problem)
    with jax.enable_x64(x64):
        hull, expected = hullx.prepare(points), hullx.project(queries, points)
        check_same(hullx.project(queries, hull), expected, padded=columns < 8)
        np.testing.assert_array_equal(hullx.distance(queries, hull), hullx.project(queries, hull).distance)
        swept = (hullx.sweep(queries, each, progress=False) for each in (hull, points))
        check_same(*swept, padded=columns < 8)
        if x64 or dtype is np.float32:
            found = jax.jit(hullx.project)(queries, hull)
            np.testing.assert_allclose(found.distance, expected.distance, rtol=1e-6)
            assert found.decided.all()


@pytest.mark.thorough
def test_distances_to_a_prepared_hull_are_differentiable_in_its_points(problem) -> None:
    queries, points = (part.astype(np.float32) for part in problem)
    total = lambda points: hullx.distance(queries, points).sum()  # noqa: E731
    expected = jax.grad(total)(points)
    assert jnp.abs(expected).sum() > 0
    for transform in (lambda function: function, jax.jit):
        found = jax.grad(transform(lambda points: total(hullx.prepare(points))))(points)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    hull = hullx.prepare(points)
    inner = jax.grad(lambda points: total(hull._replace(points=points)))(hull.points)
    np.testing.assert_allclose(inner[: len(points)], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.thorough
def test_many_coordinates_start_in_few_directions(rng: np.random.Generator) -> None:
    queries, points = rng.random((3, 400), np.float32) + 1, rng.random((50, 400), np.float32)
    hull = hullx.prepare(points)
    assert hull.coarse is not None
    found, expected = hullx.project(queries, hull), hullx.project(queries, points)
    assert found.decided.all()
    np.testing.assert_allclose(found.distance, expected.distance, rtol=1e-6)


def test_what_cannot_be_used_is_refused(problem) -> None:
    queries, points = problem
    hull = hullx.prepare(points)
    with pytest.raises(ArgumentError, match=r"expected \(..., 3\) to match a prepared hull of 3 coordinates"):
        hullx.project(queries[:, :2], hull)
    with pytest.raises(ArgumentError, match="prepared in float64, expected float32 under jit"):
        jax.jit(hullx.project)(queries.astype(np.float32), hull)
    with pytest.raises(ArgumentError, match="points: got NaN"):
        hullx.prepare(np.where(points > 2, np.nan, points))
    with jax.enable_x64(True):
        nan = jnp.full_like(hull.frame.radius, jnp.nan)
        several = (hull._replace(points=hull.points * nan), hull._replace(frame=hull.frame._replace(radius=nan)))
    for damaged in several:
        assert (hullx.project(queries, damaged).status == hullx.Status.NONFINITE).all()


def test_sizes_of_sets_are_few() -> None:
    sizes = {padded_size((n, 8), np.dtype(np.float32)) for n in range(1, 200_000, 37)}
    assert len(sizes) < 100
    for n in (1, 17, 1000, 20_001, 100_003, 10**7):
        assert n <= padded_size((n, 8), np.dtype(np.float32)) <= max(32, (2 if n <= 512 else 1.25) * n)
    assert padded_size((3, 10**8), np.dtype(np.float32)) == 3  # large copies cost more than a program


@pytest.mark.thorough
def test_starts_of_very_different_size(rng: np.random.Generator) -> None:
    """A coarse start puts queries into several stages at once; a solver's capacity holds for it, too."""
    points = rng.normal(size=(400, 400)).astype(np.float32)
    queries = np.concatenate([50 * points[:8], 0.05 * rng.normal(size=(8, 400)).astype(np.float32)])
    hull, expected = hullx.prepare(points), hullx.sweep(queries, [points], progress=False)
    found = hullx.project(queries, hull)
    assert found.decided.all()
    np.testing.assert_allclose(found.distance, expected.distance, rtol=2e-6)
    few = hullx.project(queries, hull, solver=hullx.solvers.ActiveSet(capacity=4))
    assert few.weights.shape == (16, 4)
    assert (few.distance >= expected.lower).all()
    again = hullx.sweep(queries, points, warm_start=expected, progress=False)
    np.testing.assert_allclose(again.distance, expected.distance, rtol=2e-6)


@pytest.mark.thorough
@pytest.mark.parametrize("capacity", [4, 5, 7, 40])
def test_a_capacity_for_any_independent_support_is_none(rng: np.random.Generator, capacity: int) -> None:
    """Also where columns and rows are padded: the same statuses and slots."""
    points = rng.normal(size=(40, 3)).astype(np.float32)
    weights = np.stack([rng.dirichlet(np.full(40, 0.03)) for _ in range(30)])
    queries = (weights @ points.astype(np.float64)).astype(np.float32)
    expected = hullx.project(queries, points)
    found = hullx.project(queries, points, solver=hullx.solvers.ActiveSet(capacity=capacity))
    np.testing.assert_array_equal(found.status, expected.status)
    assert expected.decided.all()
    assert found.weights.shape == (30, 4)
