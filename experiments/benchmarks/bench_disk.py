"""How long does a sweep take, and how much memory, when the points are on disk?

    python -m experiments.bench_disk                        20,000 points of 64 numbers, seconds
    python -m experiments.bench_disk cpu                    1,000,000 points of 768 numbers (3 GB), 1,000 queries

Points and queries are drawn from one Gaussian law, in rotated axes. Its standard deviations fall as 1/i, much as those of
embeddings do. The points are a float32 `.npy` file, opened as a memory map. The sweep runs in a separate process: its seconds
include compilation, and its memory is the process's peak. "Floor" is the time of two passes over the file, each with one
float32 product of all queries with all points.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hullx import runs
from hullx.runs import plotting

TIME, RATIO, PEAK = "seconds per query", "÷ floor", "peak memory"
ROWS = 20_000  # drawn at once


@dataclass(frozen=True)
class Config(runs.Config):
    """Settings of the benchmark.

    Attributes:
        points: number of points.
        dimension: numbers of each.
        queries: number of queries.
    """

    points: int = 20_000
    dimension: int = 64
    queries: int = 50


PRESETS = {"smoke": Config(), "cpu": Config(points=1_000_000, dimension=768, queries=1000)}


def write_points(folder: Path, config: Config) -> None:
    """Write `points.npy` and `queries.npy` to a folder."""
    rng, d = np.random.default_rng(config.seed), config.dimension
    axes = np.linalg.qr(rng.normal(size=(d, d)))[0].astype(np.float32) / np.arange(1, d + 1, dtype=np.float32)[:, None]
    np.save(folder / "queries.npy", rng.standard_normal((config.queries, d), np.float32) @ axes)
    points = np.lib.format.open_memmap(folder / "points.npy", "w+", np.float32, (config.points, d))
    for start in range(0, config.points, ROWS):
        rows = points[start : start + ROWS]
        rows[:] = rng.standard_normal(rows.shape, np.float32) @ axes
    points.flush()


def sweep_in_process(folder: Path, config: Config) -> dict[str, float]:
    """Write points, sweep them in a separate process, and delete them: what `disk_sweep` prints."""
    folder.mkdir(parents=True, exist_ok=True)
    points, queries = folder / "points.npy", folder / "queries.npy"
    try:
        write_points(folder, config)
        program = "from experiments.disk_sweep import main; main()"
        command = [sys.executable, "-c", program, str(points), str(queries)]
        done = subprocess.run(command, capture_output=True, text=True)
    finally:
        points.unlink(missing_ok=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout)


def measure(config: Config, run: runs.Run[Config]) -> None:
    """Measure one sweep's time and memory."""
    name = f"{config.points:,} points of {config.dimension} numbers, {config.queries:,} queries"
    found = run.cached("sweep", sweep_in_process, run.resume_dir("points"), config)
    for quantity, value, unit in (
        (TIME, found["seconds"] / config.queries, " s"),
        ("floor, seconds per query", found["floor"] / config.queries, " s"),
        (RATIO, found["seconds"] / found["floor"], " ×"),
        (PEAK, found["peak"], " GiB"),
        ("undecided", found["undecided"], ""),
        ("share outside", found["outside"], "share"),
        ("points mixed", found["support"], ""),
        ("largest relative gap", found["gap"], ""),
    ):
        run.record(quantity, value, data=name, unit=unit)


def claims(results: runs.Results) -> Iterator[runs.Claim]:
    """None: one run on one machine."""
    yield from ()


def figures(results: runs.Results) -> plotting.Figures:
    """None: the table says it."""
    yield from ()


experiment = runs.Experiment(Config, PRESETS, measure, claims, figures)
if __name__ == "__main__":
    experiment.main()
