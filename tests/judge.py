"""Whether reported brackets hold, in rational arithmetic, and fast: some thousand queries a second.

Nearly every answer carries its own proof. Its weights, divided by their exact sum, give a point p of the hull, and so an upper
bound ‖q − p‖; the slab across q − p gives a lower bound min_j ⟨q − x_j, q − p⟩ / ‖q − p‖. Both are whole numbers here. Where
they do not prove the bracket, `rational.squared_distance` finds the distance itself, from the reported support on.
"""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

import numpy as np
from near_faces import Near
from rational import squared_distance, whole

import hullx
from hullx import Status

# What is rounding in a coordinate, in eps of the data's dtype times the numbers that are added up there.
LOOSE = 64


class Verdict(NamedTuple):
    """Numbers of queries."""

    queries: int = 0
    undecided: int = 0
    above: int = 0  # lower bounds above the distance
    below: int = 0  # upper bounds below it
    searched: int = 0  # the answer was no proof of its own bracket
    loose: int = 0  # INSIDE, but the combination misses a coordinate by more than rounding

    def plus(self, other: Verdict) -> Verdict:
        return Verdict(*(one + two for one, two in zip(self, other, strict=True)))

    @property
    def share(self) -> float:
        """Of undecided queries, 0 to 1."""
        return self.undecided / max(self.queries, 1)


def judged(problem: Near, found: hullx.Projection) -> Verdict:
    """What rational arithmetic says of the answers to a problem. Without numbers (NONFINITE) an answer claims nothing."""
    points, place = np.unique(problem.points, axis=0, return_inverse=True)
    usable = np.asarray(np.isfinite(problem.queries).all(1))
    numbers, unit = whole(np.concatenate([np.where(usable[:, None], problem.queries, 0), points]).astype(np.float64))
    queries, rows = numbers[: len(usable)], numbers[len(usable) :]
    distance, lower, weights = (np.asarray(field, np.float64) for field in (found.distance, found.lower, found.weights))
    support, status = np.asarray(found.support), np.asarray(found.status)
    verdict = Verdict(len(usable), int((status > Status.INSIDE).sum()))
    for i in map(int, np.flatnonzero(usable & ~np.isnan(distance))):
        used = np.flatnonzero(weights[i] > 0)
        corners = place[support[i][used]]
        if status[i] == Status.INSIDE and misses(problem, i, support[i][used], weights[i][used]):
            verdict = verdict.plus(Verdict(loose=1))
        # An infinite upper bound is one, an infinite lower bound is none.
        least, most = (Fraction(b) / unit if np.isfinite(b) else None for b in (float(lower[i]), float(distance[i])))
        if least is not None and proved(queries[i], rows, weights[i][used], corners, least, most):
            continue
        heaviest = corners[np.argsort(-weights[i][used], kind="stable")][: points.shape[1] + 1]
        square = squared_distance(problem.queries[i], points, heaviest.tolist() or [0])
        above = least is None or (least > 0 and (least * unit) ** 2 > square)
        below = most is not None and (most < 0 or (most * unit) ** 2 < square)
        verdict = verdict.plus(Verdict(above=int(above), below=int(below), searched=1))
    return verdict


def proved(
    query: list[int], rows: list[list[int]], weights: np.ndarray, corners: np.ndarray, lower: Fraction, upper: Fraction | None
) -> bool:
    """Whether the combination of corners with these weights > 0 proves lower ≤ distance ≤ upper; None is infinity."""
    if not len(weights):
        return False
    (shares,), _ = whole(weights[None])
    total = sum(shares)
    corner_rows = [rows[j] for j in corners]
    # total · (q − p)
    apart = [total * q - sum(w * row[k] for w, row in zip(shares, corner_rows, strict=True)) for k, q in enumerate(query)]
    square = sum(value * value for value in apart)
    if upper is not None and (upper < 0 or square > (upper * total) ** 2):
        return False
    if lower <= 0:
        return True
    ahead = sum(q * value for q, value in zip(query, apart, strict=True))
    slab = ahead - max(sum(x * value for x, value in zip(row, apart, strict=True)) for row in rows)
    return slab > 0 and slab * slab >= lower * lower * square


def misses(problem: Near, i: int, support: np.ndarray, weights: np.ndarray) -> bool:
    """Whether a combination differs from query i in some coordinate by more than that coordinate's rounding."""
    wide, rows = np.asarray(weights, np.longdouble), problem.points[support].astype(np.longdouble)
    query, wide = problem.queries[i].astype(np.longdouble), wide / wide.sum()
    level = LOOSE * np.finfo(problem.points.dtype).eps * (wide @ np.abs(rows) + np.abs(query))
    return bool((np.abs(wide @ rows - query) > level).any())
