"""The closing table of a run: headline numbers and claims, from results.csv and claims.json."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from hullx.extras import require
from hullx.runs.compilation import QUICK
from hullx.runs.results import CONFIG, PROVENANCE, Results, Row

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

# Width of output to a file: enough for seven numbers with their intervals.
WIDTH = 120
# What a claim counts as evidence, with the word for one.
EVIDENCE = {"networks": "network", "images": "image", "rows": "row", "sets": "data set", "seeds": "seed"}
# Numbers below this are shown as 0.
TINY = 1e-15


class Block(NamedTuple):
    """Groups with the same quantities: one row per group, with data, group and a `Row` per quantity."""

    quantities: tuple[str, ...]
    rows: list[tuple[str, str, tuple[Row, ...]]]


def show(folder: Path) -> None:
    """Print the closing table of a run folder.

    Raises:
        PackageError: rich is not installed.
    """
    results, console = Results(folder), printer()
    about = results.json(CONFIG)
    for table in closing_tables(results, f"{about['module'].rpartition('.')[2]}, {about['preset']}"):
        console.print(table, highlight=False)
    if QUICK in results.json(PROVENANCE).get("xla_flags", ""):
        console.print("Compiled with few optimisations: do not compare times.", highlight=False)
    console.print("In brackets: 95% intervals. All numbers are in results.csv and claims.json of", highlight=False)


def printer() -> Console:
    """The console for tables on standard output.

    Raises:
        PackageError: rich is not installed.
    """
    require("hullx.runs", "rich")
    from rich.console import Console

    console = Console()
    return console if console.is_terminal else Console(width=WIDTH)


def closing_tables(results: Results, title: str) -> Iterator[Table]:
    """One table per block of groups, and one for the claims."""
    from rich.table import Table

    sets = {row.data for row in results.rows} - {""}
    title += f": {next(iter(sets))}" if len(sets) == 1 else ""
    for block in blocks(results.rows):
        # Columns that are equal in all rows are omitted.
        named = {"data": len(sets) > 1, "": any(group for _, group, _ in block.rows)}
        table = Table(*(name for name, shown in named.items() if shown), title=title, title_justify="left")
        for quantity in block.quantities:
            table.add_column(quantity, justify="right")
        for data, group, rows in block.rows:
            names = [name for name, shown in zip((data, group), named.values(), strict=True) if shown]
            table.add_row(*names, *(cell(row) for row in rows))
        yield table
        title = ""
    if results.claims:
        table = Table("claim", "expected", "measured", "verdict", "evidence", title=title or None, title_justify="left")
        for claim in results.claims:
            table.add_row(*claim_cells(claim, named=len(sets) > 1))
        yield table


def blocks(rows: Iterable[Row]) -> list[Block]:
    """The rows over all seeds, gathered into blocks of groups with the same quantities, in their order."""
    groups: dict[tuple[str, str], dict[str, Row]] = {}
    for row in rows:
        if not row.seed:
            groups.setdefault((row.data, row.group), {})[row.quantity] = row
    gathered: dict[tuple[str, ...], Block] = {}
    for (data, group), mine in groups.items():
        block = gathered.setdefault(tuple(mine), Block(tuple(mine), []))
        block.rows.append((data, group, tuple(mine.values())))
    return list(gathered.values())


def cell(row: Row) -> str:
    """A number above its interval: "22.0%", "[21.4%, 22.7%]"; "0 of 360" for a count."""
    if row.unit == "count":
        return f"{row.value:.0f} of {row.n:,}" if row.n else "–"
    interval = row.estimate.interval
    return number(row.value, row.unit) + (f"\n[{bounds(interval, row.unit)}]" if interval else "")


def claim_cells(claim: dict[str, Any], *, named: bool = True) -> tuple[str, str, str, str, str]:
    """A claim of claims.json as a row: name (with its data set, if `named`), expected, measured, verdict, evidence."""
    measured, unit = claim["measured"], claim["unit"]
    said = "–" if measured is None else number(measured, unit)
    if claim["interval"]:
        said += f"\n[{bounds(claim['interval'], unit)}]"
    behind = [
        f"{count:,} {word}" + "s" * (count != 1)
        for name, word in EVIDENCE.items()
        if (count := claim.get(name, 0))  # claims.json of older runs has seeds only
    ]
    if claim["failed"]:
        behind.append(f"{claim['failed']} of {claim['runs']:,} runs failed")
    if claim["queries"]:
        behind.append(f"{claim['undecided']:,} of {claim['queries']:,} queries undecided")
    name = f"{claim['data']}: {claim['name']}" if claim["data"] and named else claim["name"]
    note = f"\n{claim['note']}" if claim["note"] else ""
    return name, claim["expected"], said + note, claim["verdict"], ", ".join(behind)


def bounds(interval: Iterable[float], unit: str = "") -> str:
    """Both ends of an interval."""
    return ", ".join(number(end, unit) for end in interval)


def number(value: float, unit: str = "") -> str:
    """A rounded number with its unit, see `Estimate`; shares and their differences are shown in percent."""
    if np.isnan(value):
        return "–"
    value = 0.0 if abs(value) < TINY else value
    if unit in ("share", "%"):
        percent = 100 * value
        return f"{percent:.2g}%" if 0 < abs(percent) < 1 else f"{percent:.2f}%" if 99.5 < percent < 100 else f"{percent:.1f}%"
    digits = ",.0f" if abs(value) >= 1000 else ".0f" if value == round(value) else ".3g" if abs(value) >= 0.001 else ".2g"
    return f"{value:{digits}}{'' if unit == 'count' else unit}"
