"""Tables from .npy, .npz, .csv and .parquet files, as numbers with column names."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hullx.errors import DataError
from hullx.extras import require
from hullx.inputs import numeric_array

# Larger .npy files stay on disk and are read in chunks.
IN_MEMORY = 2**30
# Cells of a CSV that mean a missing value, in lower case.
MISSING = {"", "na", "n/a", "nan", "null", "none"}


class Table(NamedTuple):
    """A table of numbers.

    - name: of the file, for messages.
    - rows: (n, d) floating point; a memory map if the file is larger than 1 GB. Missing values are NaN.
    - columns: their names; "0", "1", … if the file has none.
    - named: whether the file has names.
    - dropped: names of the columns that were left out.
    """

    name: str
    rows: np.ndarray
    columns: list[str]
    named: bool
    dropped: list[str]


def read(path: str, drop: Sequence[str] = ()) -> Table:
    """The table of a file, without some columns.

    Args:
        path: of the file; `FILE.npz:NAME` for one of several arrays.
        drop: names or numbers of columns to leave out, as far as the file has them.

    Raises:
        DataError: the file cannot be read, or has columns that are not numbers.
        PackageError: reading .parquet needs pyarrow, which is not installed.
    """
    name, _, key = path.partition(".npz:")
    file = Path(name + ".npz") if key else Path(path)
    readers: dict[str, Callable[[], Table]] = {
        ".npy": lambda: _array(file.name, np.load(file, mmap_mode="r", allow_pickle=False), drop),
        ".npz": lambda: _array(file.name, _npz(file, key), drop),
        ".csv": lambda: _csv(file, drop),
        ".parquet": lambda: _parquet(file, drop),
    }
    kind = file.suffix.lower()
    if kind not in readers:
        raise DataError(f"{path}: got a file of type {kind or 'none'!r}, expected one of {', '.join(readers)}")
    if not file.is_file():
        raise DataError(f"{file}: there is no such file")
    try:
        table = readers[kind]()
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, csv.Error) as error:
        if isinstance(error, DataError):
            raise
        reason = str(error).strip().partition("\n")[0].rstrip(".")
        raise DataError(f"{file.name} cannot be read as {kind} ({reason}): write it again, or convert it") from error
    if not table.rows.shape[0] or not table.rows.shape[1]:
        raise DataError(f"{file.name}: got {table.rows.shape[0]} rows and {table.rows.shape[1]} columns, expected at least one")
    return table


def _array(name: str, array: np.ndarray, drop: Sequence[str]) -> Table:
    """The table of an array; images are flattened."""
    if array.ndim < 2:
        raise DataError(f"{name}: got an array of shape {array.shape}, expected (n, d), one row per query or point")
    rows = array.reshape(len(array), -1)
    columns = [str(i) for i in range(rows.shape[1])]
    kept = [i for i in range(rows.shape[1]) if columns[i] not in drop]
    if isinstance(array, np.memmap) and array.nbytes > IN_MEMORY and len(kept) == len(columns) and array.dtype.kind == "f":
        return Table(name, rows, columns, False, [])
    if len(kept) < len(columns):
        rows = rows[:, kept]
    numbers = np.asarray(numeric_array(name, np.ascontiguousarray(rows)))
    return Table(name, numbers, [columns[i] for i in kept], False, [column for column in columns if column in drop])


def _npz(file: Path, key: str) -> np.ndarray:
    with np.load(file, allow_pickle=False) as archive:
        if key and key not in archive.files:
            raise DataError(f"{file.name}: got array {key!r}, expected one of {', '.join(archive.files)}")
        if not key and len(archive.files) != 1:
            raise DataError(
                f"{file.name} holds the arrays {', '.join(archive.files)}: name one, as in {file.name}:{archive.files[0]}"
            )
        return archive[key or archive.files[0]]


def _csv(file: Path, drop: Sequence[str]) -> Table:
    """The first line is a header if any of its cells is neither a number nor missing."""
    with file.open(newline="", encoding="utf-8-sig") as lines:
        cells = [row for row in csv.reader(lines) if row]
    if not cells:
        raise DataError(f"{file.name}: the file is empty")
    named = not all(_is_number(cell) or cell.strip().lower() in MISSING for cell in cells[0])
    columns = [cell.strip() for cell in cells[0]] if named else [str(i) for i in range(len(cells[0]))]
    cells = cells[1:] if named else cells
    for i, row in enumerate(cells):
        if len(row) != len(columns):
            raise DataError(f"{file.name}: row {i} has {len(row)} cells, expected {len(columns)}, as in the first line")
    found = dict[str, np.ndarray]()
    for k, column in enumerate(columns):
        if column in drop:
            continue
        values = [row[k].strip() for row in cells]
        text = next((i for i, value in enumerate(values) if value.lower() not in MISSING and not _is_number(value)), None)
        if text is not None:
            raise _text(file.name, column, f"{values[text]!r} in row {text}")
        found[column] = np.array([np.nan if value.lower() in MISSING else float(value) for value in values])
    return _from_columns(file.name, found, columns, drop, named)


def _parquet(file: Path, drop: Sequence[str]) -> Table:
    require("reading .parquet", "pyarrow")
    import pyarrow as pa
    import pyarrow.parquet as parquet

    table: Any = parquet.read_table(file)
    found = dict[str, np.ndarray]()
    for column in table.column_names:
        # The index that pandas writes is no column.
        if column in drop or column.startswith("__index_level_"):
            continue
        values = table[column]
        kind = values.type
        if not (pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind)):
            raise _text(file.name, column, f"type {kind}")
        missing = np.asarray(values.is_null().to_numpy())
        if missing.any():
            values = values.fill_null(False if pa.types.is_boolean(kind) else 0)
        numbers = np.asarray(numeric_array(f"{file.name}, column {column!r}", values.to_numpy()))
        found[column] = np.where(missing, np.asarray(np.nan, numbers.dtype), numbers) if missing.any() else numbers
    columns = [column for column in table.column_names if not column.startswith("__index_level_")]
    return _from_columns(file.name, found, columns, drop, True)


def _from_columns(name: str, found: dict[str, np.ndarray], columns: list[str], drop: Sequence[str], named: bool) -> Table:
    repeated = next((column for column in columns if columns.count(column) > 1), None)
    if repeated is not None:
        raise DataError(f"{name}: two columns have the name {repeated!r}, expected different names: rename one")
    if not found:
        raise DataError(f"{name}: no column is left")
    dropped = [column for column in columns if column in drop]
    return Table(name, np.stack(list(found.values()), 1), list(found), named, dropped)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell  # which Python allows between digits


def _text(name: str, column: str, what: str) -> DataError:
    return DataError(f"{name}: column {column!r} is no number ({what}): encode it, or leave it out with --drop {column!r}")
