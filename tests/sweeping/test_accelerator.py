"""How accelerators run a sweep, run here on a CPU: one program for all queries and rounds of a stage."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from oracles import nnls_distance

import hullx
from hullx.core import coarse_start
from hullx.core.sources import device

pytestmark = pytest.mark.unoptimised


@pytest.fixture
def accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    """The path of accelerators, with small batches."""
    for module in (device, coarse_start):
        monkeypatch.setattr(module, "on_cpu", lambda array: False)
    monkeypatch.setattr(device, "BATCH", 8)
    monkeypatch.setattr(device, "SIZES", (1, 32))


def queries_about(points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Queries outside, far away, inside, on points, and one that is not finite."""
    far = rng.normal(size=(60, points.shape[1])) * np.geomspace(0.01, 100, 60)[:, None]
    mixed = rng.dirichlet(np.ones(len(points)), 9) @ points
    return np.concatenate([far, mixed, points[:5], np.full((1, points.shape[1]), np.nan)]).astype(points.dtype)


@pytest.mark.usefixtures("accelerator")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_distances_agree_with_nnls(dtype: type, rng: np.random.Generator) -> None:
    points = rng.normal(size=(301, 5)).astype(dtype)
    queries = queries_about(points, rng)
    found = hullx.sweep(queries, points, progress=False)
    assert found.decided[:-1].all()
    assert found.status[-1] == hullx.Status.NONFINITE
    expected = np.array([nnls_distance(query.astype(np.float64), points.astype(np.float64))[0] for query in queries[:-1]])
    np.testing.assert_allclose(found.distance[:-1], expected, rtol=1e-5, atol=1e-6)
    assert (found.lower[:-1] <= expected * (1 + 1e-9) + 1e-12).all()


@pytest.mark.usefixtures("accelerator")
def test_a_row_may_be_excluded(rng: np.random.Generator) -> None:
    points = rng.normal(size=(41, 5))
    found = hullx.sweep(points, points, exclude=np.arange(41), progress=False)
    for i, query in enumerate(points):
        np.testing.assert_allclose(found.distance[i], nnls_distance(query, np.delete(points, i, 0))[0], rtol=1e-6, atol=1e-9)


@pytest.mark.usefixtures("accelerator")
def test_more_precision_comes_from_rounds_of_the_host(rng: np.random.Generator) -> None:
    """Distances of 1e-9 about supports of ten points, which pools in float32 cannot decide."""
    points = rng.normal(size=(33, 12))
    weights = rng.dirichlet(np.ones(33), 40)
    found = hullx.sweep(weights @ points, points, progress=False)
    assert found.decided.all()
    assert (found.distance < 1e-12).all()


@pytest.mark.usefixtures("accelerator")
def test_many_columns_have_no_coarse_start(rng: np.random.Generator) -> None:
    hull = hullx.prepare(rng.normal(size=(64, coarse_start.WORTHWHILE)).astype(np.float32))
    assert hull.coarse is None
    assert hull.rounded is None


@pytest.mark.thorough
def test_under_jit_batches_are_filled_with_queries_that_continue(rng: np.random.Generator) -> None:
    """More queries than a batch of a traced program holds."""
    points = rng.normal(size=(65, 5)).astype(np.float32)
    queries = queries_about(points, rng)
    found, alone = jax.jit(hullx.project)(queries, points), hullx.project(queries, points)
    np.testing.assert_array_equal(found.status, alone.status)
    np.testing.assert_allclose(found.distance, alone.distance, rtol=1e-5, atol=1e-6)
    assert (found.lower <= alone.distance)[:-1].all()
