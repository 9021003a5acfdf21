"""Resumable sweeps: finished batches of queries in a folder, with a fingerprint of arguments and settings."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from hullx.core.results import concatenate
from hullx.runs import sealed
from hullx.runs.fingerprint import digest, reserved_for
from hullx.runs.progress import Tally
from hullx.types import Projection

# Queries per batch, the maximum loss at an interruption. Larger batches have a smaller share of incomplete rounds.
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
    """Project each batch of queries missing in the folder; return the results of all batches, concatenated.

    The name of a batch's file has a hash of its contents and of the fingerprint. Damaged files are reported with a warning,
    and their batches are recomputed.

    Args:
        folder: created if needed, and locked.
        queries, points, warm_start, settings: everything that determines the result.
        run: projects the queries of a slice.
        tally: called with the numbers of finished and of certified queries.

    Raises:
        ResumeError: the folder holds results of other data or settings, or is in use by another process.
        StorageError: a batch cannot be written; earlier batches are kept.
    """
    mine = fingerprint(queries, points, warm_start, settings)
    starts = range(0, max(len(queries), 1), BATCH)

    def proved() -> bool:
        return any(sealed.find(folder, _stem(start), mine)[0] for start in starts)

    with reserved_for(folder, mine, "resume", proved=proved):
        parts, certified = [], 0
        for start in starts:
            batch, further = slice(start, start + BATCH), partial(_add_earlier, tally, start, certified)
            data = sealed.computed_once(
                folder,
                _stem(start),
                mine,
                lambda batch=batch, further=further: _to_bytes(run(batch, further)),
                again="its queries are projected again",
            )
            part = _from_bytes(data)
            parts.append(part)
            certified += int(part.decided.sum())
            tally(min(start + BATCH, len(queries)), certified)
        return concatenate(parts, [slice(start, start + BATCH) for start in starts])


def _stem(start: int) -> str:
    return f"queries-{start:09d}"


def _to_bytes(part: Projection) -> bytes:
    data = io.BytesIO()
    np.savez(data, **part._asdict())
    return data.getvalue()


def _from_bytes(data: bytes) -> Projection:
    with np.load(io.BytesIO(data)) as file:
        return Projection(**{name: file[name] for name in Projection._fields})


def _add_earlier(tally: Tally, done_before: int, certified_before: int, done: int, certified: int) -> None:
    tally(done_before + done, certified_before + certified)


def fingerprint(
    queries: np.ndarray, points: Sequence[np.ndarray], warm_start: Projection | None, settings: dict[str, Any]
) -> dict[str, Any]:
    """Everything that determines the result: hashes of the arrays, and the settings."""
    earlier = [] if warm_start is None else [np.asarray(warm_start.support), np.asarray(warm_start.weights)]
    return {"queries": digest([queries]), "points": digest(points), "warm_start": digest(earlier), "batch": BATCH, **settings}
