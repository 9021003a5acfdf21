"""Scores of all points, and the points with the highest scores, which become candidates."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Bool, Float, Int

from hullx import certificate
from hullx.core.hull import Frame
from hullx.core.precision.slices import EXTENDED
from hullx.numerics.loops import loop_start
from hullx.types import Array

# Scores are first reduced to maxima over groups of rows, so that top_k sorts a sixteenth of them (measured: twice as fast at
# n = 60,000 as top_k on all).
GROUP = 16
# At least this many points per candidate: with fewer, all are scored in extended precision, without a first selection.
FEW = 16
# Maximum bytes of points in float64 at once.
CHUNK_BYTES = 2**26
# Maximum bytes of slices at once.
SLICE_BYTES = 2**26


def nearness(
    vectors: Float[Array, "... d"], placed: Float[Array, "n d"], half_squares: Float[Array, "n"] | Float[Array, ""]
) -> Float[Array, "... n"]:
    """−‖x_j − v‖²/2 up to a constant for each v, as one product; ⟨x_j, v⟩ if half_squares are 0."""
    return jnp.matmul(vectors, placed.T, precision="highest") - half_squares


def scores_in_double(frame: Frame, points: Float[Array, "n d"], vectors: Float[Array, "b d"]) -> Float[Array, "b n"]:
    """⟨x_j, v⟩ of raw points for each v, in its dtype (float64 if that is available), by chunks of points."""

    def scores(rows: Array) -> Array:
        return jnp.matmul(frame.place(rows.astype(vectors.dtype)), vectors.T, precision="highest")

    return in_chunks(points, max(CHUNK_BYTES // (8 * points.shape[1]), 1), scores).T


def worst_violators(
    frame: Frame,
    points: Float[Array, "n d"],
    queries: Float[Array, "b d"],
    along: Any,
    *,
    count: int,
    excluded: Int[Array, "b"] | None = None,
    n: Int[Array, ""] | int = 0,
) -> tuple[Float[Array, "b count"], Int[Array, "b count"]]:
    """The points that violate each query's slab most (or come nearest to that), in extended precision.

    A product in the arithmetic's own dtype scores all points. Only those with the highest scores are scored in extended
    precision, unless the error of the product could hide a larger violation.

    Args:
        points: raw, n ≥ count.
        queries: raw.
        along: residuals of the solutions.
        excluded, n: as for `without`.

    Returns:
        Violations (minus `Slices.slack`) in descending order, and rows. The first violation is the largest of all points,
        unless the residual is shorter than 1/4, where `Slices.lower_bound` is 0.
    """
    wide = jax.dtypes.canonicalize_dtype(np.float64)
    size, d = max(SLICE_BYTES // (8 * wide.itemsize * points.shape[1]), 1), points.shape[1]

    def violation(rows: Array, query: Array, along: Any) -> Array:
        return -EXTENDED.slack(frame, query, rows.astype(wide), along)

    def of_all(query: Array, along: Any, excluded: Array | None) -> tuple[Array, Array]:
        found = in_chunks(points, size, lambda rows: violation(rows, query, along))
        values, rows = lax.top_k(without(found[None], None if excluded is None else excluded[None], n)[0], count)
        return values, rows

    if len(points) < FEW * count:
        return jax.vmap(of_all)(queries.astype(wide), along, excluded)
    scores, candidates = top(without(scores_in_double(frame, points, along.slices.sum(1)), excluded, n), count)
    # Twice the error of a score: γ covers placing the row, rounding the residual to one number, and the sum. The residual's
    # largest entry is about 1, so its length is at most √d.
    lost = certificate.underflow(d, d, frame.scale, frame.centre.dtype, wide) * d**0.5
    error = 2 * certificate.score_error(d + 16, 1.01 * frame.radius * along.length.high, wide) + 2 * lost

    def one(given: tuple[Any, ...]) -> tuple[Array, Array]:
        query, along, excluded, scores, rows, error = given
        found = jnp.where(scores > -jnp.inf, violation(points[rows], query, along), -jnp.inf)
        values, order = lax.top_k(found, count)
        # Every other point's score is below the best point's by more than the errors of both. Without a residual, as for
        # queries that are not active, there is no bound.
        enough = (scores[-1] + error < scores[order[0]]) | (along.length.high < 0.25)
        return lax.cond(enough, lambda: (values, rows[order].astype(jnp.int32)), lambda: of_all(query, along, excluded))

    return lax.map(one, (queries.astype(wide), along, excluded, scores, candidates, error))


def lower_bounds(frame: Frame, queries: Float[Array, "b d"], violation: Float[Array, "b"], along: Any) -> Float[Array, "b"]:
    """Lower bounds of distances, from the largest violation of each slab (`worst_violators`)."""
    wide = jax.dtypes.canonicalize_dtype(np.float64)
    return jax.vmap(partial(EXTENDED.lower_bound, frame))(queries.astype(wide), -violation, along)


def in_chunks(points: Any, size: int, function: Callable[[Any], Array]) -> Float[Array, "n ..."]:
    """A function's values at all points, computed in chunks.

    Args:
        points: one per row (n, d), or a tree of such arrays.
        size: maximum points per chunk.
        function: maps rows (k, d) to results (k, ...).
    """
    n = len(jax.tree.leaves(points)[0])
    chunk = min(size, n)

    def rows(first: Array | int, count: int) -> Any:
        return jax.tree.map(lambda field: lax.dynamic_slice_in_dim(field, first, count), points)

    def body(i: Array, found: Array) -> Array:
        first = jnp.minimum(i * chunk, n - chunk)
        return lax.dynamic_update_slice_in_dim(found, function(rows(first, chunk)), first, 0)

    shape = jax.eval_shape(function, rows(0, chunk))
    empty = jnp.zeros((n, *shape.shape[1:]), shape.dtype)
    return lax.fori_loop(0, -(-n // chunk), body, loop_start(empty, *jax.tree.leaves(points), function(rows(0, 1))))


def top(scores: Float[Array, "b n"], count: int) -> tuple[Float[Array, "b count"], Int[Array, "b count"]]:
    """The `count` largest scores of each query, and their columns, in two steps; the last value bounds all other scores.

    In float32 exact, and in descending order. In float64, whose top_k takes six times as long on a CPU, differences from the
    largest score are ordered in float32: columns are those of the largest scores up to 6e-8 of that difference, and scores are
    raised to the bound, by at most 4e-7 of it. Differences must be below float32's maximum.
    """
    if scores.dtype == jnp.float64:
        largest = jnp.maximum(scores.max(1, keepdims=True), jnp.finfo(jnp.float64).min)  # −∞ if all rows are excluded
        gaps, columns = top((scores - largest).astype(jnp.float32), count)
        bound = largest + gaps[:, -1:].astype(jnp.float64) * (1 - 2.0**-22)
        return jnp.maximum(jnp.take_along_axis(scores, columns, 1), bound), columns
    # Without the barriers, XLA recomputes parts of this for each use (measured in loops: twice as slow overall). One barrier
    # around both arrays makes XLA abort when it partitions top_k over devices.
    values, columns = _top(scores, count)
    return lax.optimization_barrier(values), lax.optimization_barrier(columns)


def _top(scores: Array, count: int) -> tuple[Array, Array]:
    queries, rows = scores.shape
    if rows // GROUP < 2 * count:
        values, columns = lax.top_k(scores, count)
        return values, columns
    # The largest scores lie in the groups with the largest maxima; incomplete groups are padded with −∞.
    groups = -(-rows // GROUP)
    scores = jnp.pad(scores, ((0, 0), (0, groups * GROUP - rows)), constant_values=-jnp.inf)
    _, best = lax.top_k(scores.reshape(queries, GROUP, groups).max(1), count)
    members = (best[:, None, :] + groups * jnp.arange(GROUP)[:, None]).reshape(queries, -1)
    values, order = lax.top_k(jnp.take_along_axis(scores, members, 1), count)
    return values, jnp.take_along_axis(members, order, 1)


def without(scores: Float[Array, "b n"], excluded: Int[Array, "b"] | None, n: Int[Array, ""] | int) -> Float[Array, "b n"]:
    """The scores with −∞ for each query's excluded row and, because that may leave padding on top, for rows of padding.

    Args:
        excluded: a row of each query, or −1 for none; None returns the scores unchanged.
        n: number of points; later rows are padding.

    Example:
        >>> without(jnp.array([[3.0, 2.0, 0.0]]), jnp.array([0]), 2)
        Array([[-inf,   2., -inf]], dtype=float32)
    """
    if excluded is None:
        return scores
    rows = jnp.arange(scores.shape[1])
    return jnp.where((rows == excluded[:, None]) | (rows >= n), -jnp.inf, scores)


def none_excluded(queries: Float[Array, "b d"]) -> Int[Array, "b"]:
    """`excluded` of `without` for queries of which none has an excluded row: only padding has no scores then."""
    return jnp.full(len(queries), -1, jnp.int32)


def replace_excluded(rows: Int[Array, "b c"], excluded: Int[Array, "b"] | None) -> Int[Array, "b c"]:
    """The candidates with each query's excluded row replaced by its best candidate, which is never excluded."""
    if excluded is None:
        return rows
    xp: Any = rows.__array_namespace__()
    return xp.where(rows == excluded[:, None], rows[:, :1], rows)


def is_repeat(candidates: Int[Array, "c"], support: Int[Array, "k"], weights: Float[Array, "k"]) -> Bool[Array, "c"]:
    """Mask of the candidates that are in the support or repeat an earlier candidate."""
    earlier = jnp.tri(len(candidates), k=-1, dtype=bool)
    again = ((candidates[:, None] == candidates) & earlier).any(1)
    return again | ((candidates[:, None] == support) & (weights > 0)).any(1)
