"""Slow: points larger than memory, and a sweep that is killed at random moments. Run with `pytest -m slow -n 0`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import hullx
from hullx.errors import ResumeError

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT)}

LARGE = """
import re, sys
import numpy as np, hullx
from hullx import Status
points = np.load(sys.argv[1], mmap_mode="r")
queries = np.load(sys.argv[2])
result = hullx.sweep(queries, points, progress=False)
assert (result.status == Status.CONVERGED).all(), np.bincount(result.status)
np.savez(sys.argv[3], **result._asdict())
# Of this program alone: getrusage's figure includes the process that it was forked from.
print(int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 2**20)
"""

SWEEP = """
import sys
import numpy as np, hullx
from hullx.sweeping import resume
resume.BATCH = 20
with np.load(sys.argv[1]) as data:
    result = hullx.sweep(data["queries"], data["points"], resume=sys.argv[2], progress=False)
np.savez(sys.argv[3], **result._asdict())
"""


def test_points_larger_than_memory(tmp_path: Path) -> None:
    """1,300,000 × 2,048 float32, 10.6 GB on disk, 100 queries: under 3 GB of memory."""
    n, d, rng = 1_300_000, 2048, np.random.default_rng(0)
    points = np.lib.format.open_memmap(tmp_path / "points.npy", "w+", np.float32, (n, d))
    # A low-rank cloud and noise: few of so many points are near a query.
    basis = rng.standard_normal((32, d), dtype=np.float32)
    for start in range(0, n, 50_000):
        rows = min(50_000, n - start)
        points[start : start + rows] = rng.standard_normal((rows, 32), dtype=np.float32) @ basis
        points[start : start + rows] += 0.1 * rng.standard_normal((1, d), dtype=np.float32)
    points.flush()
    queries = 2 * rng.standard_normal((100, 32), dtype=np.float32) @ basis + rng.standard_normal((100, d), dtype=np.float32)
    np.save(tmp_path / "queries.npy", queries)
    del points
    began = time.monotonic()
    command = [sys.executable, "-c", LARGE, *(str(tmp_path / name) for name in ("points.npy", "queries.npy", "found.npz"))]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    gigabytes = float(done.stdout)
    print(f"{time.monotonic() - began:.0f} s, {gigabytes:.2f} GB at the peak")
    assert gigabytes < 3
    # Checked in float64, a few queries against all points.
    stored = np.load(tmp_path / "points.npy", mmap_mode="r")
    with np.load(tmp_path / "found.npz") as fields:
        found = hullx.Projection(**fields)
    for i in (0, 50, 99):
        direction = found.direction[i].astype(np.float64)
        highest = max((stored[start : start + 50_000] @ direction).max() for start in range(0, n, 50_000))
        slab = (queries[i] @ direction - highest) / np.linalg.norm(direction)
        np.testing.assert_allclose(slab, found.distance[i], rtol=1e-5)


def test_killed_at_twenty_moments_while_two_sweeps_run(digits, tmp_path: Path) -> None:
    """SIGKILL, whenever it comes, costs at most a batch and changes no bit of the result; nobody else gets the folder."""
    queries, points = digits[0][:300], digits[1]
    np.savez(tmp_path / "data.npz", queries=queries, points=points)
    rng = np.random.default_rng(0)

    def command(folder: str) -> list[str]:
        return [sys.executable, "-c", SWEEP, *(str(tmp_path / name) for name in ("data.npz", folder, f"{folder}.npz"))]

    began = time.monotonic()
    subprocess.run(command("whole"), env=ENVIRONMENT, check=True)
    whole_seconds = time.monotonic() - began

    kills, finished, refused = 0, 0, 0
    while kills < 20:
        names = [f"killed{finished + i}" for i in range(2)]
        parts: dict[str, set[Path]] = {name: set() for name in names}
        unfinished = set(names)
        while unfinished and kills < 20:
            running = {name: subprocess.Popen(command(name), env=ENVIRONMENT) for name in unfinished}
            time.sleep(2 * whole_seconds * rng.uniform(0.3, 1))
            for name, process in running.items():
                if process.poll() is None and (tmp_path / name / "fingerprint.json").exists():
                    try:
                        hullx.sweep(queries, points, resume=tmp_path / name, progress=False)
                    except ResumeError as error:
                        refused += "is in use by another process" in str(error)
                if process.poll() is None:
                    process.send_signal(signal.SIGKILL)
                    kills += 1
                else:
                    unfinished.discard(name)
                process.wait()
                now = set((tmp_path / name).glob("*.npz"))
                assert parts[name] <= now  # what was finished stays
                parts[name] = now
        for name in names:
            subprocess.run(command(name), env=ENVIRONMENT, check=True)
            with np.load(tmp_path / f"{name}.npz") as ours, np.load(tmp_path / "whole.npz") as theirs:
                for field in theirs:
                    np.testing.assert_array_equal(ours[field], theirs[field])
            finished += 1
    assert refused > 0
    print(f"{kills} kills, {finished} sweeps finished bit for bit, {refused} intruders refused")
