"""Scores from points rounded to bfloat16 are upper bounds, and sweeps that use them keep their promise."""

from __future__ import annotations

from fractions import Fraction
from operator import mul

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from judge import Verdict, judged
from near_faces import near, with_inner_points
from rounded_hulls import with_rounded_copy

import hullx
from hullx.core.rounded import round_rows, rounded_nearness, upper_scores


def half_squares(points: np.ndarray) -> np.ndarray:
    return (points.astype(np.float64) ** 2).sum(1).astype(np.float32) / 2


def a_table(rng: np.random.Generator, n: int, d: int, spread: float) -> np.ndarray:
    """Rows and columns of very different sizes, below 1."""
    sizes = 10.0 ** -rng.uniform(0, spread, (n, 1)), 10.0 ** -rng.uniform(0, spread, d)
    return (rng.uniform(-1, 1, (n, d)) * sizes[0] * sizes[1]).astype(np.float32)


def fractions(rows: np.ndarray) -> list[list[Fraction]]:
    return [[Fraction(float(number)) for number in row] for row in rows]


@pytest.mark.thorough
@pytest.mark.parametrize(("d", "spread"), [(1, 0), (3, 2), (28, 0), (31, 20), (64, 5), (785, 1)])
def test_no_score_is_above_its_bound(rng: np.random.Generator, d: int, spread: float) -> None:
    points = a_table(rng, 61, d, spread)
    points[0] = 0
    # Along points, their differences and any direction.
    along = np.concatenate([points[1:4] + 1e-30, points[4:7] - points[7:10], rng.normal(size=(3, d))]).astype(np.float64)
    along = (along / np.linalg.norm(along, axis=1, keepdims=True)).astype(np.float32)
    found = np.asarray(upper_scores(round_rows(jnp.asarray(points), half_squares(points)), along)).astype(np.float64)
    exact = np.array([[sum(map(mul, x, u)) for x in fractions(points)] for u in fractions(along)])
    assert all(Fraction(float(bound)) >= score for bound, score in zip(found.ravel(), exact.ravel(), strict=True))
    # A rounding of 2^−8 of each factor.
    assert (found - exact.astype(np.float64) <= 2.0**-6 * np.linalg.norm(points, axis=1) + 1e-15).all()


def test_the_nearest_points_come_first(rng: np.random.Generator) -> None:
    points = rng.normal(size=(300, 40)).astype(np.float32)
    squares = np.where(np.arange(300) < 290, half_squares(points), np.inf)  # ten rows of padding
    scores = rounded_nearness(round_rows(jnp.asarray(points), squares), points[:20])
    assert (scores.argmax(1) == np.arange(20)).all()
    assert np.isfinite(scores).all()
    assert (scores[:, 290:].max(1) < scores[:, :290].min(1)).all()


@pytest.mark.thorough
@pytest.mark.parametrize(("dimension", "dtype"), [(3, np.float32), (10, np.float64)])
def test_brackets_hold(dimension: int, dtype: type) -> None:
    found = Verdict()
    for seed in range(2):
        problem = with_inner_points(near(seed, dimension, dtype), seed)
        found = found.plus(judged(problem, hullx.sweep(problem.queries, with_rounded_copy(problem.points), progress=False)))
    assert found.above == found.below == found.loose == 0
    assert found.queries > 60
    assert found.share < 0.1


@pytest.mark.thorough
def test_answers_are_those_without_the_copy(digits) -> None:
    """To the tolerance, with queries in the hull, and one that is excluded from its own."""
    test, train = digits
    mixed = np.stack([train[i : i + 4].mean(0) for i in range(40)])  # more than are scored again at a time
    queries = np.concatenate([test[:40], train[:1], mixed])
    left_out = np.array([-1] * 40 + [0] + [-1] * 40)
    hull = with_rounded_copy(train)
    found = hullx.sweep(queries, hull, exclude=left_out, progress=False)
    plain = hullx.sweep(queries, hull._replace(rounded=None), exclude=left_out, progress=False)
    np.testing.assert_allclose(found.distance, plain.distance, rtol=2e-6, atol=1e-12)
    np.testing.assert_array_equal(found.status, plain.status)
    jitted = jax.jit(hullx.project)(queries[:9].astype(np.float32), with_rounded_copy(train.astype(np.float32)))
    np.testing.assert_allclose(jitted.distance, plain.distance[:9], rtol=1e-5)
