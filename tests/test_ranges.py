"""Numbers at the ends of a dtype's range: an answer that holds, or NONFINITE where the distance is beyond the range."""

from __future__ import annotations

import families
import jax
import numpy as np
import pytest
from jitted import project_in_jit
from oracles import nnls_distance

import hullx
from hullx import Status

QUERY, CORNERS = np.zeros(3, np.float32), np.eye(3, dtype=np.float32)
DISTANCE = 3**-0.5
LARGEST = float(np.finfo(np.float32).max)


@pytest.mark.parametrize("scale", [1e-30, 1e-21, 1e18, 1e37])
def test_squares_that_overflow_or_vanish(scale: float) -> None:
    """float32 holds the numbers and not their squares."""
    unit = np.float32(scale)
    for result in (hullx.project(QUERY, CORNERS * unit), hullx.sweep(QUERY[None], CORNERS * unit, progress=False)):
        np.testing.assert_allclose(result.distance, DISTANCE * scale, rtol=1e-5)
        assert (np.asarray(result.lower, np.float64) <= DISTANCE * float(unit) * (1 + 1e-7)).all()
        assert (result.lower > 0.9 * DISTANCE * scale).all()


@pytest.mark.parametrize("rtol", [1e-6, 0.0])
def test_a_query_too_far_for_its_dtype_is_said_to_be(rtol: float) -> None:
    queries = np.array([[3e38, 3e38, 0], [0, 0, 0]], np.float32)
    result = hullx.project(queries, CORNERS, rtol=rtol)
    assert result.status.tolist() == [Status.NONFINITE, Status.CONVERGED if rtol else Status.ROUNDING]
    np.testing.assert_allclose(result.distance[1], DISTANCE, rtol=1e-6)
    assert "overflow" in Status(int(result.status[0])).sentence


@pytest.mark.parametrize("chunked", [False, True])
def test_a_distance_beyond_float64_is_said_to_be(chunked: bool) -> None:
    """Both bounds were infinite, and CONVERGED. In the hull's own unit the distance is finite."""
    largest, points = float(np.finfo(np.float64).max), 4 * CORNERS.astype(float)
    queries = np.array([[largest, -largest, 0], [0, 0, 0]])
    result = hullx.sweep(queries, [points] if chunked else points, progress=False)
    assert result.status.tolist() == [Status.NONFINITE, Status.CONVERGED]
    assert np.isnan([result.distance[0], result.lower[0]]).all()
    np.testing.assert_allclose(result.distance[1], 4 * DISTANCE, rtol=1e-6)


def test_a_domain_puts_what_is_beyond_float64_outside() -> None:
    rows = np.array([[1.0, 1.0, 1.0], [0.5, 0.0, 0.0]]) * np.finfo(np.float64).max
    domain = hullx.HullDomain().fit(4 * np.random.default_rng(0).normal(size=(30, 3)))
    scores = domain.score_samples(rows)
    assert scores[0] == -np.inf
    assert np.isfinite(scores[1])
    assert domain.predict(rows).tolist() == [-1, -1]


def test_sweeps_answer_at_the_end_of_float32() -> None:
    """The difference from the hull's centre is beyond float32."""
    points = np.array([[-(2.0**120), 0, 0], [-(2.0**119), 1, 0]], np.float32)
    result = hullx.sweep(np.array([[LARGEST, 0, 0], [0, 0, 0]], np.float32), points, progress=False)
    assert result.status.tolist() == [Status.CONVERGED, Status.CONVERGED]
    assert result.lower[0] <= LARGEST + 2.0**119 <= result.distance[0]


def test_project_answers_at_the_end_of_float32() -> None:
    """The difference from the hull's centre is beyond float32, the distance is not."""
    points = np.array([[-(2.0**124), 0, 0], [2.0**123, 1, 0]], np.float32)
    result = hullx.project(np.array([[LARGEST, 0, 0], [0, 0, 0]], np.float32), points)
    assert result.status.tolist()[0] == Status.CONVERGED
    assert float(result.lower[0]) <= LARGEST - 2.0**123 <= float(result.distance[0])


def test_a_point_beyond_float32_is_said_to_be() -> None:
    """The distance is not: it was CONVERGED, from an infinite point."""
    points = np.array([[1e39, 0, 0], [1e39, 1, 0], [1e39, 0, 1]])
    with jax.enable_x64(False):
        result = hullx.project(np.array([[1e39, 2.0, 2.0], [1e38, 0.0, 0.0]]), points)
    assert result.status.tolist() == [Status.NONFINITE, Status.NONFINITE]
    assert np.isnan(result.point).all()


