"""Run folders: all files of an experiment, written atomically.

runs/<experiment>/<preset>-<time>/
  config.json      module, preset and settings
  provenance.json  command, git commit and dirty flag, versions, device, XLA_FLAGS, x64, date; seconds of a finished run
  results.csv      headline numbers with their intervals, see `hullx.runs.results`
  claims.json      claims with their verdicts
  tables/*.csv     one row per query, network or setting
  arrays/*.npz     arrays for the figures
  figures/*.png    drawn from the files above, and *.pdf; again by `python -m hullx.runs redraw FOLDER`
  metrics.jsonl    a log with one object per line; a resumed run appends to it
  tensorboard/     the metrics for TensorBoard, on request
  cache/           intermediate results for resuming; removed when the run is finished
"""

from __future__ import annotations

import dataclasses
import io
import json
import shutil
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Generic, ParamSpec, TypeVar

import numpy as np

from hullx.errors import ArgumentError
from hullx.runs import cache, sealed, tables
from hullx.runs.atomic import UNFINISHED, append, unwritten, write
from hullx.runs.fingerprint import LOCK
from hullx.runs.names import slug
from hullx.runs.provenance import code, provenance, xla_flags
from hullx.runs.results import CONFIG, PROVENANCE, RESULTS, Results, Row
from hullx.runs.sources import code_hash
from hullx.runs.statistics import Statistic, estimate
from hullx.runs.tensorboard import Board, find_board

C = TypeVar("C")
P = ParamSpec("P")
R = TypeVar("R")

CACHE, EARLIER = "cache", "pieces"  # folder of cached values, and its name in older runs
# Files of a run folder before the first result.
INITIAL = {CONFIG, PROVENANCE, LOCK, "tensorboard"}


