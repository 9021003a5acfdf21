"""The state of queries between rounds, for both drivers."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import numpy as np
from jax.typing import DTypeLike

from hullx.types import Array, Count, Number, Status

# Codes of undecided queries: continue, or move to a stage with more capacity, or to one with more precision.
GOING, CROWDED, STUCK = -1, -2, -3


class Goal(NamedTuple):
    """The stopping criteria of a query.

    - rtol: relative width of the bracket.
    - max_steps: maximum number of steps.
    - most: maximum number of points with weight; at most those that can be affinely independent.
    - atol: absolute width, added to the relative one, in the frame's units.
    """

    rtol: Number
    max_steps: Count
    most: Count
    atol: Number = 0.0


class QueryState(NamedTuple):
    """The state of b queries, NumPy or JAX arrays; lengths in the frame's units.

    Point, direction, weights and both bounds come from one round: the direction proves `lower`, the weights make the point.

    - row: index of the query.
    - queries: raw.
    - support, weights, candidates: rows of points, (b, c).
    - point: raw.
    - upper, lower: of the bracket; infinite and 0 before the first round.
    - steps: number of steps so far.
    - idle: rounds without progress.
    - status: a `Status`, or GOING, CROWDED or STUCK.
    - excluded: for each query a row of the points that does not belong to its hull, or −1; None if no query has one. No support
      and no candidates hold it.
    """

    row: Array
    queries: Array
    support: Array
    weights: Array
    candidates: Array
    point: Array
    direction: Array
    upper: Array
    lower: Array
    steps: Array
    idle: Array
    status: Array
    excluded: Array | None = None


def init(row: Array, queries: Array, candidates: Array, dtype: DTypeLike, excluded: Array | None = None) -> QueryState:
    """Initial states on the nearest points, with the nearest points as candidates.

    Args:
        queries: raw, (b, d), finite.
        candidates: (b, c) int32, nearest first.
        dtype: of the arithmetic.
        excluded: (b,) int32, or None.
    """
    xp: Any = candidates.__array_namespace__()
    count, slots = candidates.shape
    first = xp.arange(slots) == 0
    return QueryState(
        row=row,
        queries=queries,
        support=xp.where(first, candidates[:, :1], 0).astype(xp.int32),
        weights=xp.broadcast_to(first.astype(dtype), (count, slots)),
        candidates=candidates,
        point=queries.astype(dtype),
        direction=xp.zeros(queries.shape, dtype),
        upper=xp.full(count, xp.inf, dtype),
        lower=xp.zeros(count, dtype),
        steps=xp.zeros(count, xp.int32),
        idle=xp.zeros(count, xp.int32),
        status=xp.full(count, GOING, xp.int32),
        excluded=excluded,
    )


def pad_slots(state: QueryState, slots: int) -> QueryState:
    """The state padded or cut to a number of support slots and candidates, no fewer than points with weight."""
    xp: Any = state.support.__array_namespace__()
    if slots < state.support.shape[1]:
        weighted_first = xp.argsort(state.weights <= 0, axis=1, stable=True)
        support, weights = (xp.take_along_axis(field, weighted_first, 1) for field in (state.support, state.weights))
        state = state._replace(support=support, weights=weights)

    def pad(field: Array, mode: str) -> Array:
        return xp.pad(field, ((0, 0), (0, max(slots - field.shape[1], 0))), mode=mode)

    return state._replace(
        support=pad(state.support, "constant")[:, :slots],
        weights=pad(state.weights, "constant")[:, :slots],
        candidates=pad(state.candidates, "edge")[:, :slots],
    )


def reopen(state: QueryState, rows: Array) -> QueryState:
    """Reset the given rows for a new stage."""
    xp: Any = state.status.__array_namespace__()
    return state._replace(status=xp.where(rows, GOING, state.status), idle=xp.where(rows, 0, state.idle))


def subset(state: QueryState, which: Any) -> QueryState:
    """The states of some of the queries."""
    return jax.tree.map(lambda field: field[which], state)


def to_host(state: QueryState, count: int) -> QueryState:
    """The states of the first queries as NumPy arrays, including the codes of undecided queries."""
    return jax.tree.map(lambda field: np.asarray(field)[:count], state)


def final_status(status: Array) -> Array:
    """The `Status` of queries without a further stage."""
    xp: Any = status.__array_namespace__()
    status = xp.where(status == CROWDED, Status.CAPACITY, status)
    return xp.where((status == STUCK) | (status == GOING), Status.ROUNDING, status).astype(xp.int32)
