"""Rounds of column generation for many queries in one program, until each is decided or no stage can do more.

Each turn gives one round to all queries of a batch that are not done. What a stage cannot settle, for want of room or of
digits, waits for the next.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from hullx import certificate
from hullx.core import rounds
from hullx.core.hull import Hull
from hullx.core.placed import Placed
from hullx.core.rounds import Batch
from hullx.core.stage import Method, Stage
from hullx.numerics.loops import loop_start
from hullx.types import Array, Count, Number, Status

# What becomes of a query that is not decided: it goes on, or waits for a stage with more room, or for one with more digits.
GOING, CROWDED, STUCK = -1, -2, -3
# Rounds without progress after which a query is stuck: 1, but with all digits a row that enters may pay a round later.
PATIENCE = {Method.REFINED: 3, Method.LAST: 3}


def undecided(method: Method) -> tuple[int, ...]:
    """Statuses of the queries for which a stage is there: those that want for room, and in the last resort for digits."""
    return (GOING, CROWDED, STUCK) if method.slices else (GOING, CROWDED)


class Search(NamedTuple):
    """How far m queries are; lengths in the frame's units.

    - status: a `Status`, or GOING, CROWDED or STUCK.
    """

    queries: Array  # (m, d) raw
    support: Array  # (m, c) int32
    weights: Array  # (m, c)
    candidates: Array  # (m, c) int32
    point: Array  # (m, d) raw
    direction: Array  # (m, d)
    upper: Array
    lower: Array
    steps: Array
    status: Array
    idle: Array  # rounds without progress


def begun(queries: Array, hull: Hull, stage: Stage) -> Search:
    """Queries on their nearest points, with the nearest points as candidates; those that are not finite are done."""
    count = len(queries)
    finite = jnp.isfinite(hull.frame.place(queries)).all(1) & jnp.isfinite(hull.frame.radius)
    queries = jnp.where(finite[:, None], queries, hull.frame.centre)
    candidates = rounds.nearest(Placed(hull), queries, count=stage.candidates)
    first = jnp.arange(stage.candidates) == 0
    infinite = jnp.full(count, jnp.inf, queries.dtype)
    return Search(
        queries=queries,
        support=jnp.where(first, candidates[:, :1], 0),
        weights=jnp.broadcast_to(first.astype(queries.dtype), (count, stage.candidates)),
        candidates=candidates,
        point=queries,
        direction=jnp.zeros_like(queries),
        upper=infinite,
        lower=jnp.zeros_like(infinite),
        steps=jnp.zeros(count, jnp.int32),
        status=jnp.where(finite, GOING, Status.NONFINITE).astype(jnp.int32),
        idle=jnp.zeros(count, jnp.int32),
    )


def searched(search: Search, hull: Hull, stage: Stage, rtol: Number, max_steps: Count) -> Search:
    """The queries for which a stage is there (`undecided`), in rounds."""
    going = jnp.isin(search.status, np.array(undecided(stage.method)))
    search = search._replace(status=jnp.where(going, GOING, search.status), idle=jnp.zeros_like(search.idle))

    def turn(search: Search) -> Search:
        going = search.status == GOING
        found = _advanced(search, hull, stage, going, rtol, max_steps)
        return jax.tree.map(lambda old, new: jnp.where(going.reshape(-1, *[1] * (new.ndim - 1)), new, old), search, found)

    return lax.while_loop(lambda search: (search.status == GOING).any(), turn, loop_start(search, search.queries, hull.points))


def _advanced(mine: Search, hull: Hull, stage: Stage, going: Array, rtol: Number, max_steps: Count) -> Search:
    """One round of a batch, and what it says of each query."""
    batch = Batch(mine.queries, mine.support, mine.weights, mine.candidates)
    found = rounds.advance(Placed(hull), batch, max_steps - mine.steps, going, stage=stage)
    solution, steps = found.solution, mine.steps + found.solution.steps
    # A bound and the direction that proves it belong together.
    higher = found.lower > mine.lower
    lower = jnp.where(higher, found.lower, mine.lower)
    weights, upper, lower = (part.astype(mine.upper.dtype) for part in (solution.weights, solution.upper, lower))
    stalled = rounds.stalled(mine.upper, mine.upper - mine.lower, upper, upper - lower, solution.entered)
    idle = jnp.where(stalled, mine.idle + 1, 0)
    status = certificate.status(upper, lower, inside_level(mine.queries, hull, weights), rtol)
    size, enough = (weights > 0).sum(1), min(hull.points.shape[0], hull.points.shape[1] + 1)
    full = size > stage.capacity
    # What factorizes takes no more than it has slots for; it wants for room where they are all taken.
    full = full | (stage.method.factors & (size == stage.capacity) & (stage.capacity < enough) & (idle > 0))
    ended = jnp.where(full, CROWDED, jnp.where(idle >= PATIENCE.get(stage.method, 1), STUCK, GOING))
    ended = jnp.where((steps >= max_steps) & ~full, Status.MAX_ITER, ended)
    return mine._replace(
        support=solution.support,
        weights=weights,
        candidates=found.candidates,
        point=solution.point,
        direction=jnp.where(higher[:, None], solution.direction, mine.direction),
        upper=upper,
        lower=lower,
        steps=steps,
        status=jnp.where(status < 0, ended, status).astype(jnp.int32),
        idle=idle,
    )


def inside_level(queries: Array, hull: Hull, weights: Array) -> Array:
    """`certificate.inside_level` of a batch."""
    frame, dtype = hull.frame, queries.dtype
    lost = certificate.underflow(queries.shape[1], weights.shape[1], frame.scale, dtype, dtype)
    return certificate.inside_level(frame.radius, (weights > 0).sum(1), lost, dtype, np.float64)


def widened(search: Search, stage: Stage) -> Search:
    """The same with the slots of a stage further up."""
    more = stage.candidates - search.candidates.shape[1]
    zeros = ((0, 0), (0, more))
    return search._replace(
        support=jnp.pad(search.support, zeros),
        weights=jnp.pad(search.weights, zeros),
        candidates=jnp.pad(search.candidates, zeros, mode="edge"),
    )
