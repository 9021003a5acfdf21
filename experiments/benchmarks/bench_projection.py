"""How fast is `hullx.project` compared with `hullx.sweep` and with an older checkout, in one run?

    python -m experiments.bench_projection --baseline /tmp/base      all rows, on MNIST and CIFAR-10
    python -m experiments.bench_projection --only 1,3 --data-dir D   some rows; D is the folder of TFDS sets ($TFDS_DATA_DIR)
    python -m experiments.bench_projection --quick                   smoke test on MNIST:2000 in float32

A full run writes PROJECTION.md beside this file. A partial run only prints, unless --out names a file. Each checkout has one
worker process for the steady calls, which keeps data and programs. Workers take turns, and so do the calls on a data set. A
steady time is the median of 5 turns or more after the first (3 for calls over 1 s). A first call (rows 4, 5) is timed in a
fresh process, after imports and data: the median of 3 processes. No process has a persistent compilation cache. Row 5: after a
first call with (m, n) = (64, 1000), the same process calls 7 shapes in turn.

    python -P bench_projection.py worker    reads lines of JSON, [call, seconds to spend]; answers in JSON
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from functools import cache
from itertools import product
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

import jax
import jax.numpy as jnp
import numpy as np

import hullx
from hullx.data import Sample

if TYPE_CHECKING:  # a worker runs this file by its path, outside any package
    from .projection_rows import Call, Row

HERE = Path(__file__).resolve()
SHAPES = (1, 1000), (3, 1000), (17, 1100), (64, 1000), (100, 997), (200, 1024), (5, 900)  # m, n of row 5
ROUNDS, LONG, LONG_ROUNDS, PROCESSES = 5, 1.0, 3, 3  # a call of LONG seconds gets LONG_ROUNDS
JITTED = jax.jit(hullx.project)
SPEND = 0.2  # seconds for which a worker repeats a short call in each turn


class Checkout:
    """One checkout of hullx: seconds and undecided queries of each call, and its worker process."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.seconds: defaultdict[Call, list[float]] = defaultdict(list)
        self.open: Counter[Call] = Counter()
        git = ["git", "-C", str(self.path), "describe", "--always", "--dirty"]
        self.commit = subprocess.check_output(git, text=True).strip()

    def start(self) -> None:
        changed = {"PYTHONPATH": str(self.path), "JAX_ENABLE_COMPILATION_CACHE": "false"}
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.worker = subprocess.Popen([sys.executable, "-P", HERE, "worker"], env=os.environ | changed, **pipes)
        self.prepares, found = self.answer()
        if not Path(found).is_relative_to(self.path):
            raise RuntimeError(f"{self.path}: its worker imports {found}")

    def answer(self) -> Any:
        return json.loads(cast(IO[str], self.worker.stdout).readline())

    def time(self, call: Call, spend: float = 0.0, keep: bool = True) -> None:
        print(json.dumps([call, spend]), file=self.worker.stdin, flush=True)
        seconds, self.open[call] = self.answer()
        self.seconds[call] += seconds if keep else []

    def stop(self) -> None:
        self.worker.communicate()


def run_worker() -> None:
    """Run as a worker: answer calls from standard input."""
    answers, sys.stdout = sys.stdout, sys.stderr
    print(json.dumps([hasattr(hullx, "prepare"), hullx.__file__]), file=answers, flush=True)
    for line in sys.stdin:
        call, spend = json.loads(line)
        seconds, left = [], 0
        try:
            with jax.enable_x64(call[3] == "float64"):
                function = make_call(*call)
                while not seconds or sum(seconds) < spend:
                    began = time.perf_counter()
                    found = jax.block_until_ready(function())
                    seconds.append(time.perf_counter() - began)
                    left = sum(int((~np.asarray(each.decided)).sum()) for each in found)
        except Exception as error:  # one failing call must not end the run
            print(f"{call}: {error!r}", file=sys.stderr)
            seconds = [np.nan]
        print(json.dumps([seconds, left]), file=answers, flush=True)


def make_call(function: str, name: str, count: int, dtype: str, prepare: bool, _: bool) -> Callable[[], list[Any]]:
    """The function of a `Call`, with its data on the device, except for sweep."""
    if function == "shapes":
        pairs = [[jnp.asarray(each) for each in arrays(f"gaussian64:{n}", dtype, m)] for m, n in SHAPES]
        return lambda: [jax.block_until_ready(hullx.project(*pair)) for pair in pairs]
    queries, points = arrays(name, dtype)
    target: Any = points_on_device(name, dtype, prepare) if prepare or function != "sweep" else points
    if function == "sweep":
        return lambda: [hullx.sweep(queries[:count], target, progress=False)]
    some, project = jnp.asarray(queries[:count]), JITTED if function == "jit" else hullx.project
    return lambda: [project(some, target)]


