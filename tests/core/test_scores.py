"""The largest scores of each query, for every number of points, and the worst violators of its slab."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hullx
from hullx.core.precision.slices import length_of
from hullx.core.scores import top, worst_violators
from hullx.numerics import extended
from hullx.numerics.extended import Pair

ODD = (1153, 3000, 3001, 20_001, 100_003)


@pytest.mark.thorough
@pytest.mark.parametrize("count", [1, 3, 96])
def test_top_is_exact_for_any_number_of_points(count: int, rng: np.random.Generator) -> None:
    for rows in (*range(count, 201, 1 if count == 3 else 17), *ODD):
        scores = rng.normal(size=(2, rows)).astype(np.float32)
        values, columns = map(np.asarray, top(scores, count))
        np.testing.assert_array_equal(values, -np.sort(-scores, axis=1)[:, :count])
        np.testing.assert_array_equal(np.take_along_axis(scores, columns, 1), values)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("spread", [1.0, 1e-6, 1e-12, 0.0])
def test_top_in_float64_bounds_all_other_scores(spread: float, rng: np.random.Generator) -> None:
    for rows in (96, 201, 3001, 20_001):
        scores = 0.7 + spread * rng.normal(size=(4, rows))
        scores[1, : rows // 2] = -np.inf  # as excluded rows and padding
        scores[2] = -np.inf
        scores[3] = 1e-8 * spread * rng.normal(size=rows)  # equal in float32, as differences from 1
        scores[3, 0] = 1
        values, columns = map(np.asarray, jax.jit(top, static_argnums=1)(jnp.asarray(scores), 40))
        assert all(len(set(row)) == 40 for row in columns)
        assert np.isneginf(values[2]).all()
        values, columns, scores = (np.delete(each, 2, 0) for each in (values, columns, scores))
        own, others = np.take_along_axis(scores, columns, 1), scores.copy()
        np.put_along_axis(others, columns, -np.inf, 1)
        assert (values[:, -1] >= others.max(1)).all()  # the last value is a bound
        assert (values >= own).all()
        assert (values - own <= 1e-6 * (values[:, :1] - own)).all()  # at most a rounding above the own score
        np.testing.assert_array_equal(values[:, 0], scores.max(1))


@pytest.mark.thorough
@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("hidden", [False, True], ids=["distinct", "within float64's rounding"])
@pytest.mark.parametrize("exclude", [False, True], ids=["all", "one left out"])
def test_the_worst_violator_of_few_candidates_is_that_of_all_points(
    hidden: bool, exclude: bool, rng: np.random.Generator
) -> None:
    n, d, count, queries = 700, 6, 20, 5
    points = rng.normal(size=(n, d))
    normal = np.ones(d) / np.sqrt(d)
    if hidden:  # a facet of 400 points, one of which stands out by less than a score's rounding error
        whole = rng.integers(-(2**20), 2**20, (400, d)).astype(float)
        whole[:, -1] = 2**10 - whole[:, :-1].sum(1)
        points[:400] = whole
        points[rng.integers(0, 400), 0] += 2.0**-32
    hull = hullx.prepare(points)
    offsets = np.outer(rng.uniform(1, 2, queries), normal) if hidden else rng.normal(size=(queries, d)) + 8 * normal
    how = extended.slicing(np.float64)
    along = jax.vmap(lambda each: length_of(Pair(each, jnp.zeros_like(each)), how))(jnp.asarray(offsets))
    located = points[:queries] + offsets * float(hull.frame.scale)
    left_out = None
    if exclude:
        every, rows = worst_violators(hull.frame, hull.points, located, along, count=1, n=n)
        left_out = jnp.asarray(rows[:, 0])
    given = hull.frame, hull.points, located, along
    values, rows = worst_violators(*given, count=count, excluded=left_out, n=n)
    expected, _ = worst_violators(*given, count=len(hull.points), excluded=left_out, n=n)
    np.testing.assert_array_equal(values[:, 0], expected[:, 0])
    assert (np.diff(values, axis=1) <= 0).all()
    if exclude:
        assert not (np.asarray(rows) == np.asarray(left_out)[:, None]).any()
        assert (values[:, 0] <= every[:, 0]).all()
