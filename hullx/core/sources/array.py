"""A source of points in arrays: pure functions for compiled rounds."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from hullx.core.hull import Frame, Hull
from hullx.core.pool.solve import Limits, Solution, pool, solve
from hullx.core.rounded import rounded_nearness, upper_scores
from hullx.core.scores import (
    lower_bounds,
    nearness,
    none_excluded,
    replace_excluded,
    scores_in_double,
    top,
    without,
    worst_violators,
)
from hullx.core.stages import Method, Stage, working_dtype
from hullx.core.state import QueryState
from hullx.numerics.batching import in_groups, lockstep
from hullx.types import Array

# If at most FEW queries of a batch are active, as in the last rounds, only these are scored.
FEW = 32


class ArraySource(NamedTuple):
    """A hull as a `rounds.PointSource`."""

    hull: Hull

    @property
    def frame(self) -> Frame:
        """The hull's frame."""
        return self.hull.frame

    @property
    def precise(self) -> ArraySource:
        """As `rounds.PointSource`."""
        return self if self.hull.rounded is None else ArraySource(self.hull._replace(rounded=None))

    @property
    def rows(self) -> int:
        """Number of points, including padding."""
        return len(self.hull.placed)

    def solve(self, state: QueryState, limits: Limits, active: Array, stage: Stage) -> Solution:
        """As `rounds.PointSource`."""
        batch = state.queries, state.support, state.weights, state.candidates, limits
        return in_groups(partial(self._solve, stage), batch, _together(state.queries, state.candidates), active)

    def _solve(
        self, stage: Stage, queries: Array, support: Array, weights: Array, candidates: Array, limits: Limits
    ) -> Solution:
        start = jax.vmap(pool)(support, weights, candidates)
        placed = self.hull.placed[start.members] if stage.method.narrow else None

        def rows(slots: Array) -> Array:
            return self.hull.points[jnp.take_along_axis(start.members, slots, 1)]

        return solve(self.hull.frame, queries, rows, placed, start, limits, stage=stage)

    def best(
        self, vectors: Array, count: int, active: Array, *, nearest: bool, excluded: Array | None = None
    ) -> tuple[Array, Array]:
        """As `rounds.PointSource`; padding rows become row 0, or the best row where rows are excluded."""
        hull = self.hull
        if vectors.dtype != hull.placed.dtype:
            # Padding, copies of row 0 among the raw points, is to have no scores.
            left_out = none_excluded(vectors) if excluded is None else excluded
            scores = without(scores_in_double(hull.frame, hull.points, vectors), left_out, hull.n)
            values, rows = top(scores, min(count, len(hull.points)))
            missing = ((0, 0), (0, count - rows.shape[1]))
            values, rows = jnp.pad(values, missing, mode="edge"), jnp.pad(rows, missing, mode="edge")
            return values, replace_excluded(self._replace_padding(rows), excluded)

        def score(vectors: Array, excluded: Array | None) -> tuple[Array, Array]:
            values, rows = top(without(self._scores(vectors, nearest), excluded, hull.n), count)
            return values, replace_excluded(self._replace_padding(rows), excluded)

        def score_few() -> tuple[Array, Array]:
            missing, few = ((0, len(vectors) - FEW), (0, 0)), order[:FEW]
            found = score(vectors[few], None if excluded is None else excluded[few])
            values, rows = (jnp.pad(each, missing)[back] for each in found)
            return values, rows

        if nearest or len(vectors) <= FEW or hull.rounded is not None:
            return score(vectors, excluded)
        # Active queries first.
        _, order = lax.top_k(active.astype(jnp.float32), len(vectors))
        _, back = lax.top_k(-order.astype(jnp.float32), len(vectors))
        return lax.cond(active.sum() <= FEW, score_few, lambda: score(vectors, excluded))

    def certify(self, queries: Array, candidates: Array, along: Any, rest: Array, active: Array, method: Method) -> Array:
        """As `rounds.PointSource`."""
        frame, points, dtype = self.hull.frame, self.hull.points, working_dtype(method, queries.dtype)

        def one(query: Array, rows: Array, along: Any, rest: Array) -> Array:
            slab = method.precision.slab(frame, query.astype(dtype), points[rows].astype(dtype), along)
            return jnp.minimum(slab, rest)

        return in_groups(jax.vmap(one), (queries, candidates, along, rest), _together(queries, candidates), active)

    def certify_all(self, queries: Array, along: Any, count: int, excluded: Array | None = None) -> tuple[Array, Array]:
        """As `rounds.PointSource`."""
        frame, points, n = self.hull.frame, self.hull.points, self.hull.n
        left_out = none_excluded(queries) if excluded is None else excluded
        several = min(count, len(points))
        violation, rows = worst_violators(frame, points, queries, along, count=several, excluded=left_out, n=n)
        rows = jnp.pad(rows, ((0, 0), (0, count - rows.shape[1])), mode="edge")
        rows = replace_excluded(self._replace_padding(rows), excluded)
        return lower_bounds(frame, queries, violation[:, 0], along), rows

    def _scores(self, vectors: Array, nearest: bool) -> Array:
        hull = self.hull
        if hull.rounded is not None:
            return rounded_nearness(hull.rounded, vectors) if nearest else upper_scores(hull.rounded, vectors)
        return nearness(vectors, hull.placed, hull.half_squares if nearest else jnp.zeros((), vectors.dtype))

    def _replace_padding(self, rows: Array) -> Array:
        return jnp.where(rows < self.hull.n, rows, 0).astype(jnp.int32)


def _together(queries: Array, candidates: Array) -> int:
    return lockstep(candidates.shape[1] * queries.shape[1] * 8, len(queries))
