"""Hard problems for projections onto hulls: seven classes of points, each a pure function of a random generator, n and d.

    problem = draw("lattice", seed=0, n=1024, d=8)          the same arguments give the same numbers
    problem.queries, problem.points                         (8, d) and (n, d), float32

All numbers are float32, so solvers in float32 and in float64 get the same problem. Scales and skews are powers of two, which
round nothing. Sizes of the suite: d = 2, 8, 16; n = 64, 1,024, 16,384.

| class | points | what is hard |
|---|---|---|
| lattice | whole numbers | faces with many points, repeated points, ties |
| box | corners and faces of a cube | faces with many points of which few are vertices |
| ball | on a sphere | every point is a vertex, and all faces are small |
| needle | Gaussian, 2^8 to 2^20 times as long in one direction | nearly dependent supports |
| skewed | lattice, box or ball; columns times powers of two up to 2^20 | badly conditioned supports |
| scaled | lattice, box or ball; all times a power of two from 2^-20 to 2^63 | absolute tolerances, overflow of squares |
| mixed units | columns of spread 10^-3 to 10^6, up to 100 spreads from 0 | both, and cancellation |

Each problem has one query of each kind in `KINDS`. Distances of queries are in units of `spread`, the root of the summed
variances of the columns.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

KINDS = "vertex", "on a face", "just outside", "just outside, nearer", "just inside", "far", "mixture", "around"
# Distances from faces: 2^-4 to 2^-8, and 2^-8 to 2^-12. In float64 the residual of rounded weights still proves a gap of 1e-7
# at 2^-12. Far queries are 2 to 2^20 spreads away.
HAIRS, NEARER, FAR = (-8, -4), (-12, -8), (1, 20)
MOST_SKEW, SCALES, ASPECTS = 20, (-20, 63), (8, 20)


class Problem(NamedTuple):
    """Queries (m, d) and points (n, d), float32, and the name of their class."""

    name: str
    queries: np.ndarray
    points: np.ndarray


def draw(name: str, seed: int, n: int, d: int) -> Problem:
    """A problem of the class `name` with n points in d dimensions.

    Example:
        >>> draw("box", 0, 64, 2).points.max()
        np.float32(1.0)
    """
    rng = np.random.default_rng([seed, n, d, zlib.crc32(name.encode())])
    points = CLASSES[name](rng, n, d).astype(np.float32)
    return Problem(name, queries_near(rng, points), points)


def spread(points: np.ndarray) -> float:
    """The root of the summed variances of the columns."""
    return float(np.linalg.norm(points.astype(np.float64).std(0)))


def lattice(rng: np.random.Generator, n: int, d: int) -> np.ndarray:
    """Whole numbers from 0 to about n^(1/d), at least 2."""
    return rng.integers(0, max(round(n ** (1 / d)), 2), (n, d), endpoint=True).astype(np.float64)


def box(rng: np.random.Generator, n: int, d: int) -> np.ndarray:
    """Half are corners of [0, 1]^d; the others are on its faces, and about half of their coordinates are 0 or 1."""
    corners, others = rng.integers(0, 2, (n // 2, d)), rng.uniform(size=(n - n // 2, d))
    fixed = rng.random(others.shape) < 0.5
    fixed[np.arange(len(others)), rng.integers(0, d, len(others))] = True
    return np.concatenate([corners, np.where(fixed, np.round(others), others)])


def ball(rng: np.random.Generator, n: int, d: int) -> np.ndarray:
    """Points on the unit sphere, uniformly distributed."""
    points = rng.normal(size=(n, d))
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def needle(rng: np.random.Generator, n: int, d: int) -> np.ndarray:
    """Gaussian points, 2^8 to 2^20 times as long in one random direction as across it."""
    axis, points = rng.normal(size=d), rng.normal(size=(n, d))
    axis /= np.linalg.norm(axis)
    return points + np.outer(points @ axis, axis) * (2.0 ** rng.integers(*ASPECTS, endpoint=True) - 1)


def skewed(rng: np.random.Generator, n: int, d: int) -> np.ndarray:
    """A lattice, box or ball whose columns are multiplied by powers of two from 1 to 2^20; both occur."""
    powers = np.append([0, MOST_SKEW], rng.integers(0, MOST_SKEW, d - 2, endpoint=True))
    return _any(rng, n, d) * 2.0 ** rng.permutation(powers)


def scaled(rng: np.random.Generator, n: int, d: int) -> np.ndarray:
    """A lattice, box or ball times a power of two from 2^-20 to 2^63."""
    return _any(rng, n, d) * 2.0 ** rng.integers(*SCALES, endpoint=True)


def mixed_units(rng: np.random.Generator, n: int, d: int) -> np.ndarray:
    """Gaussian columns with spreads from 10^-3 to 10^6; half of them have means of up to 100 spreads."""
    spreads, means = 10.0 ** rng.uniform(-3, 6, d), rng.uniform(-100, 100, d) * rng.choice([0, 1], d)
    return (rng.normal(size=(n, d)) + means) * spreads


def _any(rng: np.random.Generator, n: int, d: int) -> np.ndarray:
    return (lattice, box, ball)[rng.integers(3)](rng, n, d)


def queries_near(rng: np.random.Generator, points: np.ndarray) -> np.ndarray:
    """One query of each kind in `KINDS`, (8, d), for points that float32 holds exactly."""
    wide, size, (n, d) = points.astype(np.float64), spread(points), points.shape
    columns = np.maximum(wide.std(0), 1e-9 * size)

    def foot(corners: int) -> tuple[np.ndarray, np.ndarray]:
        """A mixture of the outermost points in a direction, which spans a face or is near one, and the direction."""
        direction = rng.normal(size=d) / columns
        if rng.random() < 0.5:  # along an axis, where lattices and boxes have faces of many points
            direction = np.where(np.arange(d) == rng.integers(d), direction, 0)
        direction /= np.linalg.norm(direction)
        outermost = np.lexsort((rng.random(n), -(wide @ direction)))[:corners]
        # Multiples of 2^-8, so that mixtures of whole numbers are exact.
        weights = np.bincount(rng.integers(0, len(outermost), 256), minlength=len(outermost)) / 256
        return weights @ wide[outermost], direction

    def moved(corners: int, powers: tuple[int, int], sign: int = 1) -> np.ndarray:
        on_face, direction = foot(corners)
        return on_face + sign * size * 2.0 ** rng.uniform(*powers) * direction

    mixture = rng.dirichlet(np.full(n, 8 / n)) @ wide
    around = wide.mean(0) + 2 * columns * rng.normal(size=d)
    queries = [foot(1)[0], foot(d)[0], moved(d, HAIRS), moved(d, NEARER), moved(d, HAIRS, -1), moved(1, FAR), mixture, around]
    return np.array(queries).astype(np.float32)


CLASSES: dict[str, Callable[[np.random.Generator, int, int], np.ndarray]] = {
    "lattice": lattice,
    "box": box,
    "ball": ball,
    "needle": needle,
    "skewed": skewed,
    "scaled": scaled,
    "mixed units": mixed_units,
}
