"""The vertices of a hull, each with a certificate."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from hullx.arguments import check_numbers, finite_and_max
from hullx.errors import ArgumentError
from hullx.inputs import numeric_array
from hullx.sweeping.sweep import sweep
from hullx.types import Projection, Status


class Vertices(NamedTuple):
    """The vertices of the hull of n points.

    - rows: points proved to be vertices, in ascending order; of equal points, the first.
    - mask: the same as a mask of the points.
    - decided: whether each point is decided: proved to be a vertex, or reproduced by the other points to its rounding.
    - others: the projection of each point onto the hull of all different points. `lower` > 0 proves a vertex, `support` and
      `weights` reproduce a point that is none. If all points are equal there are no others, and the distance is infinite.
    """

    rows: Int[np.ndarray, "k"]
    mask: Bool[np.ndarray, "n"]
    decided: Bool[np.ndarray, "n"]
    others: Projection


def vertices(
    points: Float[np.ndarray, "n d"], *, rtol: float = 0.5, resume: str | Path | None = None, progress: bool | str = False
) -> Vertices:
    """The points that are not in the hull of the others, each with a certificate, in any dimension.

    Each point is projected onto the hull of all others (`sweep(points, points, exclude=…)`): a certified positive distance
    proves a vertex, a convex combination proves that a point is none, up to the rounding of its coordinates. Degenerate
    positions need no joggling. Of points that differ by their rounding only, each is in the hull of the others, so none is a
    vertex. Takes about n²d operations.

    Args:
        points: one per row, (n, d), finite, of any type that `project` accepts.
        rtol: relative width of the bracket of each distance; a wide one suffices to prove that it is positive.
        resume: a folder for finished batches, as for `sweep`.
        progress: whether to show progress on standard error.

    Returns:
        `Vertices`.

    Raises:
        ArgumentTypeError, ArgumentError: (TypeError, ValueError) the points have a wrong type, dtype, shape or value.

    Example:
        >>> found = hullx.vertices(np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0], [1.0, 1.0], [0.5, 0.5]]))
        >>> found.rows, bool(found.decided.all())
        (array([0, 1, 2]), True)

    Reference: Ottmann, Schuierer and Soundaralakshmi (2001), "Enumerating extreme points in higher dimensions".
    """
    rows = np.asarray(numeric_array("points", points))
    if rows.ndim != 2 or 0 in rows.shape:
        raise ArgumentError(f"points: got shape {rows.shape}, expected (n, d) with n and d at least 1")
    rows = rows.astype(np.result_type(rows.dtype, np.float32))
    check_numbers("points", finite_and_max(rows), rows.dtype)
    # Equal points would reproduce each other. Adding 0 makes −0 and 0 equal.
    _, first, group = np.unique(rows + 0, axis=0, return_index=True, return_inverse=True)
    first, group = _in_order(first, group.reshape(-1))
    different = rows[first]
    if len(different) == 1:
        found: Any = sweep(different, different, progress=False)
        distance = np.full(1, np.inf)
        found = found._replace(distance=distance, lower=distance, status=np.full(1, Status.CONVERGED, np.int32))
    else:
        exclude = np.arange(len(different))
        found = sweep(different, different, exclude=exclude, rtol=rtol, resume=resume, progress=progress)
    found = found._replace(support=np.where(found.weights > 0, first[found.support], 0).astype(np.int32))
    proved = np.asarray(found.outside)
    mask = np.zeros(len(rows), bool)
    mask[first[proved]] = True
    return Vertices(np.flatnonzero(mask), mask, (proved | found.inside)[group], Projection(*(field[group] for field in found)))


def _in_order(first: np.ndarray, group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First positions in ascending order, and the groups renumbered alike."""
    order = np.argsort(first)
    renumbered = np.empty_like(order)
    renumbered[order] = np.arange(len(order))
    return first[order], renumbered[group]
