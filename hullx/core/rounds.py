"""One round of column generation, over points wherever they are: solve on a pool, score all points, certify.

    nearest   one product of queries by points; each query's nearest points become its first candidates;
    advance   an exact solve on support and candidates, then one product that scores all points along the new residual:
              it certifies the query or names its worst violators, the next candidates.

The products are in float32. The certificate is in float64 all the same: a float32 score is off by at most γ_d ‖x‖, so the best
candidates are scored again in float64 from the raw points, and all other points enter with the bound of their score. Where more
points than there are candidates lie on the face next to a query, that bound is what keeps it open: in the last resort all
points are scored in float64.

All of it must be called under `jax.enable_x64(True)`.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import NamedTuple, Protocol, runtime_checkable

import jax.numpy as jnp
import numpy as np
from jax import lax

from hullx import certificate
from hullx.core.hull import Frame
from hullx.core.pool import factored, updated
from hullx.core.scores import repeated
from hullx.numerics.norms import norm_bound, unit
from hullx.types import Array

# Steps of iterative refinement: from float32's digits the first gains about seven, the second what is left of float64's.
REFINEMENTS = 2


class Method(Enum):
    """How a pool is solved: each is slower than the one before and copes with more."""

    FLOAT32 = "updated inverse in float32"
    FLOAT64 = "updated inverse in float64"
    FACTORED = "a new factorization each step in float64"

    @property
    def dtype(self) -> type:
        """Of the Gram matrix."""
        return np.float32 if self is Method.FLOAT32 else np.float64

    @property
    def scored(self) -> type:
        """Of the scores of all points."""
        return np.float64 if self is Method.FACTORED else np.float32


class Batch(NamedTuple):
    """A batch of b queries between rounds."""

    queries: Array  # (b, d) raw
    support: Array  # (b, k) int32
    weights: Array  # (b, k) float64
    candidates: Array  # (b, c) int32


class Pool(NamedTuple):
    """The rows among which a query's support is sought."""

    members: Array  # (c,) int32
    weights: Array  # (k,) float64 of the first k of them
    blocked: Array  # (c,) bool: repetitions


class Solution(NamedTuple):
    """A query's exact solve on its pool, refined in float64."""

    support: Array  # (k,) int32
    weights: Array  # (k,) float64
    point: Array  # (d,) float64, raw units
    direction: Array  # (d,) float64, of length 1
    upper: Array  # in the frame's units
    steps: Array
    full: Array  # a violator found no free slot
    entered: Array  # some candidate joined the support


class Round(NamedTuple):
    """What a round found for a batch of queries; distances in the frame's units."""

    solution: Solution
    candidates: Array
    lower: Array


@runtime_checkable
class Source(Protocol):
    """Points, wherever they are, as rounds need them; batches of queries are padded, the first `active` of them count.

    - solve(batch, steps left (b,), active, method): each query's solve on the pool of its support and candidates.
    - best(vectors (b, d), count, active, nearest): in the vectors' dtype, the largest scores ⟨x_j, v⟩, or in float32 with
      `nearest` the largest −‖x_j − v‖²/2 up to a constant, and their rows, each (b, count).
    - certify(queries, candidates, directions, scores, active): `lower_bound`, the candidates scored in float64; `scores` are
      those that `best` has found.
    """

    @property
    def frame(self) -> Frame: ...

    @property
    def rows(self) -> int:
        """Padded number of points, the most candidates there can be."""
        ...

    def solve(self, batch: Batch, left: Array, active: Array, method: Method) -> Solution: ...

    def best(self, vectors: Array, count: int, active: Array, *, nearest: bool) -> tuple[Array, Array]: ...

    def certify(self, queries: Array, candidates: Array, directions: Array, scores: Array, active: Array) -> Array: ...


def nearest(source: Source, queries: Array, *, count: int) -> Array:
    """Rows of the `count` points nearest to each query, as good as float32 tells: (b, count)."""
    placed = source.frame.place(queries.astype(np.float64)).astype(np.float32)
    return source.best(placed, count, len(placed), nearest=True)[1]


def advance(source: Source, batch: Batch, left: Array, active: Array, *, method: Method) -> Round:
    """One round of the first `active` queries, each of which takes at most so many steps as are left."""
    count = batch.candidates.shape[1]
    solution = source.solve(batch, left, active, method)
    scores, candidates = source.best(solution.direction.astype(method.scored), count, active, nearest=False)
    lower = source.certify(batch.queries, candidates, solution.direction, scores, active)
    return Round(solution, candidates, lower)


def stalled(upper_before: Array, width_before: Array, upper: Array, width: Array, entered: Array) -> Array:
    """Whether a round let no row in, or came no closer, and hardly tightened the bracket: more of the same will not help."""
    return (width > 0.5 * width_before) & ~(entered & (upper < upper_before))


# What the sources do for each query.


def pool(support: Array, weights: Array, candidates: Array) -> Pool:
    """As many rows as there are candidates: those of the support, then the best candidates besides."""
    key = jnp.concatenate([jnp.where(weights > 0, 0, 2), jnp.where(repeated(candidates, support, weights), 2, 1)])
    first = jnp.argsort(key, stable=True)[: len(candidates)]
    weights = jnp.where(key == 0, jnp.concatenate([weights, jnp.zeros(len(candidates))]), 0)
    return Pool(jnp.concatenate([support, candidates])[first], weights[first[: len(support)]], key[first] == 2)


