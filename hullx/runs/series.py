"""Run several experiments one after the other: skip finished runs, continue after failures, end with a report."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from hullx.errors import ResumeError
from hullx.runs.modules import module_named
from hullx.runs.report import write_report
from hullx.runs.results import CONFIG, PROVENANCE, Results
from hullx.runs.sources import code_hash

REPORT = "report.html"


def run_series(modules: Sequence[str], preset: str, arguments: Sequence[str] = (), *, out: Path = Path("runs")) -> list[str]:
    """Run each experiment in its own process, and write <out>/report.html; return the modules that failed.

    A finished run of the same preset from the same code is not repeated, whatever its other arguments. An interrupted one is
    resumed. Experiments without the preset are skipped.

    Args:
        modules: of experiments, such as "experiments.pixel_hull".
        preset: smoke, cpu or paper.
        arguments: further arguments of all experiments, such as ("--data-dir", "…").
        out: parent folder of run folders.

    Raises:
        KeyboardInterrupt: the same call continues.
    """
    failed, began = list[str](), time.monotonic()
    for i, module in enumerate(modules, 1):
        name, finished, unfinished = module.rpartition(".")[2], *_earlier(module, preset, out)
        title = f"[{i}/{len(modules)}] {name}, {preset}"
        try:
            presets = module_named(module).experiment.presets
        except ImportError as error:  # it needs a package that is not installed
            print(f"{title}: {error}", flush=True)
            failed.append(module)
            continue
        if preset not in presets:
            print(f"{title}: has no such preset", flush=True)
        elif finished is not None:
            print(f"{title}: finished in {finished}", flush=True)
        else:
            print(f"{title}: started after {time.monotonic() - began:,.0f} s", flush=True)
            command = ("-m", module, preset, "--out", str(out), *arguments)
            command = ("-m", "hullx.runs", "resume", str(unfinished)) if unfinished is not None else command
            done = subprocess.run((sys.executable, *command), stdout=subprocess.DEVNULL)
            if done.returncode in (130, -2):
                raise KeyboardInterrupt
            if done.returncode:
                failed.append(module)
    try:
        print(f"report: {write_report([out], out / REPORT)}")
    except ResumeError:
        print("report: none, because no run is finished")
    return failed


def _earlier(module: str, preset: str, out: Path) -> tuple[Path | None, Path | None]:
    """The newest finished and the newest unfinished run of an experiment's current code, or None."""
    finished = unfinished = None
    for path in sorted((out / module.rpartition(".")[2]).glob(f"*/{CONFIG}")):
        try:
            run = Results(path.parent)
            known = run.json(PROVENANCE)
        except ResumeError:  # killed while the folder was created
            continue
        if run.json(CONFIG)["preset"] == preset and known.get("code") == code_hash(module, preset):
            finished, unfinished = (path.parent, None) if "seconds" in known else (finished, path.parent)
    return finished, unfinished
