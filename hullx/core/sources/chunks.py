"""Points that may exceed memory, read in chunks."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence

import numpy as np

from hullx.arguments import Numbers, check_numbers, finite_and_max
from hullx.core.hull import SAMPLE, Frame, centre_of, frame_of, spread
from hullx.core.scores import GROUP
from hullx.errors import ArgumentError

# Maximum bytes of points in memory at once.
CHUNK_BYTES = 2**28
# Rows gathered from a memory map before its pages are released: each row loads half a megabyte around it.
GATHERED = 256


class Chunks:
    """Points in chunks of equal size, the last one padded with the centre: `for start, rows in chunks`."""

    def __init__(self, points: np.ndarray | Sequence[np.ndarray], dtype: np.dtype) -> None:
        self.parts = [points] if isinstance(points, np.ndarray) else list(points)
        self.starts = np.cumsum([0, *map(len, self.parts)])
        self.count = int(self.starts[-1])
        self.dimension, self.dtype = self.parts[0].shape[1], dtype
        self.size = min(max(CHUNK_BYTES // (self.dimension * self.dtype.itemsize), GROUP), self.count)
        self.padded = -(-self.count // self.size) * self.size
        self.centre = np.zeros(self.dimension, self.dtype)

    def __iter__(self) -> Iterator[tuple[int, np.ndarray]]:
        for start in range(0, self.count, self.size):
            yield start, self.read(start, start + self.size)

    def read(self, start: int, stop: int) -> np.ndarray:
        """Rows start … stop − 1, (stop − start, d); rows past the last point are the centre."""
        rows = np.empty((stop - start, self.dimension), self.dtype)
        rows[max(self.count - start, 0) :] = self.centre
        for part, offset in zip(self.parts, self.starts, strict=False):
            low, high = max(start, offset), min(stop, offset + len(part))
            if low < high:
                _read(part, range(low - offset, high - offset), rows[low - start : high - start])
        return rows

    def rows(self, wanted: np.ndarray) -> np.ndarray:
        """Points by row number, of any shape (...): (..., d).

        Example:
            >>> Chunks([np.zeros((3, 2)), np.ones((3, 2))], np.dtype(np.float64)).rows(np.array([4, 0]))
            array([[1., 1.],
                   [0., 0.]])
        """
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
            ArgumentError: the points hold NaN or infinity, or numbers of a size that their dtype cannot compute with.
        """
        sample = self.rows(np.linspace(0, self.count - 1, min(self.count, SAMPLE)).astype(np.int64))
        seen, spreads = [], []
        with np.errstate(over="ignore", invalid="ignore"):  # the check below reports invalid numbers
            self.centre = centre_of(sample)
            for _, chunk in self:
                seen.append(finite_and_max(chunk))
                spreads.append(spread(chunk, self.centre))
        # The last chunk is padded with the centre, which is no larger than the points.
        check_numbers("points", Numbers(all(each.finite for each in seen), max(each.largest for each in seen)), self.dtype)
        largest, radius = np.max(spreads, axis=0)
        return frame_of(self.centre, largest, radius)


def _read(part: np.ndarray, wanted: range | np.ndarray, into: np.ndarray) -> None:
    """Read rows of a part into an array, then release the memory map's pages.

    Raises:
        ArgumentError: the file behind the map has become too short.
    """
    mapped = _map(part)
    # Reading past the end of the file would kill the process. A map begins at a multiple of the granularity.
    offset = getattr(part, "offset", 0)
    if mapped is not None and mapped.size() < offset - offset % mmap.ALLOCATIONGRANULARITY + len(mapped):
        raise ArgumentError(
            "points: the file behind the numpy.memmap ends before its last row, expected the file as it was when it was "
            "mapped: restore the file and map it again"
        )
    pieces = [slice(start, start + GATHERED) for start in range(0, len(wanted), GATHERED)]
    for piece in pieces if isinstance(wanted, np.ndarray) else [slice(None)]:
        into[piece] = part[wanted[piece]] if isinstance(wanted, np.ndarray) else part[wanted.start : wanted.stop]
        # In mode "c", pages hold changes that exist only in memory.
        if mapped is not None and getattr(part, "mode", "c") != "c" and hasattr(mmap, "MADV_DONTNEED"):
            mapped.madvise(mmap.MADV_DONTNEED)


def _map(part: np.ndarray) -> mmap.mmap | None:
    """The memory map behind an array, or None."""
    owner: object = part
    while isinstance(owner, np.ndarray):
        owner = owner.base
    return owner if isinstance(owner, mmap.mmap) else None
