"""How the programs of commands are compiled. These settings hold for the whole process, so only commands may choose them."""

from __future__ import annotations

import os
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import jax

CACHE = "jax_compilation_cache_dir"
# XLA's older code generator with few optimisations: half to two thirds of the user seconds (two smoke presets).
QUICK = "--xla_cpu_use_fusion_emitters=false --xla_backend_optimization_level=1"
# Releases of jaxlib known to have these flags: an unknown flag ends the process.
KNOWN = ("0.10.0", "0.10.1", "0.10.2")


def keep_compiled() -> None:
    """Keep compiled programs in ~/.cache/hullx/jax, unless JAX already has a cache folder."""
    if getattr(jax.config, CACHE) is None:  # JAX reads JAX_COMPILATION_CACHE_DIR into it
        parent = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        jax.config.update(CACHE, str(parent / "hullx" / "jax"))
        # Most programs compile faster than JAX's default of 1 s, but experiments compile dozens.
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.05)


def compile_quickly() -> None:
    """Compile with few optimisations on a CPU; call it before JAX starts. XLA_FLAGS of the user take precedence."""
    accelerators = find_spec("jax_plugins"), find_spec("libtpu")
    if version("jaxlib") in KNOWN and accelerators == (None, None) and not os.environ.get("XLA_FLAGS"):
        os.environ["XLA_FLAGS"] = QUICK
