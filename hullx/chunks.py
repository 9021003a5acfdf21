"""Points that may be larger than memory: read a piece at a time."""

from __future__ import annotations

import io
import mmap
from collections.abc import Iterator, Sequence

import numpy as np

from hullx import columns
from hullx.columns import Frame

# Bytes of points that are in memory at once when they are read from disk.
CHUNK_BYTES = 2**28


class Chunks:
    """Points in pieces of equal size, the last one padded with the centre: `for start, rows in chunks`."""

    def __init__(self, points: np.memmap | Sequence[np.ndarray]) -> None:
        self.parts = [points] if isinstance(points, np.ndarray) else list(points)
        self.starts = np.cumsum([0, *map(len, self.parts)])
        self.count = int(self.starts[-1])
        self.dimension, self.dtype = self.parts[0].shape[1], self.parts[0].dtype
        self.size = min(max(CHUNK_BYTES // (self.dimension * self.dtype.itemsize), columns.GROUP), self.count)
        self.padded = -(-self.count // self.size) * self.size
        self.centre = np.zeros(self.dimension, self.dtype)

    def __iter__(self) -> Iterator[tuple[int, np.ndarray]]:
        for start in range(0, self.count, self.size):
            yield start, self.read(start, start + self.size)

    def read(self, start: int, stop: int) -> np.ndarray:
        """Rows start … stop − 1; those past the last point are the centre."""
        rows = np.empty((stop - start, self.dimension), self.dtype)
        rows[max(self.count - start, 0) :] = self.centre
        for part, offset in zip(self.parts, self.starts, strict=False):
            low, high = max(start, offset), min(stop, offset + len(part))
            if low < high:
                _read(part, range(low - offset, high - offset), rows[low - start : high - start])
        return rows

    def rows(self, wanted: np.ndarray) -> np.ndarray:
        """Points by row number, of any shape."""
        flat = wanted.reshape(-1)
        found = np.empty((len(flat), self.dimension), self.dtype)
        owner = np.searchsorted(self.starts, flat, side="right") - 1
        for which in np.unique(owner):
            mine = owner == which
            some = np.empty((np.count_nonzero(mine), self.dimension), self.dtype)
            _read(self.parts[which], flat[mine] - self.starts[which], some)
            found[mine] = some
        return found.reshape(*wanted.shape, self.dimension)

    def frame(self) -> Frame:
        """The frame, in one pass over the points.

        Raises:
            ValueError: the points hold NaN or infinity.
        """
        sample = self.rows(np.linspace(0, self.count - 1, min(self.count, 4096)).astype(np.int64))
        self.centre = columns.centre(sample)
        largest, radius = np.max([columns.spread(chunk, self.centre) for _, chunk in self], axis=0)
        if not np.isfinite(radius):
            raise ValueError("points: got NaN or infinity, expected finite numbers: drop those rows")
        return columns.frame(self.centre, largest, radius)


def _read(part: np.ndarray, wanted: range | np.ndarray, into: np.ndarray) -> None:
    """Rows of a part. Those of a mapped file are read and not mapped, or its pages would stay in this process's memory."""
    if not (isinstance(part, np.memmap) and isinstance(part.base, mmap.mmap) and part.flags.c_contiguous):
        into[:] = part[np.asarray(wanted)] if isinstance(wanted, np.ndarray) else part[wanted.start : wanted.stop]
        return
    size = part.shape[1] * part.dtype.itemsize
    with open(str(part.filename), "rb", buffering=0) as file:
        if isinstance(wanted, range):
            file.seek(part.offset + wanted.start * size)
            _fill(file, into)
        else:
            for row, place in zip(wanted, into, strict=True):
                file.seek(part.offset + int(row) * size)
                _fill(file, place)


def _fill(file: io.RawIOBase, into: np.ndarray) -> None:
    """Fills an array with what comes next in a file, which may come in pieces."""
    left = into.data.cast("B")
    while len(left):
        count = file.readinto(left)
        if not count:
            raise ValueError("points: the file ends before the last row, expected the array as it was when it was mapped")
        left = left[count:]
