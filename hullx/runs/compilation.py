"""How the programs of commands are compiled. These settings hold for the whole process, so only commands may choose them."""

from __future__ import annotations

import os
from pathlib import Path

import jax
import jaxlib

CACHE = "jax_compilation_cache_dir"
# The preset for a quick check, which takes less time to run than to compile.
SMOKE = "smoke"
# XLA's older code generator with few optimisations compiles smoke presets in 60% of the time (user seconds, two experiments).
QUICK = "--xla_cpu_use_fusion_emitters=false --xla_backend_optimization_level=1"
# Releases of jaxlib known to have these flags: XLA ends a process that has an unknown one.
KNOWN = ("0.10.",)


def prepare_to_compile(preset: str = "") -> None:
    """Keep compiled programs, and compile those of the preset `smoke` quickly; call it before JAX starts.

    Programs are kept in ~/.cache/hullx/jax, unless JAX already has a cache folder. XLA_FLAGS of the user take precedence.
    """
    if getattr(jax.config, CACHE) is None:  # JAX reads JAX_COMPILATION_CACHE_DIR into it
        parent = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        jax.config.update(CACHE, str(parent / "hullx" / "jax"))
        # Most programs compile faster than JAX's default of 1 s, but experiments compile dozens.
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.05)
    if preset == SMOKE and jaxlib.__version__.startswith(KNOWN):
        os.environ["XLA_FLAGS"] = f"{QUICK} {os.environ.get('XLA_FLAGS', '')}".strip()
