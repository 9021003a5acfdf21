"""Tables as comma-separated text."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np


def written(header: Iterable[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """A table as CSV bytes; numbers keep all digits, NaN is an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([["" if cell != cell else cell for cell in row] for row in rows])
    return text.getvalue().encode()


def from_columns(columns: Mapping[str, Any]) -> bytes:
    """`written` for columns of equal length, by name."""
    cells = [np.asarray(column).tolist() for column in columns.values()]
    return written(columns, zip(*cells, strict=True))


def read_rows(path: Path) -> list[dict[str, str]]:
    """A table's rows, as dicts keyed by column name."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def read_columns(path: Path) -> dict[str, np.ndarray]:
    """A table's columns by name: integers, or floats if every cell is a number or empty (NaN), else strings."""
    with path.open(newline="") as file:
        header, *rows = csv.reader(file)
    return {title: _column([row[i] for row in rows]) for i, title in enumerate(header)}


def number(cell: str) -> float:
    """A cell's number; NaN if the cell is empty."""
    return float(cell) if cell else float("nan")


def _column(cells: list[str]) -> np.ndarray:
    for kind in (int, number):
        try:
            return np.array([kind(cell) for cell in cells])
        except ValueError:
            continue
    return np.array(cells)
