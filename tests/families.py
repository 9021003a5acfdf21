"""Families of hulls at which certificates fail first, each with queries of every kind. Few shapes, so that they share programs.

A family is a function of a seed and a dtype. Its numbers are rounded to that dtype, and what is judged are the rounded numbers.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.optimize
from near_faces import HAIRS, Near

QUERIES, POINTS = 64, 40
SMALL, LARGE = 3, 10  # dimensions
COPIES = 1000
# Queries of each kind; the rest are on either side of faces.
MEMBERS, VERTICES, FAR, ONE_COLUMN = 14, 8, 8, 10
EDGE = "subnormal edge"

Points = Callable[[np.random.Generator, type], np.ndarray]


def _gaussian(rng: np.random.Generator, dimension: int = SMALL) -> np.ndarray:
    return rng.normal(size=(POINTS, dimension))


def _offset(spreads: float) -> Points:
    return lambda rng, dtype: _gaussian(rng) + spreads * rng.normal(size=SMALL)


def _mixed_columns(dimension: int) -> Points:
    """Spans that differ by up to 1e10 in float64 and 1e6 in float32, with or without an offset of a few spans."""

    def points(rng: np.random.Generator, dtype: type) -> np.ndarray:
        powers = 10 if dtype is np.float64 else 6
        spans = 10.0 ** (powers * rng.permutation(np.r_[0, 1, rng.random(dimension - 2)]) - powers / 2)
        return (_gaussian(rng, dimension) + rng.choice([0, 3]) * rng.normal(size=dimension)) * spans

    return points


def _mixed_rows(rng: np.random.Generator, dtype: type) -> np.ndarray:
    """One row that is 1e6 to 1e9 times longer than the others."""
    points = _gaussian(rng)
    points[rng.integers(POINTS)] *= 10 ** rng.uniform(6, 9)
    return points


def _needle(dimension: int) -> Points:
    """Thin hulls of aspect 1e2 to 1e8, along an axis or along any direction."""

    def points(rng: np.random.Generator, dtype: type) -> np.ndarray:
        widths = np.r_[1, np.full(dimension - 1, 10 ** -rng.choice([2.0, 5, 8]))]
        turn = np.linalg.qr(rng.normal(size=(dimension, dimension)))[0] if rng.random() < 0.7 else np.eye(dimension)
        return (_gaussian(rng, dimension) * widths) @ turn

    return points


def _moment_curve(dimension: int) -> Points:
    return lambda rng, dtype: np.sort(rng.uniform(-1, 1, POINTS))[:, None] ** np.arange(1, dimension + 1)


def _near_duplicates(dimension: int) -> Points:
    """Each of a quarter of the points four times, with relative differences of 1e-15 to 1e-6."""

    def points(rng: np.random.Generator, dtype: type) -> np.ndarray:
        rows = np.resize(_gaussian(rng, dimension)[: POINTS // 4], (POINTS, dimension))
        return rows * (1 + 10 ** rng.uniform(-15, -6, (POINTS, 1)) * rng.normal(size=rows.shape))

    return points


def _copies(rng: np.random.Generator, dtype: type) -> np.ndarray:
    return rng.permutation(np.repeat(_gaussian(rng)[:5], COPIES, axis=0))


def _cross_polytope(rng: np.random.Generator, dtype: type) -> np.ndarray:
    corners = np.concatenate([np.eye(LARGE), -np.eye(LARGE)])
    return np.resize(corners, (POINTS, LARGE)) + rng.choice([0, 1, 3]) * rng.integers(-1, 2, LARGE)


def _heavy_tails(dimension: int) -> Points:
    def points(rng: np.random.Generator, dtype: type) -> np.ndarray:
        by_row = rng.random() < 0.5
        return (
            rng.standard_t(1, (POINTS, 1)) * _gaussian(rng, dimension) if by_row else rng.standard_cauchy((POINTS, dimension))
        )

    return points


def _raw_table(dimension: int) -> Points:
    """Share, age, latitude, income, population; Hz, tesla, A/m, Celsius, duty: all, or a few of them."""
    least = [0, 18, -90, 2e4, 1e6, 5e4, 1e-2, 0, 25, 0.1]
    most = [1, 90, 90, 2e5, 1e9, 5e5, 3e-1, 50, 90, 0.9]

    def points(rng: np.random.Generator, dtype: type) -> np.ndarray:
        table = rng.uniform(least, most, (POINTS, len(least)))
        table[:, 1] = np.round(table[:, 1])
        return table[:, np.sort(rng.permutation(len(least))[:dimension])]

    return points


def _mixtures(rng: np.random.Generator, points: np.ndarray, count: int) -> np.ndarray:
    """Convex combinations of all points or of three, in extended precision, so that what follows rounds them once."""
    weights = rng.dirichlet(np.full(len(points), 0.3), count).astype(np.longdouble)
    few = rng.random(weights.shape).argsort(1).argsort(1) < 3
    weights = np.where(few | (rng.random((count, 1)) < 0.5), weights + 1e-6, 0)
    return weights / weights.sum(1, keepdims=True) @ points.astype(np.longdouble)


def _face(rng: np.random.Generator, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The vertices and the outward normal of some face, by projecting a point outside. Rows have spans of about 1."""
    outside = rng.normal(size=rows.shape[1])
    outside *= 3 * np.abs(rows).max() * np.sqrt(len(outside)) / np.linalg.norm(outside)
    try:
        weights, _ = scipy.optimize.nnls(np.vstack([rows.T, np.full(len(rows), 1e3)]), np.r_[outside, 1e3])
    except RuntimeError:  # too many steps
        weights = (rows @ outside).argmax() == np.arange(len(rows))
    return np.flatnonzero(weights), outside - weights @ rows


