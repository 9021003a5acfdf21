"""One round of column generation for any source of points: solve on a pool, score all points, certify, decide.

    nearest   one product of queries by points; each query's nearest points become its first candidates;
    advance   an exact solve on support and candidates, then one product that scores all points along the new residual:
              it certifies the query or finds its worst violators, the next candidates.

The products are in float32, or in bfloat16 from a rounded copy of the points (`core.rounded`), but the certificate is more
precise. A float32 score has an error of at most γ_d ‖x‖, and rounded points give upper bounds of the scores. So the best
candidates are scored again from the raw points (`core.precision`), and all other points enter with the bound of their score.
If the face next to a query has more points than there are candidates, that bound leaves the query undecided. In extended
precision all points are therefore scored precisely, unless the candidates suffice (`scores.worst_violators`). Queries that only
the bound from a rounded copy leaves undecided are scored again in float32.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from hullx import certificate
from hullx.core.hull import Frame
from hullx.core.pool.solve import Limits, Solution
from hullx.core.stages import Method, Stage
from hullx.core.state import STUCK, Goal, QueryState
from hullx.core.verdict import Evidence, made_progress, verdict
from hullx.numerics.loops import loop_start
from hullx.types import Array

# Queries that are scored again in float32 at a time.
FEW = 32
# Queries are scored from at most this far away, in the frame's units.
FARTHEST = 2.0**60
# Fewer queries than these are scored faster without a rounded copy.
FEWEST_ROUNDED = 8


class PointSource(Protocol):
    """Points in any storage, as rounds use them. `active`, (b,) bool, marks valid queries; others get arbitrary results.

    - solve(state, limits, active, stage): each query's solve on the pool of its support and candidates.
    - best(vectors (b, d), count, active, nearest, excluded): in the vectors' dtype, the largest scores ⟨x_j, v⟩ (with a rounded
      copy of the points, their largest upper bounds), or in float32 with `nearest` the largest −‖x_j − v‖²/2 up to a constant,
      and their rows, each (b, count). `excluded`, (b,) or None, is a row of each query that has no score, or −1.
    - certify(queries, candidates, along, rest, active, method): lower bounds of the distances, (b,): the candidates scored
      again in the method's precision; `rest` bounds the slabs of all others.
    - certify_all(queries, along, count, excluded): in extended precision, lower bounds from all points but the excluded ones,
      (b,), and the rows that score highest, (b, count).
    """

    @property
    def frame(self) -> Frame: ...

    @property
    def rows(self) -> int:
        """Padded number of points, the maximum number of candidates."""
        ...

    @property
    def precise(self) -> PointSource:
        """The same points without a rounded copy."""
        ...

    def solve(self, state: QueryState, limits: Limits, active: Array, stage: Stage) -> Solution: ...

    def best(
        self, vectors: Array, count: int, active: Array, *, nearest: bool, excluded: Array | None = None
    ) -> tuple[Array, Array]: ...

    def certify(self, queries: Array, candidates: Array, along: Any, rest: Array, active: Array, method: Method) -> Array: ...

    def certify_all(self, queries: Array, along: Any, count: int, excluded: Array | None = None) -> tuple[Array, Array]: ...


class Round(NamedTuple):
    """The results of a round; distances in the frame's units."""

    solution: Solution
    candidates: Array  # (b, c)
    lower: Array  # (b,)


class ToScore(NamedTuple):
    """What a score of all points needs of the solutions, one per query."""

    queries: Array
    excluded: Array | None
    direction: Array
    along: Any
    upper: Array


def nearest(source: PointSource, queries: Array, *, count: int, excluded: Array | None = None) -> Array:
    """Rows of the `count` points nearest to each query, up to rounding: (b, count)."""
    wide = jax.dtypes.canonicalize_dtype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        placed = source.frame.place(queries.astype(wide))
        # Scores are to be finite, also of queries beyond float32's range. From so far away only the direction matters.
        placed = placed / placed.__array_namespace__().maximum(abs(placed).max(1, keepdims=True) / FARTHEST, 1)
        placed = placed.astype(np.float32)
    source = _fastest(source, placed)
    return source.best(placed, count, np.ones(len(placed), bool), nearest=True, excluded=excluded)[1]


def advance(source: PointSource, state: QueryState, active: Array, goal: Goal, *, stage: Stage) -> QueryState:
    """The states of the active queries after one round, each with its verdict."""
    # By default accelerators use lower precision for products.
    with jax.default_matmul_precision("highest"):
        found = _round(source, state, active, goal, stage)
    return conclude(state, found, goal, stage=stage)


def _round(source: PointSource, state: QueryState, active: Array, goal: Goal, stage: Stage) -> Round:
    count, method, source = stage.candidates, stage.method, _fastest(source, state.queries)
    each = 0 * state.steps  # one number per query
    limits = Limits(goal.max_steps - state.steps, each + goal.most, each + goal.rtol)
    solution = source.solve(state, limits, active, stage)
    if method is Method.EXTENDED:
        lower, candidates = source.certify_all(state.queries, solution.along, count, state.excluded)
        return Round(solution, candidates, lower)
    given = ToScore(state.queries, state.excluded, solution.direction, solution.along, solution.upper)
    lower, rest, candidates = _score(source, given, active, stage)
    if method.narrow and source.precise is not source:
        # The bounds of queries very near the hull are 0; while rows enter, the next round goes on with the candidates.
        useful = (rest > 0) | ~solution.entered
        doubtful = active & useful & (lower >= rest) & ~certificate.within(solution.upper, lower, goal.rtol, goal.atol)
        lower, candidates = _score_precisely(source.precise, given, doubtful, (lower, candidates), stage)
    return Round(solution, candidates, lower)


