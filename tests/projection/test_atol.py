"""Brackets of an absolute width: on every path they hold, they decide, and they say which queries are within it."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest
from fields import contradictions
from hard_instances import POINTS, QUERIES
from near_faces import Near

import hullx
from hullx import Status

ATOL = 0.125


@pytest.fixture
def problem(rng: np.random.Generator) -> Near:
    """Queries 2^-40 to 2 beside a face of a simplex of small and large numbers, whose distances are known."""
    points = np.concatenate([np.zeros((1, 12)), 4 * np.eye(12), rng.uniform(0, 0.3, (POINTS - 13, 12))])
    queries = rng.uniform(0, 0.3, (QUERIES, 12))
    queries[:, 0] = -np.logspace(-40, 1, QUERIES, base=2)
    return Near(queries, points)


PATHS = {
    "project": hullx.project,
    "jit": jax.jit(hullx.project),
    "sweep": lambda *problem, **settings: hullx.sweep(*problem, progress=False, **settings),
}


@pytest.mark.parametrize("path", ["project", "sweep", pytest.param("jit", marks=pytest.mark.thorough)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_query_is_decided_within_the_width(problem: Near, path: str, dtype: type) -> None:
    problem = Near(*(part.astype(dtype) for part in problem))
    exact = -problem.queries[:, 0].astype(float)
    with jax.enable_x64(dtype is np.float64):
        found = jax.tree.map(np.asarray, PATHS[path](*problem, rtol=0.0, atol=ATOL))
    assert contradictions(problem, found, 0.0, ATOL) == {}
    assert (found.status == Status.CONVERGED).all()
    assert ((found.lower <= exact) & (exact <= found.distance)).all()
    # Only a query farther than the width must be proved outside.
    assert found.outside[exact > ATOL].all()


@pytest.mark.thorough
def test_a_wide_bracket_takes_fewer_steps(problem: Near) -> None:
    rough, fine = (hullx.sweep(*problem, atol=atol, progress=False) for atol in (ATOL, 0.0))
    near = fine.distance < ATOL / 2
    assert near.any()
    assert rough.iterations[near].sum() < fine.iterations[near].sum()
    assert (fine.decided & fine.outside).all()


@pytest.mark.thorough
@pytest.mark.parametrize("x64", [False, True])
def test_a_limit_never_replaces_a_result_within_the_width(rng: np.random.Generator, x64: bool) -> None:
    """Although rounding outwards to float32 needs a narrower bracket in float64."""
    queries, points = (rng.normal(size=(count, 12)).astype(np.float32) for count in (QUERIES, POINTS))
    with jax.enable_x64(x64):
        for limit in (1, 2):
            wide = hullx.project(2 * queries, points, rtol=0.0, max_iter=limit)
            assert (wide.status == Status.MAX_ITER).any()
            widths = np.asarray(wide.distance, float) - np.asarray(wide.lower, float)
            atol = 1.5 * np.median(widths)
            found = hullx.project(2 * queries, points, rtol=0.0, atol=atol, max_iter=limit)
            near = (found.distance <= atol) | found.outside
            within = near & (np.asarray(found.distance, float) - np.asarray(found.lower, float) <= atol)
            assert within.any()
            np.testing.assert_array_equal(np.asarray(found.status == Status.CONVERGED), within & ~found.inside)


def test_numbers_beyond_the_dtype(problem: Near) -> None:
    queries, points = (part.astype(np.float32) for part in problem)
    assert (hullx.project(queries, points, atol=1e39).status <= Status.INSIDE).all()
    for name in ("rtol", "atol"):
        with pytest.raises(ValueError, match=f"{name}: got 1000"):
            hullx.project(queries, points, **{name: 10**400})


@pytest.mark.thorough
def test_a_folder_of_another_width_is_refused(problem: Near, tmp_path) -> None:
    numpy_numbers: Any = {"rtol": np.float32(0.5), "max_iter": np.int64(50)}
    first = hullx.sweep(*problem, resume=tmp_path, atol=ATOL, **numpy_numbers, progress=False)
    again = hullx.sweep(*problem, resume=tmp_path, atol=ATOL, rtol=0.5, max_iter=50, progress=False)
    jax.tree.map(np.testing.assert_array_equal, first, again)
    with pytest.raises(hullx.errors.ResumeError, match="other atol"):
        hullx.sweep(*problem, resume=tmp_path, rtol=0.5, max_iter=50, progress=False)
