"""Run folders: everything an experiment leaves behind, written so that nothing is ever half there.

runs/<experiment>/<preset>-<time>/
  config.json      the resolved configuration
  provenance.json  command, git commit and dirty flag, versions, device, x64, seconds
  metrics.jsonl    one object a line: step, seconds, scalars
  tensorboard/     the same for TensorBoard, if asked for
  tables/*.csv     one row a query or a setting
  arrays/*.npz     what the figures need and a table cannot hold
  summary.json     headline numbers, counts by status, claims with their verdicts
  figures/*.png    redrawn from the files above by `python -m hullx.runs.plotting <run folder>`
"""

from __future__ import annotations

import csv
import dataclasses
import importlib.metadata
import io
import json
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hullx.runs.tensorboard import Board, find_board
from hullx.runs.atomic import append, unwritten, write
from hullx.types import Status

HOLDS, IN_PART, FAILS = "holds", "holds in part", "does not hold at this size"


@dataclasses.dataclass(frozen=True)
class Run:
    """A run folder; create one with `start`."""

    folder: Path
    began: float
    board: Board | None = None

    def table(self, name: str, columns: Mapping[str, Any]) -> None:
        """tables/<name>.csv: equally long columns by name."""
        cells = [np.asarray(column).tolist() for column in columns.values()]
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*cells, strict=True))
        write(self.folder / "tables" / f"{slug(name)}.csv", text.getvalue().encode())

    def arrays(self, name: str, **arrays: np.ndarray) -> None:
        """arrays/<name>.npz."""
        data = io.BytesIO()
        np.savez_compressed(data, allow_pickle=False, **arrays)
        write(self.folder / "arrays" / f"{slug(name)}.npz", data.getvalue())

    def metric(self, **scalars: Any) -> None:
        """Appends a line to metrics.jsonl, with the seconds since the start."""
        line = json.dumps({"seconds": round(time.monotonic() - self.began, 3), **scalars}, default=_plain)
        append(self.folder / "metrics.jsonl", f"{line}\n".encode())
        if self.board is not None:
            self.board.draw(scalars)

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Writes summary.json and the run's duration."""
        _write_json(self.folder / "summary.json", summary)
        provenance = read_json(self.folder, "provenance.json")
        _write_json(self.folder / "provenance.json", {**provenance, "seconds": round(time.monotonic() - self.began, 1)})


def slug(name: str) -> str:
    """The name as a file name: lower case, words joined by hyphens.

    Example:
        >>> slug("cifar10 (JPEG copy) test")
        'cifar10-jpeg-copy-test'
    """
    return "-".join(re.findall(r"\w+", name.lower()))


def start(module: str, preset: str, config: Any, out: Path, *, tensorboard: bool = False) -> Run:
    """Creates a run folder under out/<experiment> and writes what is known at the start.

    Args:
        module: the experiment's module, such as "experiments.pixel_hull"; its `figures(folder)` redraws the figures.

        tensorboard: whether `Run.metric` writes for TensorBoard as well.

    Raises:
        StorageError: the folder cannot be made.
        PackageError: tensorboardX is not installed.
    """
    make_board = find_board() if tensorboard else None
    folder = _new(out / module.rpartition(".")[2], f"{preset}-{datetime.now():%Y%m%d-%H%M%S}")
    run = Run(folder, time.monotonic(), make_board and make_board(folder / "tensorboard"))
    _write_json(folder / "config.json", {"module": module, "preset": preset, **dataclasses.asdict(config)})
    _write_json(folder / "provenance.json", _provenance())
    return run


def _new(parent: Path, stamp: str) -> Path:
    """A folder of that name, or of that name and a number: several runs may start within a second."""
    folder, attempt = parent / stamp, 1
    while True:
        try:
            folder.mkdir(parents=True)
            return folder
        except OSError as error:
            if not folder.exists():
                raise unwritten(folder, error) from error
        attempt += 1
        folder = parent / f"{stamp}-{attempt}"


def claim(expected: str, measured: str, verdict: str) -> dict[str, str]:
    """One entry of a summary's `claims`: what the literature says, what was measured, and the verdict that follows."""
    return {"expected": expected, "measured": measured, "verdict": verdict}


def statuses(status: np.ndarray) -> dict[str, int]:
    """How many queries ended in each way, by name."""
    return {member.name: int((status == member).sum()) for member in Status if (status == member).any()}


def read_json(folder: Path, name: str) -> dict[str, Any]:
    """A JSON file of a run folder."""
    return json.loads((folder / name).read_text())


def read_table(folder: Path, name: str) -> dict[str, np.ndarray]:
    """A table of a run folder as columns: numbers where all cells are numbers, otherwise strings."""
    with (folder / "tables" / f"{slug(name)}.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    columns = {}
    for title, cells in zip(header, zip(*rows, strict=True), strict=True):
        try:
            columns[title] = np.array([float(cell) for cell in cells])
        except ValueError:
            columns[title] = np.array(cells)
    return columns


def read_arrays(folder: Path, name: str) -> dict[str, np.ndarray]:
    """The arrays of one arrays/*.npz of a run folder."""
    with np.load(folder / "arrays" / f"{slug(name)}.npz") as file:
        return dict(file)


def _provenance() -> dict[str, Any]:
    packages = ("hullx", "jax", "jaxlib", "numpy", "scipy", "flax", "optax")
    versions = {}
    for package in packages:
        with suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    return {
        "command": " ".join(sys.orig_argv),
        "git_commit": _git("rev-parse", "HEAD"),
        "git_dirty": bool(_git("status", "--porcelain")),
        "python": platform.python_version(),
        "versions": versions,
        "device": str(jax.devices()[0].device_kind),
        "devices": jax.device_count(),
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "x64": jnp.result_type(float) == np.float64,
        "date": datetime.now().astimezone().isoformat(timespec="seconds"),
    }


def _git(*arguments: str) -> str | None:
    try:
        answer = subprocess.run(("git", *arguments), cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return answer.stdout.strip()


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    write(path, (json.dumps(value, indent=2, default=_plain) + "\n").encode())


def _plain(value: Any) -> Any:
    """What json cannot write: paths, and NumPy's numbers and arrays."""
    return str(value) if isinstance(value, Path) else np.asarray(value).tolist()
