"""Where arrays are, and what the processor multiplies fast."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import jax


def on_cpu(array: jax.Array) -> bool:
    """Whether an array is in a CPU's memory; JAX does not spread arrays over different kinds of devices."""
    return next(iter(array.devices())).platform == "cpu"


@cache
def multiplies_bfloat16() -> bool:
    """Whether the processor has matrix units for bfloat16 (AMX), which multiply several times as fast as float32 units.

    On other systems than Linux, which do not say, False.
    """
    try:
        return "amx_bf16" in Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").split()
    except OSError:
        return False
