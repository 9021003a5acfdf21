"""How accelerators run a sweep, run here on a CPU: one program for all queries and rounds of a stage."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from judge import judged
from near_faces import Near
from oracles import nnls_distance

import hullx
from hullx.core import coarse_start, driver
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
@pytest.mark.parametrize("leave_out", [False, True])
def test_more_precision_comes_from_rounds_of_the_host(leave_out: bool, rng: np.random.Generator, monkeypatch) -> None:
    """Columns of very different size, whose squares float32 cannot add up."""
    queued, run_queue = list[int](), driver.run_queue

    def counted(queries: np.ndarray, *given, **more) -> None:
        queued.append(len(queries))
        run_queue(queries, *given, **more)

    monkeypatch.setattr(driver, "run_queue", counted)
    points = rng.normal(size=(33, 5)) * np.logspace(0, -8, 5)
    queries = np.concatenate([points, 1.5 * points])
    exclude = np.concatenate([np.arange(33), np.full(33, -1)]) if leave_out else None
    found = hullx.sweep(queries, points, exclude=exclude, progress=False)
    assert sum(queued) > 0
    assert found.decided.all()
    rows = judged(Near(queries[33:], points), jax.tree.map(lambda field: field[33:], found))
    assert (rows.above, rows.below, rows.loose) == (0, 0, 0)
    if leave_out:
        for i in range(33):
            rows = judged(Near(queries[i : i + 1], np.delete(points, i, 0)), moved(found, i))
            assert (rows.above, rows.below) == (0, 0)


def moved(found: hullx.Projection, row: int) -> hullx.Projection:
    """One result, with its support as rows of the points without one of them."""
    one = jax.tree.map(lambda field: field[row : row + 1], found)
    return one._replace(support=one.support - (one.support > row))


def test_programs_have_few_sizes() -> None:
    sizes = 1, 32, 256, 2048
    assert [driver.program_size(m, sizes) for m in (1, 2, 32, 40, 129, 257, 1025, 2049)] == [
        1,
        32,
        32,
        32,
        256,
        256,
        2048,
        2048,
    ]


@pytest.mark.usefixtures("accelerator")
def test_many_columns_have_no_coarse_start(rng: np.random.Generator) -> None:
    hull = hullx.prepare(rng.normal(size=(64, coarse_start.WORTHWHILE)).astype(np.float32))
    assert hull.coarse is None
    assert hull.rounded is None


@pytest.mark.thorough
def test_under_jit_batches_are_filled_with_queries_that_continue(rng: np.random.Generator) -> None:
    """More queries than a batch of a traced program holds, in the first stage and in that of extended precision."""
    points = (rng.normal(size=(65, 5)) * np.logspace(0, -4, 5)).astype(np.float32)
    queries = queries_about(points, rng)
    found, alone = jax.jit(hullx.project)(queries, points), hullx.project(queries, points)
    np.testing.assert_array_equal(found.status, alone.status)
    np.testing.assert_allclose(found.distance, alone.distance, rtol=1e-5, atol=1e-6)
    assert (found.lower <= alone.distance)[:-1].all()
