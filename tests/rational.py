"""The distance to a hull in rational arithmetic, without any rounding: Wolfe's algorithm on whole numbers.

Floats are whole numbers times a power of two, so everything here is a whole number or a quotient of two.
Wolfe (1976), "Finding the nearest point in a polytope"; in exact arithmetic it ends, whatever the start.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np


def squared_distance(query: np.ndarray, points: np.ndarray, support: Sequence[int] = (0,)) -> Fraction:
    """The square of the distance of one query (d,) to the hull of points (n, d), floats of any dtype.

    Args:
        support: rows with which the search starts: the nearer to the answer's, the faster.
    """
    points, place = np.unique(points, axis=0, return_inverse=True)  # repetitions change nothing
    numbers, unit = whole(np.concatenate([query[None], points]).astype(np.float64))
    rows = [[a - b for a, b in zip(row, numbers[0], strict=True)] for row in numbers[1:]]
    corral = sorted({int(place[i]) for i in support})
    weights = [Fraction(1, len(corral))] * len(corral)
    while True:
        corral, weights = _minimised(rows, corral, weights)
        # The nearest point times a common denominator, so that all that follows is whole.
        shared = math.lcm(*(weight.denominator for weight in weights))
        scaled = [int(weight * shared) for weight in weights]
        point = [sum(w * rows[i][k] for w, i in zip(scaled, corral, strict=True)) for k in range(len(query))]
        square = sum(value * value for value in point)
        scores = [shared * sum(a * b for a, b in zip(row, point, strict=True)) for row in rows]
        worst = min(range(len(rows)), key=scores.__getitem__)
        if scores[worst] >= square:
            return Fraction(square, shared * shared) * unit * unit
        corral, weights = [*corral, worst], [*weights, Fraction(0)]


def proves(query: np.ndarray, points: np.ndarray, direction: np.ndarray, lower: float, short: float) -> bool:
    """Whether the slab along a direction is at least `lower`, up to `short` times the distance to the farthest point."""
    points = np.unique(points, axis=0)
    numbers, unit = whole(np.concatenate([query[None], points]).astype(np.float64))
    rows = [[a - b for a, b in zip(numbers[0], row, strict=True)] for row in numbers[1:]]
    (normal,), step = whole(direction[None].astype(np.float64))
    # No less than the farthest distance: the floor of a root, and one more.
    farthest = Fraction(math.isqrt(max(sum(value * value for value in row) for row in rows)) + 1) * unit
    least = Fraction(lower) - Fraction(short) * farthest
    slab = min(sum(a * b for a, b in zip(row, normal, strict=True)) for row in rows) * unit * step
    return least <= 0 or (slab > 0 and slab**2 >= least**2 * sum(value * value for value in normal) * step**2)


def whole(numbers: np.ndarray) -> tuple[list[list[int]], Fraction]:
    """Whole numbers, and the power of two that they are multiples of."""
    mantissas, exponents = np.frexp(numbers)
    least = int(exponents[numbers != 0].min(initial=0)) - 53
    rows = [
        [int(m * 2.0**53) << int(e) - 53 - least if m else 0 for m, e in zip(*pair, strict=True)]
        for pair in zip(mantissas, exponents, strict=True)
    ]
    return rows, Fraction(2) ** least


def _minimised(rows: list[list[int]], corral: list[int], weights: list[Fraction]) -> tuple[list[int], list[Fraction]]:
    """The least norm over the hull of some rows, by a descent that drops rows on its way, and the weights there."""
    while True:
        goal = _affine_minimiser([rows[i] for i in corral])
        if isinstance(goal, list) and all(value > 0 for value in goal):
            return corral, goal
        # Affinely dependent rows: any direction that leaves the point where it is, until a weight is used up.
        step = [g - w for g, w in zip(goal, weights, strict=True)] if isinstance(goal, list) else list(goal)
        length = min((w / -s for w, s in zip(weights, step, strict=True) if s < 0), default=Fraction(1))
        moved = [w + length * s for w, s in zip(weights, step, strict=True)]
        kept = [i for i, value in enumerate(moved) if value > 0]
        corral, weights = [corral[i] for i in kept], [moved[i] for i in kept]


def _affine_minimiser(rows: list[list[int]]) -> list[Fraction] | tuple[Fraction, ...]:
    """Weights of the point of least norm in the affine hull, as a list; a tuple of an affine dependency if there is one."""
    k = len(rows)
    gram = [[sum(a * b for a, b in zip(one, other, strict=True)) for other in rows] for one in rows]
    # [G 1; 1ᵀ 0] [w; λ] = [0; 1]
    system = [[*gram[i], 1, 0] for i in range(k)] + [[1] * k + [0, 1]]
    size, previous, columns = k + 1, 1, list[int]()
    for column in range(size):
        place = len(columns)
        pivot = next((i for i in range(place, size) if system[i][column]), None)
        if pivot is None:
            # Bareiss has made the columns before this one diagonal: they say how this one depends on them.
            dependency = [Fraction(0)] * size
            dependency[column] = Fraction(1)
            for i, known in enumerate(columns):
                dependency[known] = Fraction(-system[i][column], system[i][known])
            return tuple(dependency[:k])
        system[place], system[pivot] = system[pivot], system[place]
        lead = system[place]
        for i in range(size):
            if i != place:
                factor = system[i][column]
                system[i] = [(lead[column] * a - factor * b) // previous for a, b in zip(system[i], lead, strict=True)]
        previous = lead[column]
        columns.append(column)
    return [Fraction(system[i][-1], system[i][i]) for i in range(k)]
