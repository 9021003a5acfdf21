"""A source of points on many devices: rows sharded over the mesh axis "points", queries over the axis "queries".

Each program either computes on local data or moves data, never both. A collective waits for all devices; on a CPU it would
wait for ever if all threads were busy computing for some of them (XLA's in-process rendezvous). The host calls the programs in
turn. With several processes, each calls `sweep` with the same arguments and gets the same result.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from hullx.core.hull import Frame, half_squares
from hullx.core.pool.solve import Limits, Pool, Solution
from hullx.core.scores import (
    GROUP,
    lower_bounds,
    nearness,
    none_excluded,
    scores_in_double,
    top,
    without,
    worst_violators,
)
from hullx.core.sources import gathered
from hullx.core.sources.chunks import Chunks
from hullx.core.stages import Method, Stage
from hullx.core.state import QueryState
from hullx.errors import ArgumentError
from hullx.numerics.batching import fill
from hullx.types import Array

AXES = ("points", "queries")


class MeshSource(gathered.GatheringSource):
    """Points sharded over a mesh, as a `rounds.PointSource`; each process holds only the rows of its own devices.

    Raises:
        ArgumentError: the mesh has axes other than "points" and "queries", or the points hold NaN or infinity, or numbers of a
            size that their dtype cannot compute with.
    """

    def __init__(self, chunks: Chunks, mesh: Mesh) -> None:
        if not mesh.axis_names or not set(mesh.axis_names) <= set(AXES):
            raise ArgumentError(
                f"mesh: got axes {mesh.axis_names}, expected 'points', 'queries' or both: name them so, "
                "jax.make_mesh((4, 2), ('points', 'queries'))"
            )
        # Arrays are sharded by shard_map and by placement, so every axis becomes automatic for the compiler.
        self.mesh = mesh = Mesh(mesh.devices, mesh.axis_names)
        self.count, self.frame = chunks.count, chunks.frame()
        step = mesh.shape.get("points", 1) * GROUP
        self.rows = self.scored = rows = -(-chunks.count // step) * step

        def read(index: Any) -> np.ndarray:
            start, stop, _ = index[0].indices(rows)
            return chunks.read(start, stop)

        sharding = NamedSharding(mesh, P("points") if "points" in mesh.axis_names else P())
        self.raw = jax.make_array_from_callback((rows, chunks.dimension), sharding, read)
        self.placed, self.half_squares = _place(self.frame, self.raw)

    def solve(self, state: QueryState, limits: Limits, active: Array, stage: Stage) -> Solution:
        """As `rounds.PointSource`."""
        start = gathered.pools(state)
        rows = self._gather(start.members)
        queries, start, limits = jax.tree.map(self._pad, (state.queries, start, limits))
        found = self._to_host(_solve(self.frame, queries, rows, start, limits, mesh=self.mesh, stage=stage))
        return jax.tree.map(lambda field: field[: len(state.queries)], found)

    def best(
        self, vectors: Array, count: int, active: Array, *, nearest: bool, excluded: Array | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """As `rounds.PointSource`, without excluded rows."""
        assert excluded is None
        several = min(count, self.rows // self.mesh.shape.get("points", 1))
        points = self.raw if vectors.dtype == np.float64 else self.placed
        arguments = self.frame, points, self.half_squares, self.count, self._pad(vectors)
        found = self._to_host(_best(*arguments, mesh=self.mesh, count=several, nearest=nearest))
        values, rows = (field[: len(vectors)] for field in found)
        values, rows = gathered.merge_top(values, rows, count)
        return values, gathered.replace_padding(rows, self.count)

    def certify(
        self, queries: np.ndarray, candidates: np.ndarray, along: Any, rest: Array, active: Array, method: Method
    ) -> np.ndarray:
        """As `rounds.PointSource`."""
        rows = self._gather(candidates)
        queries, along, rest = jax.tree.map(self._pad, (queries, along, rest))
        found = _certify(self.frame, queries, rows, along, rest, mesh=self.mesh, method=method)
        return self._to_host(found)[: len(candidates)]

    def certify_all(
        self, queries: np.ndarray, along: Any, count: int, excluded: Array | None = None
    ) -> tuple[Array, np.ndarray]:
        """As `rounds.PointSource`, without excluded rows."""
        assert excluded is None
        several = min(count, self.rows // self.mesh.shape.get("points", 1))
        filled = jax.tree.map(self._pad, (queries, along))
        found = self._to_host(_worst_violators(self.frame, self.raw, self.count, *filled, mesh=self.mesh, count=several))
        violation, rows = (field[: len(queries)] for field in found)
        violation, rows = gathered.merge_top(violation, rows, count)
        return _lower_bounds(self.frame, queries, violation[:, 0], along), gathered.replace_padding(rows, self.count)

    def _gather(self, wanted: np.ndarray) -> Array:
        return jax.block_until_ready(_rows(self.raw, self._pad(wanted), mesh=self.mesh))

    def _pad(self, rows: np.ndarray) -> np.ndarray:
        """The batch padded to a multiple of the number of devices."""
        return fill(np.asarray(rows), -(-len(rows) // self.mesh.size) * self.mesh.size)

    def _to_host(self, values: Any) -> Any:
        """The results of all devices, on the host."""
        return jax.tree.map(np.asarray, _replicate(jax.block_until_ready(values), mesh=self.mesh))


def _over_devices(mesh: Mesh) -> P:
    """The spec of queries sharded over all devices; it refines the sharding over "queries", so that no data move."""
    return P(tuple(axis for axis in ("queries", "points") if axis in mesh.axis_names))


def _specs(mesh: Mesh) -> tuple[P, P]:
    """The specs of points and of queries."""
    points, queries = (P(axis) if axis in mesh.axis_names else P() for axis in AXES)
    return points, queries


def _shard_index(mesh: Mesh) -> Array:
    return lax.axis_index("points") if "points" in mesh.axis_names else jnp.zeros((), jnp.int32)


def _points_here(n: Array | int, shard: Array, mesh: Mesh) -> Array:
    """The number of a shard's first rows that are points; later ones are padding."""
    return n - _shard_index(mesh) * len(shard)


