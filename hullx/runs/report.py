"""One self-contained HTML page about runs: questions, verdicts, claims, figures, tables, settings and provenance."""

from __future__ import annotations

from hullx.extras import require

require(__name__, "jinja2")

import ast
import base64
import inspect
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

from hullx.errors import ResumeError
from hullx.runs.atomic import write
from hullx.runs.claims import VERDICTS
from hullx.runs.closing import blocks, cell, claim_cells
from hullx.runs.modules import module_named
from hullx.runs.results import CONFIG, PROVENANCE, RESULTS, Results

TEMPLATE = "report.html.jinja"
DEFAULT = Path("runs/report.html")


@dataclass(frozen=True)
class Section:
    """What the page says about one run; the fields are the template's."""

    name: str
    title: str
    question: str
    about: str
    verdicts: dict[str, int]
    claims: list[tuple[str, ...]]
    figures: list[tuple[str, str]]  # name and data URI
    tables: list[tuple[list[str], list[list[str]]]]  # header and rows
    settings: dict[str, Any]
    provenance: dict[str, Any]


def write_report(folders: Sequence[Path], out: Path = DEFAULT) -> Path:
    """Write the page and return its path. It needs no network and no other file.

    Args:
        folders: run folders; kept results; or folders above them, of which the newest finished run of each preset is shown.
        out: the file to write.

    Raises:
        ResumeError: a folder has no finished run and no kept results.
        StorageError: the file cannot be written.
    """
    sections = [section(path) for folder in folders for path in found_below(folder)]
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("hullx.runs", "."), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    totals = sum((Counter(each.verdicts) for each in sections), Counter[str]())
    page = environment.get_template(TEMPLATE).render(sections=sections, verdicts=VERDICTS, totals=totals)
    write(out, page.encode())
    return out


def found_below(folder: Path) -> list[Path]:
    """The folder itself, or the kept results and the newest finished run of each experiment and preset below it.

    Raises:
        ResumeError: there are none.
    """
    if (folder / RESULTS).exists():
        return [folder]
    newest: dict[tuple[str, str], Path] = {}
    for path in sorted(each.parent for each in folder.rglob(RESULTS) if (each.parent / PROVENANCE).exists()):
        run = Results(path)
        if "seconds" in run.json(PROVENANCE):
            preset = run.json(CONFIG)["preset"] if (path / CONFIG).exists() else path.name
            newest[_module(run), preset] = path  # names of run folders sort by time
    if not newest:
        raise ResumeError(f"{folder} has no finished run and no kept results: run an experiment, or name another folder")
    return list(newest.values())


def section(folder: Path) -> Section:
    """What the page says about a run folder, or about kept results."""
    run = Results(folder)
    config = run.json(CONFIG) if (folder / CONFIG).exists() else dict[str, Any]()
    preset = config.get("preset", folder.name.rpartition("-")[2])
    name = _module(run).rpartition(".")[2]
    question, about = _doc(_module(run))
    several = len({row.data for row in run.rows}) > 1
    figures = sorted([*folder.glob("figures/*.png"), *folder.glob("*.png")])
    tables = []
    for block in blocks(run.rows):
        rows = [[data, group, *(cell(row) for row in mine)] for data, group, mine in block.rows]
        tables.append((["data", "group", *block.quantities], rows))
    return Section(
        name=f"{name}-{preset}",
        title=f"{name}, {preset}",
        question=question,
        about=about,
        verdicts=dict(Counter(claim["verdict"] for claim in run.claims)),
        claims=[(*claim_cells(claim, named=several), claim["source"]) for claim in run.claims],
        figures=[(path.stem, _embedded(path)) for path in figures],
        tables=tables,
        settings=config.get("settings", {}),
        provenance=run.json(PROVENANCE),
    )


def _module(run: Results) -> str:
    """The module of a run's experiment. Kept results store it with their provenance; old ones only have a folder's name."""
    known = run.json(CONFIG if (run.folder / CONFIG).exists() else PROVENANCE)
    return known.get("module", run.folder.name.rpartition("-")[0])


def _doc(name: str) -> tuple[str, str]:
    """The question of an experiment and the rest of its docstring; empty if the experiment is not there."""
    try:
        module = module_named(name)
    except ImportError:
        return "", ""
    text = ast.get_docstring(ast.parse(inspect.getsource(module))) or ""
    question, _, about = text.partition("\n")
    return question, about.strip()


def _embedded(path: Path) -> str:
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"
