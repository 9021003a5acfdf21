"""Long sweeps that survive being killed: finished batches of queries in a folder, with a fingerprint of what they belong to."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from hullx.core.results import concatenate
from hullx.runs.atomic import write
from hullx.runs.fingerprint import digest, reserved_for, seal
from hullx.runs.progress import Tally
from hullx.types import Projection

# Queries a batch: what a kill loses at most. Large enough that the last, partly filled rounds of a batch cost little.
BATCH = 2048


def in_batches(
    folder: Path,
    queries: np.ndarray,
    points: Sequence[np.ndarray],
    warm_start: Projection | None,
    settings: dict[str, Any],
    run: Callable[[slice, Tally], Projection],
    tally: Tally,
) -> Projection:
    """run(part) for each batch of queries that the folder does not hold yet; the results of all, joined.

    The name of a batch's file has a hash of its contents and of the fingerprint. A damaged file is reported with a warning,
    and its batch is computed again.

    Args:
        folder: made if need be, and locked.
        queries, points, warm_start, settings: what decides the result.
        run: projects the queries of a slice.
        tally: called with how many of all queries are done and certified.

    Raises:
        ResumeError: the folder holds results of other data or settings, or is another process's.
        StorageError: a batch cannot be written; those before stay.
    """
    mine = fingerprint(queries, points, warm_start, settings)
    starts = range(0, len(queries), BATCH)
    with reserved_for(folder, mine, "resume", proved=lambda: any(_found(folder, start, mine)[0] for start in starts)):
        parts, certified = [], 0
        for start in starts:
            part, damaged = _found(folder, start, mine)
            if part is None:
                if damaged:
                    names = ", ".join(map(str, damaged))
                    warnings.warn(f"resume: {names} is damaged: its queries are projected again", RuntimeWarning, stacklevel=3)
                part = run(slice(start, start + BATCH), partial(_further, tally, start, certified))
                data = _packed(part)
                for path in damaged:
                    path.unlink()
                write(folder / f"{_stem(start)}.{seal(mine, data)}.npz", data)
            parts.append(part)
            certified += int(part.decided.sum())
            tally(min(start + BATCH, len(queries)), certified)
        return concatenate(parts, [slice(start, start + BATCH) for start in starts])


def _found(folder: Path, start: int, mine: dict[str, Any]) -> tuple[Projection | None, list[Path]]:
    """A finished batch, if there is one that is whole, and the files of those that are not."""
    damaged = []
    for path in sorted(folder.glob(f"{_stem(start)}.*.npz")):
        data = path.read_bytes()
        if path.name == f"{_stem(start)}.{seal(mine, data)}.npz":
            with np.load(io.BytesIO(data)) as file:
                return Projection(**{name: file[name] for name in Projection._fields}), damaged
        damaged.append(path)
    return None, damaged


def _stem(start: int) -> str:
    return f"queries-{start:09d}"


def _packed(part: Projection) -> bytes:
    data = io.BytesIO()
    np.savez(data, **part._asdict())
    return data.getvalue()


def _further(tally: Tally, done_before: int, certified_before: int, done: int, certified: int) -> None:
    tally(done_before + done, certified_before + certified)


def fingerprint(
    queries: np.ndarray, points: Sequence[np.ndarray], warm_start: Projection | None, settings: dict[str, Any]
) -> dict[str, Any]:
    """What decides the result: hashes of the arrays, and the settings."""
    earlier = [] if warm_start is None else [np.asarray(warm_start.support), np.asarray(warm_start.weights)]
    return {"queries": digest([queries]), "points": digest(points), "warm_start": digest(earlier), "batch": BATCH, **settings}
