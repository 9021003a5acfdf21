"""Scaling of columns before distances are measured."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from hullx.errors import ArgumentError

SCALES = ("none", "std", "robust")
# Columns whose spans differ by more than this deserve a warning: the largest alone decides the distance.
SPAN_RATIO = 1e6
# Rows per block of a pass over a table that may be a memory map.
BLOCK = 2**16
# Rows of a sample for quantiles.
SAMPLE = 2**18


class Scaling(NamedTuple):
    """The map x ↦ (x − centre) / unit of each column; both are None for no scaling."""

    centre: Float[np.ndarray, "d"] | None = None
    unit: Float[np.ndarray, "d"] | None = None

    def place(self, rows: Float[np.ndarray, "m d"]) -> Float[np.ndarray, "m d"]:
        """Scaled rows in float64, or the rows themselves without scaling.

        Example:
            >>> Scaling(np.array([1.0]), np.array([2.0])).place(np.array([[5.0]]))
            array([[2.]])
        """
        if self.centre is None or self.unit is None:
            return rows
        return (np.asarray(rows, np.float64) - self.centre) / self.unit


def scaling(rows: Float[np.ndarray, "n d"], kind: str) -> Scaling:
    """The scaling of training rows: "none", "std" or "robust".

    - "std": centre at the mean, unit of the standard deviation.
    - "robust": centre at the median, unit of the interquartile range, or of the standard deviation if that range is 0. Above
      262,144 rows, quantiles are those of an evenly spaced sample.

    A constant column has unit 1: a row that differs there is outside by the difference.

    Args:
        rows: finite; a memory map is read in blocks.
        kind: a member of `SCALES`.

    Raises:
        ArgumentError: the kind is unknown.

    Example:
        >>> scaling(np.array([[0.0, 7.0], [4.0, 7.0]]), "std")
        Scaling(centre=array([2., 7.]), unit=array([2., 1.]))
    """
    if kind not in SCALES:
        raise ArgumentError(f"scale: got {kind!r}, expected one of {', '.join(map(repr, SCALES))}")
    if kind == "none":
        return Scaling()
    n = len(rows)
    mean = sum(block.sum(0, dtype=np.float64) for block in blocks(rows)) / n
    variance = sum(((block - mean) ** 2).sum(0) for block in blocks(rows)) / n
    centre, unit = np.asarray(mean), np.sqrt(variance)
    if kind == "robust":
        sample = np.asarray(rows[:: max(1, n // SAMPLE)], np.float64)
        low, centre, high = np.quantile(sample, (0.25, 0.5, 0.75), axis=0)
        unit = np.where(high > low, high - low, unit)
    low, high = column_ranges(rows)
    return Scaling(centre, np.where((low == high) | (unit <= 0), 1.0, unit))


def column_ranges(rows: Float[np.ndarray, "n d"]) -> tuple[Float[np.ndarray, "d"], Float[np.ndarray, "d"]]:
    """The least and the largest value of each column; a memory map is read in blocks.

    Example:
        >>> column_ranges(np.array([[0.0, 7.0], [4.0, 7.0]]))
        (array([0., 7.]), array([4., 7.]))
    """
    ends = [(block.min(0), block.max(0)) for block in blocks(rows)]
    low, high = zip(*ends, strict=True)
    return np.min(low, axis=0), np.max(high, axis=0)


def spans_differ(rows: Float[np.ndarray, "n d"]) -> bool:
    """Whether the spans of two columns that are not constant differ by more than 10⁶.

    Example:
        >>> spans_differ(np.array([[0.0, 0.0], [1.0, 1e7]])), spans_differ(np.array([[0.0, 1e7], [1.0, 1e7]]))
        (True, False)
    """
    low, high = (ends.astype(np.float64) for ends in column_ranges(rows))
    spans = (high - low)[high > low]
    return bool(len(spans) and spans.max() > SPAN_RATIO * spans.min())


def blocks(rows: Float[np.ndarray, "n d"]) -> list[Float[np.ndarray, "_ d"]]:
    """The rows in blocks of at most 65,536; those of a memory map are read when they are used.

    Example:
        >>> [len(block) for block in blocks(np.zeros((100_000, 2)))]
        [65536, 34464]
    """
    return [rows[start : start + BLOCK] for start in range(0, len(rows), BLOCK)]
