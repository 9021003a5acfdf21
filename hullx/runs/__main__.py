"""List, show, redraw, judge and resume runs.

python -m hullx.runs list [DIR]         list the runs below DIR, by default runs/
python -m hullx.runs show FOLDER        print the closing table
python -m hullx.runs redraw FOLDER      draw the figures again
python -m hullx.runs judge FOLDER       judge the claims again, from saved results
python -m hullx.runs resume FOLDER      resume an interrupted run
python -m hullx.runs keep FOLDER        copy headline numbers and figures to results/ beside the experiment, for the gallery
python -m hullx.runs stale [DIR]        list kept results below DIR, by default experiments/, that come from other code
python -m hullx.runs gallery [PAGE]     rewrite the tables of a page, or of all pages below experiments/, from kept results
python -m hullx.runs report [FOLDER …]  write one HTML page about runs, by default about the newest of each experiment below
                                        runs/; --out FILE.html names the page, by default runs/report.html
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from hullx.errors import HullxError, ResumeError
from hullx.runs import gallery
from hullx.runs.claims import VERDICTS
from hullx.runs.closing import printer, show
from hullx.runs.command import stop
from hullx.runs.experiment import of_folder
from hullx.runs.fingerprint import LOCK
from hullx.runs.modules import module_named
from hullx.runs.results import CONFIG, PROVENANCE, Results


def index(parent: Path) -> None:
    """Print one line per run."""
    console = printer()
    from rich.table import Table

    table = Table("experiment", "run", "date", "seconds", "claims", "state")
    for path in sorted(parent.glob(f"*/*/{CONFIG}")):
        try:
            results = Results(path.parent)
            known = results.json(PROVENANCE)
            verdicts = Counter(claim["verdict"] for claim in results.claims)
        except ResumeError:  # killed while the folder was created
            continue
        said = ", ".join(f"{verdicts[verdict]} {verdict}" for verdict in VERDICTS if verdicts[verdict])
        name, seconds = path.parent.parent.name, f"{known['seconds']:,.0f}" if "seconds" in known else "–"
        table.add_row(name, path.parent.name, known["date"][:16].replace("T", " "), seconds, said, state(path.parent))
    console.print(table, highlight=False)


def state(folder: Path) -> str:
    """The state of a run: finished, running or unfinished."""
    if "seconds" in Results(folder).json(PROVENANCE):
        return "finished"
    try:
        with FileLock(folder / LOCK).acquire(timeout=0):
            return "unfinished"
    except Timeout:
        return "running"


def shown(folder: Path) -> None:
    """Print the closing table."""
    show(folder)
    print(folder)


def redraw(folder: Path) -> None:
    """Draw the figures again and print their paths."""
    print(*of_folder(folder).draw(folder), sep="\n")


def judge(folder: Path) -> None:
    """Judge the claims again and print the closing table."""
    of_folder(folder).judge(folder)
    shown(folder)


def resume(folder: Path) -> None:
    """Resume a run."""
    of_folder(folder).resume(folder)


def keep(folder: Path) -> None:
    """Copy headline numbers and claims to results/ beside the experiment, and print the path."""
    module = module_named(Results(folder).json(CONFIG)["module"])
    print(gallery.keep(folder, Path(module.__file__).parent / "results"))


def refresh(path: Path) -> None:
    """Rewrite the tables of a page, or of all pages in a folder."""
    for page in sorted(path.rglob("*.md")) if path.is_dir() else [path]:
        print(f"{gallery.refresh(page)} tables of {page}")


def report(arguments: Sequence[str]) -> None:
    """Write the report of run folders, kept results, or folders above them, and print its path."""
    from hullx.runs.report import DEFAULT, write_report

    command = argparse.ArgumentParser()
    command.add_argument("folders", nargs="*", type=Path, default=[Path("runs")])
    command.add_argument("--out", type=Path, default=DEFAULT)
    given, unknown = command.parse_known_args(arguments)
    if unknown:
        stop(f"unknown argument {unknown[0]!r}: python -m hullx.runs report [--out FILE.html] [FOLDER …]")
    print(write_report(given.folders, given.out))


def stale(folder: Path) -> None:
    """Print the kept results whose experiment has changed since."""
    found = gallery.stale(folder)
    print(*found, f"{len(found)} kept results come from other code", sep="\n")


# Each command, with its function and default path.
COMMANDS = {
    "list": (index, Path("runs")),
    "show": (shown, None),
    "redraw": (redraw, None),
    "judge": (judge, None),
    "resume": (resume, None),
    "keep": (keep, None),
    "stale": (stale, Path("experiments")),
    "gallery": (refresh, Path("experiments")),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command line; the process's own if None."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or "-h" in given or "--help" in given:
        print(__doc__)
        return
    if given[0] not in (*COMMANDS, "report"):
        stop(f"unknown command {given[0]!r}: choose one of {', '.join((*COMMANDS, 'report'))}")
    try:
        if given[0] == "report":
            report(given[1:])
            return
        function, default = COMMANDS[given[0]]
        path = Path(given[1]) if len(given) == 2 else default if len(given) == 1 else None
        if path is None:
            stop(f"{given[0]} takes one folder: python -m hullx.runs {given[0]} FOLDER")
        function(path)
    except HullxError as error:
        stop(str(error))


if __name__ == "__main__":
    main()
