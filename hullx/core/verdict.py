"""The verdict on a query after a round: decided, or what it needs next."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp

from hullx import certificate
from hullx.core.stages import Stage, step_limit
from hullx.core.state import CROWDED, GOING, STUCK, Goal
from hullx.types import Array, Status


class Evidence(NamedTuple):
    """The results of a round for b queries, each field (b,).

    - upper, lower: the bracket.
    - inside: whether the point reproduces the query.
    - size: number of points with weight.
    - idle: rounds without progress.
    - steps: number of steps so far.
    """

    upper: Array
    lower: Array
    inside: Array
    size: Array
    idle: Array
    steps: Array


def verdict(found: Evidence, stage: Stage, goal: Goal) -> Array:
    """A `Status`, or GOING, CROWDED or STUCK: (b,) int32.

    A bracket within tolerance takes precedence over all limits. A support larger than the capacity needs more capacity. A query
    without progress needs more precision. So does one with half of the default steps, in stages that say so: if columns
    differ by many orders of magnitude, rounding may let rows enter and leave for ever. A query with no steps left ends.
    """
    decided = certificate.status(found.upper, found.lower, found.inside, goal.rtol, goal.atol)
    # Queries that may be inside often progress after one round without.
    patience = stage.method.patience + (found.lower == 0)
    needs = jnp.where(found.idle >= patience, STUCK, GOING)
    full = found.size > stage.capacity
    if not stage.enough:
        full = full | ((needs == STUCK) & (found.size >= goal.most))
    needs = jnp.where(full, CROWDED, needs)
    needs = jnp.where((needs == GOING) & (found.steps >= goal.max_steps), Status.MAX_ITER, needs)
    if stage.half_of_steps:
        needs = jnp.where((needs == GOING) & (2 * found.steps >= step_limit(goal.most)), STUCK, needs)
    return jnp.where(decided < 0, needs, decided).astype(jnp.int32)


def made_progress(before: Evidence, upper: Array, lower: Array, entered: Array) -> Array:
    """Whether a round made progress: it halved the bracket, or added a row and lowered the upper bound.

    Args:
        before: results of the last round.
        upper, lower: bounds of this round.
        entered: whether a candidate joined the support.
    """
    return (upper - lower <= 0.5 * (before.upper - before.lower)) | (entered & (upper < before.upper))
