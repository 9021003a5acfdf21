"""Conversion of pandas and polars tables, without importing either package."""

from __future__ import annotations

from typing import Any

import numpy as np

from hullx.errors import ArgumentTypeError
from hullx.inputs.dtypes import floating


def is_table(value: Any) -> bool:
    """Whether a value is a DataFrame, LazyFrame or Series of pandas or polars."""
    return bool(_kind(value)[1])


def table_array(name: str, table: Any) -> np.ndarray:
    """The numbers of a DataFrame (n, d) or Series (n,) in a floating dtype that holds them exactly; missing values are NaN.

    Raises:
        ArgumentTypeError: a column is not numeric, or holds integers that float64 cannot hold.
    """
    library, kind = _kind(table)
    if kind == "LazyFrame":
        raise ArgumentTypeError(f"{name}: got a LazyFrame, expected a DataFrame: call {name}.collect()")
    if kind == "Series":
        return _numbers(name, f"{name}: got a Series", table, library)
    if library == "pandas":
        if len({*table.dtypes}) == 1 and isinstance(table.dtypes.iloc[0], np.dtype) and table.dtypes.iloc[0].kind in "biuf":
            return np.asarray(floating(name, table.to_numpy()))  # all columns at once
        columns = [table.iloc[:, i] for i in range(table.shape[1])]
    else:
        columns = table.get_columns()
    arrays = [_numbers(f"{name}[{each.name!r}]", f"{name}: got column {each.name!r}", each, library) for each in columns]
    return np.stack(arrays, axis=1) if arrays else np.zeros((len(table), 0), np.float32)


def _kind(value: Any) -> tuple[str, str]:
    # A user's table class may derive from the library's.
    for base in type(value).__mro__:
        library = base.__module__.partition(".")[0]
        if library in ("pandas", "polars") and base.__name__ in ("DataFrame", "LazyFrame", "Series"):
            return library, base.__name__
    return "", ""


def _numbers(name: str, what: str, column: Any, library: str) -> np.ndarray:
    dtype, pandas = column.dtype, library == "pandas"
    if pandas:
        kind = getattr(dtype, "kind", "O")
        text = str(dtype).startswith(("str", "large_str")) or (
            kind == "O" and str(dtype) != "category" and any(isinstance(each, str) for each in column)
        )
    else:
        kinds = {"b": str(dtype) == "Boolean", "i": dtype.is_integer() and "128" not in str(dtype), "f": dtype.is_float()}
        kind = next((kind for kind, fits in kinds.items() if fits), "O")
        text = str(dtype) == "String"
    if kind not in "biuf":
        said = "text, expected numbers: drop or encode it"
        raise ArgumentTypeError(f"{what} of {said if text else f'dtype {dtype}, expected numbers: drop it or convert it'}")
    missing = None if isinstance(dtype, np.dtype) else (column.isna() if pandas else column.is_null()).to_numpy()
    if missing is None or not missing.any():
        return np.asarray(floating(name, column.to_numpy()))
    # Filling keeps the integer dtype and avoids rounding.
    filler = False if kind == "b" else 0
    filled = column.fillna(filler) if pandas else column.fill_null(filler)
    numbers = np.asarray(floating(name, filled.to_numpy()))
    return np.where(missing, numbers.dtype.type(np.nan), numbers)
