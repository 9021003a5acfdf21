"""The fields of one result agree with each other, on every path and with every solver. Hypothesis draws hulls and settings."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import jax
import numpy as np
import pytest
from families import EDGE, FAMILIES, POINTS, SMALL
from fields import contradictions
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from jitted import project_in_jit
from judge import judged

import hullx
from hullx import Status

# Of one shape, so that there is one program for each path, solver and dtype.
HULLS = [name for name in FAMILIES if FAMILIES[name](0, np.float64).points.shape == (POINTS, SMALL) and name != EDGE]
SOLVERS = ["active_set", "frank_wolfe", "projected_gradient", "sketching"]
# More steps than an active set takes here, and under jit the same program as few steps.
MANY = 200
LIMITS = [1, 2, 3, MANY]
# Without shrinking, which takes minutes and finds no plainer hull.
drawn = settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)


PATHS: dict[str, Callable[..., hullx.Projection]] = {
    **{f"project by {solver}": partial(hullx.project, solver=solver) for solver in SOLVERS},
    "sweep": partial(hullx.sweep, progress=False),
}
PATH = "project by active_set"  # of the quick suite


@pytest.mark.parametrize("dtype", [np.float32, pytest.param(np.float64, marks=pytest.mark.thorough)])
@pytest.mark.parametrize("path", [PATH, *(pytest.param(path, marks=pytest.mark.thorough) for path in PATHS if path != PATH)])
@drawn
@given(
    hull=st.sampled_from(HULLS),
    seed=st.integers(0, 99),
    width=st.sampled_from([(1e-6, 0.0), (1e-3, 0.0), (0.0, 0.0), (1e-6, 0.1), (0.0, 1e-6)]),
    limit=st.sampled_from(LIMITS),
)
def test_fields_agree(path: str, dtype: type, hull: str, seed: int, width: tuple[float, float], limit: int) -> None:
    problem = FAMILIES[hull](seed, dtype)
    with jax.enable_x64(dtype is np.float64):
        found = jax.tree.map(np.asarray, PATHS[path](*problem, rtol=width[0], atol=width[1], max_iter=limit))
    assert contradictions(problem, found, *width) == {}


@pytest.mark.thorough
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("solver", SOLVERS)
def test_fields_agree_under_jit(solver: str, dtype: type) -> None:
    @jax.jit
    def project(queries, points, max_iter):
        return hullx.project(queries, points, solver=solver, max_iter=max_iter)

    @drawn
    @given(hull=st.sampled_from(HULLS), seed=st.integers(0, 99), limit=st.sampled_from(LIMITS))
    def agree(hull: str, seed: int, limit: int) -> None:
        problem = FAMILIES[hull](seed, dtype)
        found = jax.tree.map(np.asarray, project(*problem, limit))
        assert contradictions(problem, found, 1e-6) == {}

    with jax.enable_x64(dtype is np.float64):
        agree()


@pytest.mark.thorough
def test_what_is_inside_beside_one_long_row_is_reproduced() -> None:
    """In float32 the frame of a hull with one row of 2e7 leaves few digits for the others."""
    for seed in range(9000, 9012):
        problem = FAMILIES["mixed rows"](seed, np.float32)
        found = project_in_jit(*problem)
        assert judged(problem, found).loose == 0
        assert "direction does not lead from point to query" not in contradictions(problem, found, 1e-6)


@pytest.mark.thorough
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("limit", LIMITS)
def test_the_gradient_of_the_distance_is_the_direction(limit: int, dtype: type) -> None:
    """Also where the steps do not suffice; never 0 for a query outside."""
    for hull in ("offset of 1e6 spreads", "mixed rows", "heavy tails, d = 3"):
        problem = FAMILIES[hull](7, dtype)
        with jax.enable_x64(dtype is np.float64):
            found = hullx.project(*problem, max_iter=limit)
            total = lambda queries, points=problem.points: hullx.distance(queries, points, max_iter=limit).sum()  # noqa: E731
            gradient = np.asarray(jax.grad(total)(jax.numpy.asarray(problem.queries)))
        outside = (np.asarray(found.status) != Status.INSIDE) & (np.asarray(found.distance) > 0)
        assert outside.any()
        np.testing.assert_allclose(gradient[outside], np.asarray(found.direction)[outside], atol=8 * np.finfo(dtype).eps)
        np.testing.assert_allclose(np.linalg.norm(gradient[outside], axis=1), 1, atol=8 * np.finfo(dtype).eps)
        assert (gradient[np.asarray(found.status) == Status.INSIDE] == 0).all()
