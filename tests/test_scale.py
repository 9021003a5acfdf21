"""Slow: a sweep that is killed at random moments. Run with `pytest -m slow -n 0`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT)}

SWEEP = """
import sys
import numpy as np, hullx
from hullx import resume
resume.BATCH = 20
with np.load(sys.argv[1]) as data:
    result = hullx.sweep(data["queries"], data["points"], resume=sys.argv[2], progress=False)
np.savez(sys.argv[3], **result._asdict())
"""


def test_killed_at_twenty_moments(digits, tmp_path: Path) -> None:
    """SIGKILL, whenever it comes, costs at most a batch and changes no bit of the result."""
    queries, points = digits[0][:300], digits[1]
    np.savez(tmp_path / "data.npz", queries=queries, points=points)
    rng = np.random.default_rng(0)

    def command(folder: str) -> list[str]:
        return [sys.executable, "-c", SWEEP, *(str(tmp_path / name) for name in ("data.npz", folder, f"{folder}.npz"))]

    began = time.monotonic()
    subprocess.run(command("whole"), env=ENVIRONMENT, check=True)
    whole_seconds = time.monotonic() - began

    kills, finished = 0, 0
    attempt = 0
    while kills < 20:
        folder = f"killed{attempt}"
        attempt += 1
        before: list[Path] = []
        while kills < 20:
            process = subprocess.Popen(command(folder), env=ENVIRONMENT)
            time.sleep(whole_seconds * rng.uniform(0.3, 1))
            if process.poll() is not None:
                break
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
            now = sorted((tmp_path / folder).glob("*.npz"))
            # What was finished stays, and can be read.
            assert set(before) <= set(now)
            for path in now:
                with np.load(path) as fields:
                    assert len(fields["distance"])
            before = now
        subprocess.run(command(folder), env=ENVIRONMENT, check=True)
        with np.load(tmp_path / f"{folder}.npz") as ours, np.load(tmp_path / "whole.npz") as theirs:
            for name in theirs:
                np.testing.assert_array_equal(ours[name], theirs[name])
        finished += 1
    print(f"{kills} kills, {finished} sweeps finished bit for bit")