@jax.jit
def _place(frame: Frame, raw: Array) -> tuple[Array, Array]:
    placed = frame.place(raw).astype(jnp.float32)
    return placed, half_squares(placed)


@partial(jax.jit, static_argnames=("mesh",))
def _replicate(values: Any, *, mesh: Mesh) -> Any:
    return lax.with_sharding_constraint(values, NamedSharding(mesh, P()))


_lower_bounds = jax.jit(lower_bounds)


@partial(jax.jit, static_argnames=("mesh", "count", "nearest"))
def _best(
    frame: Frame, points: Array, squares: Array, n: Array | int, vectors: Array, *, mesh: Mesh, count: int, nearest: bool
) -> tuple[Array, Array]:
    """The largest scores of each shard; the points, of which n are no padding, are placed, or raw for vectors in float64."""

    def local(points: Array, squares: Array, vectors: Array) -> tuple[Array, Array]:
        if vectors.dtype == jnp.float64:
            scores = scores_in_double(frame, points, vectors)
        else:
            scores = nearness(vectors, points, squares if nearest else jnp.zeros((), jnp.float32))
        return top(without(scores, none_excluded(vectors), _points_here(n, points, mesh)), count)

    return _map_shards(local, (points, squares), (vectors,), mesh)


@partial(jax.jit, static_argnames=("mesh", "count"))
def _worst_violators(
    frame: Frame, raw: Array, n: Array | int, queries: Array, along: Any, *, mesh: Mesh, count: int
) -> tuple[Array, Array]:
    """The points of each shard that violate the slabs most."""

    def local(raw: Array, queries: Array, along: Any) -> tuple[Array, Array]:
        real = _points_here(n, raw, mesh)
        return worst_violators(frame, raw, queries, along, count=count, excluded=none_excluded(queries), n=real)

    return _map_shards(local, (raw,), (queries, along), mesh)


def _map_shards(
    local: Callable[..., tuple[Array, Array]], points: tuple[Array, ...], batch: tuple[Any, ...], mesh: Mesh
) -> tuple[Array, Array]:
    """Values and rows that a function returns for each shard's points and each query, concatenated over shards."""
    along_points, queries = _specs(mesh)
    beside = P(queries[0] if queries else None, along_points[0] if along_points else None)

    def shard(points: tuple[Array, ...], batch: tuple[Any, ...]) -> tuple[Array, Array]:
        values, rows = local(*points, *batch)
        return values, (rows + _shard_index(mesh) * len(points[0])).astype(jnp.int32)

    where = along_points, queries
    return jax.shard_map(shard, mesh=mesh, in_specs=where, out_specs=(beside, beside), check_vma=False)(points, batch)


@partial(jax.jit, static_argnames=("mesh",))
def _rows(raw: Array, wanted: Array, *, mesh: Mesh) -> Array:
    """Points by row number, each from the shard that owns it."""
    points, queries = _specs(mesh)

    def local(raw: Array, wanted: Array) -> Array:
        mine = wanted - _shard_index(mesh) * len(raw)
        found = jnp.where(((mine >= 0) & (mine < len(raw)))[..., None], raw[jnp.clip(mine, 0, len(raw) - 1)], 0)
        return lax.psum(found, "points") if "points" in mesh.axis_names else found

    return jax.shard_map(local, mesh=mesh, in_specs=(points, queries), out_specs=queries, check_vma=False)(raw, wanted)


@partial(jax.jit, static_argnames=("mesh", "stage"))
def _solve(frame: Frame, queries: Array, rows: Array, start: Pool, limits: Limits, *, mesh: Mesh, stage: Stage) -> Solution:
    def local(queries: Array, rows: Array, start: Pool, limits: Limits) -> Solution:
        return gathered.solve(frame, queries, rows, start, limits, stage=stage)

    where = _over_devices(mesh)
    return jax.shard_map(local, mesh=mesh, in_specs=where, out_specs=where, check_vma=False)(queries, rows, start, limits)


@partial(jax.jit, static_argnames=("mesh", "method"))
def _certify(frame: Frame, queries: Array, rows: Array, along: Any, rest: Array, *, mesh: Mesh, method: Method) -> Array:
    def local(queries: Array, rows: Array, along: Any, rest: Array) -> Array:
        return gathered.certify(frame, queries, rows, along, rest, method=method)

    where = _over_devices(mesh)
    split = jax.shard_map(local, mesh=mesh, in_specs=where, out_specs=where, check_vma=False)
    return split(queries, rows, along, rest)
