"""Least squares over the simplex: closed forms, SciPy's nnls and SLSQP, certificates, uniqueness, derivatives, recipes."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles import nnls_distance

import hullx
from hullx import Status
from hullx.errors import ArgumentError, ArgumentTypeError

SQUARE = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]).T


@pytest.mark.parametrize(("m", "n", "unit", "origin"), [(19, 6, 1.0, 0.0), (19, 11, 1e3, 5e4), (7, 5, 1e-6, 1.0)])
def test_weights_of_ordinary_tables_equal_those_of_nnls(
    m: int, n: int, unit: float, origin: float, rng: np.random.Generator
) -> None:
    A = origin + unit * rng.normal(size=(m, n))
    B = np.stack([A @ rng.dirichlet(np.ones(n)) for _ in range(5)], 1) + unit * rng.normal(size=(m, 5))
    found = hullx.simplex_lstsq(A, B)
    expected = [nnls_distance(b, A.T) for b in B.T]
    assert isinstance(found.weights, np.ndarray)
    assert found.weights.shape == (n, 5)
    assert found.weights.dtype == found.residual.dtype == np.float64
    np.testing.assert_allclose(found.weights.T, [weights for _, weights in expected], atol=1e-8)
    np.testing.assert_allclose(found.residual, [distance for distance, _ in expected], rtol=1e-9)
    assert (found.lower <= found.residual).all()
    assert found.projection.decided.all()
    assert found.unique.all()


def test_one_right_hand_side_is_a_column_of_many(rng: np.random.Generator) -> None:
    A, B = rng.normal(size=(5, 4)), rng.normal(size=(5, 3))
    many, one = hullx.simplex_lstsq(A, B), hullx.simplex_lstsq(A, B[:, 1])
    assert one.weights is not None
    assert many.weights is not None
    assert (one.weights.shape, one.residual.shape, one.unique.shape) == ((4,), (), ())
    np.testing.assert_allclose(one.weights, many.weights[:, 1], atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(A @ one.weights - B[:, 1]), one.residual, rtol=1e-12)


def test_a_quadratic_program_has_the_same_weights(rng: np.random.Generator) -> None:
    A, b = rng.normal(size=(8, 30)), 2 * rng.normal(size=8)
    found = hullx.simplex_lstsq(A, b)
    assert found.weights is not None
    np.testing.assert_allclose(found.weights, hullx.simplex_qp(A.T @ A, -A.T @ b).weights, atol=1e-8)


def test_sparse_weights(rng: np.random.Generator) -> None:
    A, b = rng.normal(size=(3, 50)), 5 * rng.normal(size=3)
    found, full = hullx.simplex_lstsq(A, b, dense=False), hullx.simplex_lstsq(A, b)
    assert found.weights is None
    support, weights = found.projection.support, found.projection.weights
    assert len(support) <= 4
    assert full.weights is not None
    np.testing.assert_array_equal(full.weights[support[weights > 0]], weights[weights > 0])


def test_a_right_hand_side_with_nan_does_not_affect_others() -> None:
    found = hullx.simplex_lstsq(SQUARE, np.array([[2.0, np.nan], [0.5, 0.0]]))
    assert list(found.projection.status) == [Status.CONVERGED, Status.NONFINITE]
    assert found.weights is not None
    assert np.isnan(found.weights[:, 1]).all()
    np.testing.assert_allclose(found.weights[:, 0], [0, 0.5, 0, 0.5])
    assert list(found.unique) == [True, False]
    assert np.isnan(found.weight_range(0).low[1])


def test_no_right_hand_side() -> None:
    found = hullx.simplex_lstsq(SQUARE, np.zeros((2, 0)))
    assert found.weights is not None
    assert found.weights.shape == (4, 0)
    assert found.unique.shape == found.weight_range(1).low.shape == (0,)


@pytest.mark.parametrize(("offset", "unit"), [(0.0, 1.0), (1e6, 1.0), (0.0, 1e-200), (0.0, 1e200)])
def test_unique_weights(offset: float, unit: float) -> None:
    """A vertex, an edge without further points, and the interior of a simplex; also if squares overflow or vanish."""
    for b in ([2.0, 2.0], [2.0, 0.5], [-1.0, 3.0]):
        found = hullx.simplex_lstsq(unit * (SQUARE + offset), unit * (np.array(b) + offset))
        assert found.unique
        assert found.weights is not None
        for column in range(4):
            low, high = found.weight_range(column)
            np.testing.assert_allclose([low, high], found.weights[column], atol=1e-9)
    assert hullx.simplex_lstsq(SQUARE[:, :3] + offset, np.array([0.25, 0.25]) + offset).unique


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_weights_that_are_not_unique(offset: float) -> None:
    """A repeated point, a point on an edge, and the interior of a square."""
    repeated = hullx.simplex_lstsq(np.c_[SQUARE, [1.0, 1.0]] + offset, np.array([2.0, 2.0]) + offset)
    midpoint = hullx.simplex_lstsq(np.c_[SQUARE, [1.0, 0.5]] + offset, np.array([2.0, 0.5]) + offset)
    inside = hullx.simplex_lstsq(SQUARE + offset, np.array([0.5, 0.5]) + offset)
    assert not repeated.unique
    assert not midpoint.unique
    assert not inside.unique
    np.testing.assert_allclose(repeated.weight_range(3), [0, 1], atol=1e-8)
    np.testing.assert_allclose(repeated.weight_range(0), [0, 0])
    np.testing.assert_allclose(midpoint.weight_range(4), [0, 1], atol=1e-8)
    np.testing.assert_allclose(midpoint.weight_range(1), [0, 0.5], atol=1e-8)
    np.testing.assert_allclose(inside.weight_range(2), [0, 0.5], atol=1e-8)


def test_range_of_a_random_face(rng: np.random.Generator) -> None:
    """Points in a facet {x : x_0 = 1}: every weight vector in the range has the same fit."""
    A = np.concatenate([np.c_[np.ones(8), rng.normal(size=(8, 3))], np.c_[np.zeros(5), rng.normal(size=(5, 3))]]).T
    b = A[:, :8] @ rng.dirichlet(np.ones(8)) + [2.0, 0, 0, 0]
    found = hullx.simplex_lstsq(A, b)
    assert not found.unique
    ranges = np.array([found.weight_range(column) for column in range(13)])
    assert (ranges[8:] == 0).all()
    assert found.weights is not None
    assert (ranges[:, 0] <= found.weights).all()
    assert (found.weights <= ranges[:, 1]).all()
    assert (ranges[:, 1] - ranges[:, 0]).max() > 0.05


@pytest.mark.thorough
def test_derivatives_under_jit(x64: None, rng: np.random.Generator) -> None:
    A, b, cotangent = rng.normal(size=(4, 6)), 3 * rng.normal(size=4), rng.normal(size=6)

    def value(b: Any) -> Any:
        weights: Any = hullx.simplex_lstsq(A, b).weights
        return cotangent @ weights

    found, slope = jax.jit(jax.value_and_grad(value))(b)
    np.testing.assert_allclose(found, value(b), rtol=1e-9)
    numeric = [(value(b + step) - value(b - step)) / 2e-5 for step in 1e-5 * np.eye(4)]
    np.testing.assert_allclose(slope, numeric, rtol=1e-6, atol=1e-8)


def test_shapes_under_jit() -> None:
    A, B = jnp.zeros((2, 5)), jnp.zeros((2, 3))
    many = jax.eval_shape(hullx.simplex_lstsq, A, B)
    assert many.matrix is None
    assert many.weights is not None
    assert (many.weights.shape, many.residual.shape) == ((5, 3), (3,))
    one = jax.eval_shape(partial(hullx.simplex_lstsq, dense=False), A, B[:, 0])
    assert one.weights is None
    assert one.residual.shape == ()
    with pytest.raises(ArgumentTypeError, match="call simplex_lstsq outside jit"):
        _ = many.unique


@pytest.mark.parametrize(
    ("A", "B", "message"),
    [
        (np.zeros(3), np.zeros(3), r"A: got shape \(3,\), expected \(m, n\)"),
        (np.eye(3), np.zeros((2, 3)), r"B: got shape \(2, 3\), expected \(3,\) or \(3, k\).*: transpose it"),
        (np.full((2, 2), np.nan), np.zeros(2), "A: got NaN"),
    ],
)
def test_bad_arguments(A: np.ndarray, B: np.ndarray, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        hullx.simplex_lstsq(A, B)


def test_columns_out_of_range() -> None:
    found = hullx.simplex_lstsq(SQUARE, np.array([2.0, 0.5]))
    with pytest.raises(ArgumentError, match="column: got 4, expected less than 4"):
        found.weight_range(4)
    with pytest.raises(ArgumentTypeError, match="column: got 'a'"):
        found.weight_range("a")  # type: ignore[arg-type]
