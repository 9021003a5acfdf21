"""A lower bound on a sweep's time: the matrix products that every method needs."""

from __future__ import annotations

import time

import jax
import jax.numpy as jnp
import numpy as np

# Queries in the timed product, and its repetitions.
ROWS, REPEATS = 256, 3


def product_seconds(queries: np.ndarray, points: np.ndarray) -> float:
    """Seconds of one float32 product of all queries with all points, extrapolated from some queries."""
    some, placed = jnp.asarray(queries[:ROWS], jnp.float32), jnp.asarray(points, jnp.float32)
    jax.block_until_ready(_product(some, placed))
    began = time.perf_counter()
    for _ in range(REPEATS):
        jax.block_until_ready(_product(some, placed))
    return (time.perf_counter() - began) / REPEATS / len(some) * len(queries)


@jax.jit
def _product(queries: jax.Array, points: jax.Array) -> jax.Array:
    return jnp.matmul(queries, points.T, precision=jax.lax.Precision.HIGHEST)