@cache
def arrays(name: str, dtype: str, count: int = 1000) -> tuple[np.ndarray, np.ndarray]:
    """Queries and points; Gaussian queries are centred at (1, …, 1)."""
    if not name.startswith("gaussian"):
        data = Sample(name).load()
        return data.test.rows[:count].astype(dtype, copy=False), data.train.rows.astype(dtype, copy=False)
    d, n = map(int, name.removeprefix("gaussian").split(":"))
    rng = np.random.default_rng(0)
    return rng.standard_normal((count, d)).astype(dtype) + 1, rng.standard_normal((n, d)).astype(dtype)


@cache
def points_on_device(name: str, dtype: str, prepare: bool) -> Any:
    """The points on the device, or the hull that hullx.prepare makes of them."""
    points = points_on_device(name, dtype, False) if prepare else jnp.asarray(arrays(name, dtype)[1])
    return jax.block_until_ready(getattr(hullx, "prepare")(points) if prepare else points)  # noqa: B009


def measure(checkouts: list[Checkout], calls: list[Call], rounds: int, processes: int) -> None:
    """Time first calls in separate processes, then the others in turns, data set by data set."""
    for turn, call, checkout in product(range(processes), [call for call in calls if call.fresh], checkouts):
        print(f"{call.function} {call.dtype}: first call, process {turn + 1} of {processes}", file=sys.stderr)
        checkout.start()
        for each in [call._replace(function="project"), call] if call.function == "shapes" else [call]:
            checkout.time(each)
        checkout.stop()
    for checkout in checkouts:
        checkout.start()
    steady = [call for call in calls if not call.fresh]
    for about in dict.fromkeys((call.data, call.dtype) for call in steady):
        group = [call for call in steady if (call.data, call.dtype) == about]
        for turn in range(rounds + 1):
            print(*about, f"round {turn} of {rounds}, load {os.getloadavg()[0]:.1f}", file=sys.stderr)
            for call, checkout in product(group, checkouts[:: (-1) ** turn]):
                long = turn > LONG_ROUNDS and min(checkout.seconds[call], default=0) > LONG
                if call.prepared <= checkout.prepares and not long:
                    checkout.time(call, SPEND * (turn > 0), keep=turn > 0)
    for checkout in checkouts:
        checkout.stop()


def table(chosen: list[Row], checkouts: list[Checkout]) -> Iterator[str]:
    """The rows in Markdown, without those that this version of hullx cannot run."""
    yield "| row | | now | baseline | time now ÷ baseline | target | met |\n| ---: | --- | ---: | ---: | ---: | --- | --- |"
    for row in (row for row in chosen if checkouts[0].seconds[row.call]):
        cells, values, tops = [], [], []
        for checkout in checkouts:
            each = [float(np.median(checkout.seconds[c] or np.nan)) / c.queries for c in (row.call, row.beside) if c]
            top, below = (*each, 1.0)[:2]
            tops.append(top)
            values.append(top / below if row.beside else top * row.call.queries * row.scale)
            left = checkout.open[row.call]
            cells.append("–" if np.isnan(values[-1]) else f"{values[-1]:.3g}{f' ({left} open)' * (left > 0)}")
        against = tops[0] / tops[1] if len(tops) > 1 else np.nan
        value, most = (round(against, 2), 1.0) if not row.target else (values[0], row.target)
        target = "" if row.target == np.inf else "not slower than baseline" if not row.target else f"≤ {row.target}"
        met = "" if row.target == np.inf or np.isnan(value) else "yes" if value <= most else "no"
        cells += ["–"] * (2 - len(cells)) + ["–" if np.isnan(against) else f"{against:.2f}"]
        yield f"| {' | '.join((str(row.number), row.label, *cells, target, met))} |"


def main() -> None:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="1,2,3,4,5,6", help="numbers of rows to measure")
    parser.add_argument("--baseline", type=Path, help="path of an older checkout")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--data-dir", default=os.environ.get("TFDS_DATA_DIR", ""), help="folder of TFDS data sets")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    from .projection_rows import rows

    os.environ |= {"TFDS_DATA_DIR": options.data_dir} if options.data_dir else {}
    chosen = [row for row in rows(options.quick) if str(row.number) in options.only.split(",")]
    calls = list(dict.fromkeys(call for row in chosen for call in (row.call, row.beside) if call))
    checkouts, load = [Checkout(path) for path in (HERE.parents[2], options.baseline) if path], os.getloadavg()[0]
    measure(checkouts, calls, *((1, 1) if options.quick else (ROUNDS, PROCESSES)))
    machine = f"{os.cpu_count()} CPUs, load {load:.1f} before and {os.getloadavg()[0]:.1f} after, jax {jax.__version__}"
    about = f"`python -m experiments.bench_projection` on {machine}: {', baseline '.join(each.commit for each in checkouts)}."
    text = "\n".join(("# `project` compared with `sweep`\n", about + "\n", *table(chosen, checkouts)))
    print(text)
    full = options.only == parser.get_default("only") and not options.quick
    if out := options.out or (full and HERE.with_name("PROJECTION.md")):
        out.write_text(text + "\n")


if __name__ == "__main__":
    run_worker() if sys.argv[1:] == ["worker"] else main()
