"""Fingerprints of everything that determines results, so that no run resumes from another run's files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from hullx.errors import HullxError, ResumeError
from hullx.runs.atomic import UNFINISHED, unwritten, write

FINGERPRINT, LOCK = "fingerprint.json", "lock"


def digest(arrays: Sequence[np.ndarray]) -> str:
    """A hash of shapes, dtypes and bytes, read in chunks."""
    state = hashlib.blake2b(digest_size=16)
    for array in arrays:
        state.update(f"{array.shape} {array.dtype}".encode())
        rows = np.atleast_1d(array)
        for start in range(0, len(rows), 4096):
            state.update(np.ascontiguousarray(rows[start : start + 4096]).data)
    return state.hexdigest()


def seal(mine: dict[str, Any], data: bytes) -> str:
    """A hash of a file's bytes and its fingerprint."""
    return hashlib.blake2b(encoded(mine) + data, digest_size=16).hexdigest()


def encoded(mine: dict[str, Any]) -> bytes:
    """A fingerprint as JSON bytes."""
    return json.dumps(mine, indent=2, sort_keys=True).encode()


@contextmanager
def reserved(folder: Path, argument: str, *, error: type[HullxError] = ResumeError) -> Iterator[None]:
    """Lock a folder for this process while the block runs; create it if needed.

    Args:
        argument: the user's argument, named in errors.
        error: the class of errors to raise.

    Raises:
        error: another process uses the folder, or the path is a file.
        StorageError: the folder cannot be written to.
    """
    if folder.exists() and not folder.is_dir():
        raise error(f"{argument}: {folder} is a file, expected a folder: choose another name")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK).acquire(timeout=0)
    except Timeout:
        message = f"{argument}: {folder} is in use by another process: wait until it ends or choose another folder"
        raise error(message) from None
    except OSError as reason:
        raise unwritten(folder, reason) from reason
    with lock:
        yield


@contextmanager
def reserved_for(
    folder: Path,
    mine: dict[str, Any],
    argument: str,
    *,
    error: type[HullxError] = ResumeError,
    proved: Callable[[], bool] = lambda: False,
) -> Iterator[None]:
    """Reserve a folder, as `reserved` does, for the results of one fingerprint.

    Args:
        proved: whether the contents provably belong to the fingerprint, for folders whose fingerprint file is damaged.

    Raises:
        error: the folder holds something else, or another process uses it.
        StorageError: the folder cannot be written to.
    """
    if not (folder / FINGERPRINT).exists() and _contents(folder):
        raise error(f"{argument}: {folder} is not empty and holds no results of such a run: choose another folder")
    with reserved(folder, argument, error=error):
        for unfinished in folder.glob(f"*{UNFINISHED}"):  # left by a run that was killed while writing
            unfinished.unlink()
        theirs = _read(folder / FINGERPRINT)
        if theirs != mine:
            if _contents(folder) and not proved():
                raise error(f"{argument}: {folder} {_difference(mine, theirs)}: choose another folder or empty it")
            write(folder / FINGERPRINT, encoded(mine))
        yield


def _contents(folder: Path) -> list[Path]:
    """The other files in a folder."""
    found = folder.iterdir() if folder.is_dir() else ()
    return [path for path in found if path.name not in (FINGERPRINT, LOCK) and path.suffix != UNFINISHED]


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _difference(mine: dict[str, Any], theirs: dict[str, Any] | None) -> str:
    if theirs is None:
        return f"holds results, but its {FINGERPRINT} is damaged, so that nobody can tell of what"
    different = sorted(key for key in mine.keys() | theirs.keys() if mine.get(key) != theirs.get(key))
    return f"holds results of other {', '.join(different)}"
