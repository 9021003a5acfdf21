"""The points of a sweep on many devices: rows sharded over the mesh axis "points", queries over the axis "queries".

Each program either works on what its device has or moves data, never both: a collective waits for all devices, and a CPU whose
threads are busy computing for some of them would keep it waiting for ever (XLA's in-process rendezvous). The host calls
them in turn. With several processes each calls `sweep` with the same arguments, and gets the same result.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from hullx.core import rounds
from hullx.core.rounds import Frame, Method, Pool
from hullx.errors import ArgumentError
from hullx.sweeping.sources.chunks import Chunks
from hullx.sweeping.sources.device import Engine, Source, assembled, certify_batch, solve_batch
from hullx.types import Array

AXES = ("points", "queries")


def on_mesh(chunks: Chunks, mesh: Mesh) -> Engine:
    """The points sharded over a mesh; each process reads the rows of its own devices only.

    Raises:
        ArgumentError: the mesh has other axes than "points" and "queries", or the points hold NaN or infinity, or numbers of a
            size that their dtype cannot compute with.
    """
    if not mesh.axis_names or not set(mesh.axis_names) <= set(AXES):
        raise ArgumentError(
            f"mesh: got axes {mesh.axis_names}, expected 'points', 'queries' or both: name them so, "
            "jax.make_mesh((4, 2), ('points', 'queries'))"
        )
    # What is split here is split by shard_map and by placement: to the compiler every axis is automatic, whatever it was.
    mesh = Mesh(mesh.devices, mesh.axis_names)
    frame = chunks.frame()
    step = mesh.shape.get("points", 1) * rounds.GROUP
    rows = -(-chunks.count // step) * step
    sharding = NamedSharding(mesh, P("points") if "points" in mesh.axis_names else P())
    shape = (rows, chunks.dimension)

    def read(index) -> np.ndarray:
        start, stop, _ = index[0].indices(rows)
        return chunks.read(start, stop)

    raw = jax.make_array_from_callback(shape, sharding, read)
    placed, half_squares = _placed(frame, raw)
    replicated = partial(_replicated, mesh=mesh)

    def best(vectors: np.ndarray, count: int, nearness: bool) -> tuple[np.ndarray, np.ndarray]:
        vectors, several = _filled(vectors, mesh), min(count, rows // mesh.shape.get("points", 1))
        found = _best(placed, half_squares, vectors, np.float32(nearness), mesh=mesh, count=several)
        values, columns_ = jax.tree.map(lambda field: np.asarray(field), replicated(jax.block_until_ready(found)))
        order = np.argsort(-values, axis=1, kind="stable")[:, :count]
        return np.take_along_axis(values, order, 1), np.take_along_axis(columns_, order, 1)

    def gather(wanted: np.ndarray) -> Array:
        return jax.block_until_ready(_rows(raw, _filled(wanted, mesh), mesh=mesh))

    def solve(
        queries: np.ndarray, rows: Array, start: Pool, left: np.ndarray, active: np.int32, method: Method
    ) -> rounds.Solution:
        queries, start, left = jax.tree.map(lambda field: _filled(field, mesh), (queries, start, left))
        found = jax.block_until_ready(_solve(frame, queries, rows, start, left, mesh=mesh, method=method))
        return jax.tree.map(np.asarray, replicated(found))

    def certify(queries: np.ndarray, rows: Array, directions: np.ndarray, others: np.ndarray, active: np.int32) -> np.ndarray:
        queries, directions, others = (_filled(field, mesh) for field in (queries, directions, others))
        found = _certify(frame, queries, rows, directions, others, mesh=mesh)
        return np.asarray(replicated(jax.block_until_ready(found)))

    return assembled(frame, Source(chunks.count, rows, best, gather, solve, certify))


def _filled(rows: np.ndarray, mesh: Mesh) -> np.ndarray:
    """A batch filled up to a multiple of the devices, with copies of the last row."""
    return np.concatenate([rows, np.repeat(rows[-1:], -len(rows) % mesh.size, 0)])


def _everywhere(mesh: Mesh) -> P:
    """A batch of queries split over all devices: a refinement of the split over "queries", so that no data move."""
    return P(tuple(axis for axis in ("queries", "points") if axis in mesh.axis_names))


def _split(mesh: Mesh) -> tuple[P, P]:
    """How points and queries are split."""
    points, queries = (P(axis) if axis in mesh.axis_names else P() for axis in AXES)
    return points, queries


def _shard(mesh: Mesh) -> Array:
    return lax.axis_index("points") if "points" in mesh.axis_names else jnp.zeros((), jnp.int32)


@jax.jit
def _placed(frame: Frame, raw: Array) -> tuple[Array, Array]:
    placed = frame.roughly(raw)
    return placed, (placed * placed).sum(1) / 2


@partial(jax.jit, static_argnames=("mesh",))
def _replicated(values, *, mesh: Mesh):
    return lax.with_sharding_constraint(values, NamedSharding(mesh, P()))


@partial(jax.jit, static_argnames=("mesh", "count"))
def _best(placed: Array, half_squares: Array, vectors: Array, nearness: Array, *, mesh: Mesh, count: int):
    """Every shard's largest scores and their rows, side by side."""
    points, queries = _split(mesh)
    beside = P(queries[0] if queries else None, points[0] if points else None)

    def local(placed: Array, half_squares: Array, vectors: Array) -> tuple[Array, Array]:
        scores = jnp.matmul(vectors, placed.T, precision="highest") - nearness * half_squares
        values, rows = rounds.top(scores, count)
        return values, (rows + _shard(mesh) * len(placed)).astype(jnp.int32)

    split = jax.shard_map(local, mesh=mesh, in_specs=(points, points, queries), out_specs=(beside, beside), check_vma=False)
    return split(placed, half_squares, vectors)


