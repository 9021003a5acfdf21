"""Tables with a target, from scikit-learn or a CSV file: numbers only, without missing values and constant columns."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hullx.command.reading import MISSING, read
from hullx.domain import column_ranges
from hullx.errors import ArgumentError, DataError

EMBEDDED = "iris", "wine", "breast_cancer", "diabetes"
# A column of text with more values is an identifier or free text. A numeric target with more values is a quantity.
CATEGORIES = 20
# Fewest rows of a table, and of a class: each fold and each bootstrap needs some.
FEWEST, FEWEST_OF_CLASS = 50, 10
LARGEST = 1e100  # of numbers whose squares and their sums are floats


class Table(NamedTuple):
    """Rows with a target.

    - title: the name, with sizes; rows: (n, d), float64, finite.
    - target: (n,) numbers, or (n, classes) of 0 and 1.
    - labels: (n,) the class of each row; 0 for a numeric target.
    - columns: names of the d columns; "column = category" for a column of 0 and 1.
    - dropped, constant: number of rows with a missing or infinite value, and names of constant columns; both were left out.
    """

    title: str
    rows: np.ndarray
    target: np.ndarray
    labels: np.ndarray
    columns: tuple[str, ...]
    dropped: int
    constant: tuple[str, ...]


def embedded(name: str) -> Table:
    """A table of scikit-learn; an unknown name raises ArgumentError."""
    if name not in EMBEDDED:
        raise ArgumentError(f"--tables: {name!r} is unknown: choose among {', '.join(EMBEDDED)}, or give --csv FILE")
    from sklearn import datasets

    found: Any = getattr(datasets, f"load_{name}")()
    target = np.asarray(found.target)
    return prepared(name.replace("_", " "), np.asarray(found.data), target, [*map(str, found.feature_names)])


def read_csv(path: Path, target: str, drop: Sequence[str] = ()) -> Table:
    """The table of a CSV file, whose first line names the columns.

    A column with text becomes one column of 0 and 1 for each of its categories. A target with text, or with whole numbers of at
    most 20 different values, is a class; any other is a number. Rows with a missing or infinite value are left out.

    Raises:
        DataError: the file cannot be read, a column has too many categories, or too few rows are left.
        ArgumentError: the target or a dropped column is not in the file.
    """
    cells = _cells(path)
    for flag, name in (("--target", target), *(("--drop", name) for name in drop)):
        if name not in cells:
            raise ArgumentError(f"{flag}: got {name!r}, expected a column of {path.name}: {', '.join(cells)}")
    texts = [name for name, values in cells.items() if name not in (target, *drop) and not _is_numeric(values)]
    out, numeric = [*texts, target, *drop], len(cells) - len({*texts, target, *drop})
    columns, parts = list[str](), list[np.ndarray]()
    if numeric:
        numbers = read(str(path), out)
        columns, parts = [*numbers.columns], [np.asarray(numbers.rows, np.float64)]
    for name in texts:
        values = cells[name]
        found = np.unique(values[~_missing(values)])
        if len(found) > CATEGORIES:
            raise DataError(
                f"{path.name}: column {name!r} has text with {len(found)} different values, expected at most {CATEGORIES} "
                f"categories: leave it out with --drop {name!r}"
            )
        coded = (values[:, None] == found).astype(float)
        coded[_missing(values)] = np.nan
        columns, parts = [*columns, *(f"{name} = {each}" for each in found)], [*parts, coded]
    if not parts:
        raise DataError(f"{path.name}: no column is left beside the target {target!r}")
    goal = cells[target]
    if _is_numeric(goal):
        goal = np.where(_missing(goal), "nan", goal).astype(float)
    return prepared(path.stem, np.column_stack(parts), goal, columns)


def prepared(name: str, rows: np.ndarray, target: np.ndarray, columns: Sequence[str]) -> Table:
    """A table without missing values and constant columns.

    Raises:
        DataError: too few rows are left, of the table or of a class; or all columns or the target are constant.
    """
    text = target.dtype.kind not in "biuf"
    missing = _missing(target) if text else ~np.isfinite(target.astype(float))
    kept = np.isfinite(rows).all(1) & ~missing
    rows, target = rows[kept], target[kept]
    if len(rows) < FEWEST:
        raise DataError(f"{name}: {len(rows)} rows have no missing or infinite value, expected at least {FEWEST}: fill more in")
    if max(np.abs(rows).max(), 0 if text else np.abs(target.astype(float)).max()) > LARGEST:
        raise DataError(f"{name}: got a number beyond ±{LARGEST:g}, whose square overflows: rescale the column")
    low, high = column_ranges(rows)
    varies, values = high > low, np.unique(target)
    if not varies.any() or len(values) < 2:
        raise DataError(f"{name}: {'the target is' if varies.any() else 'all columns are'} constant, so nothing can be learned")
    labels, classes = np.zeros(len(target), np.int64), 0
    if text or (len(values) <= CATEGORIES and (target == np.round(target)).all()):
        labels, classes = np.searchsorted(values, target), len(values)
        counts = np.bincount(labels)
        if counts.min() < FEWEST_OF_CLASS:
            few = values[counts.argmin()] if text else int(values[counts.argmin()])
            raise DataError(
                f"{name}: class {few} of the target has {counts.min()} rows, expected at least {FEWEST_OF_CLASS}: merge classes"
            )
    goal = np.eye(classes)[labels] if classes else target.astype(float)
    named = np.asarray(columns, dtype=object)
    title = f"{name}, {len(rows):,} rows and {int(varies.sum()):,} columns"
    return Table(title, rows[:, varies], goal, labels, tuple(named[varies]), int((~kept).sum()), tuple(named[~varies]))


def _cells(path: Path) -> dict[str, np.ndarray]:
    """The cells of each column, as text."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:
            header, *rows = [[cell.strip() for cell in row] for row in csv.reader(lines) if row] or [[]]
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"--csv: {path} cannot be read ({error}): give a CSV file in UTF-8") from error
    if not header:
        raise DataError(f"{path.name}: got an empty file, expected names in the first line, and rows")
    ragged = next((row for row in rows if len(row) != len(header)), None)
    if not rows or ragged is not None or len({*header}) < len(header):
        said = "no rows" if not rows else "two columns of one name" if ragged is None else f"a row of {len(ragged)} cells"
        raise DataError(
            f"{path.name}: got {said}, expected {len(header)} different names in the first line, and rows of as many"
        )
    return {name: np.array([row[k] for row in rows]) for k, name in enumerate(header)}


def _missing(values: np.ndarray) -> np.ndarray:
    return np.isin(np.char.lower(values.astype(str)), list(MISSING))


def _is_numeric(values: np.ndarray) -> bool:
    try:
        values[~_missing(values)].astype(float)
    except ValueError:
        return False
    return True
