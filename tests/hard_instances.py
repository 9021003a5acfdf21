"""Hard instances of the projection, each with what is known of its answer. All have one shape, so that one program serves all.

A family is a function of a random generator that returns `Hard`. Data are built from numbers that float64 holds exactly
where the answer is claimed to be exact; where they are rotated, rounding moves the answer by about 1e-16 of the data's size.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import NamedTuple

import numpy as np

QUERIES, POINTS, DIMENSION = 32, 96, 12


class Hard(NamedTuple):
    """Queries and points of the common shape; `truth` and its uncertainty are NaN where the answer is not known."""

    queries: np.ndarray
    points: np.ndarray
    truth: np.ndarray
    uncertainty: np.ndarray


def _shaped(queries: np.ndarray, points: np.ndarray, truth: np.ndarray | float = np.nan, uncertainty=0.0) -> Hard:
    """Filled up with coordinates that are 0 and with copies: neither changes a distance."""

    def padded(rows: np.ndarray, count: int) -> np.ndarray:
        rows = np.resize(rows, (count, rows.shape[1]))
        return np.pad(rows, ((0, 0), (0, DIMENSION - rows.shape[1])))

    def vector(values) -> np.ndarray:
        return np.resize(np.broadcast_to(values, len(queries)), QUERIES).astype(np.float64)

    assert len(points) <= POINTS
    assert len(queries) <= QUERIES
    return Hard(padded(queries, QUERIES), padded(points, POINTS), vector(truth), vector(uncertainty))


def _grid(values: np.ndarray, bits: int) -> np.ndarray:
    """Rounded to multiples of 2^−bits, so that sums of a few products are exact."""
    return np.round(np.ldexp(values, bits)) / 2.0**bits


def _planted(
    rng: np.random.Generator, height: float, smallest: float, slack: float, rotated: bool, shift: float, scale: float
) -> Hard:
    """k points on the face x_d = 0, a convex combination p of them, the query p + t e_d, the other points below the face."""
    d, face = DIMENSION, DIMENSION - 2
    corners = _grid(rng.normal(size=(face, d - 1)), 10)
    below = np.concatenate([_grid(rng.normal(size=(POINTS - face, d - 1)), 10), np.full((POINTS - face, 1), -slack)], axis=1)
    below[: face - 1, -1] = -slack * 2.0 ** rng.integers(0, 6, face - 1)
    points = np.concatenate([np.pad(corners, ((0, 0), (0, 1))), below])
    weights = _grid(rng.dirichlet(np.ones(face), QUERIES), 20)
    # The last corner is the origin, whatever weight is left over: the combination is exact without it.
    points[face - 1] = 0
    weights[:, 0] = smallest
    feet = weights[:, : face - 1] @ points[: face - 1]
    queries = feet + height * np.eye(d)[-1]
    exact = 0.0 if np.log2(smallest) == round(np.log2(smallest)) else 1e-16
    size = np.linalg.norm(points, axis=1).max()
    if rotated:
        turn, _ = np.linalg.qr(rng.normal(size=(d, d)))
        queries, points, exact = queries @ turn, points @ turn, 1e-15
    queries, points = (queries + shift) * scale, (points + shift) * scale
    exact = max(exact, 1e-15 if shift else 0.0)
    return Hard(queries, points, np.full(QUERIES, height * scale), np.full(QUERIES, exact * (size + shift + height) * scale))


def _planted_families() -> dict[str, Callable[[np.random.Generator], Hard]]:
    families: dict[str, Callable[[np.random.Generator], Hard]] = {}

    def add(name: str, **settings) -> None:
        plain = {"height": 1.0, "smallest": 2.0**-10, "slack": 1.0, "rotated": False, "shift": 0.0, "scale": 1.0}
        families[name] = lambda rng: _planted(rng, **(plain | settings))

    for power in (-40, -33, -26, -20, -10, 0, 20):  # 2^-40 is 1e-12, 2^20 is 1e6
        add(f"planted, t = 2^{power}", height=2.0**power)
        add(f"planted, t = 2^{power}, slack 0", height=2.0**power, slack=0.0)
        add(f"planted, t = 2^{power}, rotated", height=2.0**power, rotated=True)
    add("planted, smallest weight 1e-12", smallest=2.0**-40)
    add("planted, smallest weight 1e-12, slack 0, rotated", smallest=1e-12, slack=0.0, rotated=True)
    add("planted, t = 1e-6, smallest weight 1e-12, slack 1e-12", height=2.0**-20, smallest=2.0**-40, slack=2.0**-40)
    for slack in (1e-14, 1e-10, 1e-6):
        add(f"planted, slack {slack}", slack=slack)
        add(f"planted, t = 1e-8, slack {slack}, rotated", slack=slack, height=1e-8, rotated=True)
    add("planted, shifted by 1,000", shift=1000.0)
    add("planted, t = 1e-6, shifted by 1,000, rotated", height=1e-6, shift=1000.0, rotated=True)
    add("planted, scaled by 1e-21", scale=1e-21)
    add("planted, t = 1e-12, scaled by 2^60", height=2.0**-40, scale=2.0**60)
    return families


def _box(rng: np.random.Generator, step: float) -> Hard:
    """{0, step}^6 as points: the projection onto the box is a clip. Queries inside, on edges, near and far."""
    corners = step * np.array(list(product((0.0, 1.0), repeat=6)))
    queries = step * _grid(rng.normal(0.5, 1, (QUERIES, 6)), 12)
    queries[:8] = step * _grid(rng.integers(0, 3, (8, 6)) / 2, 2)
    queries[8:16, 0] = step * (1 + 2.0 ** -rng.integers(3, 40, 8))
    queries[8:16, 1:] = step / 2
    return _shaped(queries, corners, np.linalg.norm(queries - np.clip(queries, 0, step), axis=1), 1e-15 * step)


def _lattice(rng: np.random.Generator) -> Hard:
    """A 9 × 9 grid: most points lie on edges or inside, none needed but the corners."""
    points = np.array(list(product(range(9), repeat=2)), np.float64)
    queries = _grid(rng.normal(4, 6, (QUERIES, 2)), 10)
    return _shaped(queries, points, np.linalg.norm(queries - np.clip(queries, 0, 8), axis=1), 1e-14)


def _near_duplicates(rng: np.random.Generator, apart: float) -> Hard:
    """Each of 32 points three times, copies `apart` from one another."""
    points = rng.normal(size=(32, DIMENSION))
    copies = np.concatenate(
        [points, points + apart * rng.normal(size=points.shape), points + apart * rng.normal(size=points.shape)]
    )
    return _shaped(2 * rng.normal(size=(QUERIES, DIMENSION)), copies)


def _skewed(rng: np.random.Generator, ball: bool, skew: np.ndarray, scale: float) -> Hard:
    """Well-spread points on a sphere or in a box, axes stretched, queries on the sphere around them."""
    points = rng.normal(size=(POINTS, DIMENSION)) if ball else rng.uniform(-1, 1, (POINTS, DIMENSION))
    if ball:
        points /= np.linalg.norm(points, axis=1, keepdims=True)
    points = points * skew * scale
    around = rng.normal(size=(QUERIES, DIMENSION))
    around *= np.linalg.norm(points, axis=1).max() / np.linalg.norm(around, axis=1, keepdims=True)
    return _shaped(around, points)


def _moment_curve(rng: np.random.Generator, dimension: int) -> Hard:
    """(t, t², …, t^d): every point is a vertex, and few of them span almost flat faces."""
    powers = np.arange(1, dimension + 1)
    points = np.linspace(-1, 1, POINTS)[:, None] ** powers
    return _shaped(rng.normal(0, 0.7, (QUERIES, dimension)), points)


def _simplex(rng: np.random.Generator) -> Hard:
    """The corners of a simplex and 0; queries on the line through the centroid: all corners carry the same weight."""
    d = 8
    beyond = 2.0 ** -np.arange(QUERIES)
    queries = np.full((QUERIES, d), 1.0 / d) * (1 + beyond[:, None])
    # ‖centroid‖ = 1/√d, and the face's normal is the line itself.
    truth = ((queries.sum(1) - 1) / np.sqrt(d)).clip(0)
    return _shaped(queries, np.concatenate([np.eye(d), np.zeros((1, d))]), truth, 1e-15)


def _near_interior(rng: np.random.Generator, inward: bool) -> Hard:
    """Queries a step of 1e-2 … 1e-15 inside or outside a face's relative interior, in the face's normal direction."""
    turn, _ = np.linalg.qr(rng.normal(size=(DIMENSION, DIMENSION)))
    face = DIMENSION - 1
    points = rng.normal(size=(POINTS, DIMENSION))
    points[:, -1] = -np.abs(points[:, -1]) - 0.1
    points[:face, -1] = 0
    step = 10.0 ** -np.resize(np.arange(2, 16), QUERIES)
    queries = rng.dirichlet(np.full(face, 4.0), QUERIES) @ points[:face]
    queries[:, -1] = -step if inward else step
    truth = np.zeros(QUERIES) if inward else step
    return _shaped(queries @ turn, points @ turn, truth, 2e-14)


def _far(rng: np.random.Generator, distance: float) -> Hard:
    """Queries so many radii away."""
    points = rng.normal(size=(POINTS, DIMENSION))
    away = rng.normal(size=(QUERIES, DIMENSION))
    size = np.linalg.norm(points, axis=1).max()
    return _shaped(away / np.linalg.norm(away, axis=1, keepdims=True) * size * distance, points)


def _offset(rng: np.random.Generator) -> Hard:
    """A cloud of size 1 at 9e4 from the origin, rounded to float32."""
    points, queries = rng.normal(size=(POINTS, DIMENSION)), 2 * rng.normal(size=(QUERIES, DIMENSION))
    return _shaped((queries + 9e4).astype(np.float32).astype(np.float64), (points + 9e4).astype(np.float32).astype(np.float64))


def _flat(rng: np.random.Generator) -> Hard:
    """Points in a plane of 3 dimensions: most supports are affinely dependent; queries in the plane and off it."""
    basis = _grid(rng.normal(size=(3, DIMENSION)), 8)
    points = _grid(rng.normal(size=(POINTS, 3)), 8) @ basis
    queries = _grid(rng.normal(0, 2, (QUERIES, 3)), 8) @ basis
    queries[16:] += rng.normal(size=(16, DIMENSION))
    return _shaped(queries, points)


def _one_point(rng: np.random.Generator) -> Hard:
    """All points are the same."""
    queries = _grid(rng.normal(size=(QUERIES, DIMENSION)), 10)
    queries[0] = 1
    return _shaped(queries, np.ones((1, DIMENSION)), np.linalg.norm(queries - 1, axis=1), 1e-15)


_ramp, _powers = np.linspace(1, 2.0**20, DIMENSION), 2.0 ** np.linspace(0, 20, DIMENSION)

FAMILIES: dict[str, Callable[[np.random.Generator], Hard]] = {
    **_planted_families(),
    "box {0, 1}^6": lambda rng: _box(rng, 1.0),
    "box {0, 3e-9}^6": lambda rng: _box(rng, 3e-9),
    "lattice 9 × 9": _lattice,
    **{f"near-duplicates at 1e-{power}": lambda rng, p=power: _near_duplicates(rng, 10.0**-p) for power in (8, 10, 12, 14, 16)},
    **{
        f"{'ball' if ball else 'box'}, {name} skew, scale 2^{power}": lambda rng, b=ball, s=skew, p=power: _skewed(
            rng, b, s, 2.0**p
        )
        for ball in (True, False)
        for name, skew in (("no", np.ones(1)), ("linear", _ramp), ("exponential", _powers))
        for power in (-20, 0, 63)
    },
    **{f"moment curve in {d} dimensions": lambda rng, d=d: _moment_curve(rng, d) for d in (3, 8, 12)},
    "simplex's centroid": _simplex,
    "near-interior, inside": lambda rng: _near_interior(rng, True),
    "near-interior, outside": lambda rng: _near_interior(rng, False),
    "query at 1e6 radii": lambda rng: _far(rng, 1e6),
    "query at 1e12 radii": lambda rng: _far(rng, 1e12),
    "offset of 9e4": _offset,
    "points in a plane": _flat,
    "one point": _one_point,
}
