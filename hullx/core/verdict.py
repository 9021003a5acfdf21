"""What one round says of a query: decided, or what it needs next."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp

from hullx import certificate
from hullx.core.stages import Stage
from hullx.core.state import CROWDED, GOING, STUCK, Goal
from hullx.types import Array, Status


class Evidence(NamedTuple):
    """What is known of b queries after a round, each field (b,).

    - upper, lower: the bracket.
    - inside: whether the point reproduces the query.
    - size: points with weight.
    - idle: rounds without progress.
    - steps: taken so far.
    """

    upper: Array
    lower: Array
    inside: Array
    size: Array
    idle: Array
    steps: Array


def verdict(found: Evidence, stage: Stage, goal: Goal) -> Array:
    """A `Status`, or GOING, CROWDED or STUCK: (b,) int32.

    The bracket comes first: no limit replaces a result within tolerance. A support larger than the capacity needs more of it.
    A query without progress needs more precision, and one without steps left ends.
    """
    decided = certificate.status(found.upper, found.lower, found.inside, goal.rtol)
    needs = jnp.where(found.idle >= stage.method.patience, STUCK, GOING)
    full = found.size > stage.capacity
    if not stage.enough:
        full = full | ((needs == STUCK) & (found.size >= stage.most))
    needs = jnp.where(full, CROWDED, needs)
    needs = jnp.where((needs == GOING) & (found.steps >= goal.max_steps), Status.MAX_ITER, needs)
    return jnp.where(decided < 0, needs, decided).astype(jnp.int32)


def progressed(before: Evidence, upper: Array, lower: Array, entered: Array) -> Array:
    """Whether a round was worth it: it halved the bracket, or let a row in and came closer.

    Args:
        before: of the last round.
        upper, lower: of this one.
        entered: whether a candidate joined the support.
    """
    return (upper - lower <= 0.5 * (before.upper - before.lower)) | (entered & (upper < before.upper))
