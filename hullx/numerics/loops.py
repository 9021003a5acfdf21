"""Loops inside of `jax.shard_map`: what they begin with must be of the type that they end with, place by place."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from hullx.types import Array


def loop_start(start: Any, *like: Array) -> Any:
    """The same values, of a type that says: different on each device, if that is what an array like these is.

    `shard_map` tells constants, which are the same on all devices, from what is computed of split arrays, and a loop that turns
    one into the other is an error. Elsewhere this does nothing, and in compiled programs nothing is left of it.

    Args:
        start: what the loop begins with, a tree of arrays.
        like: arrays of one element or more, from which the loop computes.
    """
    never = jnp.asarray(False)
    for array in like:
        never = never | (array.ravel()[0] == 0)
    never = never & False
    return jax.tree.map(lambda field: jnp.where(never, field, field), start)
