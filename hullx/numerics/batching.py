"""Map functions over queries in batches of fixed size."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from hullx.numerics.loops import loop_start
from hullx.types import Array

# Queries that `over_queries` solves in lockstep. The slowest query determines the time, and each holds a pool's Gram matrix
# (0.5 MB in float64); 64 keep two CPU cores' products efficient.
LOCKSTEP = 64
# The same for solves on a CPU: small steps on an inverse, which should stay in a core's cache (measured with 65 slots: 10 µs a
# step with 4 queries, 16 with 8). Fewer if their pools do not fit into a last-level cache of CACHE_BYTES.
CPU_LOCKSTEP, CACHE_BYTES = 4, 2**24
# An accelerator gathers pools for as many queries as fit into POOL_BYTES: 512 of CIFAR-10, in float64.
POOL_BYTES = 2**31


def over_queries(one: Callable[..., Any], *batch: Any, together: int = LOCKSTEP) -> Any:
    """Map a function over the first axis of a batch, a fixed number of queries at a time.

    Args:
        one: a function of one query's arrays, without side effects.
        batch: arrays (m, ...), or trees of such, m ≥ 0.
        together: number of queries in lockstep.

    Returns:
        The results of `one`, with a first axis of m.

    Example:
        >>> over_queries(lambda query: query.sum(), jnp.arange(6.0).reshape(3, 2))
        Array([1., 5., 9.], dtype=float32)
    """
    return over_batches(lambda part: jax.vmap(one)(*part), batch, together)


def over_batches(batched: Callable[[Any], Any], batch: Any, size: int) -> Any:
    """Apply a function to a batch in parts of equal size, one after the other, as one compiled program.

    Args:
        batched: a function of trees of arrays whose first axis is that of the queries, without side effects.
        batch: a tree of arrays (m, ...), m ≥ 0.
        size: queries per part; the last part is padded with its last query.
    """
    count = len(jax.tree.leaves(batch)[0])
    size = max(min(size, count), 1)
    if count == size:
        return batched(batch)

    def parts(field: Any) -> Any:
        missing = ((0, -count % size), *[(0, 0)] * (field.ndim - 1))
        padded = jnp.pad(field, missing, mode="edge") if count % size else field
        return padded.reshape(-1, size, *field.shape[1:])

    found = lax.map(batched, jax.tree.map(parts, batch))
    return jax.tree.map(lambda field: field.reshape(-1, *field.shape[2:])[:count], found)


def in_groups(batched: Callable[..., Any], batch: tuple[Any, ...], together: int, wanted: Array | None = None) -> Any:
    """Apply a function to groups of a fixed number of queries, one after the other.

    Args:
        batched: a function of arrays whose first axis is that of the queries.
        batch: arrays (b, ...), or trees of such.
        together: queries per group; divides b.
        wanted: (b,) bool; groups without a wanted query are skipped and get zeros. None for all.

    Example:
        >>> in_groups(lambda queries: queries.sum(1), (jnp.arange(8.0).reshape(4, 2),), 2)
        Array([ 1.,  5.,  9., 13.], dtype=float32)
        >>> in_groups(lambda queries: queries.sum(1), (jnp.arange(8.0).reshape(4, 2),), 2, jnp.arange(4) == 3)
        Array([ 0.,  0.,  9., 13.], dtype=float32)
    """
    if wanted is None or together >= len(wanted):
        return over_batches(lambda group: batched(*group), batch, together)
    groups = wanted.reshape(-1, together).any(1)
    _, order = lax.top_k(groups.astype(jnp.float32), len(groups))
    batched = jax.jit(batched)  # traced once, both for its shape and for the loop

    def group(first: Array | int) -> tuple[Any, ...]:
        return jax.tree.map(lambda field: lax.dynamic_slice_in_dim(field, first, together), batch)

    def body(i: Array, found: Any) -> Any:
        first = order[i] * together
        return jax.tree.map(
            lambda whole, part: lax.dynamic_update_slice_in_dim(whole, part, first, 0), found, batched(*group(first))
        )

    shapes = jax.eval_shape(lambda: batched(*group(0)))
    empty = jax.tree.map(lambda part: jnp.zeros((len(wanted), *part.shape[1:]), part.dtype), shapes)
    return lax.fori_loop(0, groups.sum(), body, loop_start(empty, *jax.tree.leaves(batch)[:1]))


def lockstep(pool_bytes: int, batch: int) -> int:
    """The number of queries to solve together: a power of two whose pools fit a CPU's cache or an accelerator's memory.

    Args:
        pool_bytes: size of one query's pool.
        batch: number of queries; the result divides it.
    """
    on_cpu = jax.default_backend() == "cpu"
    fit = 2 ** (max((CACHE_BYTES if on_cpu else POOL_BYTES) // pool_bytes, 1).bit_length() - 1)
    return math.gcd(min(CPU_LOCKSTEP, fit) if on_cpu else fit, batch)


def fill(rows: np.ndarray, count: int) -> np.ndarray:
    """The rows padded to a count with copies of the last one, so that programs compile for one shape.

    Args:
        rows: (k, ...), k ≥ 1.
        count: k or more.

    Example:
        >>> fill(np.array([3, 7]), 4)
        array([3, 7, 7, 7])
    """
    return np.concatenate([rows, np.repeat(rows[-1:], count - len(rows), 0)]) if len(rows) < count else rows
