"""Programs of the projection, compiled for an NVIDIA GPU on a machine without one, and what their text says."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache, partial
from math import prod
from typing import Any, NamedTuple
from unittest.mock import patch

import jax
import jax.numpy as jnp
import numpy as np
from jax._src import config, xla_bridge
from jax.experimental import topologies

from hullx.core import rounds
from hullx.core.hull import Frame, Hull
from hullx.core.search import search
from hullx.core.sources.array import ArraySource
from hullx.core.sources.device import BATCH
from hullx.core.stages import Setup, batch_size, host_stages
from hullx.core.state import Goal, init

# Read when JAX starts: CUDA's own libraries are not needed.
os.environ.setdefault("JAX_SKIP_CUDA_CONSTRAINTS_CHECK", "1")
# What XLA asks of a device, for an H100: NVIDIA's specification, and CUDA's limits of compute capability 9.0.
H100 = """
platform_name: "CUDA"
device_description_str: "NVIDIA H100 80GB HBM3"
dnn_version_info { major: 9 minor: 7 }
runtime_version { major: 13 minor: 0 }
gpu_device_info {
  cuda_compute_capability { major: 9 }
  threads_per_warp: 32 threads_per_block_limit: 1024 threads_per_core_limit: 2048
  block_dim_limit_x: 2147483647 block_dim_limit_y: 65535 block_dim_limit_z: 65535
  shared_memory_per_block: 49152 shared_memory_per_block_optin: 232448 shared_memory_per_core: 233472
  registers_per_core_limit: 65536 registers_per_block_limit: 65536
  core_count: 132 fpus_per_core: 128 clock_rate_ghz: 1.98
  memory_bandwidth: 3352320000000 l2_cache_size: 52428800 device_memory_size: 84929347584
}
"""
GOAL = Goal(1e-6, 1000, 64)
NEAREST, ROUND, ALL_ROUNDS = "nearest points", "one round", "all rounds"
PROGRAMS = {
    NEAREST: lambda stage, hull, queries, excluded: rounds.nearest(
        ArraySource(hull), queries, count=stage.candidates, excluded=excluded
    ),
    ROUND: lambda stage, hull, state, active: rounds.advance(ArraySource(hull), state, active, GOAL, stage=stage),
    ALL_ROUNDS: lambda stage, hull, queries, excluded: search(
        queries, len(queries), hull, GOAL, stages=[stage], excluded=excluded
    ),
}
BRANCH = "a branch of a condition"
# Operations without a kernel of their own.
FREE = {
    "parameter",
    "constant",
    "tuple",
    "get-tuple-element",
    "bitcast",
    "while",
    "conditional",
    "call",
    "after-all",
    "copy-done",
}
BYTES = {"pred": 1, "s8": 1, "u8": 1, "bf16": 2, "s32": 4, "u32": 4, "f32": 4, "s64": 8, "u64": 8, "f64": 8}
OPERATION = re.compile(r"(?:ROOT )?%?[\w.\-]+ = (\(.*?\)|\S+) ([a-z][\w\-]*)\(")


class Part(NamedTuple):
    """A program outside its loops, or one turn of a loop with its condition, both without inner loops.

    - name: the function in the source that holds the loop; empty outside loops.
    - kernels: number of operations that the host starts, one after the other.
    - copied: bytes of the arrays that are copied as they are.
    - waits: whether the host waits before each turn for the loop's condition; it does not if the number of turns is fixed.
    """

    name: str
    kernels: int
    copied: int
    waits: bool


class Program(NamedTuple):
    """A compiled program.

    - parts: outside loops first, then its loops; of a condition, all branches.
    - arguments, results: bytes that come from the host, and those that it may read.
    """

    parts: list[Part]
    arguments: int
    results: int


def _named_platform() -> Any:
    """JAX looks for a GPU where it only needs the platform's name (https://github.com/jax-ml/jax/issues/23971)."""
    return patch.object(xla_bridge, "canonicalize_platform", lambda platform: "cuda")


@cache
def _device() -> Any:
    """A device that programs can be compiled for."""
    with _named_platform():
        return topologies.get_topology_desc(platform="cuda", target_config=H100, topology="1x1x1").devices[0]


