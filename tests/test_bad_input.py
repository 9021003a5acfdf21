"""What wrong arguments and bad numbers get."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hullx
from hullx import Status

QUERY, POINTS = np.zeros(3, np.float32), np.eye(3, dtype=np.float32)

WRONG = {
    "points are a vector": (QUERY, POINTS[0], ValueError, r"points: got shape \(3,\), expected \(n, d\)"),
    "points are empty": (QUERY, POINTS[:0], ValueError, r"points: got shape \(0, 3\), expected at least one"),
    "dimensions differ": (QUERY[:2], POINTS, ValueError, r"queries: got shape \((1, )?2,?\), expected \(\.\.\., 3\)"),
    "a scalar query": (np.float32(1), POINTS, ValueError, r"queries: got shape \(\)"),
    "integer points": (QUERY, POINTS.astype(int), TypeError, r"points: got dtype int64, .* floating .*astype"),
    "integer queries": (QUERY.astype(np.uint8), POINTS, TypeError, r"queries: got dtype uint8"),
    "complex points": (QUERY, POINTS.astype(complex), TypeError, r"points: got dtype complex128"),
    "a list": ([0.0, 0.0, 0.0], POINTS, TypeError, r"queries: got list, expected an array"),
    "NaN in points": (QUERY, np.where(POINTS > 0, np.nan, 0).astype(np.float32), ValueError, "points: got NaN or infinity"),
    "infinity in points": (
        QUERY,
        np.where(POINTS > 0, -np.inf, 0).astype(np.float32),
        ValueError,
        "points: got NaN or infinity",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_argument_is_named_with_a_remedy(name: str) -> None:
    query, points, error, message = WRONG[name]
    with pytest.raises(error, match=message):
        hullx.project(query, points)
    if name != "a list" and np.ndim(query):
        with pytest.raises(error, match=message):
            hullx.sweep(query[None], points, progress=False)


def test_unknown_solver() -> None:
    with pytest.raises(ValueError, match=r"solver: got 'simplex', expected one of .*active_set"):
        hullx.project(QUERY, POINTS, solver="simplex")
    with pytest.raises(TypeError, match="solver: got int"):
        hullx.project(QUERY, POINTS, solver=3)  # pyright: ignore[reportArgumentType]


def test_nan_points_under_jit_make_every_lane_nonfinite() -> None:
    points = POINTS.copy()
    points[0, 0] = np.nan
    result = jax.jit(hullx.project)(np.zeros((4, 3), np.float32), points)
    assert (result.status == Status.NONFINITE).all()
    assert jnp.isnan(result.distance).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_one_bad_query_does_not_spoil_its_batch(bad: float, rng: np.random.Generator) -> None:
    queries = rng.normal(size=(9, 3)).astype(np.float32)
    clean = queries.copy()
    queries[4, 1] = bad
    for solve in (hullx.project, lambda q, x: hullx.sweep(q, x, progress=False)):
        result, expected = solve(queries, POINTS), solve(clean, POINTS)
        good = np.arange(9) != 4
        assert result.status[4] == Status.NONFINITE
        assert np.isnan(result.distance[4])
        assert np.isnan(result.lower[4])
        np.testing.assert_allclose(result.distance[good], expected.distance[good], rtol=1e-6)
        np.testing.assert_array_equal(result.status[good], expected.status[good])


def test_every_status_has_a_sentence() -> None:
    assert all(len(status.sentence) > 20 for status in Status)


def test_float16_is_promoted() -> None:
    result = hullx.project(QUERY.astype(np.float16), POINTS.astype(np.float16))
    assert result.distance.dtype == np.float32
    np.testing.assert_allclose(result.distance, 1 / np.sqrt(3), rtol=1e-4)
