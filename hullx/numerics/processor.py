"""What the processor multiplies fast."""

from __future__ import annotations

from functools import cache
from pathlib import Path


@cache
def multiplies_bfloat16() -> bool:
    """Whether the processor has matrix units for bfloat16 (AMX), which multiply several times as fast as float32 units.

    On other systems than Linux, which do not say, False.
    """
    try:
        return "amx_bf16" in Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").split()
    except OSError:
        return False
