"""Small result files kept with the code, and the gallery tables made from them.

A page marks each table by two lines; `refresh` rewrites the text between them:

    <!-- table: share outside; distance from results/pixel_hull-paper/results.csv -->
    <!-- end -->

A table from a results.csv has the named quantities, separated by semicolons ("all" for all), and one row per group. A table
from a claims.json ("claims") has one row per claim; from a folder ("verdicts"), the number of each verdict by experiment; from
another .csv, the file's columns. Paths are relative to the page.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from hullx.errors import ArgumentError
from hullx.runs.atomic import write
from hullx.runs.claims import VERDICTS
from hullx.runs.closing import blocks, cell, claim_cells
from hullx.runs.folder import write_json
from hullx.runs.results import CLAIMS, CONFIG, PROVENANCE, RESULTS, Results, Row, read_results
from hullx.runs.sources import code_hash
from hullx.runs.tables import read_rows

_PLACE = re.compile(r"(?P<begin><!-- table: (?P<names>[^\n]+?) from (?P<file>\S+) -->\n).*?(?P<end><!-- end -->)", re.DOTALL)
# The provenance that readers need, without names specific to the machine.
KEPT = ("code", "date", "seconds", "git_commit", "git_dirty", "python", "versions", "device", "devices", "cores")


def keep(folder: Path, results: Path) -> Path:
    """Copy a run's headline numbers, claims, provenance and figures (as PNG) to <results>/<experiment>-<preset>/.

    Raises:
        ResumeError: the folder is not a run folder.
    """
    run = Results(folder)
    about = run.json(CONFIG)
    kept = results / f"{about['module'].rpartition('.')[2]}-{about['preset']}"
    known = run.json(PROVENANCE)
    for path in (folder / RESULTS, folder / CLAIMS, *folder.glob("figures/*.png")):
        write(kept / path.name, path.read_bytes())
    about = {"module": about["module"], **{name: known[name] for name in KEPT if name in known}}
    write_json(kept / PROVENANCE, about)
    return kept


def stale(folder: Path) -> list[Path]:
    """The kept results below a folder that come from other code than their experiment has now, or from unknown code."""
    found = []
    for path in sorted(folder.rglob(f"results/*/{RESULTS}")):
        file = path.with_name(PROVENANCE)
        known = json.loads(file.read_text()) if file.exists() else {}
        preset = path.parent.name.partition("-")[2]
        if "code" not in known or known["code"] != code_hash(known["module"], preset):
            found.append(path.parent)
    return found


def refresh(page: Path) -> int:
    """Rewrite the tables of a page; return their number.

    Raises:
        ArgumentError: a table's file is missing, or lacks a named quantity.
    """
    if not page.is_file():
        raise ArgumentError(f"{page} does not exist: start from the repository's root, or name the page")
    text, count = _PLACE.subn(lambda found: _filled(page, found), page.read_text())
    write(page, text.encode())
    return count


def _filled(page: Path, found: re.Match[str]) -> str:
    path = page.parent / found["file"]
    if not path.exists():
        raise ArgumentError(f"{page}: {found['file']} does not exist: keep a run by `python -m hullx.runs keep FOLDER`")
    return f"{found['begin']}\n{table(path, found['names'])}\n{found['end']}"


def table(path: Path, names: str = "all") -> str:
    """A kept file as a Markdown table, and one line about its run if provenance is available.

    Raises:
        ArgumentError: the file has no such quantity.
    """
    if path.is_dir():
        return verdicts(path)
    if path.suffix == ".json":
        claims = json.loads(path.read_text())["claims"]
        several = len({claim["data"] for claim in claims}) > 1
        cells = [claim_cells(claim, named=several) for claim in claims]
        return markdown(("claim", "expected", "measured", "verdict", "evidence"), cells) + _origin(path)
    rows = read_rows(path)
    if not rows or not set(rows[0]) >= set(Row._fields) - {"unit"}:
        return markdown(tuple(rows[0]) if rows else (), [tuple(row.values()) for row in rows])
    wanted = [name.strip() for name in names.split(";")]
    recorded = read_results(path)
    there = list(dict.fromkeys(row.quantity for row in recorded))
    missing = [name for name in wanted if name not in ("all", *there)]
    if missing:
        raise ArgumentError(f"{path} has no quantity {missing[0]!r}: name one of {', '.join(there)}")
    chosen = recorded if wanted == ["all"] else [row for row in recorded if row.quantity in wanted]
    return "\n".join(_block(block) for block in blocks(chosen)) + _origin(path)


def verdicts(folder: Path) -> str:
    """The number of each verdict among the claims kept below a folder, by experiment and in all."""
    counts = dict[str, Counter[str]]()
    for path in sorted(folder.rglob(CLAIMS)):
        found = Counter(claim["verdict"] for claim in json.loads(path.read_text())["claims"])
        if found:
            counts[path.parent.name] = found
    counts["all"] = sum(counts.values(), Counter())
    rows = [(name, *(str(found[verdict]) for verdict in VERDICTS), str(found.total())) for name, found in counts.items()]
    return markdown(("run", *VERDICTS, "all"), rows)


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown, columns of numbers aligned to the right."""
    rows = list(rows)
    columns = zip(*rows, strict=True) if rows else [()] * len(header)
    numeric = [all(cell[:1] in "0123456789−–-" for cell in column) for column in columns]
    lines = [header, ["---:" if right else "---" for right in numeric], *rows]
    return "".join("| " + " | ".join(" ".join(each.split()) for each in line) + " |\n" for line in lines)


def _block(block: Any) -> str:
    several = len({data for data, _, _ in block.rows}) > 1
    header = ["data", ""] if several else [block.rows[0][0]]
    lines = [([data, group] if several else [group]) + [cell(row) for row in rows] for data, group, rows in block.rows]
    return markdown([*header, *block.quantities], lines)


def _origin(path: Path) -> str:
    """One line about the run behind a table."""
    known = path.with_name(PROVENANCE)
    if not known.is_file():
        return ""
    about = json.loads(known.read_text())
    machine = f"{about['cores']} CPU cores" if about["device"] == "cpu" else f"{about['devices']} × {about['device']}"
    took = f"{about['seconds']:,.0f} seconds" if "seconds" in about else "unfinished"
    return f"\n*{about['date'][:10]}, {machine}, jax {about['versions']['jax']}, {took}; in brackets 95% intervals.*\n"
