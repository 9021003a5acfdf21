"""Runs that have left a folder: which there are, what they say, and what can be done with them.

python -m hullx.runs list [DIR]         one line a run below DIR, which is runs/ if not given
python -m hullx.runs show FOLDER        the closing table
python -m hullx.runs redraw FOLDER      draws its figures anew
python -m hullx.runs judge FOLDER       judges its claims anew, from saved results
python -m hullx.runs resume FOLDER      goes on with a run that was killed
python -m hullx.runs keep FOLDER        copies its headline numbers to results/ beside the experiment, for the gallery
python -m hullx.runs gallery [PAGE]     writes the tables of a page again, or of all pages below experiments/, from what is kept
"""

from __future__ import annotations

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
from hullx.runs.pieces import module_named
from hullx.runs.results import CONFIG, PROVENANCE, Results


def index(parent: Path) -> None:
    """Prints one line a run."""
    console = printer()
    from rich.table import Table

    table = Table("experiment", "run", "date", "seconds", "claims", "state")
    for path in sorted(parent.glob(f"*/*/{CONFIG}")):
        try:
            results = Results(path.parent)
            known = results.json(PROVENANCE)
            verdicts = Counter(claim["verdict"] for claim in results.claims)
        except ResumeError:  # killed while it was made
            continue
        said = ", ".join(f"{verdicts[verdict]} {verdict}" for verdict in VERDICTS if verdicts[verdict])
        name, seconds = path.parent.parent.name, f"{known['seconds']:,.0f}" if "seconds" in known else "–"
        table.add_row(name, path.parent.name, known["date"][:16].replace("T", " "), seconds, said, state(path.parent))
    console.print(table, highlight=False)


def state(folder: Path) -> str:
    """Whether a run is finished, running, or neither."""
    if "seconds" in Results(folder).json(PROVENANCE):
        return "finished"
    try:
        with FileLock(folder / LOCK).acquire(timeout=0):
            return "unfinished"
    except Timeout:
        return "running"


def shown(folder: Path) -> None:
    """Prints the closing table."""
    show(folder)
    print(folder)


def redraw(folder: Path) -> None:
    """Draws the figures anew, and prints their paths."""
    print(*of_folder(folder).draw(folder), sep="\n")


def judge(folder: Path) -> None:
    """Judges the claims anew, and prints the closing table."""
    of_folder(folder).judge(folder)
    shown(folder)


def resume(folder: Path) -> None:
    """Goes on with a run."""
    of_folder(folder).resume(folder)


def keep(folder: Path) -> None:
    """Copies headline numbers and claims to results/ beside the experiment, and prints where."""
    module = module_named(Results(folder).json(CONFIG)["module"])
    print(gallery.keep(folder, Path(module.__file__).parent / "results"))


def refresh(path: Path) -> None:
    """Write the tables of a page again, or of all pages in a folder."""
    for page in sorted(path.rglob("*.md")) if path.is_dir() else [path]:
        print(f"{gallery.refresh(page)} tables of {page}")


# Each command, and the path that it takes where none is given.
COMMANDS = {
    "list": (index, Path("runs")),
    "show": (shown, None),
    "redraw": (redraw, None),
    "judge": (judge, None),
    "resume": (resume, None),
    "keep": (keep, None),
    "gallery": (refresh, Path("experiments")),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Does what the command line asks for; the process's own if None."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or "-h" in given or "--help" in given:
        print(__doc__)
        return
    if given[0] not in COMMANDS:
        stop(f"unknown command {given[0]!r}: choose one of {', '.join(COMMANDS)}")
    function, default = COMMANDS[given[0]]
    path = Path(given[1]) if len(given) == 2 else default if len(given) == 1 else None
    if path is None:
        stop(f"{given[0]} takes one folder: python -m hullx.runs {given[0]} FOLDER")
    try:
        function(path)
    except HullxError as error:
        stop(str(error))


if __name__ == "__main__":
    main()
