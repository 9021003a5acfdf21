"""Trials of random hulls, drawn and decided in batches by few programs.

Each program has one of a few shapes, which all numbers of points and dimensions share. Copies of the first point pad the
points, which leaves the hull unchanged; zeros pad the coordinates. A trial's draws depend on its key and shape alone. All
arithmetic is float64.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import hullx
from hullx import runs
from hullx.types import Array

from .distributions import ALL, ORIGIN, Setting, draw_fixed, samples

SIZES, WIDTHS = (64, 256, 1024, 4096, 16384, 65536), (14, 24)  # points and coordinates of the programs
ROWS = 16_384  # points in a batch of trials: two to three megabytes
INSIDE, OUTSIDE, UNDECIDED = 1, 0, -1
APART = 1e-9  # share of ‖x‖² by which x is beyond all others in its own direction; far above rounding


class Trials(NamedTuple):
    """Trials of one setting.

    - key: key of all trials; each trial derives its own.
    - fixed: from `distributions.fixed`.
    - size, width: the program's shape, at least n and d.
    """

    setting: Setting
    key: jax.Array
    fixed: Any
    size: int
    width: int

    @property
    def batch(self) -> int:
        """Trials per call."""
        return max(ROWS // self.size, 1)


def trials(seed: int, setting: Setting) -> Trials:
    """Trials of a setting; each depends only on seed, setting and its number."""
    law, query, n, d, _ = setting
    size, width = (min(each for each in sizes if each >= least) for sizes, least in ((SIZES, n), (WIDTHS, d)))
    key = jax.random.key(int(runs.generator(seed, law, query, str(n), str(d)).integers(2**31)))
    return Trials(setting, key, draw_fixed(seed, law, d, width), size, width)


def decide_trials(seed: int, setting: Setting, count: int, rtol: float) -> np.ndarray:
    """INSIDE, OUTSIDE or UNDECIDED for the first `count` trials; INSIDE also means that all points are vertices."""
    kind = trials(seed, setting)
    if setting.query == ALL:
        return all_vertices(kind, count, rtol)
    found = [decide(*draw_trials(kind, start + np.arange(kind.batch)), rtol) for start in range(0, count, kind.batch)]
    return np.concatenate(found)[:count]


def time_trials(seed: int, setting: Setting, count: int, rtol: float) -> float:
    """Seconds that `decide_trials` takes, compilation included."""
    began = time.monotonic()
    decide_trials(seed, setting, count, rtol)
    return time.monotonic() - began


def draw_trials(kind: Trials, numbers: np.ndarray) -> tuple[jax.Array, jax.Array]:
    """Queries (m, width) and points (m, size, width) of the trials with these numbers."""
    setting = kind.setting
    with jax.enable_x64(True):
        normals, uniforms = _noise(kind.key, jnp.asarray(numbers), kind.size + 1, kind.width)
        return _shape(normals, uniforms, setting.n, setting.d, kind.fixed, law=setting.law, origin=setting.query == ORIGIN)


# Separate from the distributions: random numbers take most of the compile time, and this compiles once.
@partial(jax.jit, static_argnums=(2, 3))
def _noise(key: jax.Array, numbers: jax.Array, rows: int, width: int) -> tuple[jax.Array, jax.Array]:
    def one(number: jax.Array) -> tuple[jax.Array, jax.Array]:
        first, second = jax.random.split(jax.random.fold_in(key, number))
        normals = jax.random.normal(first, (rows, width), jnp.float64)
        return normals, jax.random.uniform(second, (rows, 1), jnp.float64)

    return jax.vmap(one)(numbers)


@partial(jax.jit, static_argnames=("law", "origin"))
def _shape(z: jax.Array, u: jax.Array, n: Any, d: Any, fixed: Any, *, law: str, origin: bool) -> tuple[jax.Array, jax.Array]:
    x, rows = samples(law, z, u, d, fixed), jnp.arange(z.shape[-2] - 1)
    points = jnp.where(rows[:, None] < n, x[..., :-1, :], x[..., :1, :])
    return jnp.zeros_like(x[..., -1, :]) if origin else x[..., -1, :], points


def decide(queries: Array, points: Array, rtol: float) -> np.ndarray:
    """INSIDE, OUTSIDE or UNDECIDED for each query and its own points: (m, width) and (m, size, width)."""
    with jax.enable_x64(True):
        return np.asarray(_decide(queries, points, rtol))


@jax.jit
def _decide(queries: jax.Array, points: jax.Array, rtol: Any) -> jax.Array:
    def one(query: jax.Array, hull: jax.Array) -> jax.Array:
        found = hullx.project(query, hull, rtol=rtol, solver=hullx.solvers.ActiveSet(last_resort=True))
        inside = found.status == hullx.Status.INSIDE
        return jnp.where(inside, INSIDE, jnp.where(found.outside, OUTSIDE, UNDECIDED)).astype(jnp.int8)

    return jax.vmap(one)(queries, points)


def all_vertices(kind: Trials, count: int, rtol: float) -> np.ndarray:
    """INSIDE if all n points of a trial are vertices of their hull, OUTSIDE if not, or UNDECIDED; (count,).

    Points are tested from the innermost outwards until one is no vertex; inner points are the least likely vertices. When at
    most half as many trials go on as a batch holds, each tests several points at a time.
    """
    found, rank = np.full(count, UNDECIDED, np.int8), np.zeros(count, int)
    going = np.arange(count)
    while len(going):
        ahead: list[np.ndarray] = []
        for start in range(0, len(going), kind.batch):
            mine = going[start : start + kind.batch]
            each = kind.batch // len(mine)
            batch = np.resize(np.repeat(mine, each), kind.batch)
            with jax.enable_x64(True):
                passed = jnp.asarray(np.arange(kind.batch) % each)
                queries, others, reached = _next_candidates(
                    *draw_trials(kind, batch)[1:], jnp.asarray(rank[batch]), passed, kind.setting.n
                )
            decisions, reached = (
                np.asarray(part)[: each * len(mine)].reshape(len(mine), each)
                for part in (decide(queries, others, rtol), reached)
            )
            finished = reached == kind.setting.n
            outcomes = np.where(finished, INSIDE, np.where(decisions == INSIDE, OUTSIDE, UNDECIDED))
            ends = finished | (decisions != OUTSIDE)  # a point outside the hull of all others is a vertex
            ended, first = ends.any(1), ends.argmax(1)[:, None]
            found[mine[ended]] = np.take_along_axis(outcomes, first, 1)[ended, 0]
            rank[mine] = reached[:, -1] + 1
            ahead.append(mine[~ended])
        going = np.concatenate(ahead)
    return found


@jax.jit
def _next_candidates(points: jax.Array, ranks: jax.Array, passed: jax.Array, n: Any) -> tuple[jax.Array, jax.Array, jax.Array]:
    """For each trial, from a rank on: the point that may be no vertex after `passed` others, all other points, its rank.

    The rank is n if there is no such point. A point farther than all others in its own direction is a vertex and needs no
    projection.
    """

    def one(x: jax.Array, rank: jax.Array, left: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        rows = jnp.arange(len(x))
        squares = (x**2).sum(1)
        order = jnp.argsort(jnp.where(rows < n, squares, jnp.inf))

        def plain(rank: jax.Array) -> jax.Array:
            row = order[rank]
            along = jnp.where((rows == row) | (rows >= n), -jnp.inf, (x * x[row]).sum(1))
            return along.max() < (1 - APART) * squares[row]

        def turn(state: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array, jax.Array]:
            rank, left, skip = state
            return rank + 1, jnp.where(skip, left, left - 1), plain(rank + 1)

        start = rank, left, plain(rank)
        rank = jax.lax.while_loop(lambda state: (state[0] < n) & (state[2] | (state[1] > 0)), turn, start)[0]
        row = order[jnp.minimum(rank, n - 1)]
        away = (rows == row) | ((rows >= n) & (row == 0))  # remove copies of the first point with it
        return x[row], jnp.where(away[:, None], x[jnp.where(row == 0, 1, 0)], x), rank

    return jax.vmap(one)(points, ranks, passed)
