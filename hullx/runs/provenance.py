"""Provenance of results: command, code, versions and machine."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import sys
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

PACKAGES = ("hullx", "jax", "jaxlib", "numpy", "scipy", "flax", "optax")


def provenance() -> dict[str, Any]:
    """The provenance of this process, as JSON values."""
    versions = {}
    for package in PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    return {
        "command": " ".join(sys.orig_argv),
        **code(),
        "python": platform.python_version(),
        "versions": versions,
        "device": str(jax.devices()[0].device_kind),
        "devices": jax.device_count(),
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "xla_flags": xla_flags(),
        "x64": jnp.result_type(float) == np.float64,
        "date": datetime.now().astimezone().isoformat(timespec="seconds"),
    }


def xla_flags() -> str:
    """The flags with which XLA compiles, as given by the environment."""
    return os.environ.get("XLA_FLAGS", "")


def code() -> dict[str, Any]:
    """The current commit, and whether files differ from it."""
    return {"git_commit": _git("rev-parse", "HEAD"), "git_dirty": bool(_git("status", "--porcelain"))}


def _git(*arguments: str) -> str | None:
    try:
        answer = subprocess.run(("git", *arguments), cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return answer.stdout.strip()
