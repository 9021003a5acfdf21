"""Sweeps that leave one row out of each query's hull: the same as deleting the row, on every path."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
import pytest

import hullx
from hullx import Projection
from hullx.core import coarse_start, driver
from hullx.core.stages import Method, Stage, host_stages
from hullx.errors import ArgumentError, ArgumentTypeError, ResumeError

pytestmark = pytest.mark.unoptimised


def check(found: Projection, queries: np.ndarray, points: np.ndarray, exclude: np.ndarray) -> None:
    """Compare with sweeps onto the other points; check what a result claims from the raw points."""
    for i, (query, row) in enumerate(zip(queries, exclude, strict=True)):
        others = np.delete(points, row, 0) if row >= 0 else points
        expected = hullx.sweep(query[None], others, progress=False)
        assert found.lower[i] <= expected.distance[0]
        assert expected.lower[0] <= found.distance[i]
        assert found.outside[i] == expected.outside[0]
        assert not ((found.support[i] == row) & (found.weights[i] > 0)).any()
        np.testing.assert_allclose(found.weights[i].sum(), 1)
        np.testing.assert_allclose(found.weights[i] @ points[found.support[i]], found.point[i], rtol=1e-5, atol=1e-9)
        if found.outside[i]:
            direction = found.direction[i].astype(np.float64)
            slab = direction @ query - (others @ direction).max()
            assert slab >= found.lower[i] - 1e-6 * np.abs(points).max()
    assert found.decided.all()


def leave_one_out(points: np.ndarray, **settings: object) -> Projection:
    return hullx.sweep(points, points, exclude=np.arange(len(points)), progress=False, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("n", [2, 3, 17, 33])
def test_each_row_and_the_hull_of_the_others(n: int, rng: np.random.Generator) -> None:
    """Two points are the hard case: the only one left scores below the padding."""
    points = 3 + rng.normal(size=(n, 2))
    check(leave_one_out(points), points, points, np.arange(n))


def test_a_repeated_row_is_in_the_hull_of_the_others(rng: np.random.Generator) -> None:
    points = rng.normal(size=(33, 2))
    points[[0, 7]] = [9.0, 9.0]
    found = leave_one_out(points)
    assert found.inside[[0, 7]].all()
    assert (found.support[0, 0], found.support[7, 0]) == (7, 0)
    check(found, points, points, np.arange(33))


def test_other_queries_with_and_without_an_excluded_row(rng: np.random.Generator) -> None:
    points, queries = rng.normal(size=(33, 2)).astype(np.float32), 2 * rng.normal(size=(9, 2)).astype(np.float32)
    nearest = hullx.sweep(queries, points, progress=False).support[:, 0]
    exclude = np.where(np.arange(9) % 3 == 0, -1, nearest)
    check(hullx.sweep(queries, points, exclude=exclude, progress=False), queries, points, exclude)
    none = hullx.sweep(queries, points, exclude=np.full(9, -1), progress=False)
    np.testing.assert_allclose(none.distance, hullx.sweep(queries, points, progress=False).distance, rtol=1e-6)


@pytest.fixture
def in_the_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small problems too take one program per round."""
    monkeypatch.setattr(driver, "FEW_QUERIES", 0)
    monkeypatch.setattr(driver, "FEW_TERMS", 0)


def only(method: Method) -> Callable[..., list[Stage]]:
    return lambda *args, **settings: [stage for stage in host_stages(*args, **settings) if stage.method is method]


@pytest.mark.thorough
@pytest.mark.parametrize("method", [Method.FLOAT32, Method.FLOAT64, Method.EXTENDED])
def test_every_precision(method: Method, in_the_queue: None, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Padding repeats the first point, which must not come back through it."""
    points = np.array([5.0, 0.0]) + rng.normal(size=(17, 2))
    points[0] = [9.0, 9.0]
    monkeypatch.setattr(driver, "host_stages", only(method))
    found = leave_one_out(points)
    monkeypatch.undo()
    check(found, points, points, np.arange(17))
    assert found.outside[0]


@pytest.mark.thorough
def test_mixed_units(rng: np.random.Generator) -> None:
    points = rng.normal(size=(17, 2)) * [1, 1e10] + [1e3, 0]
    check(leave_one_out(points), points, points, np.arange(17))


@pytest.mark.thorough
def test_a_start_from_the_rows_themselves(rng: np.random.Generator) -> None:
    points = rng.normal(size=(33, 2))
    own = hullx.sweep(points, points, progress=False)
    assert (own.weights[np.arange(33), 0] == 1).all()
    check(leave_one_out(points, warm_start=own), points, points, np.arange(33))


@pytest.mark.thorough
@pytest.mark.parametrize("chunked", [False, True])
def test_a_coarse_start(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch, chunked: bool) -> None:
    for name, value in (("DIMENSION", 2), ("FEWEST", 2), ("WORTHWHILE", 3)):
        monkeypatch.setattr(coarse_start, name, value)
    points = rng.normal(size=(80, 4)).astype(np.float32)
    points[3] = points[5:9].mean(0)
    given = [points[:50], points[50:]] if chunked else points
    found = hullx.sweep(points, given, exclude=np.arange(80), progress=False)
    assert found.decided.all()
    assert found.inside[3]
    check(found, points, points, np.arange(80))


@pytest.mark.thorough
def test_points_on_disk(rng: np.random.Generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    points = rng.normal(size=(37, 2))
    np.save(tmp_path / "points.npy", points)
    monkeypatch.setattr("hullx.core.sources.chunks.CHUNK_BYTES", 2**8)
    mapped = np.load(tmp_path / "points.npy", mmap_mode="r")
    found = hullx.sweep(points, mapped, exclude=np.arange(37), progress=False)
    check(found, points, points, np.arange(37))


def test_resume_knows_the_excluded_rows(rng: np.random.Generator, tmp_path: Path) -> None:
    points = rng.normal(size=(33, 2))
    first, again = (leave_one_out(points, resume=tmp_path) for _ in range(2))
    np.testing.assert_array_equal(first.distance, again.distance)
    for exclude in (None, np.arange(33)[::-1]):
        with pytest.raises(ResumeError):
            hullx.sweep(points, points, exclude=exclude, resume=tmp_path, progress=False)


@pytest.mark.parametrize(
    ("exclude", "error", "message"),
    [
        ([0.0, 1.0], ArgumentTypeError, "exclude: got dtype float64, expected integers"),
        ([0], ArgumentError, r"exclude: got shape \(1,\), expected \(2,\)"),
        ([0, 2], ArgumentError, "exclude: got rows from 0 to 2, expected -1 to 1"),
        ([-2, 0], ArgumentError, "exclude: got rows from -2 to 0"),
    ],
)
def test_bad_rows(exclude: list, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        hullx.sweep(np.eye(2), np.eye(2), exclude=np.array(exclude), progress=False)


def test_the_only_point_cannot_be_excluded() -> None:
    with pytest.raises(ArgumentError, match="exclude: got the only point"):
        hullx.sweep(np.eye(2), np.ones((1, 2)), exclude=np.zeros(2, int), progress=False)


def test_a_mesh_is_refused() -> None:
    with pytest.raises(ArgumentError, match="exclude: got rows and a mesh"):
        hullx.sweep(np.eye(2), np.eye(2), exclude=np.zeros(2, int), mesh=jax.make_mesh((1,), ("queries",)), progress=False)
