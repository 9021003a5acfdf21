"""Ordinary shapes, odd ones included: every one has a program, and some are checked against SciPy."""

from __future__ import annotations

import itertools

import jax
import numpy as np
import pytest
from oracles import nnls_distance

import hullx

NUMBERS = (1, 2, 3, 17, 130, 1153, 3000, 20_001, 60_000, 100_003)
DIMENSIONS = (1, 2, 8, 64, 785)
SOLVERS = ("active_set", "sketching", "frank_wolfe", hullx.solvers.ActiveSet(last_resort=True), hullx.solvers.ActiveSet(5))
SHAPES = list(itertools.product((1, 5, 70), NUMBERS, DIMENSIONS, (np.float32, np.float64), SOLVERS))


def check_program(m: int, n: int, d: int, dtype: type, solver: str | hullx.solvers.Solver) -> None:
    with jax.enable_x64(dtype is np.float64):
        queries, points = (jax.ShapeDtypeStruct(shape, dtype) for shape in ((m, d), (n, d)))
        found = jax.eval_shape(lambda queries, points: hullx.project(queries, points, solver=solver), queries, points)
    slots = min(n, d + 1, getattr(solver, "capacity", None) or n)
    assert found.distance.shape == found.status.shape == (m,)
    assert found.point.shape == found.direction.shape == (m, d)
    assert found.weights.shape == found.support.shape == (m, slots)
    assert found.distance.dtype == found.weights.dtype == found.point.dtype == dtype


SOME = SHAPES[:: len(SHAPES) // 24]


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=pytest.mark.thorough if i % 5 else (), id=str(case)) for i, case in enumerate(SOME)]
)
def test_some_shapes_have_a_program(case: tuple) -> None:
    check_program(*case)


@pytest.mark.slow
def test_every_shape_has_a_program() -> None:
    for case in SHAPES:
        check_program(*case)


@pytest.mark.parametrize(
    ("m", "n", "d"),
    [
        (1, 1, 1),
        (3, 2, 1),
        (2, 3, 2),
        (1, 17, 3),
        (5, 96, 8),
        (7, 97, 8),
        (1, 1153, 3),
        (9, 2049, 5),
        (4, 3000, 8),
        (2, 3001, 40),
    ],
)
def test_odd_shapes_agree_with_nnls(m: int, n: int, d: int, rng: np.random.Generator) -> None:
    points, queries = rng.normal(size=(n, d)), 3 * rng.normal(size=(m, d))
    found, swept = hullx.project(queries, points), hullx.sweep(queries, points, progress=False)
    for i, query in enumerate(queries):
        truth = nnls_distance(query, points)[0]
        np.testing.assert_allclose([found.distance[i], swept.distance[i]], truth, rtol=2e-6, atol=1e-9)
