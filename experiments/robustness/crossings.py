"""Changes of a classifier's label along segments."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

# Precision of a change's place, as a share of the segment's length.
RESOLUTION = 1e-6
# Numbers in memory at once.
HELD = 2**25


class Crossings(NamedTuple):
    """The changes of label on some segments, ordered by segment and place.

    - segment: the segment's row.
    - place: from 0 at its start to 1 at its end, exact to `RESOLUTION`.
    - before, behind: the labels on both sides.
    """

    segment: Int[np.ndarray, "c"]
    place: Float[np.ndarray, "c"]
    before: Int[np.ndarray, "c"]
    behind: Int[np.ndarray, "c"]


def crossings(
    classify: Callable[[np.ndarray], np.ndarray],
    starts: Float[np.ndarray, "s d"],
    ends: Float[np.ndarray, "s d"],
    *,
    samples: int = 101,
) -> Crossings:
    """All changes of label between neighbouring samples of each segment, located by bisection.

    A label that changes and changes back between two neighbouring samples is missed.

    Args:
        classify: returns the labels (p,) of points (p, d).
        samples: number of points on each segment, both ends included.

    Example:
        >>> found = crossings(lambda points: (points[:, 0] > 0.3).astype(int), np.zeros((1, 2)), np.ones((1, 2)))
        >>> float(found.place[0].round(6))
        0.3
    """
    places = np.linspace(0, 1, samples)

    def labels_at(segment: np.ndarray, place: np.ndarray) -> np.ndarray:
        count = max(len(segment) * starts.shape[1] // HELD, 1)
        parts = zip(np.array_split(segment, count), np.array_split(place, count), strict=True)
        return np.concatenate([classify(starts[rows] + at[:, None] * (ends[rows] - starts[rows])) for rows, at in parts])

    segments = np.arange(len(starts))
    labels = labels_at(np.repeat(segments, samples), np.tile(places, len(starts))).reshape(len(starts), samples)
    segment, which = np.nonzero(labels[:, 1:] != labels[:, :-1])
    low, high = places[which], places[which + 1]
    before, behind = labels[segment, which], labels[segment, which + 1]
    while len(segment) and (high - low).max() > RESOLUTION:
        middle = (low + high) / 2
        found = labels_at(segment, middle)
        # If a third label lies in between, follow the first change.
        same = found == before
        low, high, behind = np.where(same, middle, low), np.where(same, high, middle), np.where(same, behind, found)
    return Crossings(segment, (low + high) / 2, before, behind)
