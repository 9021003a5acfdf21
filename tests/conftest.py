"""Shared fixtures. JAX starts with x64 off, as users find it; the fixture `x64` turns it on for a test."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

# Compiling is most of the work. Workers, the programs that tests start, and the next run share what they compile. What judges
# rounding is compiled as users compile it, for a certificate holds only under the flags that it was tested with.
if "PYTEST_XDIST_WORKER" not in os.environ:
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parents[1] / ".pytest_cache" / "compiled"))
    # JAX keeps what took a second; here most programs take less, and are many.
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.05")

import jax
import numpy as np
import pytest
from hard_instances import POINTS, QUERIES
from jax._src import compiler
from jaxtyping import install_import_hook

# Shapes and dtypes are checked against the signatures while the tests run; an int is a float, as to any type checker. Left out
# is what checks its own arguments, for there a wrong one is to meet hullx's own error: project, distance, sweep, fit, load,
# corrupted, rows, the settings of solvers, checkpoints. And what has no shapes in its signatures, or, as the derivatives,
# hardly any but functions within functions, which would be prepared for the check anew at each trace.
CHECKED = {
    "hullx": ["certificate", "geometry", "models", "numerics", "types"],
    "hullx.core": ["hull", "pool", "precision", "results", "scores"],
    "hullx.data": ["augmentation", "dataset", "preprocessing", "sources", "synthetic"],
    "hullx.solvers": ["base"],
    "hullx.spaces": ["features", "pixels", "principal", "selected", "wavelets"],
    "hullx.training": ["history", "steps"],
}
install_import_hook(
    [f"{folder}.{name}" for folder, names in CHECKED.items() for name in names],
    "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))",
)

from hullx.data import load

# XLA reads XLA_FLAGS when it starts; a command that a test runs in this process may set them.
jax.devices()

# JAX has no public setting of a compiler's options for some test files of a process, so `_compiled` replaces this function.
get_compile_options = compiler.get_compile_options


def _unoptimised(*args, level: int, **kwargs) -> Any:
    """Options with few or none of LLVM's optimisations, and with XLA's older code generator."""
    found = get_compile_options(*args, **kwargs)
    names = "xla_backend_optimization_level", "xla_llvm_disable_expensive_passes", "xla_cpu_use_fusion_emitters"
    found.env_option_overrides = list(
        dict(found.env_option_overrides, **dict(zip(names, (level, True, False), strict=True))).items()
    )
    return found


# Memory maps of compiled programs. Linux allows 65,530 in a process, and jit(project) takes 1,300; more end the process with a
# segmentation fault.
MAPS = Path("/proc/self/maps")
MOST_MAPS = 20_000


@pytest.fixture(scope="module", autouse=True)
def _compiled(request: pytest.FixtureRequest) -> Iterator[None]:
    """Files marked `unoptimised` compile in a quarter of the time, and hand nothing on to others.

    Smoke presets run long enough to be worth the first level of optimisations: runs that include a file's smoke presets compile
    the whole file so, unless the marker has a level.
    """
    mark = request.node.get_closest_marker("unoptimised")
    if mark is None:
        yield
    else:
        jax.clear_caches()
        with pytest.MonkeyPatch.context() as patch:
            mine = (item for item in request.session.items if item.path == request.path)
            level = mark.kwargs.get("level", int(any(item.get_closest_marker("experiment") for item in mine)))
            patch.setattr(compiler, "get_compile_options", partial(_unoptimised, level=level))
            yield
        jax.clear_caches()
    if MAPS.exists() and len(MAPS.read_bytes().splitlines()) > MOST_MAPS:
        jax.clear_caches()
        gc.unfreeze()
    # What is compiled by now stays: the garbage collector need not look it over again and again.
    gc.collect()
    gc.freeze()


@pytest.fixture
def x64() -> Iterator[None]:
    """float64 for one test."""
    with jax.enable_x64(True):
        yield


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def compilations() -> Iterator[list[str]]:
    """Grows by one with each program that XLA compiles, or finds in the cache."""
    found: list[str] = []

    def listen(event: str, duration_secs: float, **kwargs: str | int) -> None:
        if event == "/jax/core/compile/backend_compile_duration":
            found.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield found
    jax.monitoring.unregister_event_duration_listener(listen)


@pytest.fixture
def narrow(digits: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Pixels about the middle of digits as points, and others', farther out, as queries; float32.

    Of the hard instances' shape, whose programs are there.
    """
    pixels = np.arange(64).reshape(8, 8)[2:6, 2:5].ravel()
    return 3 * digits[0][:QUERIES, pixels] - 1, np.ascontiguousarray(digits[1][:POINTS, pixels])


@pytest.fixture(scope="session")
def digits() -> tuple[np.ndarray, np.ndarray]:
    """Test and training images as rows of 64 numbers in [0, 1], float32."""
    data = load("digits")
    return data.test.rows, data.train.rows