def solve(
    frame: Frame,
    query: Array,
    members: Array,
    start: Pool,
    max_steps: Array,
    *,
    method: Method,
    raw: Callable[[Array], Array],
) -> Solution:
    """One query's exact solve on its pool.

    Args:
        query: raw.
        members: the pool's rows in the frame, (c, d).
        raw: the same by their place in the pool, as they came.
    """
    rows = members.astype(method.dtype)
    weights = start.weights.astype(rows.dtype)
    capacity = len(weights)
    # Any origin near the nearest point will do.
    centred = rows - weights @ rows[:capacity]
    gram = jnp.matmul(centred, centred.T, precision="highest")
    if method is Method.FACTORED:
        # What was found so far may rest on rows that only rounding tells from affinely dependent ones.
        weights = updated.independent(gram[:capacity, :capacity], weights)
    residual = weights @ (frame.place(query.astype(jnp.float64)).astype(rows.dtype) - rows[:capacity])
    scores = jnp.matmul(centred, residual, precision="highest")
    if method is Method.FACTORED:
        found = factored.solve_pool(gram, scores, weights, start.blocked, max_steps, rows=centred)
        inverse = updated.inverse(gram[found.slots[:, None], found.slots], found.weights)[1]
    else:
        found, inverse = updated.solve_pool(gram, scores, weights, start.blocked, max_steps)
    slots = found.slots
    refined, residual, upper = refined_weights(frame, query, raw(slots), found.weights.astype(jnp.float64), inverse)
    return Solution(
        support=start.members[slots],
        weights=refined,
        point=query - residual * frame.scale,
        direction=unit(residual),
        upper=upper,
        steps=found.steps,
        full=found.full,
        entered=((jnp.pad(weights, (0, len(rows) - capacity))[slots] == 0) & (found.weights > 0)).any(),
    )


def refined_weights(frame: Frame, query: Array, rows: Array, weights: Array, inverse: Array) -> tuple[Array, Array, Array]:
    """Iterative refinement on the support: residual and scores in float64, the inverse as it is (`pool.updated`).

    Args:
        query, rows: (d,) and (k, d), raw: the query, and the support's points.

    Returns:
        The weights, the residual, and the upper bound of the distance (`certificate.upper_bound`).
    """
    weights = weights / weights.sum()
    used = weights > 0
    # From the raw numbers, which are rounded once; placed ones would each bring their own rounding.
    data_dtype, query, rows = query.dtype, query.astype(jnp.float64), rows.astype(jnp.float64)
    differences = (query - rows) / frame.scale
    lost = certificate.underflow(len(query), len(weights), frame.scale, data_dtype, jnp.float64)

    def improved(_: int, weights: Array) -> Array:
        # ⟨x_i − p, r⟩ = ‖r‖² − ⟨q − x_i, r⟩, and a constant makes no difference.
        scores = -(differences @ (weights @ differences))
        step = inverse.astype(jnp.float64) @ jnp.where(used, scores - weights @ scores, 0)
        step = jnp.where(used & jnp.isfinite(step).all(), step, 0)
        length = jnp.minimum(jnp.where(step < 0, weights / -step, jnp.inf).min(), 1)
        weights = jnp.maximum(weights + length * step, 0)
        return weights / weights.sum()

    weights = lax.fori_loop(0, REFINEMENTS, improved, weights)
    return weights, *certificate.upper_bound(weights, differences, lost)


def largest(frame: Frame, rows: Array, direction: Array) -> Array:
    """The largest score of some raw rows along a direction, in float64."""
    return jnp.matmul(frame.place(rows.astype(jnp.float64)), direction).max()


def others(scores: Array, rows: int) -> Array:
    """What no point scores more than that is not among the candidates, whose scores these are, of so many rows."""
    return scores[:, -1] if scores.shape[1] < rows else jnp.full(len(scores), -jnp.inf, scores.dtype)


def lower_bound(frame: Frame, queries: Array, directions: Array, largest: Array, others: Array) -> Array:
    """The certified lower bounds of a batch.

    Scores in float64 are off by γ_(d+8) in float64 times the norms. Those in float32 are products of a direction and a row that
    were each rounded once to float32, whether from float64 or as a difference of float32 numbers: γ_(d+8) in float32.

    Args:
        queries: raw.
        largest: the largest float64 score of the candidates.
        others: no point that is not a candidate has a larger score, computed in their dtype.
    """
    d = queries.shape[1]
    lost = certificate.underflow(d, d, frame.scale, queries.dtype, jnp.float32)
    others = others + certificate.score_error(d, frame.radius, others.dtype)
    placed = frame.place(queries.astype(jnp.float64))
    error = certificate.score_error(d, norm_bound(placed) + frame.radius, jnp.float64) + lost
    return certificate.lower_bound((placed * directions).sum(1), jnp.maximum(largest, others), error, d)
