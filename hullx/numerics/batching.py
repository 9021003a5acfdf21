"""A function of one query, over many of them: so many in lockstep, one batch after the other."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from hullx.types import Array

# Queries that `over_queries` solves in lockstep. The slowest of them decides when all are done, and each holds a pool's Gram
# matrix (0.5 MB in float64); 64 keep two CPU cores' products efficient.
LOCKSTEP = 64
# The same on a CPU where solves are small steps on an inverse, which should stay in a core's cache (measured with 65 slots:
# 10 µs a step with 4 queries, 16 with 8). Fewer, where their pools would not fit into a last-level cache of so many bytes.
CPU_LOCKSTEP, CACHE_BYTES = 4, 2**24


def over_queries(one: Callable[..., Any], *batch: Any, together: int = LOCKSTEP) -> Any:
    """one(*query's) for each query of a batch: arrays, or trees of them, whose first axis is that of the queries.

    Args:
        one: a function of one query's arrays, without side effects.
        batch: arrays (m, ...), or trees of such, m ≥ 0.
        together: how many in lockstep.

    Returns:
        What `one` returns, with a first axis of m.

    Example:
        >>> over_queries(lambda query: query.sum(), jnp.arange(6.0).reshape(3, 2))
        Array([1., 5., 9.], dtype=float32)
    """
    count = len(jax.tree.leaves(batch)[0])
    if count == 1:
        return jax.vmap(one)(*batch)
    # Batches of one size, the last filled up with its own last query: one program to compile.
    together = max(min(together, count), 1)

    def parts(field: Any) -> Any:
        missing = ((0, -count % together), *[(0, 0)] * (field.ndim - 1))
        padded = jnp.pad(field, missing, mode="edge") if count % together else field
        return padded.reshape(-1, together, *field.shape[1:])

    result = lax.map(lambda part: jax.vmap(one)(*part), jax.tree.map(parts, batch))
    return jax.tree.map(lambda field: field.reshape(-1, *field.shape[2:])[:count], result)


def over_first(one: Callable[..., Any], batch: tuple[Any, ...], active: Array | int, together: int) -> Any:
    """one(*query's) for the first `active` queries only, so many in lockstep; the results of the others are 0.

    Args:
        one: a function of one query's arrays.
        batch: arrays (b, ...), or trees of such.
        active: how many of them count; may be traced.
        together: how many in lockstep; divides b.

    Example:
        >>> over_first(lambda query: query.sum(), (jnp.arange(8.0).reshape(4, 2),), 2, 2)
        Array([1., 5., 0., 0.], dtype=float32)
    """
    batched = jax.vmap(one)

    def part(start: Array | int) -> tuple[Any, ...]:
        return jax.tree.map(lambda field: lax.dynamic_slice_in_dim(field, start, together), batch)

    count = len(jax.tree.leaves(batch)[0])
    shapes = jax.eval_shape(lambda: batched(*part(0)))
    empty = jax.tree.map(lambda field: jnp.zeros((count, *field.shape[1:]), field.dtype), shapes)

    def body(i: Array, results: Any) -> Any:
        found = batched(*part(i * together))
        return jax.tree.map(lambda all_, new: lax.dynamic_update_slice_in_dim(all_, new, i * together, 0), results, found)

    return lax.fori_loop(0, (active + together - 1) // together, body, empty)


def lockstep(pool_bytes: int, batch: int) -> int:
    """How many queries solve together: the whole batch on an accelerator; on a CPU a power of two whose pools fit the cache.

    Args:
        pool_bytes: of one query's pool.
        batch: queries; the result divides it.
    """
    together = batch
    if jax.default_backend() == "cpu":
        fit = max(CACHE_BYTES // pool_bytes, 1)
        together = min(CPU_LOCKSTEP, 2 ** (fit.bit_length() - 1), batch)
    return math.gcd(together, batch)


def filled(rows: np.ndarray, count: int) -> np.ndarray:
    """Rows filled up to a count with copies of the last one: programs are compiled for one shape.

    Args:
        rows: (k, ...), k ≥ 1.
        count: k or more.

    Example:
        >>> filled(np.array([3, 7]), 4)
        array([3, 7, 7, 7])
    """
    return np.concatenate([rows, np.repeat(rows[-1:], count - len(rows), 0)])
