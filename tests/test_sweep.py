"""Where points may live, and how a sweep goes on: files larger than memory, killed runs, warm starts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from oracles import check_bracket

import hullx
from hullx import resume
from hullx.columns import width


@pytest.fixture(scope="module")
def whole(digits) -> hullx.Projection:
    return hullx.sweep(*digits, progress=False)


@pytest.mark.parametrize("parts", [False, True], ids=["memmap", "list of arrays"])
def test_points_on_disk(digits, whole, parts: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queries, points = digits
    # Chunks of 500 points: two whole ones and a padded one.
    monkeypatch.setattr("hullx.chunks.CHUNK_BYTES", 500 * 64 * 4)
    np.save(tmp_path / "points.npy", points)
    stored = [points[:100], points[100:900], points[900:]] if parts else np.load(tmp_path / "points.npy", mmap_mode="r")
    result = hullx.sweep(queries, stored, progress=False)
    np.testing.assert_allclose(result.distance, whole.distance, rtol=1e-12)
    np.testing.assert_array_equal(result.status, whole.status)
    check_bracket(result, queries, points, rtol=1e-6)


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
    write, written = resume.write, []

    def killed(path: Path, data: bytes) -> None:
        if len(written) == 3:
            raise KeyboardInterrupt
        written.append(path)
        write(path, data)

    # Killed before: while it wrote its very first file.
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "fingerprint.json.123.part").write_text("{")
    monkeypatch.setattr(resume, "write", killed)
    with pytest.raises(KeyboardInterrupt):
        hullx.sweep(queries, points, resume=tmp_path / "two", progress=False)
    finished = {path: path.stat().st_mtime_ns for path in (tmp_path / "two").glob("*.npz")}
    assert len(finished) == 2
    monkeypatch.setattr(resume, "write", write)
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
    with pytest.raises(ValueError, match="is not empty and holds no results of a sweep"):
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
    with pytest.raises(ValueError, match="warm_start: got 360 projections, expected one a query, 10"):
        hullx.sweep(digits[0][:10], digits[1], warm_start=whole, progress=False)


@pytest.mark.parametrize("n", [1, 2, 17, 95, 143, 1437, 16383, 16384, 60000])
def test_padding_is_little(n: int) -> None:
    padded = width(n)
    assert padded % 16 == 0
    assert n <= padded <= max(1.25 * n, n + 15)
