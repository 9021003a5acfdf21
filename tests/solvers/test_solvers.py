"""What all solvers have in common: right answers, honest certificates, the protocol; and what each has alone."""

from __future__ import annotations

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles import check_bracket, nnls_distance

import hullx
from hullx import Status
from hullx.solvers import BY_NAME, ActiveSet, FrankWolfe, Sketching, projected_gradient
from hullx.solvers.sketching import cauchy_point

pytestmark = pytest.mark.unoptimised
x64 = pytest.mark.usefixtures("x64")
RTOL = 1e-6


@pytest.fixture
def problem(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Queries around a cloud in 6 dimensions, the first of them inside its hull."""
    queries = rng.normal(size=(8, 6)) * np.linspace(0.1, 3, 8)[:, None]
    return queries, rng.normal(size=(60, 6))


@x64
@pytest.mark.parametrize(
    "name", [name if name == "active_set" else pytest.param(name, marks=pytest.mark.slow) for name in BY_NAME]
)
def test_every_solver_finds_the_projection(problem, name: str) -> None:
    """And its derivatives, which all solvers share: Σ_j −w_i u over the queries outside."""
    queries, points = problem

    def total(points: jax.Array) -> tuple[jax.Array, hullx.Projection]:
        result = hullx.project(queries, points, solver=name, rtol=RTOL)
        return result.distance[2:].sum(), result

    gradient, result = jax.grad(total, has_aux=True)(points)
    check_bracket(result, queries, points)
    oracle = [nnls_distance(query, points) for query in queries]
    truths, weights = (np.array(found) for found in zip(*oracle, strict=True))
    units = (queries - weights @ points) / truths[:, None]
    np.testing.assert_allclose(gradient, -weights[2:].T @ units[2:], atol=1e-9)
    outside = np.asarray(result.status) == Status.CONVERGED
    assert outside.sum() >= 5
    np.testing.assert_allclose(result.distance[outside], truths[outside], rtol=RTOL)
    np.testing.assert_allclose(result.distance, truths, atol=1e-4)
    assert (np.asarray(result.lower) <= truths + 1e-12).all()


@pytest.mark.thorough
@pytest.mark.parametrize("solver", [ActiveSet(capacity=2), FrankWolfe(capacity=2), Sketching(capacity=2)], ids=str)
def test_a_support_without_room_is_said(problem, solver) -> None:
    queries, points = (array.astype(np.float32) for array in problem)
    wide = hullx.project(queries, points)
    result = hullx.project(queries, points, solver=solver)
    assert result.weights.shape == (8, 2)
    full = np.asarray(wide.support_size) > 2
    assert (np.asarray(result.status)[full] == Status.CAPACITY).any()
    assert (np.asarray(result.lower) <= np.asarray(wide.distance)).all()
    assert (np.asarray(wide.lower) <= np.asarray(result.distance)).all()


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["active_set", "frank_wolfe", "projected_gradient"])
def test_steps_have_a_limit(problem, name: str) -> None:
    queries, points = (array.astype(np.float32) for array in problem)
    result = hullx.project(queries, points, solver=name, rtol=1e-12, max_iter=3)
    assert (result.iterations <= 3).all()
    assert (np.asarray(result.status) == Status.MAX_ITER).any()
    assert set(np.asarray(result.status).tolist()) <= {Status.MAX_ITER, Status.ROUNDING, Status.INSIDE}


@x64
def test_the_lipschitz_bound_is_safe_and_tight(rng: np.random.Generator) -> None:
    for shape, scale in (((50, 4), 1.0), ((4, 50), 1e6), ((30, 30), 1e-6), ((3, 1), 0.0)):
        points = scale * rng.normal(size=shape)
        largest = np.linalg.norm(points, 2) ** 2
        bound = float(projected_gradient.bound(jnp.asarray(points @ points.T)))
        assert largest <= bound
        assert bound <= 1.15 * largest or scale == 0


@x64
def test_the_cauchy_point_is_the_first_minimiser_along_the_path(rng: np.random.Generator) -> None:
    """Against a fine grid on the path max(u − t g, 0)."""
    points, query = rng.normal(size=(9, 4)), 2 * np.ones(4)
    weights = rng.dirichlet(np.ones(5))
    point = weights @ points[:5]
    rows, residual = points - point, query - point
    arguments = rows @ rows.T, rows @ residual, residual @ residual, np.append(weights, np.zeros(4)), np.zeros(9, bool)
    found = np.asarray(cauchy_point(*map(jnp.asarray, arguments)))
    penalty = max(np.diagonal(arguments[0]).max(), residual @ residual)
    hessian = (points - query) @ (points - query).T + penalty
    start = np.append(weights, np.zeros(4)) * penalty / (penalty + residual @ residual)
    gradient = hessian @ start - penalty
    path = np.maximum(start - np.linspace(0, 3 / np.trace(hessian) * 9, 400_001)[:, None] * gradient, 0)
    values = np.einsum("ti,ij,tj->t", path, hessian, path) / 2 - penalty * path.sum(1)
    first = path[np.flatnonzero(np.diff(values) > 0)[0]]
    assert not np.allclose(first, start)
    np.testing.assert_allclose(found, first, atol=1e-4)


def test_all_else_works_without_jaxopt() -> None:
    """Importing hullx loads none of the packages that may break one day; jaxopt's absence is one clear sentence."""
    script = """
import sys
sys.modules["jaxopt"] = None
import numpy as np, hullx
assert not {"orbax", "tensorflow", "tensorflow_datasets"} & set(sys.modules)
points, query = np.eye(3, dtype=np.float32), np.ones(3, np.float32)
print(hullx.project(query, points).status)
try:
    hullx.project(query, points, solver="projected_gradient")
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "solver projected_gradient needs jaxopt: pip install 'hullx[solvers]'" in done.stdout
