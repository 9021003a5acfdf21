"""Read a run folder, for claims and figures.

results.csv has the same columns in all experiments: data, group, seed, quantity, value, low, high, n, unit. A row is one number
with its 95% interval (empty if there is none), from n values, in a unit of `Estimate`; older files have no units. Two
quantities have a fixed meaning: "undecided" counts the queries without a certificate, "failed" the runs without a result; n is
their total.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hullx.errors import ArgumentError, ResumeError
from hullx.runs import tables
from hullx.runs.names import slug
from hullx.runs.statistics import Estimate

RESULTS, CLAIMS, CONFIG, PROVENANCE = "results.csv", "claims.json", "config.json", "provenance.json"
UNDECIDED, FAILED = "undecided", "failed"


class Row(NamedTuple):
    """A row of results.csv; seed is empty if the number is not from a single seed."""

    data: str
    group: str
    seed: str
    quantity: str
    value: float
    low: float
    high: float
    n: int
    unit: str = ""

    @property
    def estimate(self) -> Estimate:
        """The number and its interval."""
        return Estimate(*self[4:])


@dataclass(frozen=True)
class Results:
    """The contents of a run folder."""

    folder: Path

    @cached_property
    def rows(self) -> list[Row]:
        """The rows of results.csv, in recorded order."""
        path = self.folder / RESULTS
        return read_results(path) if path.exists() else []

    def select(self, **wanted: str) -> list[Row]:
        """The rows with the given data, group, seed or quantity."""
        return [row for row in self.rows if all(getattr(row, name) == value for name, value in wanted.items())]

    def names(self, field: str, **wanted: str) -> list[str]:
        """The distinct values of a column in the selected rows."""
        return list(dict.fromkeys(getattr(row, field) for row in self.select(**wanted)))

    def estimate(self, quantity: str, **wanted: str) -> Estimate:
        """The only number of that name, with its interval.

        Raises:
            ArgumentError: there is none, or there are several.
        """
        rows = self.select(quantity=quantity, **wanted)
        if len(rows) != 1:
            said = f"{RESULTS} has {len(rows)} rows for {quantity!r}, {wanted}, expected one"
            raise ArgumentError(f"{said}: name more or other columns")
        return rows[0].estimate

    def total(self, quantity: str, **wanted: str) -> tuple[int, int]:
        """The sum of a count such as "undecided", and the total n."""
        rows = self.select(quantity=quantity, **wanted)
        return sum(round(row.value) for row in rows), sum(row.n for row in rows)

    @cached_property
    def config(self) -> dict[str, Any]:
        """The settings by name, as JSON values."""
        return self.json(CONFIG)["settings"]

    @cached_property
    def claims(self) -> list[dict[str, Any]]:
        """The claims of claims.json; none without that file."""
        return self.json(CLAIMS)["claims"] if (self.folder / CLAIMS).exists() else []

    def table(self, name: str) -> dict[str, np.ndarray]:
        """The columns of a table written by the run."""
        return tables.read_columns(self.folder / "tables" / f"{slug(name)}.csv")

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        """The arrays written by the run under a name."""
        with np.load(self.folder / "arrays" / f"{slug(name)}.npz") as file:
            return dict(file)

    def json(self, name: str) -> dict[str, Any]:
        """A JSON file of the folder.

        Raises:
            ResumeError: the file is missing or damaged, so this is not a run folder.
        """
        try:
            return json.loads((self.folder / name).read_bytes())
        except (OSError, ValueError) as error:
            said = f"{self.folder} is not a run folder: {name} is missing or damaged: choose a folder below runs/"
            raise ResumeError(said) from error


def read_results(path: Path) -> list[Row]:
    """The rows of a results.csv."""

    def row(cells: dict[str, str]) -> Row:
        value, low, high = (tables.number(cells[name]) for name in ("value", "low", "high"))
        subject = cells["data"], cells["group"], cells["seed"], cells["quantity"]
        return Row(*subject, value, low, high, int(cells["n"]), cells.get("unit") or "")

    return [row(cells) for cells in tables.read_rows(path)]
