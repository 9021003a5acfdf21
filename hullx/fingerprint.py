"""Whose results a folder holds: a fingerprint of everything that decides them, so that no run goes on with another's."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hullx.files import UNFINISHED, write


def digest(arrays: Sequence[np.ndarray]) -> str:
    """A hash of shapes, dtypes and bytes, read a piece at a time."""
    state = hashlib.blake2b(digest_size=16)
    for array in arrays:
        state.update(f"{array.shape} {array.dtype}".encode())
        rows = np.atleast_1d(array)
        for start in range(0, len(rows), 4096):
            state.update(np.ascontiguousarray(rows[start : start + 4096]).data)
    return state.hexdigest()


def claim(folder: Path, mine: dict[str, Any], argument: str) -> None:
    """Marks an empty folder with the fingerprint, or checks the one it has.

    Args:
        argument: of the user's call, to be named in errors.

    Raises:
        ValueError: the folder holds something else.
    """
    path = folder / "fingerprint.json"
    for unfinished in folder.glob(f"*{UNFINISHED}"):  # of a run that was killed while it wrote
        unfinished.unlink()
    if path.exists():
        theirs = json.loads(path.read_text())
        different = sorted(key for key in mine.keys() | theirs.keys() if mine.get(key) != theirs.get(key))
        if different:
            names = ", ".join(different)
            raise ValueError(f"{argument}: {folder} holds results of other {names}: choose another folder or empty it")
        return
    if folder.exists() and any(folder.iterdir()):
        raise ValueError(f"{argument}: {folder} is not empty and holds no results of such a run: choose another folder")
    folder.mkdir(parents=True, exist_ok=True)
    write(path, json.dumps(mine, indent=2).encode())
