"""The driver under jit: one program runs rounds until each query is decided or needs another stage.

Each round takes a batch of the queries that continue. `core.driver` runs this program for the first stage of small problems and
on accelerators.
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from hullx.core import rounds
from hullx.core.hull import Hull
from hullx.core.sources.array import ArraySource
from hullx.core.stages import Stage, working_dtype
from hullx.core.state import CROWDED, GOING, STUCK, Goal, QueryState, init, pad_slots, reopen, subset
from hullx.numerics.batching import over_batches
from hullx.numerics.loops import loop_start
from hullx.types import Array, Count, Status


def search(
    queries: Array, count: Count, hull: Hull, goal: Goal, *, stages: list[Stage], excluded: Array | None = None
) -> QueryState:
    """The states of queries after all stages of a program; queries that are not finite end at once.

    Args:
        queries: raw, (m, d).
        count: the number of valid queries, which come first; results of the others are arbitrary.
        stages: each stage continues with the queries that need it after the one before.
        excluded: (m,), rows that do not belong to the hulls, or None.
    """
    matter = jnp.arange(len(queries)) < count
    state = over_batches(partial(_begin, hull, stages[0]), (queries, matter, excluded), stages[0].batch)
    state = _run(state, hull, goal, stages[0])
    for before, stage in pairwise(stages):
        needs = (CROWDED,) if stage.method is before.method else (CROWDED, STUCK)
        state = reopen(pad_slots(state, stage.candidates), jnp.isin(state.status, jnp.array(needs)))
        state = _run(state, hull, goal, stage)
    return state


def _begin(hull: Hull, stage: Stage, batch: tuple[Array, Array, Array | None]) -> QueryState:
    queries, matter, excluded = batch
    placed = hull.frame.place(queries.astype(jax.dtypes.canonicalize_dtype(np.float64)))
    finite = matter & jnp.isfinite(placed).all(1) & jnp.isfinite(hull.frame.radius)
    queries = jnp.where(finite[:, None], queries, hull.frame.centre)
    candidates = rounds.nearest(ArraySource(hull), queries, count=stage.candidates, excluded=excluded)
    state = init(jnp.arange(len(queries)), queries, candidates, working_dtype(stage.method, queries.dtype), excluded)
    return state._replace(status=jnp.where(finite, GOING, Status.NONFINITE).astype(jnp.int32))


def _run(state: QueryState, hull: Hull, goal: Goal, stage: Stage) -> QueryState:
    """Rounds of one stage, each for a batch of the queries that continue, until none does."""
    batch = min(stage.batch, len(state.row))

    def turn(state: QueryState) -> QueryState:
        if batch == len(state.row):
            return _advance(state, hull, goal, stage)
        _, which = lax.top_k((state.status == GOING).astype(jnp.float32), batch)
        found = _advance(subset(state, which), hull, goal, stage)
        return jax.tree.map(lambda whole, part: whole.at[which].set(part, unique_indices=True), state, found)

    return lax.while_loop(lambda state: (state.status == GOING).any(), turn, loop_start(state, state.queries, hull.points))


def _advance(state: QueryState, hull: Hull, goal: Goal, stage: Stage) -> QueryState:
    """The states after a round; only queries that continue change."""
    going = state.status == GOING
    found = rounds.advance(ArraySource(hull), state, going, goal, stage=stage)
    return jax.tree.map(lambda old, new: jnp.where(going.reshape(-1, *[1] * (new.ndim - 1)), new, old), state, found)
