"""hullx's code under its own settings of JAX, whatever the caller's are: what is strict for their code must not break ours."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import jax
import numpy as np
from jax.sharding import Mesh

P = ParamSpec("P")
R = TypeVar("R")


def with_jax_defaults(function: Callable[P, R]) -> Callable[P, R]:
    """The function, run with JAX's standard promotion of dtypes and ranks, and free to move data to and from devices.

    The settings hold in the calling thread and until the function returns; they change no result.
    """

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"), jax.transfer_guard("allow"):
            return function(*args, **kwargs)

    return run


def without_mesh() -> AbstractContextManager[Any]:
    """A context in which arrays are placed on one device, whatever mesh the caller works in (`jax.set_mesh`).

    Under a transformation such as jax.grad the caller's mesh stays.
    """
    try:
        return jax.set_mesh(Mesh(np.empty((), object), ()))
    except ValueError:
        return nullcontext()
