"""Where points may live, and how a sweep goes on: files larger than memory, killed runs, warm starts."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from oracles import check_bracket, nnls_distance

import hullx
from hullx.core import coarse_start, stages
from hullx.core.parallel import run_in_threads
from hullx.core.pool.solve import SPARE
from hullx.core.queue import Start
from hullx.core.results import empty
from hullx.runs import sealed
from hullx.sweeping import resume

pytestmark = pytest.mark.unoptimised


@pytest.fixture(scope="module")
def whole(digits) -> hullx.Projection:
    return hullx.sweep(*digits, progress=False)


@pytest.mark.thorough
@pytest.mark.parametrize("parts", [False, True], ids=["memmap", "list of arrays"])
def test_points_on_disk(digits, whole, parts: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queries, points = digits
    # Chunks of 500 points: two whole ones and a padded one.
    monkeypatch.setattr("hullx.core.sources.chunks.CHUNK_BYTES", 500 * 64 * 4)
    np.save(tmp_path / "points.npy", points)
    stored = [points[:100], points[100:900], points[900:]] if parts else np.load(tmp_path / "points.npy", mmap_mode="r")
    result = hullx.sweep(queries, stored, progress=False)
    np.testing.assert_allclose(result.distance, whole.distance, rtol=1e-12)
    np.testing.assert_array_equal(result.status, whole.status)
    check_bracket(result, queries, points, rtol=1e-6)


@pytest.mark.thorough
@pytest.mark.parametrize("storage", ["disk", "mesh"])
def test_padding_beside_a_flat_hull(storage: str, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Padding is the rounded centre, which lies off the plane of the points: it scored above all of them."""
    monkeypatch.setattr("hullx.core.sources.chunks.CHUNK_BYTES", 500 * 3 * 4)
    first = rng.integers(0, 1001, (60, 2))
    corners = np.concatenate([first, 3000 - first.sum(1, keepdims=True)], 1).astype(np.float32)
    points = np.concatenate([corners, corners[rng.integers(0, 60, 450)]])  # nearly a chunk of padding
    queries = (corners[:20].mean(0) + np.array([[-50], [-1], [-0.01], [0.01], [1], [50]])).astype(np.float32)
    where: dict[str, Any] = {"mesh": jax.make_mesh((1,), ("points",))} if storage == "mesh" else {}
    found = hullx.sweep(queries, points if where else [points], **where, progress=False)
    expected = hullx.sweep(queries, points, progress=False)
    assert found.decided.all()
    np.testing.assert_allclose(found.distance, expected.distance, rtol=1e-6)


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
def test_nan_on_disk_is_refused(digits) -> None:
    bad = digits[1].copy()
    bad[77, 3] = np.nan
    with pytest.raises(ValueError, match="points: got NaN or infinity"):
        hullx.sweep(digits[0][:5], [bad[:50], bad[50:]], progress=False)