def _near_faces(rng: np.random.Generator, points: np.ndarray, spans: np.ndarray, count: int) -> np.ndarray:
    """Queries on either side of faces, from a rounding to the size of the hull away: of each column's, or of the largest."""
    middle = points.mean(0)
    rows, found = (points - middle) / spans, np.empty((count, points.shape[1]), np.longdouble)
    faces = [_face(rng, rows) for _ in range(8)]
    for i in range(count):
        corners, normal = faces[rng.integers(len(faces))]
        foot = rng.dirichlet(np.ones(len(corners))).astype(np.longdouble) @ points[corners]
        outward = normal * spans if rng.random() < 0.5 else normal / spans * spans.min()
        size = np.linalg.norm(outward) if np.any(outward) else 1.0
        length = np.linalg.norm(np.ptp(points, axis=0)) if rng.random() < 0.5 else np.linalg.norm(normal * spans)
        found[i] = foot + rng.choice(HAIRS) * rng.choice([1, 1, -1]) * length * outward / size
    return found


def _beyond_one_column(rng: np.random.Generator, points: np.ndarray, spans: np.ndarray, count: int) -> np.ndarray:
    """Members, moved out of the range of the column of least span, and of no other."""
    column = spans.argmin()
    queries = _mixtures(rng, points, count)
    beyond = 10 ** rng.uniform(-6, 0.5, count) * spans[column]
    up = rng.random(count) < 0.5
    queries[:, column] = np.where(up, points[:, column].max() + beyond, points[:, column].min() - beyond)
    return queries


def _queries(rng: np.random.Generator, points: np.ndarray, dtype: type) -> np.ndarray:
    span = np.ptp(points, axis=0)
    spans = np.where(span > 0, span, max(span.max(), np.finfo(dtype).eps))
    away = rng.normal(size=(FAR, points.shape[1])) * spans
    times = 10.0 ** rng.integers(1, 12 if dtype is np.float64 else 7, (FAR, 1))
    parts = (
        _mixtures(rng, points, MEMBERS),
        points[rng.integers(len(points), size=VERTICES)],
        points.mean(0) + times * away,
        _beyond_one_column(rng, points, spans, ONE_COLUMN),
        _near_faces(rng, points, spans, QUERIES - MEMBERS - VERTICES - FAR - ONE_COLUMN),
    )
    return np.concatenate(parts)


def _family(make: Points) -> Callable[[int, type], Near]:
    def problem(seed: int, dtype: type) -> Near:
        rng = np.random.default_rng(seed)
        points = make(rng, dtype).astype(dtype)
        different = np.unique(points, axis=0).astype(np.float64)
        return Near(_queries(rng, different, dtype).astype(dtype), points)

    return problem


def _edge(seed: int, dtype: type) -> Near:
    """A hull scaled to the smallest or to the largest numbers of its dtype."""
    rng = np.random.default_rng(seed)
    problem, limits = _family(lambda rng, dtype: _gaussian(rng))(seed, dtype), np.finfo(dtype)
    powers = [limits.minexp - limits.nmant, limits.minexp - 3, limits.minexp + 20, limits.maxexp - 30, limits.maxexp - 4]
    scale = np.ldexp(np.longdouble(1), int(rng.choice(powers)) + int(rng.integers(3)))
    most = np.longdouble(limits.max)
    return Near(*(np.clip(rows * scale, -most, most).astype(dtype) for rows in problem))


FAMILIES: dict[str, Callable[[int, type], Near]] = {
    **{f"offset of 1e{power} spreads": _family(_offset(10.0**power)) for power in (6, 8, 10)},
    **{f"mixed columns, d = {d}": _family(_mixed_columns(d)) for d in (SMALL, LARGE)},
    "mixed rows": _family(_mixed_rows),
    **{f"needle, d = {d}": _family(_needle(d)) for d in (SMALL, LARGE)},
    **{f"moment curve, d = {d}": _family(_moment_curve(d)) for d in (SMALL, LARGE)},
    **{f"near-duplicates, d = {d}": _family(_near_duplicates(d)) for d in (SMALL, LARGE)},
    "1,000 copies of each": _family(_copies),
    "cross-polytope": _family(_cross_polytope),
    **{f"heavy tails, d = {d}": _family(_heavy_tails(d)) for d in (SMALL, LARGE)},
    **{f"raw table of {d} columns": _family(_raw_table(d)) for d in (SMALL, LARGE)},
    EDGE: _edge,
}
