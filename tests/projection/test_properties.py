"""Invariances that every projection has, by `project` and by `sweep`."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hard_instances import DIMENSION, POINTS, QUERIES

import hullx
from hullx import Status


def projected(queries: np.ndarray, points: np.ndarray) -> hullx.Projection:
    return hullx.project(queries, points)


def swept(queries: np.ndarray, points: np.ndarray) -> hullx.Projection:
    return hullx.sweep(queries, points, progress=False)


@pytest.fixture(params=[projected, swept], ids=["project", "sweep"])
def solve(request: pytest.FixtureRequest, x64: None) -> Callable[..., hullx.Projection]:
    return request.param


@pytest.fixture
def cloud(narrow) -> tuple[np.ndarray, np.ndarray]:
    """A few digits' pixels, in float64."""
    return tuple(rows.astype(np.float64) for rows in narrow)


def test_translation(solve, cloud, rng: np.random.Generator) -> None:
    queries, points = cloud
    shift = rng.normal(size=DIMENSION) * 100
    before, after = solve(queries, points), solve(queries + shift, points + shift)
    np.testing.assert_allclose(after.distance, before.distance, rtol=1e-11)
    np.testing.assert_allclose(after.point, before.point + shift, atol=1e-9)


def test_rotation(solve, cloud, rng: np.random.Generator) -> None:
    queries, points = cloud
    turn, _ = np.linalg.qr(rng.normal(size=(DIMENSION, DIMENSION)))
    before, after = solve(queries, points), solve(queries @ turn, points @ turn)
    np.testing.assert_allclose(after.distance, before.distance, rtol=1e-12)
    np.testing.assert_allclose(after.point, before.point @ turn, atol=1e-11)


def test_permutation_and_duplicates(solve, cloud, rng: np.random.Generator) -> None:
    queries, points = cloud
    half = points[: POINTS // 2]
    order = rng.permutation(len(half))
    before, after = solve(queries, np.resize(half, points.shape)), solve(queries, np.concatenate([half[order], half]))
    np.testing.assert_allclose(after.distance, before.distance, rtol=1e-13)
    np.testing.assert_allclose(after.point, before.point, atol=1e-12)


@pytest.mark.parametrize("factor", [1e-18, 1e-9, 1 / 255, 1.0, 255.0, 1e6, 1e18])
@pytest.mark.parametrize("offset", [0.0, 1.0])
def test_units_and_origin(solve, cloud, factor: float, offset: float) -> None:
    """(cX + b, cq + b) gives c times the answer."""
    queries, points = cloud
    before, after = solve(queries, points), solve(factor * (queries + offset), factor * (points + offset))
    np.testing.assert_allclose(after.distance, factor * before.distance, rtol=1e-12)
    np.testing.assert_allclose(after.lower, factor * before.lower, rtol=1e-11)
    np.testing.assert_array_equal(after.status, before.status)


@pytest.mark.parametrize("factor", [1e-21, 1e-18, 1.0, 1e18])
def test_units_in_float32(narrow, factor: float) -> None:
    """The same without x64: float32's own range is enough."""
    queries, points = narrow
    scale = np.float32(factor)
    before, after = projected(queries, points), projected(queries * scale, points * scale)
    assert after.distance.dtype == np.float32
    np.testing.assert_allclose(after.distance, before.distance * scale, rtol=2e-5)
    assert (after.lower <= before.distance * scale).all()
    assert (after.lower > 0).all()
    far = hullx.sweep(queries * scale, points * scale, progress=False)
    assert (far.status == Status.CONVERGED).all()
    np.testing.assert_allclose(far.distance, np.asarray(before.distance, np.float64) * factor, rtol=2e-5)


def test_offset_in_float32(narrow) -> None:
    """Far from the origin float32 rounds the data; what is projected is the rounded data, and the bracket is theirs."""
    offset = np.float32(9e4)
    queries, points = (rows + offset for rows in narrow)
    truth = hullx.sweep(queries, points, progress=False)
    result = projected(queries, points)
    assert (result.lower <= truth.distance).all()
    assert (truth.lower <= result.distance).all()
    np.testing.assert_allclose(result.distance, truth.distance, rtol=1e-4)


def test_more_points_never_increase_the_distance(solve, cloud) -> None:
    queries, points = cloud
    distances = [solve(queries, np.resize(points[:count], points.shape)) for count in (24, 48, POINTS)]
    for fewer, more in itertools.pairwise(distances):
        assert (more.lower <= fewer.distance).all()


def test_distance_is_lipschitz(solve, cloud) -> None:
    """|d(q) − d(q')| ≤ ‖q − q'‖."""
    queries, points = cloud
    distance = np.asarray(solve(queries, points).distance)
    apart = np.linalg.norm(queries[:, None] - queries[None], axis=2)
    assert (np.abs(distance[:, None] - distance[None]) <= apart + 1e-12).all()


def test_convex_combinations_are_inside_and_moved_out_are_not(solve, cloud, rng: np.random.Generator) -> None:
    queries, points = cloud
    inside = rng.dirichlet(np.full(len(points), 0.1), QUERIES) @ points
    assert (solve(inside, points).status == Status.INSIDE).all()
    # A point t beyond its projection along the residual is at distance t from the hull.
    base = solve(queries, points)
    for beyond in (1e-4, 1.0, 1e4):
        moved = np.asarray(base.point) + beyond * np.asarray(base.direction)
        result = solve(moved, points)
        np.testing.assert_allclose(result.distance, beyond, rtol=1e-9)
        assert result.outside.all()


@pytest.mark.usefixtures("x64")
def test_project_and_sweep_agree_whatever_the_batch(cloud) -> None:
    queries, points = cloud
    whole = hullx.sweep(queries, points, progress=False)
    for part in (slice(0, 1), slice(3, 10)):
        np.testing.assert_allclose(
            hullx.sweep(queries[part], points, progress=False).distance, whole.distance[part], rtol=1e-13
        )
    np.testing.assert_allclose(hullx.project(queries, points).distance, whole.distance, rtol=1e-13)


def test_sweep_certifies_in_float64_whatever_jax_is_set_to(narrow) -> None:
    queries, points = narrow
    without = swept(queries, points)
    with jax.enable_x64(True):
        with_x64 = swept(queries, points)
    assert jnp.result_type(float) == jnp.float32
    for ours, theirs in zip(without, with_x64, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert (without.distance - without.lower <= 1e-12 * without.distance).all()
