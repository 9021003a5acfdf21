"""Run experiments by name.

python -m experiments list                                       each experiment, with its question
python -m experiments NAME [smoke|cpu|paper] [--field value …]   runs one; --help shows its fields
"""

from __future__ import annotations

import ast
import runpy
import sys
from itertools import groupby

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


def main() -> None:
    """Run the command line."""
    name, *arguments = sys.argv[1:] or ["--help"]
    if name in ("-h", "--help"):
        print(__doc__)
    elif name == "list":
        index()
    elif name in experiments():
        sys.argv[1:] = arguments
        runpy.run_module(f"experiments.{name}", run_name="__main__", alter_sys=True)
    else:
        stop(unknown(name))


if __name__ == "__main__":
    main()