def test_a_killed_sweep_continues_bit_for_bit(digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queries, points = digits[0][:100], digits[1][:300]
    monkeypatch.setattr(resume, "BATCH", 25)
    uninterrupted = hullx.sweep(queries, points, resume=tmp_path / "one", progress=False)
    write, written = sealed.write, []

    def killed(path: Path, data: bytes) -> None:
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(path)
        write(path, data)

    # Killed before: while it wrote its very first file.
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "fingerprint.json.123.part").write_text("{")
    monkeypatch.setattr(sealed, "write", killed)
    with pytest.raises(KeyboardInterrupt):
        hullx.sweep(queries, points, resume=tmp_path / "two", progress=False)
    finished = {path: path.stat().st_mtime_ns for path in (tmp_path / "two").glob("*.npz")}
    assert len(finished) == 2
    monkeypatch.setattr(sealed, "write", write)
    continued = hullx.sweep(queries, points, resume=tmp_path / "two", progress=False)
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in finished.items())
    for ours, theirs in zip(continued, uninterrupted, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_folder_of_other_data_is_refused(digits, tmp_path: Path) -> None:
    queries, points = digits[0][:10], digits[1][:50]
    hullx.sweep(queries, points, resume=tmp_path / "mine", progress=False)
    for arguments, rtol, what in (
        ((queries, points[:-1]), 1e-6, "points"),
        ((queries + 1, points), 1e-6, "queries"),
        ((queries, points), 1e-4, "rtol"),
    ):
        with pytest.raises(ValueError, match=f"holds results of other {what}"):
            hullx.sweep(*arguments, rtol=rtol, resume=tmp_path / "mine", progress=False)
    (tmp_path / "diary.txt").write_text("not a sweep")
    with pytest.raises(ValueError, match="is not empty and holds no results of such a run"):
        hullx.sweep(queries, points, resume=tmp_path, progress=False)


def test_warm_start_saves_steps_and_keeps_the_answer(digits, whole, rng: np.random.Generator) -> None:
    queries, points = digits
    moved = (points + 0.01 * rng.normal(size=points.shape)).astype(np.float32)
    cold = hullx.sweep(queries, moved, progress=False)
    warm = hullx.sweep(queries, moved, warm_start=whole, progress=False)
    np.testing.assert_allclose(warm.distance, cold.distance, rtol=1e-12)
    np.testing.assert_array_equal(warm.status, cold.status)
    assert warm.iterations.mean() < 0.7 * cold.iterations.mean()


def test_warm_start_of_another_size_is_refused(digits, whole) -> None:
    with pytest.raises(ValueError, match=r"warm_start: got 360 projections, .* expected one per query, 10"):
        hullx.sweep(digits[0][:10], digits[1], warm_start=whole, progress=False)


@pytest.mark.slow
def test_sets_of_similar_size_share_programs(rng: np.random.Generator, compilations: list) -> None:
    queries, points = 3 * rng.normal(size=(40, 5)), rng.normal(size=(960, 5))
    hullx.sweep(queries, points, progress=False)
    seen = len(compilations)
    assert seen > 0
    for count in (959, 940, 905):
        result = hullx.sweep(queries, points[:count], progress=False)
        np.testing.assert_allclose(result.distance[0], nnls_distance(queries[0], points[:count])[0], rtol=1e-9)
    # What is compiled anew is what looks over the points once: their centre, their extent, their place.
    assert len(compilations) - seen <= 3 * 4


@pytest.mark.thorough
@pytest.mark.parametrize("chunked", [False, True])
def test_search_that_begins_in_principal_directions(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch, chunked: bool
) -> None:
    """In so many dimensions `sweep` searches in few directions first; the answer is that of SciPy, for inside queries too."""
    d = coarse_start.WORTHWHILE + 5
    points = (rng.normal(size=(100, 30)) @ rng.normal(size=(30, d)) + 0.1 * rng.normal(size=(100, d))).astype(np.float32)
    queries = np.concatenate([points[:5] * 1.5, rng.dirichlet(np.ones(4), 5) @ points[:4], rng.normal(size=(60, d))])
    queries = queries.astype(np.float32)
    monkeypatch.setattr("hullx.core.sources.chunks.CHUNK_BYTES", 2**8)  # the last chunk is padded
    starts = list[Start]()

    def counted(*args: Any) -> Start:
        starts.append(coarse_start.coarse_start(*args))
        return starts[-1]

    monkeypatch.setattr("hullx.core.driver.coarse_start", counted)
    swept = hullx.sweep(queries, [points[:33], points[33:]] if chunked else points, progress=False)
    assert sum(len(start.support) for start in starts) == len(queries)
    assert all((start.weights > 0).any(1).all() for start in starts)
    outside = np.arange(len(queries)) // 5 != 1
    assert swept.decided.all()
    # Mixtures are rounded to float32, so they are in the hull, or proved to be outside by their rounding.
    np.testing.assert_array_equal(swept.distance > 1e-4, outside)
    for i in np.flatnonzero(outside)[::8]:
        np.testing.assert_allclose(swept.distance[i], nnls_distance(queries[i], points)[0], rtol=1e-6)


@pytest.mark.thorough
@pytest.mark.parametrize("chunked", [False, True])
def test_queries_far_beyond_float32_begin_anywhere(rng: np.random.Generator, chunked: bool) -> None:
    points = rng.normal(size=(100, coarse_start.WORTHWHILE))
    queries = np.concatenate([1e60 * points[:1], 2 * points[1:70]])
    swept = hullx.sweep(queries, [points] if chunked else points, progress=False)
    assert swept.decided.all()
    np.testing.assert_allclose(swept.distance[0], np.linalg.norm(queries[0]), rtol=1e-12)


def test_threads_keep_the_order_and_pass_errors_on() -> None:
    """Each part in its place; an error in one part ends the others at their next tally."""
    whole = empty(10, 2, np.dtype(np.float32))._replace(distance=np.arange(10.0))

    def run(part: slice, tally) -> hullx.Projection:
        tally(0, 0)
        return hullx.Projection(*(field[part] for field in whole))

    np.testing.assert_array_equal(run_in_threads(run, 3, lambda done, certified: None).distance, whole.distance)
    tallies = []

    def failing(part: slice, tally) -> hullx.Projection:
        if part.start == 0:
            raise ArithmeticError("the first part")
        while True:  # ends only because it is told to
            time.sleep(0.01)
            tallies.append(part.start)
            tally(0, 0)

    with pytest.raises(ArithmeticError, match="the first part"):
        run_in_threads(failing, 3, lambda done, certified: None)
    assert tallies


@pytest.mark.thorough
def test_faces_with_more_points_than_candidates() -> None:
    """Pixels that are black or white in most images put hundreds of points on the faces next to a query.

    float32 cannot tell their scores apart, and supports on such a face are affinely dependent but for rounding.
    """
    directions, rng = np.random.default_rng(9).standard_normal((3, 12)), np.random.default_rng(0)

    def images(count: int) -> np.ndarray:
        grey = 0.5 + 0.6 * rng.standard_normal((count, 3)) @ directions + 0.2 * rng.standard_normal((count, 12))
        return (np.round(np.clip(grey, 0, 1) * 255) / 255).astype(np.float32)

    points, queries = images(6000), images(1000)[:100]
    result = hullx.sweep(queries, points, progress=False)
    assert result.decided.all()
    check_bracket(result, queries, points)
    for i in (*np.flatnonzero(result.outside)[:3], 54):  # the last was left open once
        np.testing.assert_allclose(result.distance[i], nnls_distance(queries[i], points)[0], rtol=1e-6, atol=1e-9)


@pytest.mark.thorough
def test_supports_that_outgrow_their_first_stage(digits, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the heaviest rows of a support are refined then; the next stage finds the others again."""
    test, train = digits
    expected = hullx.sweep(test[:40], train, progress=False)
    assert ((expected.weights > 0).sum(1) > 4 + SPARE).any()
    monkeypatch.setattr(stages, "FLOAT32", (4, 64))
    found = hullx.sweep(test[:40], train, progress=False)
    np.testing.assert_array_equal(found.status, expected.status)
    np.testing.assert_allclose(found.distance, expected.distance, rtol=1e-6)
