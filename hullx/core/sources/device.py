"""The points on one device, in memory."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import nullcontext
from functools import cache, partial
from threading import Lock
from typing import Any, NamedTuple

import jax
import numpy as np

from hullx.core import rounds
from hullx.core.hull import Hull
from hullx.core.search import search
from hullx.core.sources.array import ArraySource
from hullx.core.stages import Stage
from hullx.core.state import Goal, QueryState
from hullx.numerics.compilation import quick_to_compile
from hullx.numerics.processor import on_cpu
from hullx.types import Array, Count

# On a CPU a product of 128 queries is as fast per query as any (measured at n = 60,000, d = 784: 128 as 512, 64 a tenth
# slower), and small batches waste less in the last, partly filled rounds.
CPU_BATCH, BATCH = 128, 1024
# Numbers of queries for which `search` compiles. On accelerators the states stay on the device until all queries are done, and
# queries × columns is at most ENTRIES.
CPU_SIZES, SIZES, ENTRIES = (1, 32), (1, 32, 256, 2048, 16384), 2**25


def _search(queries: Array, count: Count, hull: Hull, goal: Goal, excluded: Array | None, *, stage: Stage) -> QueryState:
    return search(queries, count, hull, goal, stages=[stage], excluded=excluded)


class _Programs(NamedTuple):
    nearest: Callable[..., Array]
    advance: Callable[..., QueryState]
    search: Callable[..., QueryState]


@cache
def _programs(options: tuple[tuple[str, bool], ...]) -> _Programs:
    jit = partial(jax.jit, compiler_options=dict(options))
    return _Programs(
        jit(rounds.nearest, static_argnames="count"),
        jit(rounds.advance, static_argnames="stage"),
        jit(_search, static_argnames="stage"),
    )


class DeviceSource:
    """The points on a device, for the driver outside jit: one program per round, or one for all rounds of a stage.

    Args:
        few: whether there are so few queries that compilation takes longer than their projection.

    Attributes:
        sizes: numbers of queries for which `search` compiles.
    """

    def __init__(self, hull: Hull, *, few: bool = False) -> None:
        options = (quick_to_compile() or {}) if few else {}
        self.programs = _programs(tuple(options.items()))
        self.hull = hull._replace(coarse=None)
        self.source, self.rows = ArraySource(self.hull), len(hull.placed)
        self.scored = self.rows
        self.frame = jax.tree.map(np.asarray, hull.frame)
        self.on_cpu = on_cpu(hull.placed)
        self.batch = CPU_BATCH if self.on_cpu else BATCH
        self.sizes = (
            CPU_SIZES if self.on_cpu else tuple(size for size in SIZES if size == 1 or size * hull.placed.shape[1] <= ENTRIES)
        )
        self.threads = (os.cpu_count() or 1) if self.on_cpu else 1
        self._compiling, self._compiled = Lock(), set[Any]()

    def nearest(self, queries: Array, count: int, excluded: Array | None = None) -> Array:
        """`rounds.nearest`."""
        run = partial(self.programs.nearest, self.source, queries, count=count, excluded=excluded)
        return self._run(("nearest", len(queries), count), run)

    def advance(self, state: QueryState, active: Array, goal: Goal, stage: Stage) -> QueryState:
        """`rounds.advance`."""
        source = self.source if stage.method.narrow else self.source.precise  # so that all hulls share these programs
        return self._run(stage, partial(self.programs.advance, source, state, active, goal, stage=stage))

    def search(self, queries: Array, count: int, goal: Goal, stage: Stage, excluded: Array | None = None) -> QueryState:
        """All rounds of one stage in one program (`core.search`)."""
        run = partial(self.programs.search, queries, np.int32(count), self.hull, goal, excluded, stage=stage)
        return self._run((len(queries), stage), run)

    def _run(self, shape: Any, run: Callable[[], Any]) -> Any:
        """Run a program; for a new shape, threads wait for one of them to compile it."""
        with nullcontext() if shape in self._compiled else self._compiling:
            found = jax.block_until_ready(run())
            self._compiled.add(shape)
        return found
