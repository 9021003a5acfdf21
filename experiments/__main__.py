"""Run experiments by name.

python -m experiments list                                       each experiment, with its question
python -m experiments all [smoke|cpu|paper] [--field value …]    runs all, skips finished runs, and writes runs/report.html
python -m experiments NAME [smoke|cpu|paper] [--field value …]   runs one; --help shows its fields
"""

from __future__ import annotations

import ast
import runpy
import sys
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from experiments import experiments, unknown
from hullx.runs.command import stop


def index() -> None:
    """Print each folder and its experiments, with their questions."""
    found = experiments()
    width = max(map(len, found))
    for folder, names in groupby(found, lambda name: found[name].parent.name):
        print(folder)
        print(*(f"  {name:{width}}  {question(name)}" for name in names), sep="\n")


def question(name: str) -> str:
    """Return the question of an experiment: the first line of its docstring."""
    doc = ast.get_docstring(ast.parse(experiments()[name].read_text(encoding="utf-8")))
    return (doc or "").partition("\n")[0]


def run_all(arguments: Sequence[str]) -> None:
    """Run every experiment with a preset; the status is 1 if some failed."""
    from hullx.runs.series import run_series

    preset, *rest = arguments if arguments and not arguments[0].startswith("-") else ["smoke", *arguments]
    out = Path(rest[rest.index("--out") + 1]) if "--out" in rest[:-1] else Path("runs")
    try:
        failed = run_series([f"experiments.{name}" for name in experiments()], preset, rest, out=out)
    except KeyboardInterrupt:
        print("\ninterrupted; the same command continues", file=sys.stderr)
        sys.exit(130)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
        sys.exit(1)


def main() -> None:
    """Run the command line."""
    name, *arguments = sys.argv[1:] or ["--help"]
    if name in ("-h", "--help"):
        print(__doc__)
    elif name == "list":
        index()
    elif name == "all":
        run_all(arguments)
    elif name in experiments():
        sys.argv[1:] = arguments
        runpy.run_module(f"experiments.{name}", run_name="__main__", alter_sys=True)
    else:
        stop(unknown(name))


if __name__ == "__main__":
    main()
