"""Atomic file writes."""

from __future__ import annotations

import os
from pathlib import Path

from hullx.errors import StorageError

# Suffix of files during writing; it remains if the process is killed.
UNFINISHED = ".part"


def write(path: Path, data: bytes) -> None:
    """Write a file atomically: write a temporary file, flush it to disk, rename it. Create the folder if needed.

    Raises:
        StorageError: the file cannot be written; an earlier file of that name is unchanged.
    """
    neighbour = path.with_name(f"{path.name}.{os.getpid()}{UNFINISHED}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with neighbour.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        neighbour.replace(path)
    except OSError as error:
        raise unwritten(path, error) from error
    finally:
        neighbour.unlink(missing_ok=True)


def append(path: Path, line: bytes) -> None:
    """Append a whole line to a file, or nothing.

    Raises:
        StorageError: the line cannot be written.
    """
    try:
        with path.open("ab", buffering=0) as file:
            end = file.tell()
            if file.write(line) != len(line):
                file.truncate(end)
                raise OSError(28, "No space left on device")
    except OSError as error:
        raise unwritten(path, error) from error


def unwritten(path: Path, error: OSError) -> StorageError:
    """The error for a file that could not be written."""
    reason = error.strerror or str(error)
    return StorageError(
        f"{path} cannot be written ({reason}): free disk space or choose another folder; finished results are kept"
    )