def _fastest(source: PointSource, queries: Array) -> PointSource:
    """The source, without its rounded copy if few queries are scored faster so."""
    return source if len(queries) >= FEWEST_ROUNDED else source.precise


def _score(source: PointSource, given: ToScore, active: Array, stage: Stage) -> tuple[Array, Array, Array]:
    """Lower bounds, the part of them that bounds all points but the candidates, and the candidates."""
    count, method = stage.candidates, stage.method
    vectors = given.direction.astype(method.scores)
    scores, candidates = source.best(vectors, count, active, nearest=False, excluded=given.excluded)
    rest = bound_of_others(source.frame, given.queries, given.direction, given.upper, scores, rows=source.rows)
    return source.certify(given.queries, candidates, given.along, rest, active, method), rest, candidates


def _score_precisely(
    source: PointSource, given: ToScore, doubtful: Array, found: tuple[Array, Array], stage: Stage
) -> tuple[Array, Array]:
    """Lower bounds and candidates of the doubtful queries, a few at a time, and the found ones of all others."""
    few = min(FEW, len(doubtful))

    def turn(state: tuple[Array, tuple[Array, Array]]) -> tuple[Array, tuple[Array, Array]]:
        doubtful, found = state
        which, now = lax.top_k(doubtful.astype(jnp.float32), few)
        part = jax.tree.map(lambda field: field[now], given)
        lower, _, candidates = _score(source, part, which > 0, stage)
        old = tuple(field[now] for field in found)
        new = jnp.where(which > 0, jnp.maximum(lower, old[0]), old[0]), jnp.where(which[:, None] > 0, candidates, old[1])
        found = tuple(field.at[now].set(value) for field, value in zip(found, new, strict=True))
        return doubtful.at[now].set(False), found

    return lax.while_loop(lambda state: state[0].any(), turn, loop_start((doubtful, found), given.queries))[1]


@partial(jax.jit, static_argnames="stage")  # also where the host calls it
def conclude(state: QueryState, found: Round, goal: Goal, *, stage: Stage) -> QueryState:
    """The state after a round, with its verdict; results that are no better than before are discarded."""
    solution, dtype = found.solution, state.upper.dtype
    upper, lower = solution.upper.astype(dtype), found.lower.astype(dtype)
    # Without a step a smaller upper bound is rounding. A wider bracket in its place could alternate with this one for ever.
    better = (upper - lower < state.upper - state.lower) | ((upper < state.upper) & (solution.steps > 0))
    better = better | (solution.inside & (lower == 0))
    before = Evidence(state.upper, state.lower, *[state.idle] * 4)
    idle = jnp.where(made_progress(before, upper, lower, solution.entered), 0, state.idle + 1)
    steps = state.steps + solution.steps

    def keep(new: Array, old: Array) -> Array:
        return jnp.where(better.reshape(-1, *[1] * (new.ndim - 1)), new, old).astype(old.dtype)

    kept = state._replace(
        support=keep(solution.support, state.support),
        weights=keep(solution.weights, state.weights),
        candidates=found.candidates,
        point=keep(solution.point, state.point),
        direction=keep(solution.direction, state.direction),
        upper=keep(upper, state.upper),
        lower=keep(lower, state.lower),
        steps=steps,
        idle=idle,
    )
    evidence = Evidence(kept.upper, kept.lower, solution.inside & better, solution.size, idle, steps)
    status = verdict(evidence, stage, goal)
    # In more precision, the same candidates may improve what they could not here.
    again = (status == STUCK) & ~better
    return kept._replace(status=status, candidates=jnp.where(again[:, None], state.candidates, found.candidates))


@partial(jax.jit, static_argnames="rows")  # also where the host calls it
def bound_of_others(frame: Frame, queries: Array, directions: Array, upper: Array, scores: Array, rows: int) -> Array:
    """Lower bounds of the slabs between queries and all points except the candidates: (b,), infinite if there are none.

    The bound is along u, the direction as given; the scores are along ũ, u rounded to their dtype. With x̃ the placed row,
    rounded too, |⟨x, u⟩ − fl⟨x̃, ũ⟩| ≤ ‖x‖ (‖u − ũ‖ + γ_d) + ‖x − x̃‖, and each rounding is at most a unit roundoff of each
    entry: γ_(d+2) of the scores' dtype times ‖x‖. Adding the bound to the score costs one more (`certificate.score_error`).

    Args:
        queries: raw, (b, d).
        directions: (b, d), of length 1.
        upper: upper bounds of the distances, (b,).
        scores: computed scores of the candidates, or upper bounds; no other point has a larger one than the last.
        rows: number of points, including padding.
    """
    if scores.shape[1] >= rows:
        return jnp.full(len(queries), jnp.inf, directions.dtype)
    d = queries.shape[1]
    # A prepared hull may have been placed in float32 for queries of any dtype; then its scale is a normal float32.
    tiny = float(jnp.finfo(jnp.float32).tiny)
    narrow, own = (certificate.underflow(d, d, frame.scale, dtype, jnp.float32) for dtype in (jnp.float32, queries.dtype))
    lost = jnp.where(frame.scale >= tiny, narrow, own)
    others = scores[:, -1] + certificate.score_error(d, frame.radius.astype(scores.dtype), scores.dtype)
    placed = frame.place(queries.astype(directions.dtype))
    # A query's distance from the centre is at most the hull's radius plus its distance.
    error = certificate.score_error(d, 2.01 * frame.radius + 1.01 * upper, directions.dtype) + lost
    return certificate.lower_bound((placed * directions).sum(1), others.astype(directions.dtype), error, d)