@dataclasses.dataclass(frozen=True)
class Run(Generic[C]):
    """A run folder open for writing; `start` creates one, `again` reopens an unfinished one."""

    folder: Path
    config: C
    began: float = dataclasses.field(default_factory=time.monotonic)
    board: Board | None = None
    rows: list[Row] = dataclasses.field(default_factory=list)
    taken: set[str] = dataclasses.field(default_factory=set)

    def record(
        self,
        quantity: str,
        values: Any,
        *,
        data: str = "",
        group: str = "",
        seed: int | None = None,
        statistic: Statistic | None = None,
        interval: tuple[float, float] | None = None,
        unit: str | None = None,
    ) -> None:
        """Add a row to results.csv.

        Args:
            quantity: its name; the counts "undecided" and "failed" appear beside every verdict.
            values: one per query or network, of which the row stores the statistic, its interval and n; or one number; or an
                `Estimate`.
            data, group: the subject; "" for all.
            seed: the seed, if the values come from a single one.
            statistic: as in `hullx.runs.statistics.estimate`; by default the share of Booleans, the mean of numbers.
            interval: replaces the interval of the statistic.
            unit: of an `Estimate`; by default "share" for Booleans, "count" for counts, and that of an `Estimate`. The interval
                of a share lies in [0, 1].
        """
        measured = estimate(values, statistic)
        if interval is not None:
            measured = measured._replace(low=interval[0], high=interval[1])
        if unit is not None:
            measured = measured._replace(unit=unit)
        if measured.unit == "share":
            measured = measured._replace(low=max(measured.low, 0.0), high=min(measured.high, 1.0))
        row = Row(data, group, "" if seed is None else str(seed), quantity, *measured)
        if any(row[:4] == other[:4] for other in self.rows):
            raise ArgumentError(f"record: {row[:4]} is already recorded: choose another quantity or group")
        self.rows.append(row)
        write(self.folder / RESULTS, tables.written(Row._fields, self.rows))

    def distances(self, result: Any, *, data: str = "", group: str = "") -> None:
        """Add four rows to results.csv: the share of queries outside, the undecided, the mean distance and its spread.

        Args:
            result: a `hullx.Projection`, or an object with its outside, decided and distance.
        """
        self.record("share outside", result.outside, data=data, group=group)
        self.record("undecided", ~np.asarray(result.decided), data=data, group=group, statistic="count")
        self.record("distance", result.distance, data=data, group=group)
        self.record("spread", result.distance, data=data, group=group, statistic="spread")

    def table(self, name: str, columns: Mapping[str, Any]) -> None:
        """Write tables/<name>.csv from columns of equal length."""
        write(self.folder / "tables" / f"{slug(name)}.csv", tables.from_columns(columns))

    def tabulate(self, name: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Write tables/<name>.csv from rows."""
        self.table(name, dict(zip(columns, zip(*rows, strict=True), strict=True)))

    def arrays(self, name: str, **arrays: np.ndarray) -> None:
        """Write arrays/<name>.npz."""
        data = io.BytesIO()
        np.savez_compressed(data, allow_pickle=False, **arrays)
        write(self.folder / "arrays" / f"{slug(name)}.npz", data.getvalue())

    def metric(self, **scalars: Any) -> None:
        """Append a line to metrics.jsonl, with the seconds since the start."""
        line = json.dumps({"seconds": round(time.monotonic() - self.began, 3), **scalars}, default=_plain)
        append(self.folder / "metrics.jsonl", f"{line}\n".encode())
        if self.board is not None:
            self.board.draw(scalars)

    def cached(self, name: str, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """`function(*args, **kwargs)`, or its cached value from before an interruption; see `hullx.runs.cache`.

        The name identifies the call and may be used once. Damaged files are recomputed with a warning.

            result = run.cached("digits, test images", hullx.sweep, test, train)
        """
        folder, stem = self.folder / CACHE, self._take(name)
        data = sealed.computed_once(
            folder,
            stem,
            {"piece": stem},
            lambda: cache.packed(function(*args, **kwargs)),
            again=f"recomputing {name!r}",
        )
        return cache.unpacked(data)

    def resume_dir(self, name: str) -> Path:
        """A folder for what resumes: `sweep(resume=run.resume_dir(name))`, `FitConfig(checkpoint=run.resume_dir(name))`."""
        return self.folder / CACHE / self._take(name)

    def finish(self) -> None:
        """Mark the run as finished, record its seconds, and delete the cache."""
        known = Results(self.folder).json(PROVENANCE)
        write_json(self.folder / PROVENANCE, {**known, "seconds": round(time.monotonic() - self.began, 1)})
        shutil.rmtree(self.folder / CACHE, ignore_errors=True)

    def discard(self) -> None:
        """Remove the folder if nothing was computed."""
        if {path.name for path in self.folder.iterdir()} <= INITIAL:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _take(self, name: str) -> str:
        stem = slug(name)
        if stem in self.taken:
            raise ArgumentError(f"{name!r} is already the name of a cached value of this run: choose another name")
        self.taken.add(stem)
        return stem


def start(module: str, preset: str, config: C, out: Path, *, tensorboard: bool = False) -> Run[C]:
    """Create a run folder under out/<experiment>, with config.json and provenance.json.

    Args:
        module: the experiment's, such as "experiments.pixel_hull".
        config: a dataclass of settings.

    Raises:
        StorageError: the folder cannot be created.
        PackageError: tensorboardX is not installed.
    """
    board = find_board() if tensorboard else None
    folder = _new(out / module.rpartition(".")[2], f"{preset}-{datetime.now():%Y%m%d-%H%M%S}")
    settings = dataclasses.asdict(config)  # pyright: ignore[reportArgumentType]
    write_json(folder / CONFIG, {"module": module, "preset": preset, "settings": settings})
    write_json(folder / PROVENANCE, provenance() | {"code": code_hash(module, preset)})
    return Run(folder, config, board=board and board(folder / "tensorboard"))


def again(folder: Path, config: C, *, tensorboard: bool = False) -> Run[C]:
    """Reopen an unfinished run folder; its provenance records the code and time of the resumption."""
    for unfinished in folder.rglob(f"*{UNFINISHED}"):
        unfinished.unlink()
    if (folder / EARLIER).exists():
        (folder / EARLIER).rename(folder / CACHE)
    board = find_board() if tensorboard else None
    known = Results(folder).json(PROVENANCE)
    here = {"date": datetime.now().astimezone().isoformat(timespec="seconds"), "xla_flags": xla_flags(), **code()}
    write_json(folder / PROVENANCE, {**known, "resumed": [*known.get("resumed", []), here]})
    return Run(folder, config, board=board and board(folder / "tensorboard"))


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON file; paths become strings, arrays lists."""
    write(path, (json.dumps(value, indent=2, default=_plain, ensure_ascii=False) + "\n").encode())


def _new(parent: Path, stamp: str) -> Path:
    """Create a folder of that name, with a number appended if it exists: several runs may start within a second."""
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


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else np.asarray(value).tolist()
