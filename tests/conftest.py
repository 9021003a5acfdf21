"""Shared fixtures. JAX starts with x64 off, as users find it; the fixture `x64` turns it on for a test."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator

# Compiling is most of the work: the workers of a run, and the programs that its tests start, share what they compile.
if "PYTEST_XDIST_WORKER" not in os.environ:
    compiled = tempfile.TemporaryDirectory(prefix="hullx-compiled-")
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", compiled.name)
    # JAX keeps what took a second; here most programs take less, and are many.
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.05")
    # Answers are asked for and not speed: without LLVM's optimisations it takes a fifth less time in all.
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_backend_optimization_level=0"

import jax
import numpy as np
import pytest

from hullx.data import load


@pytest.fixture
def x64() -> Iterator[None]:
    """float64 for one test."""
    with jax.enable_x64(True):
        yield


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def digits() -> tuple[np.ndarray, np.ndarray]:
    """Test and training images as rows of 64 numbers in [0, 1], float32."""
    data = load("digits")
    return data.test.rows, data.train.rows