@partial(jax.jit, static_argnames=("mesh",))
def _rows(raw: Array, wanted: Array, *, mesh: Mesh) -> Array:
    """Points by row number: each comes from the shard that owns it."""
    points, queries = _split(mesh)

    def local(raw: Array, wanted: Array) -> Array:
        mine = wanted - _shard(mesh) * len(raw)
        found = jnp.where(((mine >= 0) & (mine < len(raw)))[..., None], raw[jnp.clip(mine, 0, len(raw) - 1)], 0)
        return lax.psum(found, "points") if "points" in mesh.axis_names else found

    return jax.shard_map(local, mesh=mesh, in_specs=(points, queries), out_specs=queries, check_vma=False)(raw, wanted)


@partial(jax.jit, static_argnames=("mesh", "method"))
def _solve(
    frame: Frame, queries: Array, rows: Array, start: Pool, left: Array, *, mesh: Mesh, method: Method
) -> rounds.Solution:
    def local(queries: Array, rows: Array, start: Pool, left: Array) -> rounds.Solution:
        return solve_batch(frame, queries, rows, start, left, len(left), method=method, together=together)

    # On CPUs one query at a time: batched LAPACK kernels of several devices, each on a thread of XLA's pool, wait for
    # further threads of that pool until none is left (seen with jaxlib 0.10.2).
    together = 1 if mesh.devices.flat[0].platform == "cpu" else None
    where = _everywhere(mesh)
    return jax.shard_map(local, mesh=mesh, in_specs=where, out_specs=where, check_vma=False)(queries, rows, start, left)


@partial(jax.jit, static_argnames=("mesh",))
def _certify(frame: Frame, queries: Array, rows: Array, directions: Array, others: Array, *, mesh: Mesh) -> Array:
    def local(queries: Array, rows: Array, directions: Array, others: Array) -> Array:
        return certify_batch(frame, queries, rows, directions, others, len(queries))

    where = _everywhere(mesh)
    split = jax.shard_map(local, mesh=mesh, in_specs=where, out_specs=where, check_vma=False)
    return split(queries, rows, directions, others)
