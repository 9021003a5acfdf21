"""A run folder, read: what claims and figures are made of.

results.csv is one long table for all experiments: data, group, seed, quantity, value, low, high, n. A row is one number with
its 95% interval (empty where there is none), from n values. Two quantities have a meaning that is fixed: "undecided" counts the
queries without a certificate, "failed" the runs without a result; n is of how many.
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
    """A row of results.csv; seed is empty where a number is no single seed's."""

    data: str
    group: str
    seed: str
    quantity: str
    value: float
    low: float
    high: float
    n: int

    @property
    def estimate(self) -> Estimate:
        """The number and its interval."""
        return Estimate(self.value, self.low, self.high, self.n)


@dataclass(frozen=True)
class Results:
    """What a run has left in its folder."""

    folder: Path

    @cached_property
    def rows(self) -> list[Row]:
        """results.csv, in the order in which it was recorded."""
        path = self.folder / RESULTS
        return read_results(path) if path.exists() else []

    def select(self, **wanted: str) -> list[Row]:
        """The rows with given data, group, seed or quantity."""
        return [row for row in self.rows if all(getattr(row, name) == value for name, value in wanted.items())]

    def names(self, field: str, **wanted: str) -> list[str]:
        """What stands in a column of the selected rows, without repetitions."""
        return list(dict.fromkeys(getattr(row, field) for row in self.select(**wanted)))

    def estimate(self, quantity: str, **wanted: str) -> Estimate:
        """The one number of that name, with its interval.

        Raises:
            ArgumentError: there is none, or several.
        """
        rows = self.select(quantity=quantity, **wanted)
        if len(rows) != 1:
            said = f"{RESULTS} has {len(rows)} rows for {quantity!r}, {wanted}, expected one"
            raise ArgumentError(f"{said}: name more or other columns")
        return rows[0].estimate

    def total(self, quantity: str, **wanted: str) -> tuple[int, int]:
        """Of a count such as "undecided": how many in all, and of how many."""
        rows = self.select(quantity=quantity, **wanted)
        return sum(round(row.value) for row in rows), sum(row.n for row in rows)

    @cached_property
    def config(self) -> dict[str, Any]:
        """The settings by name, as JSON has them."""
        return self.json(CONFIG)["settings"]

    @cached_property
    def claims(self) -> list[dict[str, Any]]:
        """claims.json, if it is there."""
        return self.json(CLAIMS)["claims"] if (self.folder / CLAIMS).exists() else []

    def table(self, name: str) -> dict[str, np.ndarray]:
        """The columns of a table that the run has written."""
        return tables.read_columns(self.folder / "tables" / f"{slug(name)}.csv")

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        """The arrays that the run has written under a name."""
        with np.load(self.folder / "arrays" / f"{slug(name)}.npz") as file:
            return dict(file)

    def json(self, name: str) -> dict[str, Any]:
        """A JSON file of the folder.

        Raises:
            ResumeError: there is none, so that it is no run folder.
        """
        try:
            return json.loads((self.folder / name).read_bytes())
        except (OSError, ValueError) as error:
            said = f"{self.folder} is no run folder, for it has no whole {name}: name one of those below runs/"
            raise ResumeError(said) from error


def read_results(path: Path) -> list[Row]:
    """The rows of a results.csv."""

    def row(cells: dict[str, str]) -> Row:
        value, low, high = (tables.number(cells[name]) for name in ("value", "low", "high"))
        return Row(cells["data"], cells["group"], cells["seed"], cells["quantity"], value, low, high, int(cells["n"]))

    return [row(cells) for cells in tables.read_rows(path)]


def is_share(quantity: str) -> bool:
    """Whether a quantity is a share of 1, to be shown in percent."""
    return "share" in quantity or "accuracy" in quantity
