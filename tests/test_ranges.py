"""Numbers at the ends of a dtype's range: an answer that holds, or NONFINITE where the distance is beyond the range."""

from __future__ import annotations

import families
import numpy as np
import pytest
from jitted import project_in_jit

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
