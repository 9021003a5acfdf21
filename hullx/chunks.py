"""Points that may be larger than memory: read a piece at a time."""

from __future__ import annotations

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
                rows[low - start : high - start] = _window(part, low - offset, high - offset)
        return rows

    def rows(self, wanted: np.ndarray) -> np.ndarray:
        """Points by row number, of any shape."""
        flat = wanted.reshape(-1)
        found = np.empty((len(flat), self.dimension), self.dtype)
        owner = np.searchsorted(self.starts, flat, side="right") - 1
        for which in np.unique(owner):
            mine = owner == which
            found[mine] = self.parts[which][flat[mine] - self.starts[which]]
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


def _window(part: np.ndarray, low: int, high: int) -> np.ndarray:
    """Rows of a part. A file is mapped anew for them, so that the pages read do not stay in this process's memory."""
    if isinstance(part, np.memmap) and isinstance(part.base, mmap.mmap) and part.flags.c_contiguous:
        offset = part.offset + low * part.shape[1] * part.dtype.itemsize
        return np.memmap(str(part.filename), part.dtype, "r", offset, (high - low, part.shape[1]))
    return part[low:high]
