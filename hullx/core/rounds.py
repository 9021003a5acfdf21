"""One round of column generation, over points wherever they are: solve on a pool, score all points, certify.

    nearest   one product of queries by points; each query's nearest points become its first candidates;
    advance   an exact solve on support and candidates, then one product that scores all points along the new residual:
              it certifies the query or names its worst violators, the next candidates.

The products are in float32. The certificate has more digits all the same: a float32 score is off by at most γ_d ‖x‖, so the
best candidates are scored again from the raw points (`core.digits`), and all other points enter with the bound of their score.
Where more points than there are candidates lie on the face next to a query, that bound is what keeps it open: in the last
resort all points are scored with more digits.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np

from hullx import certificate
from hullx.core.hull import Frame
from hullx.core.pool.solve import Solution
from hullx.core.stage import Method, Stage
from hullx.types import Array


class Batch(NamedTuple):
    """A batch of b queries between rounds."""

    queries: Array  # (b, d) raw
    support: Array  # (b, c) int32
    weights: Array  # (b, c)
    candidates: Array  # (b, c) int32


class Round(NamedTuple):
    """What a round found for a batch of queries; distances in the frame's units."""

    solution: Solution
    candidates: Array
    lower: Array


@runtime_checkable
class Source(Protocol):
    """Points, wherever they are, as rounds need them; `active`, (b,) bool, are the queries that count, and of others anything
    may be said.

    - solve(batch, steps left (b,), active, stage): each query's solve on the pool of its support and candidates.
    - best(vectors (b, d), count, active, nearest): in the vectors' dtype, the largest scores ⟨x_j, v⟩, or in float32
      with `nearest` the largest −‖x_j − v‖²/2 up to a constant, and their rows, each (b, count).
    - certify(queries, candidates, along, rest, active, method): lower bounds of the distances, (b,): the candidates scored
      again by the method's digits; `rest` bounds the slabs of all others.
    """

    @property
    def frame(self) -> Frame: ...

    @property
    def rows(self) -> int:
        """Padded number of points, the most candidates there can be."""
        ...

    def solve(self, batch: Batch, left: Array, active: Array, stage: Stage) -> Solution: ...

    def best(self, vectors: Array, count: int, active: Array, *, nearest: bool) -> tuple[Array, Array]: ...

    def certify(self, queries: Array, candidates: Array, along: Any, rest: Array, active: Array, method: Method) -> Array: ...


@runtime_checkable
class AtHand(Source, Protocol):
    """A source whose points are all at hand.

    - certify_all(queries, along, count, method): lower bounds from slices of all points, (b,), and the rows that score highest,
      (b, count).
    """

    def certify_all(self, queries: Array, along: Any, count: int, method: Method) -> tuple[Array, Array]: ...


def nearest(source: Source, queries: Array, *, count: int) -> Array:
    """Rows of the `count` points nearest to each query, as good as float32 tells: (b, count)."""
    dtype = source.frame.centre.dtype
    placed = source.frame.place(queries.astype(jnp.promote_types(dtype, queries.dtype))).astype(np.float32)
    return source.best(placed, count, np.ones(len(placed), bool), nearest=True)[1]


def advance(source: Source, batch: Batch, left: Array, active: Array, *, stage: Stage) -> Round:
    """One round of the active queries, each of which takes at most so many steps as are left."""
    # Accelerators would take fewer digits for products that do not say how many they want.
    with jax.default_matmul_precision("highest"):
        return _advanced(source, batch, left, active, stage)


def _advanced(source: Source, batch: Batch, left: Array, active: Array, stage: Stage) -> Round:
    count, method = stage.candidates, stage.method
    solution = source.solve(batch, left, active, stage)
    if method.slices and isinstance(source, AtHand):
        lower, candidates = source.certify_all(batch.queries, solution.along, count, method)
        return Round(solution, candidates, lower)
    scores, candidates = source.best(solution.direction.astype(method.scored), count, active, nearest=False)
    rest = bound_of_others(source.frame, batch.queries, solution.direction, solution.upper, scores, rows=source.rows)
    lower = source.certify(batch.queries, candidates, solution.along, rest, active, method)
    return Round(solution, candidates, lower)


@partial(jax.jit, static_argnames="rows")  # also where the host calls it
def bound_of_others(frame: Frame, queries: Array, directions: Array, upper: Array, scores: Array, rows: int) -> Array:
    """Lower bounds of the slabs between queries and all points but the candidates: (b,), infinite if there are no others.

    A score in float32 is a product of a direction and a row that were each rounded once to float32, whether from float64 or as
    a difference of float32 numbers: it is off by γ_(d+8) in float32 times the norms; one in float64 by as many of its own.

    Args:
        queries: raw, (b, d).
        directions: (b, d), of length 1.
        upper: bounds of the distances, (b,).
        scores: of the candidates, in falling order, as computed: no other point's is larger.
        rows: how many points there are, padding included.
    """
    if scores.shape[1] >= rows:
        return jnp.full(len(queries), jnp.inf, directions.dtype)
    d = queries.shape[1]
    lost = certificate.underflow(d, d, frame.scale, queries.dtype, jnp.float32)
    others = scores[:, -1] + certificate.score_error(d, frame.radius, scores.dtype)
    placed = frame.place(queries.astype(directions.dtype))
    # A query is no farther from the centre than the hull's radius and its distance.
    error = certificate.score_error(d, 2.01 * frame.radius + 1.01 * upper, directions.dtype) + lost
    return certificate.lower_bound((placed * directions).sum(1), others, error, d)


def stalled(upper_before: Array, width_before: Array, upper: Array, width: Array, entered: Array) -> Array:
    """Whether a round let no row in, or came no closer, and hardly tightened the bracket: more of the same will not help."""
    return (width > 0.5 * width_before) & ~(entered & (upper < upper_before))
