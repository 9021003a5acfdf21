"""One sweep over points on disk, in a separate process, for `bench_disk`: its seconds, its memory, and its floor."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import hullx

STATUS = Path("/proc/self/status")
ROWS = 2**16  # of a block, when the floor is measured


def peak_gigabytes() -> float:
    """The largest memory of this process so far, in GiB; not a number where the system does not say."""
    if not STATUS.exists():
        return float("nan")
    (line,) = [line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 2**20


def floor_seconds(queries: np.ndarray, points: np.ndarray) -> float:
    """Seconds of one pass, compilation excluded: each block is read from the file and multiplied with all queries."""
    for size in {min(ROWS, len(points)), len(points) % ROWS or ROWS}:
        jax.block_until_ready(_product(jnp.asarray(queries), jnp.zeros((size, points.shape[1]), jnp.float32)))
    began = time.perf_counter()
    for start in range(0, len(points), ROWS):
        jax.block_until_ready(_product(jnp.asarray(queries), jnp.asarray(points[start : start + ROWS])))
    return time.perf_counter() - began


@jax.jit
def _product(queries: jax.Array, points: jax.Array) -> jax.Array:
    return jnp.matmul(queries, points.T, precision=jax.lax.Precision.HIGHEST).max(1)


def main() -> None:
    """Sweep and print one line of JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("points")
    parser.add_argument("queries")
    args = parser.parse_args()
    points, queries = np.load(args.points, mmap_mode="r"), np.load(args.queries)
    began = time.perf_counter()
    found = hullx.sweep(queries, points, progress=False)
    seconds, peak = time.perf_counter() - began, peak_gigabytes()
    line = {
        "seconds": seconds,
        "peak": peak,
        "undecided": int((~found.decided).sum()),
        "outside": float(found.outside.mean()),
        "support": float((found.weights > 0).sum(1).mean()),
        "gap": float(np.max((found.distance - found.lower) / np.maximum(found.distance, np.finfo(np.float32).tiny))),
        "floor": 2 * floor_seconds(queries, points),
    }
    print(json.dumps(line))
