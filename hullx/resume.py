"""Long sweeps that survive being killed: finished batches of queries in a folder, with a fingerprint of what they belong to."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from hullx.files import write
from hullx.fingerprint import claim, digest
from hullx.progress import Tally
from hullx.results import joined
from hullx.types import Projection, Status

# Queries a batch: what a kill loses at most. Large enough that the last, partly filled rounds of a batch cost little.
BATCH = 2048


def in_batches(
    folder: Path,
    queries: np.ndarray,
    points: np.ndarray | Sequence[np.ndarray],
    warm_start: Projection | None,
    settings: dict[str, Any],
    run: Callable[[slice, Tally], Projection],
    tally: Tally,
) -> Projection:
    """run(part) for each batch of queries that the folder does not hold yet; the results of all, joined.

    Raises:
        ValueError: the folder holds results of other data or settings.
    """
    claim(folder, fingerprint(queries, points, warm_start, settings), "resume")
    parts, certified = [], 0
    starts = range(0, len(queries), BATCH)
    for start in starts:
        path = folder / f"queries-{start:09d}.npz"
        if not path.exists():
            part = run(slice(start, start + BATCH), partial(_further, tally, start, certified))
            data = io.BytesIO()
            np.savez(data, **part._asdict())
            write(path, data.getvalue())
        with np.load(path) as file:
            parts.append(Projection(**{name: file[name] for name in Projection._fields}))
        certified += int((parts[-1].status <= Status.INSIDE).sum())
        tally(min(start + BATCH, len(queries)), certified)
    return joined(parts, [slice(start, start + BATCH) for start in starts])


def _further(tally: Tally, done_before: int, certified_before: int, done: int, certified: int) -> None:
    tally(done_before + done, certified_before + certified)


def fingerprint(
    queries: np.ndarray, points: np.ndarray | Sequence[np.ndarray], warm_start: Projection | None, settings: dict[str, Any]
) -> dict[str, Any]:
    """What decides the result: hashes of the arrays, and the settings."""
    parts = [points] if isinstance(points, np.ndarray) else points
    earlier = [] if warm_start is None else [np.asarray(warm_start.support), np.asarray(warm_start.weights)]
    return {"queries": digest([queries]), "points": digest(parts), "warm_start": digest(earlier), "batch": BATCH, **settings}
