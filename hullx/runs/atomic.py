"""Files that are there whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from hullx.errors import StorageError

# Ends the names of files that are being written, or were when their process was killed.
UNFINISHED = ".part"


def write(path: Path, data: bytes) -> None:
    """Writes a file atomically: into a neighbour first, flushed to disk, then renamed. Makes its folder if need be.

    Raises:
        StorageError: the disk is full, say, or may not be written to; an earlier file of that name is as it was.
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
    """Adds a line to a file, or nothing of it.

    Raises:
        StorageError: it could not be written.
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
    """The error that says why a file is not there."""
    reason = error.strerror or str(error)
    return StorageError(f"{path} cannot be written ({reason}): make room or choose another folder; what was finished stays")
