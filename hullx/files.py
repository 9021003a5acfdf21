"""Files that are there whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

# Ends the names of files that are being written, or were when their process was killed.
UNFINISHED = ".part"


def write(path: Path, data: bytes) -> None:
    """Writes a file atomically: into a neighbour first, flushed to disk, then renamed. Makes its folder if need be."""
    path.parent.mkdir(exist_ok=True)
    neighbour = path.with_name(f"{path.name}.{os.getpid()}{UNFINISHED}")
    with neighbour.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    neighbour.replace(path)
