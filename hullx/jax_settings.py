"""JAX's default settings for hullx's code, because stricter settings of the caller would break it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import jax
import jax.core
import numpy as np
from jax.sharding import Mesh

P = ParamSpec("P")
R = TypeVar("R")


def with_jax_defaults(function: Callable[P, R]) -> Callable[P, R]:
    """Run the function with JAX's standard dtype and rank promotion, and without transfer guards.

    The settings apply to the calling thread until the function returns. They change no result.
    """

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"), jax.transfer_guard("allow"):
            return function(*args, **kwargs)

    return run


@contextmanager
def eagerly() -> Iterator[None]:
    """Compute concrete numbers in float64 and without the caller's mesh, also while JAX traces the caller."""
    # Not `jax.ensure_compile_time_eval`, which also computes the constants in jitted functions one by one.
    with jax.core.eval_context(), without_mesh(), jax.enable_x64(True):
        yield


def without_mesh() -> AbstractContextManager[Any]:
    """A context without the caller's mesh (`jax.set_mesh`): arrays are placed on one device.

    Where a transformation binds axes, such as `jax.shard_map`, the caller's mesh remains.
    """
    try:
        return jax.set_mesh(Mesh(np.empty((), object), ()))
    except ValueError:
        return nullcontext()
