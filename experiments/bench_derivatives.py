"""What do derivatives of hull distances cost, over the value alone?

The value and each derivative take turns, so that a machine whose speed drifts does not spoil their ratio; the table has the
median of the ratios of neighbouring calls. Expected: value and gradient of the distance at most 1.2 × the value, a
Jacobian-vector product of the point at most 1.5 × the point.

    python -m experiments.bench_derivatives             digits, a minute
    python -m experiments.bench_derivatives cpu         and MNIST at two sizes, in both precisions, 12 minutes
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console
from rich.table import Table

import hullx
from experiments.command import main
from hullx.data import load
from hullx.runs import folder as record
from hullx.runs.progress import progress


@dataclass(frozen=True)
class Config:
    """Settings of the benchmark.

    Attributes:
        problems: data set:points:queries.
        dtypes: of the data and of all arithmetic.
        repeats: calls of each function.
        seed: of the subsets.
        data_dir: where TFDS data sets lie; TFDS's default if not given.
    """

    problems: tuple[str, ...] = ("digits:1437:64",)
    dtypes: tuple[str, ...] = ("float32",)
    repeats: int = 11
    seed: int = 0
    data_dir: str | None = None


PRESETS = {
    "smoke": Config(),
    "cpu": Config(
        problems=("digits:1437:1", "digits:1437:64", "mnist:5000:64", "mnist:60000:1", "mnist:60000:16"),
        dtypes=("float32", "float64"),
    ),
}


def total(queries: jax.Array, points: jax.Array) -> jax.Array:
    """Of all distances: a scalar to differentiate."""
    return hullx.distance(queries, points).sum()


def point(queries: jax.Array, points: jax.Array) -> jax.Array:
    """The nearest points."""
    return hullx.project(queries, points).point


def along_queries(queries: jax.Array, points: jax.Array) -> Any:
    """A Jacobian-vector product of the nearest points, the queries moving."""
    return jax.jvp(lambda queries: point(queries, points), (queries,), (queries,))


def along_both(queries: jax.Array, points: jax.Array) -> Any:
    """The same, queries and points moving."""
    return jax.jvp(point, (queries, points), (queries, points))


# Derivative, what it is compared with, and by what factor it may cost more.
MEASURED: dict[str, tuple[Callable, Callable, float]] = {
    "∂distance/∂q": (jax.value_and_grad(total), total, 1.2),
    "∂distance/∂(q, X)": (jax.value_and_grad(total, (0, 1)), total, 1.2),
    "ṗ along q̇": (along_queries, point, 1.5),
    "ṗ along q̇, Ẋ": (along_both, point, 1.5),
}


def run(config: Config, folder: record.Run) -> None:
    """Each problem in each precision."""
    rows: list[dict] = []
    cells = [(problem, dtype) for dtype in config.dtypes for problem in config.problems]
    with progress("problems", len(cells), "problems") as report:
        for done, (problem, dtype) in enumerate(cells, 1):
            name, n, m = problem.split(":")
            data = load(name, train_size=int(n), test_size=int(m), seed=config.seed, data_dir=config.data_dir)
            with jax.enable_x64(dtype == "float64"):
                queries, points = (jnp.asarray(split.rows.astype(dtype)) for split in (data.test, data.train))
                for derivative, (ours, value, _) in MEASURED.items():
                    seconds, ratios = compared(ours, value, config.repeats, queries, points)
                    quarters = np.quantile(ratios, (0.25, 0.5, 0.75))
                    rows.append(
                        {"problem": problem, "dtype": dtype, "derivative": derivative, "value_seconds": seconds}
                        | dict(zip(("lower_quartile", "median", "upper_quartile"), quarters.tolist(), strict=True))
                    )
                    folder.metric(**rows[-1])
            folder.table("ratios", {column: [row[column] for row in rows] for column in rows[0]})
            report(done)
    folder.finish({"config": dataclasses.asdict(config), "claims": judge(rows)})
    Console().print(closing_table(config, rows), highlight=False)


def compared(ours: Callable, value: Callable, repeats: int, queries: jax.Array, points: jax.Array) -> tuple[float, np.ndarray]:
    """Median seconds of the value, and ratios of neighbouring calls."""

    def timed(function: Callable) -> float:
        began = time.perf_counter()
        jax.block_until_ready(function(queries, points))
        return time.perf_counter() - began

    pair = jax.jit(ours), jax.jit(value)
    for function in pair:
        timed(function)
    seconds = np.array([[timed(function) for function in pair] for _ in range(repeats)])
    return float(np.median(seconds[:, 1])), seconds[:, 0] / seconds[:, 1]


def judge(rows: list[dict]) -> dict:
    """The largest median of each derivative against its limit."""
    claims = {}
    for derivative, (_, _, limit) in MEASURED.items():
        worst = max(row["median"] for row in rows if row["derivative"] == derivative)
        claims[derivative] = record.claim(f"≤ {limit} ×", f"≤ {worst:.2f} ×", record.HOLDS if worst <= limit else record.FAILS)
    return claims


def closing_table(config: Config, rows: list[dict]) -> Table:
    """One row a problem."""
    table = Table(title=f"cost over the value, median of {config.repeats}")
    for heading in ("problem", "dtype", "value", *MEASURED):
        table.add_column(heading, justify="left" if heading in ("problem", "dtype") else "right")
    for start in range(0, len(rows), len(MEASURED)):
        mine = rows[start : start + len(MEASURED)]
        cells = [f"{row['median']:.2f}" for row in mine]
        table.add_row(mine[0]["problem"], mine[0]["dtype"], f"{mine[0]['value_seconds'] * 1000:,.3g} ms", *cells)
    return table


def figures(folder: Path) -> None:
    """None: the table says it all."""


if __name__ == "__main__":
    main("experiments.bench_derivatives", __doc__, PRESETS, run)