@pytest.mark.parametrize("unit", [1e-39, 1e-44])
def test_distances_below_the_smallest_ordinary_number_are_not_proved_to_be_positive(unit: float) -> None:
    """Compiled code takes subnormal numbers for 0, so `outside` contradicted `lower`."""
    with jax.enable_x64(False):
        result = hullx.project(np.array([[2 * unit, 2 * unit]]), unit * np.eye(3, 2, -1))
    assert (np.asarray(result.lower) > 0).tolist() == result.outside.tolist() == [False]
    assert 1.5 * unit * 2**0.5 <= np.asarray(result.distance)[0]
    assert not result.decided.any()


def test_a_tolerance_that_is_no_float32_is_kept() -> None:
    """It was rounded up."""
    rng = np.random.default_rng(0)
    queries, points = (rng.normal(size=(count, 3)).astype(np.float32) for count in (256, 40))
    atol = 2.0**-23 * (1 - 1e-8)
    with jax.enable_x64(False):
        found = jax.tree.map(np.asarray, hullx.project(2 * queries, points, rtol=0.0, atol=atol))
    converged = found.status == Status.CONVERGED
    assert converged.any()
    assert (found.distance.astype(float) - found.lower.astype(float) <= atol)[converged].all()


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("far", [1e37, 1e39, 1e100, 1e300])
def test_excluded_rows_take_no_part_however_far_the_query(far: float, chunked: bool) -> None:
    points = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 0.5], [0.0, -0.5], [0.1, 0.1]])
    queries, left_out = far * np.array([[1, 1 / 3], [-1, 0.1], [0.2, 1]]), np.array([0, 1, 2])
    found = hullx.sweep(queries, [points[:2], points[2:]] if chunked else points, exclude=left_out, progress=False)
    assert found.status.tolist() == [Status.CONVERGED] * 3
    assert not ((found.support == left_out[:, None]) & (found.weights > 0)).any()


def test_a_summary_of_large_numbers() -> None:
    queries = np.array([[1.5e308, 0], [1.6e308, 0]])
    assert "max 1.6e+308" in hullx.sweep(queries, np.zeros((1, 2)), progress=False).summary()


@pytest.mark.thorough
def test_underflow_under_jit_widens_the_bracket() -> None:
    """Compiled code takes subnormal numbers for 0; what it then proves still holds."""
    points = np.resize(np.where(CORNERS > 0, np.float32(1e-40), 0), (families.POINTS, 3))
    truth = 1e-40 * DISTANCE
    for query in (QUERY, QUERY + np.float32(5e-39)):
        result = project_in_jit(np.resize(query, (families.QUERIES, 3)), points)
        exact = np.linalg.norm(query.astype(np.float64) - 1e-40 / 3) if query.any() else truth
        assert ((result.lower <= exact) & (exact <= result.distance)).all()
        assert np.isin(result.status, (Status.ROUNDING, Status.INSIDE)).all()


@pytest.mark.thorough
def test_a_hull_placed_in_float32_pays_for_its_underflow(rng: np.random.Generator) -> None:
    """float32's subnormal numbers were taken for 0 when the hull was placed, also where queries are float64."""
    tiny = float(np.finfo(np.float32).tiny)
    half = np.concatenate([np.full((200, 9), 0.0), np.diag(rng.uniform(1.02, 1.2, 9) * tiny)])
    points = np.concatenate([half, -half, 0.96 * tiny * np.ones((1, 9)), -0.96 * tiny * np.ones((1, 9))])
    points[:, 0] += 2.0**-102
    points, query = points.astype(np.float32), 3 * tiny * np.ones(9)
    with jax.enable_x64(True):
        scaled, far = points.astype(np.float64) * 2.0**120, query * 2.0**120
        truth = nnls_distance(far, scaled)[0] * 2.0**-120
        hull = hullx.prepare(points)
        for found in (hullx.project(query, hull), jax.jit(hullx.project)(query, hull), hullx.project(query, hull, max_iter=1)):
            assert found.lower <= truth * (1 + 1e-9)
            assert truth <= found.distance * (1 + 1e-9)