def compiled(name: str, n: int, d: int, m: int) -> Program:
    """One of PROGRAMS, for float32.

    Args:
        n, d: number of points, and their dimension.
        m: number of queries; one batch of them for NEAREST and ROUND.
    """
    with jax.enable_x64(True), patch.object(jax, "default_backend", lambda: "gpu"):
        stage = host_stages(n, d, batch=batch_size(m, BATCH, n), setup=Setup())[0]
        count = m if name == ALL_ROUNDS else stage.batch
        points, *given = jax.eval_shape(partial(_arguments, name, n, d, count, stage.candidates))
        place = jax.sharding.SingleDeviceSharding(_device())
        points, given = jax.tree.map(
            lambda field: jax.ShapeDtypeStruct(field.shape, field.dtype, sharding=place), (points, given)
        )
        traced = jax.jit(partial(PROGRAMS[name], stage)).trace(points, *given)
        # Kept programs could not be read again without a GPU.
        with _named_platform(), config.enable_compilation_cache(False):
            found = traced.lower(lowering_platforms=("cuda",)).compile()
    arguments = sum(prod(field.shape) * field.dtype.itemsize for field in jax.tree.leaves(given))
    text, memory = found.as_text(), found.memory_analysis()
    assert text is not None  # as some compilers return it
    assert memory is not None
    return Program(list(parts(text)), arguments, memory.output_size_in_bytes)


def _arguments(name: str, n: int, d: int, m: int, candidates: int) -> tuple[Any, ...]:
    """The hull, and what the host sends."""
    frame = Frame(jnp.zeros(d, np.float32), jnp.zeros((), np.float64), jnp.zeros((), np.float64))
    rows = jnp.zeros((n, d), np.float32)
    hull, queries = Hull(rows, rows, rows[:, 0], n, frame), jnp.zeros((m, d), np.float32)
    excluded = jnp.zeros(m, np.int32)
    if name != ROUND:
        return hull, queries, excluded
    state = init(jnp.arange(m), queries, jnp.zeros((m, candidates), jnp.int32), np.float64, excluded)
    return hull, state, jnp.zeros(m, bool)


def parts(text: str) -> Iterator[Part]:
    """The parts of a compiled program, from its text."""
    bodies = dict[str, list[str]]()
    for block in re.split(r"\n(?=ENTRY |%)", re.sub(r"/\*.*?\*/", "", text)):
        first, *lines = block.split("\n")
        if first.endswith("{"):
            entry = first.startswith("ENTRY")
            bodies["ENTRY" if entry else first.split()[0].lstrip("%")] = [line.strip() for line in lines]
    yield from _parts("ENTRY", "", False, bodies, _functions(text))


def _parts(name: str, function: str, waits: bool, bodies: dict[str, list[str]], functions: dict[str, str]) -> Iterator[Part]:
    kernels, copied, inner = Counter[str](), 0, list[tuple[str, str, bool]]()
    lines = list(bodies[name])
    for line in lines:
        if (matched := OPERATION.match(line)) is None:
            continue
        shape, operation = matched.groups()
        kernels[operation] += 1
        # The start of a copy names target, source and a token.
        copied += _bytes(shape.split(", ")[0]) if operation in ("copy", "copy-start") else 0
        if operation == "while":
            frame = re.search(r"stack_frame_id=(\d+)", line)
            where = functions.get(frame[1], "") if frame else ""
            turn, condition = (re.findall(rf"{name}=%?([\w.\-]+)", line)[0] for name in ("body", "condition"))
            bodies[turn] = bodies[turn] + bodies[condition]
            inner.append((turn, where, "known_trip_count" not in line))
        elif operation == "call":
            lines += [line for called in re.findall(r"to_apply=%?([\w.\-]+)", line) for line in bodies[called]]
        elif operation == "conditional":
            found = re.findall(r"(?:true|false|branch)_computations?=(\{.*?\}|%?[\w.\-]+)", line)
            inner += [(branch, BRANCH, True) for branch in re.findall(r"[\w.\-]+", " ".join(found))]
    yield Part(function, sum(count for operation, count in kernels.items() if operation not in FREE), copied, waits)
    for body, where, waits in inner:
        yield from _parts(body, where, waits, bodies, functions)


def _bytes(shape: str) -> int:
    sizes = re.findall(r"([a-z]+\d*)\[([\d,]*)\]", shape)
    return sum(BYTES.get(dtype, 0) * prod(int(size) for size in sizes.split(",") if size) for dtype, sizes in sizes)


def _functions(text: str) -> dict[str, str]:
    """The name of the innermost function of each stack frame."""
    names = dict(re.findall(r'^(\d+) "(.*)"$', _section(text, "FunctionNames"), re.M))
    places = dict(re.findall(r"^(\d+) \{.*function_name_id=(\d+)", _section(text, "FileLocations"), re.M))
    frames = re.findall(r"^(\d+) \{file_location_id=(\d+)", _section(text, "StackFrames"), re.M)
    return {frame: names.get(places.get(place, ""), "") for frame, place in frames}


def _section(text: str, title: str) -> str:
    return text.partition(f"\n{title}\n")[2].partition("\n\n")[0]
