"""A function of one query, over many of them: in lockstep by lanes, one batch of lanes after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

# Queries solved in lockstep. The slowest of them decides when all are done, and each holds a pool's Gram matrix (0.5 MB in
# float64); 64 keep two CPU cores' products efficient.
LANES = 64


def over_queries(one: Callable, *batch: Any) -> Any:
    """one(*query's) for each query of a batch: arrays, or trees of them, whose first axis is that of the queries."""
    count = len(jax.tree.leaves(batch)[0])
    if count == 1:
        return jax.vmap(one)(*batch)
    # Batches of one size, the last filled up with its own last query: one program to compile.
    lanes = max(min(LANES, count), 1)

    def parts(field: Any) -> Any:
        missing = ((0, -count % lanes), *[(0, 0)] * (field.ndim - 1))
        padded = jnp.pad(field, missing, mode="edge") if count % lanes else field
        return padded.reshape(-1, lanes, *field.shape[1:])

    result = lax.map(lambda part: jax.vmap(one)(*part), jax.tree.map(parts, batch))
    return jax.tree.map(lambda field: field.reshape(-1, *field.shape[2:])[:count], result)
