"""Loops inside `jax.shard_map`, whose initial values must have the same sharding type as their results."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from hullx.types import Array


def loop_start(start: Any, *like: Array) -> Any:
    """The same values, typed as device-varying if one of the given arrays is.

    `shard_map` distinguishes constants, equal on all devices, from values computed from sharded arrays. A loop that turns one
    into the other is an error. Outside `shard_map` this function does nothing; compilation removes it.

    Args:
        start: initial values of the loop, a tree of arrays.
        like: arrays of at least one element, from which the loop computes.
    """
    never = jnp.asarray(False)
    for array in like:
        never = never | (array.ravel()[0] == 0)
    never = never & False
    return jax.tree.map(lambda field: jnp.where(never, field, field), start)
