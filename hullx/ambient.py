"""hullx's code under its own settings of JAX, whatever the caller's are: what is strict for their code must not break ours."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import jax

P = ParamSpec("P")
R = TypeVar("R")


def own_settings(function: Callable[P, R]) -> Callable[P, R]:
    """The function, run with JAX's standard promotion of dtypes and ranks, and free to move data to and from devices.

    The settings hold in the calling thread and until the function returns; they change no result.
    """

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"), jax.transfer_guard("allow"):
            return function(*args, **kwargs)

    return run
