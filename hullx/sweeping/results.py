"""Projections of many queries as NumPy arrays: begun, written into, widened, joined."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hullx.core.rounds import Round
from hullx.types import Projection, Status


def nothing_yet(m: int, d: int, dtype: np.dtype) -> Projection:
    """The result before anything is known: NONFINITE, which is what queries that are never begun stay.

    Args:
        m, d: queries, and their dimension.
        dtype: of point and direction.

    Example:
        >>> nothing_yet(2, 3, np.dtype(np.float32)).point.shape
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


def recorded(
    result: Projection, rows: np.ndarray, found: Round, steps: np.ndarray, status: np.ndarray, scale: float
) -> Projection:
    """The result with what a round found for some queries written into it, supports in order of falling weight.

    Args:
        result: its arrays are written into; support and weights are copied first, for they may need more slots.
        rows: of the queries in the result, (k,).
        found: of k queries.
        steps, status: of each, (k,).
        scale: of the frame.
    """
    solution = found.solution
    most = int((solution.weights > 0).sum(1).max(initial=1))
    result = widened(result, most)
    order = np.argsort(-solution.weights, axis=1, kind="stable")[:, :most]
    support = np.take_along_axis(np.where(solution.weights > 0, solution.support, 0), order, 1)
    weights = np.take_along_axis(solution.weights, order, 1)
    result.support[rows, : support.shape[1]] = support
    result.weights[rows] = 0
    result.weights[rows, : weights.shape[1]] = weights
    for field, values in (
        (result.distance, solution.upper * scale),
        (result.lower, found.lower * scale),
        (result.point, solution.point),
        (result.iterations, steps),
        (result.status, status),
        (result.direction, solution.direction),
    ):
        field[rows] = values
    return result


def widened(result: Projection, slots: int) -> Projection:
    """The same result with room for supports of so many points."""
    missing = ((0, 0), (0, max(slots - result.support.shape[1], 0)))
    return result._replace(support=np.pad(result.support, missing), weights=np.pad(result.weights, missing))


def joined(parts: list[Projection], places: Sequence[slice]) -> Projection:
    """The results of parts of the queries as one, each part in its place.

    The list of parts is emptied, and each of their fields let go once it is copied: two of them are as large as the queries.

    Args:
        places: for each part, which of all the queries are its.
    """
    count, slots = sum(len(part.distance) for part in parts), max(part.support.shape[1] for part in parts)
    rest = [list(widened(part, slots)) for part in parts]
    parts.clear()
    whole = []
    while rest[0]:
        fields = [part.pop(0) for part in rest]
        whole.append(np.empty((count, *fields[0].shape[1:]), fields[0].dtype))
        for field, place in zip(fields, places, strict=True):
            whole[-1][place] = field
    return Projection(*whole)


def replaced(result: Projection, rows: np.ndarray, others: Projection) -> Projection:
    """The result with other projections of some of its queries in place of its own.

    Args:
        rows: of those queries, (k,).
        others: k projections.
    """
    result = widened(result, others.support.shape[1])
    for field, values in zip(result, others, strict=True):
        if field.ndim == 2:
            field[rows] = 0
            field[rows, : values.shape[1]] = values
        else:
            field[rows] = values
    return result
