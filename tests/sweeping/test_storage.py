"""What survives a bad day: damaged and foreign folders, two processes in one, full disks."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

import hullx
from hullx import HullxError
from hullx.errors import ResumeError, StorageError
from hullx.runs import atomic as files
from hullx.runs.fingerprint import LOCK, reserved_for
from hullx.sweeping import resume

RNG = np.random.default_rng(0)
QUERIES, POINTS = 2 * RNG.normal(size=(40, 3)), RNG.normal(size=(30, 3))


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resume, "BATCH", 20)


def swept(folder: Path, points: np.ndarray = POINTS) -> hullx.Projection:
    return hullx.sweep(QUERIES, points, resume=folder, progress=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A finished sweep's."""
    swept(tmp_path / "sweep")
    return tmp_path / "sweep"


def parts(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.npz"))


def same(a: hullx.Projection, b: hullx.Projection) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


DAMAGES = {
    "truncated": lambda data: data[: len(data) // 2],
    "empty": lambda data: b"",
    "zeroed": lambda data: bytes(len(data)),
    "one byte flipped": lambda data: data[:777] + bytes([data[777] ^ 0x10]) + data[778:],
    "one byte of the last directory flipped": lambda data: data[:-30] + bytes([data[-30] ^ 0x01]) + data[-29:],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_batch_is_named_and_computed_anew(folder: Path, damage: str) -> None:
    whole, before = swept(folder), parts(folder)
    assert len(before) == 2
    for path in before:
        path.write_bytes(DAMAGES[damage](path.read_bytes()))
        with pytest.warns(RuntimeWarning, match=rf"{path.name} is damaged: its queries are projected again"):
            assert same(swept(folder), whole)
    assert parts(folder) == before
    assert same(swept(folder), whole)


def test_a_damaged_fingerprint_does_not_lose_what_can_be_proved(folder: Path) -> None:
    whole, path = swept(folder), folder / "fingerprint.json"
    sound = path.read_text()
    for damaged in ("", "{", "[]", sound.replace('"batch": 20', '"batch": 21'), "\0" * len(sound)):
        path.write_text(damaged)
        # The batches are known by their seals.
        assert same(swept(folder), whole)
        assert path.read_text() == sound
        path.write_text(damaged)
        with pytest.raises(ResumeError, match=r"fingerprint.json is damaged, so that nobody can tell of what|results of other"):
            swept(folder, POINTS[:-1])
        path.write_text(sound)


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "diary.txt").write_text("not a sweep")
    with pytest.raises(ResumeError, match="is not empty and holds no results of such a run: choose another folder"):
        swept(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["diary.txt"]
    with pytest.raises(ResumeError, match=r"resume: .*diary.txt is a file, expected a folder: choose another name"):
        swept(tmp_path / "diary.txt")
    with pytest.raises(StorageError, match="cannot be written"):
        swept(Path("/proc/nowhere"))


def test_two_processes_do_not_share_a_folder(folder: Path) -> None:
    program = "import sys, filelock; lock = filelock.FileLock(sys.argv[1]); lock.acquire(); print('mine', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", program, str(folder / LOCK)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "mine\n"
        with pytest.raises(ResumeError, match="is in use by another process: wait until it ends or choose another folder"):
            swept(folder)
        other.kill()
    swept(folder)  # a lock goes with its process


def test_unfinished_files_are_another_s_while_the_folder_is_locked(folder: Path) -> None:
    unfinished = folder / f"queries.npz.1{files.UNFINISHED}"
    unfinished.write_bytes(b"half")
    with FileLock(folder / LOCK), pytest.raises(ResumeError, match="in use"):
        swept(folder)
    assert unfinished.exists()
    swept(folder)
    assert not unfinished.exists()


def test_a_folder_is_claimed_once(tmp_path: Path) -> None:
    with (
        reserved_for(tmp_path / "a", {"x": 1}, "folder"),
        pytest.raises(ResumeError),
        reserved_for(tmp_path / "a", {"x": 1}, "folder"),
    ):
        pass
    assert json.loads((tmp_path / "a" / "fingerprint.json").read_text()) == {"x": 1}


def full(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_leaves_nothing_half_written(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, before = swept(folder), parts(folder)
    before[1].unlink()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(
            StorageError, match=r"cannot be written \(No space left on device\): free disk space .* are kept"
        ) as raised:
            swept(folder)
    assert isinstance(raised.value, HullxError)
    assert isinstance(raised.value, OSError)
    assert parts(folder) == before[:1]
    assert not list(folder.glob(f"*{files.UNFINISHED}"))
    assert same(swept(folder), whole)


def test_a_line_is_added_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    files.append(path, b"one\n")
    files.append(path, b"two\n")
    assert path.read_bytes() == b"one\ntwo\n"
    with pytest.raises(StorageError, match="cannot be written"):
        files.append(Path("/dev/full"), b"three\n")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)], capture_output=True, check=False
    )
    if not mounted or mounted.returncode:
        pytest.skip("mounting a small file system needs the rights of an administrator")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_disk_that_fills_up(small_disk: Path) -> None:
    """A real one: what is finished stays, nothing is half there, and with room again the run goes on."""
    whole = hullx.sweep(QUERIES, POINTS, progress=False)
    filler = small_disk / "filler"
    (small_disk / "sweep").mkdir()
    refused = 0
    for size in range(60_000, 30_000, -4000):
        filler.write_bytes(bytes(size))
        try:
            swept(small_disk / "sweep")
        except StorageError:
            refused += 1
        assert not list(small_disk.rglob(f"*{files.UNFINISHED}"))
    assert refused >= 2
    filler.unlink()
    assert np.array_equal(swept(small_disk / "sweep").distance, whole.distance)


def test_a_memmap_is_read_as_it_is(tmp_path: Path) -> None:
    """Changed in memory, renamed with another file in its place, temporary without a name, cut short."""
    path, moved = tmp_path / "points.npy", POINTS + 5
    np.save(path, POINTS)
    changed = np.load(path, mmap_mode="c")
    changed += 5
    expected = hullx.sweep(QUERIES, moved, progress=False).distance
    for _ in range(2):  # nothing that was changed is let go
        np.testing.assert_allclose(hullx.sweep(QUERIES, changed, progress=False).distance, expected, rtol=1e-12)
    np.save(path, moved)
    mapped = np.load(path, mmap_mode="r")
    path.rename(tmp_path / "renamed.npy")
    np.save(path, POINTS)
    np.testing.assert_allclose(hullx.sweep(QUERIES, mapped, progress=False).distance, expected, rtol=1e-12)
    with tempfile.TemporaryFile() as file:
        unnamed = np.memmap(file, np.float64, shape=moved.shape)
    unnamed[:] = moved
    np.testing.assert_allclose(hullx.sweep(QUERIES, unnamed, progress=False).distance, expected, rtol=1e-12)
    np.save(path, np.repeat(POINTS, 1000, 0))
    short = np.load(path, mmap_mode="r")
    os.truncate(path, 4096)
    with pytest.raises(ValueError, match=r"the file behind the numpy.memmap ends before its last row, .* map it again"):
        hullx.sweep(QUERIES, short, progress=False)
