"""Sealed files: a name holds a hash of the contents and of their fingerprint, so that damage and other data are detected."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hullx.runs.atomic import write
from hullx.runs.fingerprint import seal

SUFFIX = "npz"


def computed_once(folder: Path, stem: str, fingerprint: dict[str, Any], compute: Callable[[], bytes], *, again: str) -> bytes:
    """The contents of an intact file; without one, what `compute` returns, which is written.

    Damaged files are reported with a warning, and replaced.

    Args:
        stem: the file's name without the hash.
        fingerprint: everything that determines the contents.
        again: ends the warning, and says what is computed again.

    Raises:
        StorageError: the file cannot be written.
    """
    data, damaged = find(folder, stem, fingerprint)
    if data is None:
        if damaged:
            names = ", ".join(path.name for path in damaged)
            warnings.warn(f"{folder}: {names} is damaged: {again}", RuntimeWarning, stacklevel=3)
        data = compute()
        for path in damaged:
            path.unlink()
        write(folder / _name(stem, fingerprint, data), data)
    return data


def find(folder: Path, stem: str, fingerprint: dict[str, Any]) -> tuple[bytes | None, list[Path]]:
    """The contents of an intact file, if there is one, and the paths of damaged files."""
    damaged = []
    for path in sorted(folder.glob(f"{stem}.*.{SUFFIX}")):
        data = path.read_bytes()
        if path.name == _name(stem, fingerprint, data):
            return data, damaged
        damaged.append(path)
    return None, damaged


def _name(stem: str, fingerprint: dict[str, Any], data: bytes) -> str:
    return f"{stem}.{seal(fingerprint, data)}.{SUFFIX}"
