"""Compiler options that reduce compile time."""

from __future__ import annotations

from functools import cache

import jax

# XLA's older code generator compiles a round of a projection in two thirds of the time. It does not vectorise loops that update
# an array in place, such as pivots: 1 to 32 queries took 0.3 to 2.1 times as long (1,000–5,000 points, 8–500 dimensions).
OPTIONS = {"xla_cpu_use_fusion_emitters": False}


@cache
def quick_to_compile() -> dict[str, bool] | None:
    """Options for `jax.jit` of programs that compile longer than they run; None on accelerators, and if XLA lacks them."""
    if jax.default_backend() != "cpu":
        return None
    try:
        jax.jit(lambda: 0, compiler_options=OPTIONS).lower().compile()
    except jax.errors.JaxRuntimeError:
        return None
    return OPTIONS
