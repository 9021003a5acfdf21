"""Two tables with the same columns and without missing values, ready to compare."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hullx.command.reading import Table
from hullx.domain import blocks, column_ranges
from hullx.errors import DataError


class Pair(NamedTuple):
    """Training and test rows with the same columns.

    - train, test: (n, d) and (m, d), finite.
    - columns: their names.
    - train_rows, test_rows: the row number of each row in its file.
    - notes: sentences on what was left out.
    """

    train: np.ndarray
    test: np.ndarray
    columns: list[str]
    train_rows: np.ndarray
    test_rows: np.ndarray
    notes: list[str]


def matched(train: Table, test: Table, *, drop_missing: bool) -> Pair:
    """Match the columns of two tables, by name where both have names.

    Args:
        drop_missing: leave out rows with missing or infinite values.

    Raises:
        DataError: the columns differ, or values are missing.
    """
    notes, rows = list[str](), test.rows
    if train.named and test.named:
        lacking = [column for column in train.columns if column not in test.columns]
        if lacking:
            raise DataError(
                f"{test.name}: column {lacking[0]!r} of {train.name} is missing ({len(lacking)} in all): add it, or leave "
                f"it out with --drop {lacking[0]!r}"
            )
        extra = [column for column in test.columns if column not in train.columns]
        if extra:
            notes.append(f"{test.name}: ignored columns that {train.name} lacks: {_some(extra)}")
        if test.columns != train.columns:
            rows = rows[:, [test.columns.index(column) for column in train.columns]]
    elif len(train.columns) != len(test.columns):
        raise DataError(
            f"{test.name}: got {len(test.columns)} columns, expected {len(train.columns)}, as in {train.name}: leave out the "
            "others with --drop"
        )
    columns = train.columns if train.named else test.columns
    if train.named and "" in columns:
        notes.append(f"{train.name}: a column has no name, such as an index that pandas writes: leave it out with --drop ''")
    kept_train = _finite(train.name, train.rows, columns, drop_missing, notes)
    kept_test = _finite(test.name, rows, columns, drop_missing, notes)
    points = train.rows if kept_train.all() else train.rows[kept_train]
    low, high = column_ranges(points)
    constant = [columns[k] for k in np.flatnonzero(low == high)]
    if constant:
        notes.append(f"{train.name}: constant columns, where any other value is outside: {_some(constant)}")
    numbers = np.flatnonzero(kept_train), np.flatnonzero(kept_test)
    return Pair(points, np.ascontiguousarray(rows[kept_test]), columns, *numbers, notes)


def _finite(name: str, rows: np.ndarray, columns: list[str], drop: bool, notes: list[str]) -> np.ndarray:
    """Mask of the rows without missing values."""
    bad = np.concatenate([~np.isfinite(block).all(1) for block in blocks(rows)])
    if not bad.any():
        return ~bad
    count, first = int(bad.sum()), int(bad.argmax())
    which = columns[int((~np.isfinite(rows[first])).argmax())]
    said = f"{name}: {count:,} of {len(rows):,} rows have missing or infinite values"
    if not drop:
        raise DataError(
            f"{said} (the first is row {first}, column {which!r}): fill them, or leave them out with --drop-missing"
        )
    if bad.all():
        raise DataError(f"{said}, so no row is left: fill them")
    notes.append(f"{said}, left out")
    return ~bad


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
