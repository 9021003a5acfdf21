"""Closed forms of least squares against NumPy, scikit-learn and steps one by one; polynomials against their definition."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from experiments import least_squares, polynomial_basis

SHAPES = [(30, 12), (12, 30)]


@pytest.fixture(params=SHAPES, ids=["more points", "more features"])
def problem(request: pytest.FixtureRequest, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    n, p = request.param
    return rng.normal(size=(n, p)), rng.normal(size=(n, 3))


def test_minimum_norm_is_the_pseudoinverse_s(problem) -> None:
    features, targets = problem
    np.testing.assert_allclose(
        least_squares.minimum_norm(least_squares.decompose(features), targets), np.linalg.pinv(features) @ targets, atol=1e-12
    )


def test_of_dependent_features_too(rng: np.random.Generator) -> None:
    features, targets = rng.normal(size=(20, 4)) @ rng.normal(size=(4, 9)), rng.normal(size=(20, 1))
    np.testing.assert_allclose(
        least_squares.minimum_norm(least_squares.decompose(features), targets),
        np.linalg.lstsq(features, targets)[0],
        atol=1e-11,
    )


def test_from_a_start_the_nearest_best_fit(problem, rng: np.random.Generator) -> None:
    features, targets = problem
    start = rng.normal(size=(features.shape[1], 3))
    found = least_squares.minimum_norm(least_squares.decompose(features), targets, start=start)
    best = np.linalg.lstsq(features, targets)[0]
    np.testing.assert_allclose(features @ found, features @ best, atol=1e-11)
    # What changes lies in the row space, so that the rest of the start stays.
    rows = np.linalg.pinv(features) @ features
    np.testing.assert_allclose(rows @ (found - start), found - start, atol=1e-11)


@pytest.mark.parametrize("rate", [1.0, 1.5])
@pytest.mark.parametrize("steps", [1, 7, 400])
def test_descent_is_that_of_steps_one_by_one(problem, rng: np.random.Generator, steps: int, rate: float) -> None:
    features, targets = problem
    start = rng.normal(size=(features.shape[1], 3))
    length, theta = rate / np.linalg.norm(features, 2) ** 2, start
    for _ in range(steps):
        theta = theta - length * features.T @ (features @ theta - targets)
    np.testing.assert_allclose(
        least_squares.gradient_descent(least_squares.decompose(features), targets, steps, rate=rate, start=start),
        theta,
        atol=1e-11,
    )


def test_ridge_is_scikit_learn_s(problem) -> None:
    features, targets = problem
    theirs = Ridge(alpha=0.3 * len(features), fit_intercept=False, solver="svd").fit(features, targets).coef_.T
    np.testing.assert_allclose(least_squares.ridge(least_squares.decompose(features), targets, 0.3), theirs, atol=1e-12)


def test_powers(rng: np.random.Generator) -> None:
    points = rng.uniform(-1, 1, (7, 3))
    basis = polynomial_basis.polynomials(points, 4, "monomial")
    assert basis.values.shape[1] == len(basis.degree) == comb(4 + 3, 3)
    assert (np.diff(basis.degree) >= 0).all()
    # Homogeneous of its degree.
    np.testing.assert_allclose(polynomial_basis.polynomials(2 * points, 4, "monomial").values, basis.values * 2.0**basis.degree)


def test_legendre_polynomials_are_orthonormal_and_span_the_same() -> None:
    nodes, weights = np.polynomial.legendre.leggauss(8)
    grid = np.stack(np.meshgrid(nodes, nodes), -1).reshape(-1, 2)
    of_grid = np.outer(weights, weights).ravel() / 4
    basis = polynomial_basis.polynomials(grid, 5).values
    np.testing.assert_allclose(basis.T @ (of_grid[:, None] * basis), np.eye(basis.shape[1]), atol=1e-12)
    powers = polynomial_basis.polynomials(grid, 5, "monomial").values
    np.testing.assert_allclose(basis @ np.linalg.lstsq(basis, powers)[0], powers, atol=1e-12)
