"""Nearest points and their distances.

Scikit-learn finds candidates by matrix products in float64; their distances are recomputed from differences. If rounding does
not exclude that another point is nearer, the search repeats with more candidates.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from hullx.arguments import check_count, check_numbers, finite_and_max
from hullx.core.sources.chunks import Chunks
from hullx.errors import ArgumentError
from hullx.extras import require
from hullx.jax_settings import with_jax_defaults
from hullx.projection.host_arguments import host_input

# Candidates beyond the requested k, and their growth factor if they do not suffice.
EXTRA, GROWTH = 8, 8
# Numbers in memory at once: of queries and candidates (plus a chunk of points), and of differences.
HELD, DIFFERENCES = 2**25, 2**22

FLOAT64 = np.dtype(np.float64)


class Neighbours(NamedTuple):
    """The k nearest points of each query, nearest first; ties are broken arbitrarily.

    - distance: in units of the data, exact up to rounding in float64.
    - row: row of the points; a sequence of arrays counts as concatenated.
    """

    distance: Float[np.ndarray, "m k"]
    row: Int[np.ndarray, "m k"]


@with_jax_defaults
def neighbours(
    queries: Float[np.ndarray, "m d"], points: Float[np.ndarray, "n d"] | Sequence[Float[np.ndarray, "_ d"]], k: int = 1
) -> Neighbours:
    """The k nearest points of each query, by Euclidean distance.

    Args:
        queries: one per row, finite; may be empty.
        points: one per row, finite. A `numpy.memmap` or a sequence of arrays (n_i, d) is read in chunks and may exceed memory.
        k: number of neighbours, from 1 to n.

    Returns:
        `Neighbours` (m, k): float64 distances, and rows of points.

    Raises:
        ArgumentTypeError, ArgumentError: an argument has a wrong type, dtype, shape or value.
        PackageError: scikit-learn is not installed.

    Example:
        >>> found = neighbours(np.array([[3.0, 0.0]], np.float32), np.asarray(square), k=2)
        >>> found.distance.round(4), found.row
        (array([[2.    , 2.2361]]), array([[1, 3]]))
    """
    given = host_input(queries, points)
    chunks = Chunks(given.arrays, FLOAT64)
    _check_k(k, chunks.count, "points")
    rows = np.asarray(given.queries, np.float64)
    if len(rows):
        check_numbers("queries", finite_and_max(rows), FLOAT64)
    return _nearest(rows, chunks, k, np.full(len(rows), -1), k + EXTRA)


@with_jax_defaults
def neighbours_within(points: Float[np.ndarray, "n d"] | Sequence[Float[np.ndarray, "_ d"]], k: int = 1) -> Neighbours:
    """The k nearest other points of each point; duplicates are neighbours at distance 0.

    Args:
        points: as for `neighbours`.
        k: number of neighbours, from 1 to n − 1.

    Returns:
        `Neighbours` (n, k).

    Raises:
        ArgumentTypeError, ArgumentError: an argument has a wrong type, dtype, shape or value.
        PackageError: scikit-learn is not installed.

    Example:
        >>> neighbours_within(np.array([[0.0], [1.0], [1.0], [4.0]])).distance.ravel()
        array([1., 0., 0., 3.])
    """
    first = points[0] if isinstance(points, list | tuple) and len(points) else points
    (width,) = np.shape(first)[-1:] or (0,)
    given = host_input(np.empty((0, width)), points)
    chunks = Chunks(given.arrays, FLOAT64)
    _check_k(k, chunks.count - 1, "other points")
    count = k + 1 + EXTRA
    size, found = _block(chunks, count), list[Neighbours]()
    for start in range(0, chunks.count, size):
        rows = chunks.read(start, min(start + size, chunks.count))
        check_numbers("points", finite_and_max(rows), FLOAT64)
        found.append(_nearest(rows, chunks, k, start + np.arange(len(rows)), count))
    return Neighbours(*map(np.concatenate, zip(*found, strict=True)))


def _check_k(k: int, most: int, what: str) -> None:
    check_count("k", k)
    if k > most:
        raise ArgumentError(f"k: got {k}, expected at most {most}, as there are {most} {what}: lower it")


def _block(chunks: Chunks, count: int) -> int:
    """The number of queries processed at once."""
    return max(HELD // max(chunks.dimension, count), 1)


def _nearest(queries: np.ndarray, chunks: Chunks, k: int, own: np.ndarray, count: int) -> Neighbours:
    """Exact neighbours of queries (m, d), from `count` candidates, or more if those do not suffice.

    Args:
        own: (m,), the row of the query itself among the points, or −1.
    """
    count, size = min(count, chunks.count), _block(chunks, count)
    found = Neighbours(np.empty((len(queries), k)), np.empty((len(queries), k), np.int64))
    for start in range(0, len(queries), size):
        mine = slice(start, start + size)
        rows, floor = _candidates(queries[mine], chunks, count)
        distance = _distances(queries[mine], chunks, rows)
        distance[rows == own[mine, None]] = np.inf
        order = np.argsort(distance, axis=1, kind="stable")[:, :k]
        found.distance[mine] = np.take_along_axis(distance, order, 1)
        found.row[mine] = np.take_along_axis(rows, order, 1)
        # All other points are at least as far as the floor.
        unsettled = start + np.flatnonzero(floor < found.distance[mine, -1]) if count < chunks.count else []
        if len(unsettled):
            better = _nearest(queries[unsettled], chunks, k, own[unsettled], count * GROWTH)
            found.distance[unsettled], found.row[unsettled] = better
    return found


def _candidates(queries: np.ndarray, chunks: Chunks, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of approximately nearest points (m, count), and a lower bound (m,) of the distance of all others."""
    require("hullx.geometry.neighbours", "sklearn")
    from sklearn.neighbors import NearestNeighbors  # imported here, because it takes a second

    rows, lower = np.empty((len(queries), 0), np.int64), np.empty((len(queries), 0))
    for start, chunk in chunks:
        chunk = chunk[: chunks.count - start]
        check_numbers("points", finite_and_max(chunk), FLOAT64)
        # Rounding errors of products scale with their factors: centre the chunk, and choose units without overflow.
        centre = chunk.min(0) / 2 + chunk.max(0) / 2
        unit = np.ldexp(1.0, np.frexp(max(np.abs(chunk - centre).max(), np.abs(queries - centre).max()))[1])
        points, placed = (chunk - centre) / unit, (queries - centre) / unit
        search = NearestNeighbors(algorithm="brute").fit(points)
        near, index = search.kneighbors(placed, min(count, len(points)))
        # ‖q‖² − 2⟨q, x⟩ + ‖x‖² with d products each is within (d + 4) ε (‖q‖ + ‖x‖)²; centring and the root add some ε.
        reach = np.linalg.norm(placed, axis=1) + np.linalg.norm(points, axis=1).max()
        slack = (chunks.dimension + 16) * np.finfo(np.float64).eps * reach**2
        near = unit * np.sqrt(np.maximum(near**2 - slack[:, None], 0))
        rows, lower = np.hstack([rows, index + start]), np.hstack([lower, near])
        kept = np.argsort(lower, axis=1, kind="stable")[:, :count]
        rows, lower = np.take_along_axis(rows, kept, 1), np.take_along_axis(lower, kept, 1)
    return rows, lower[:, -1]


def _distances(queries: np.ndarray, chunks: Chunks, rows: np.ndarray) -> np.ndarray:
    """Distances of queries (m, d) to points by rows (m, c), from differences, in units without overflow."""
    result, size = np.empty(rows.shape), max(DIFFERENCES // (rows.shape[1] * chunks.dimension), 1)
    for start in range(0, len(rows), size):
        mine = slice(start, start + size)
        differences = queries[mine, None] - chunks.rows(rows[mine])
        unit = np.ldexp(1.0, np.frexp(np.abs(differences).max(-1))[1])
        result[mine] = unit * np.linalg.norm(differences / unit[..., None], axis=-1)
    return result
