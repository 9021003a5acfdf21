"""What do derivatives of hull distances cost, compared with the value alone?

The value and each derivative take turns, so a drifting machine speed does not bias their ratio. The table has the median of
the ratios of neighbouring calls: 11 pairs, or as many as fit into two seconds. Expected on every problem: value and gradient
of the distance cost at most 1.2 × the value, a Jacobian-vector product of the point at most 1.5 × the point.

    python -m experiments.bench_derivatives             one derivative on digits, seconds
    python -m experiments.bench_derivatives cpu         all, and MNIST at two sizes, in both precisions, 8 to 18 minutes
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import hullx
from hullx import runs
from hullx.data import Sample
from hullx.runs import plotting
from hullx.runs.progress import progress


def total(queries: jax.Array, points: jax.Array) -> jax.Array:
    """The sum of all distances, a scalar to differentiate."""
    return hullx.distance(queries, points).sum()


def point(queries: jax.Array, points: jax.Array) -> jax.Array:
    """The nearest points."""
    return hullx.project(queries, points).point


def along_queries(queries: jax.Array, points: jax.Array) -> Any:
    """A Jacobian-vector product of the nearest points as the queries move."""
    return jax.jvp(lambda queries: point(queries, points), (queries,), (queries,))


def along_both(queries: jax.Array, points: jax.Array) -> Any:
    """A Jacobian-vector product of the nearest points as queries and points move."""
    return jax.jvp(point, (queries, points), (queries, points))


# Derivative, the value it is compared with, and the largest allowed ratio.
MEASURED: dict[str, tuple[Callable, Callable, float]] = {
    "∂distance/∂q": (jax.value_and_grad(total), total, 1.2),
    "∂distance/∂(q, X)": (jax.value_and_grad(total, (0, 1)), total, 1.2),
    "ṗ along q̇": (along_queries, point, 1.5),
    "ṗ along q̇, Ẋ": (along_both, point, 1.5),
}


@dataclass(frozen=True)
class Config(runs.Config):
    """Settings of the benchmark.

    Attributes:
        data: data sets with numbers of points and queries, such as digits:1437:64.
        derivatives: names of those to measure.
        dtypes: dtypes of the data and of all arithmetic.
        repeats: least number of pairs of calls; fast calls go on for `SECONDS`.
    """

    data: tuple[Sample, ...] = (Sample("digits:1437:16"),)
    derivatives: tuple[str, ...] = tuple(MEASURED)
    dtypes: tuple[str, ...] = ("float32",)
    repeats: int = 11


# Fast calls vary most, so they are repeated for this long, at most `MOST` times.
SECONDS, MOST = 2, 201


PRESETS = {
    "smoke": Config(derivatives=("∂distance/∂(q, X)",)),
    "cpu": Config(
        data=tuple(map(Sample, ("digits:1437:1", "digits:1437:64", "mnist:5000:64", "mnist:60000:1", "mnist:60000:16"))),
        dtypes=("float32", "float64"),
    ),
}


def measure(config: Config, run: runs.Run[Config]) -> None:
    """Time each problem in each precision."""
    runs.known("--derivatives", config.derivatives, MEASURED)
    runs.known("--dtypes", config.dtypes, ("float32", "float64"))
    cells = [(sample, dtype) for dtype in config.dtypes for sample in config.data]
    with progress("problems", len(cells) * len(config.derivatives), "derivatives") as report:
        for done, (sample, dtype) in enumerate(cells):
            data = sample.load(seed=config.seed, data_dir=config.data_dir)
            record = partial(run.record, data=data.title, group=dtype, statistic="median")
            with jax.enable_x64(dtype == "float64"):
                queries, points = (jnp.asarray(split.rows.astype(dtype)) for split in (data.test, data.train))
                for i, derivative in enumerate(config.derivatives):
                    ours, value, _ = MEASURED[derivative]
                    name = f"{sample} {dtype} {i}"
                    seconds, ratios = run.cached(name, compare, ours, value, config.repeats, queries, points)
                    if i == 0:
                        record("milliseconds for the value", 1000 * seconds)
                    record(derivative, ratios)
                    report(done * len(config.derivatives) + i + 1)
            # Each program takes memory maps, and a process has 65,530.
            jax.clear_caches()


def compare(
    ours: Callable, value: Callable, repeats: int, queries: jax.Array, points: jax.Array
) -> tuple[np.ndarray, np.ndarray]:
    """Seconds of the value, and ratios of neighbouring calls."""

    def time_call(function: Callable) -> float:
        began = time.perf_counter()
        jax.block_until_ready(function(queries, points))
        return time.perf_counter() - began

    pair = jax.jit(ours), jax.jit(value)
    for function in pair:
        time_call(function)
    count = int(np.clip(SECONDS / sum(time_call(function) for function in pair), repeats, max(repeats, MOST)))
    seconds = np.array([[time_call(function) for function in pair] for _ in range(count)])
    return seconds[:, 1], seconds[:, 0] / seconds[:, 1]


def claims(results: runs.Results) -> Iterator[runs.Claim]:
    """The largest median of each derivative against its limit."""
    for derivative in results.config["derivatives"]:
        rows, limit = results.select(quantity=derivative), MEASURED[derivative][2]
        worst = max(rows, key=lambda row: row.value)
        verdict = runs.both(*(runs.below(row.estimate, limit) for row in rows))
        expected, note = f"at most {limit} × the value", f"highest: {worst.data}, {worst.group}"
        yield runs.Claim.of(worst.estimate, f"cost of {derivative}", "here", expected, verdict, note=note, unit=" ×")


def figures(results: runs.Results) -> plotting.Figures:
    """The ratios with their intervals."""
    cells = list(dict.fromkeys((row.data, row.group) for row in results.rows))
    title = "Cost of derivatives ÷ cost of the value: medians of pairs of calls, 95% intervals; dotted: limit"
    measured = results.config["derivatives"]
    drawn, axes = plotting.figure(1, len(measured), size=(11, 1.6 + 0.3 * len(cells)), title=title)
    for place, derivative in zip(axes[0], measured, strict=True):
        for i, (data, group) in enumerate(cells):
            ratio = results.estimate(derivative, data=data, group=group)
            place.plot([ratio.low, ratio.high], [i, i], color=plotting.COLOURS[0])
            place.plot(ratio.value, i, color=plotting.COLOURS[0], marker="o", markersize=4)
        place.axvline(MEASURED[derivative][2], color=plotting.COLOURS[1], linestyle=":")
        place.set(title=derivative, xlabel="× the value", yticks=range(len(cells)), ylim=(len(cells) - 0.5, -0.5))
        place.set_yticklabels([f"{data}, {group}" for data, group in cells] if place is axes[0, 0] else [])
    yield "ratios", drawn


experiment = runs.Experiment(Config, PRESETS, measure, claims, figures)
if __name__ == "__main__":
    experiment.main()
