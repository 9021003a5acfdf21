"""Results for many queries as NumPy arrays: create, record, pad, concatenate and round them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jax.typing import DTypeLike

from hullx import certificate
from hullx.core.state import QueryState, subset
from hullx.types import Array, Number, Projection, Status


def empty(m: int, d: int, dtype: DTypeLike) -> Projection:
    """An initial result with status NONFINITE, which remains for queries that are never projected.

    Args:
        m, d: number of queries, and their dimension.
        dtype: of point and direction.

    Example:
        >>> empty(2, 3, np.float32).point.shape
        (2, 3)
    """
    return Projection(
        distance=np.full(m, np.nan),
        lower=np.full(m, np.nan),
        point=np.full((m, d), np.nan, dtype),
        support=np.zeros((m, 1), np.int32),
        weights=np.full((m, 1), np.nan),
        iterations=np.zeros(m, np.int32),
        status=np.full(m, Status.NONFINITE, np.int32),
        direction=np.full((m, d), np.nan, dtype),
    )


def record(result: Projection, state: QueryState, scale: float) -> Projection:
    """Write the states of queries that ended into the result, with supports in order of descending weight.

    Args:
        result: modified in place, except support and weights, which are copied if they need more slots.
        state: states of k queries; nonfinite queries, and those with a distance beyond float64, keep NONFINITE.
        scale: of the frame.
    """
    with np.errstate(over="ignore"):
        finite = (state.status != Status.NONFINITE) & np.isfinite(state.upper * scale)
    if not finite.all():
        state = subset(state, finite)
    most = int((state.weights > 0).sum(1).max(initial=1))
    result, rows = pad_support(result, most), state.row
    order = np.argsort(-state.weights, axis=1, kind="stable")[:, :most]
    support = np.take_along_axis(np.where(state.weights > 0, state.support, 0), order, 1)
    weights = np.take_along_axis(state.weights, order, 1)
    result.support[rows, : support.shape[1]] = support
    result.weights[rows] = 0
    result.weights[rows, : weights.shape[1]] = weights
    for field, values in (
        (result.distance, state.upper * scale),
        (result.lower, state.lower * scale),
        (result.point, state.point),
        (result.iterations, state.steps),
        (result.status, state.status),
        (result.direction, state.direction),
    ):
        field[rows] = values
    return result


def pad_support(result: Projection, slots: int) -> Projection:
    """The result padded to a number of support slots."""
    count, now = result.support.shape
    if slots <= now:
        return result
    xp: Any = result.support.__array_namespace__()

    def pad(field: Array) -> Array:
        return xp.concat([field, xp.zeros((count, slots - now), field.dtype)], axis=1)  # NumPy's pad takes ten times as long

    return result._replace(support=pad(result.support), weights=pad(result.weights))


def concatenate(parts: list[Projection], places: Sequence[slice]) -> Projection:
    """Concatenate results of parts of the queries, each part in its place.

    To save memory, this empties the list of parts and frees each field after copying it.

    Args:
        places: for each part, its positions among all queries.
    """
    count, slots = sum(len(part.distance) for part in parts), max(part.support.shape[1] for part in parts)
    rest = [list(pad_support(part, slots)) for part in parts]
    parts.clear()
    whole = []
    while rest[0]:
        fields = [part.pop(0) for part in rest]
        whole.append(np.empty((count, *fields[0].shape[1:]), fields[0].dtype))
        for field, place in zip(fields, places, strict=True):
            whole[-1][place] = field
    return Projection(*whole)


def round_outwards(result: Projection, dtype: np.dtype, rtol: Number, atol: Number = 0.0) -> Projection:
    """The result in a possibly narrower dtype; NONFINITE if the distance or the point is not finite there.

    Rounds the bracket outwards, to ordinary numbers, for compiled code takes subnormal ones for 0. Queries that are not INSIDE
    are CONVERGED if it is then within tolerance, and only then.

    Args:
        result: NumPy or JAX arrays.

    Example:
        >>> result = empty(1, 1, np.float64)._replace(distance=np.array([0.1]), lower=np.array([0.1]), status=np.array([0]))
        >>> found = round_outwards(result, np.dtype(np.float32), 1e-6)
        >>> float(found.lower[0]) < 0.1 < float(found.distance[0])
        True
    """
    xp: Any = result.distance.__array_namespace__()
    tiny = np.finfo(dtype).tiny
    with np.errstate(over="ignore", invalid="ignore"):  # distances and tolerances may exceed the dtype's range
        distance, lower = result.distance.astype(dtype), result.lower.astype(dtype)
        distance = xp.where(distance < result.distance, xp.nextafter(distance, dtype.type(np.inf)), distance)
        distance = xp.where((distance > 0) & (distance < tiny), tiny, distance)
        lower = xp.where(lower > result.lower, xp.nextafter(lower, dtype.type(0)), lower)
        lower = xp.where(lower < tiny, dtype.type(0), lower)
        wide = np.float64 if xp is np else dtype  # a tolerance may be no number of the dtype
        within = certificate.within(distance.astype(wide), lower.astype(wide), rtol, atol)
        overflows = xp.isinf(result.point.astype(dtype)).any(-1)
    finite = (result.status != Status.NONFINITE) & xp.isfinite(distance) & ~overflows
    status = xp.where(result.status == Status.CONVERGED, Status.ROUNDING, result.status)
    status = xp.where(within & (status != Status.INSIDE), Status.CONVERGED, status)
    status = xp.where(finite, status, Status.NONFINITE).astype(xp.int32)

    def mark(value: Array) -> Array:
        with np.errstate(over="ignore"):
            return xp.where(finite.reshape(-1, *[1] * (value.ndim - 1)), value.astype(dtype), xp.nan)

    weights = mark(result.weights)
    return result._replace(
        distance=mark(distance),
        lower=mark(lower),
        point=mark(result.point),
        support=xp.where(weights > 0, result.support, 0),  # a weight may vanish in a narrower dtype
        weights=weights,
        status=status,
        direction=mark(result.direction),
    )
