"""Quadratic programs over the simplex: all supports of small problems, closed forms, bad matrices."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations

import jax
import numpy as np
import pytest

import hullx
from hullx.errors import ArgumentError, ArgumentTypeError


def smallest(gram: np.ndarray, linear: np.ndarray) -> float:
    """The minimum by trying all supports."""
    best = np.inf
    for size in range(1, len(gram) + 1):
        for rows in map(list, combinations(range(len(gram)), size)):
            block, ones = gram[np.ix_(rows, rows)], np.ones((size, 1))
            system = np.block([[block, ones], [ones.T, np.zeros((1, 1))]])
            weights = np.linalg.lstsq(system, np.append(-linear[rows], 1), rcond=None)[0][:size]
            if (weights >= -1e-9).all() and abs(weights.sum() - 1) < 1e-8:
                weights = np.maximum(weights, 0) / np.maximum(weights, 0).sum()
                best = min(best, weights @ block @ weights / 2 + linear[rows] @ weights)
    return best


def exact(gram: np.ndarray, linear: np.ndarray, weights: np.ndarray) -> Fraction:
    """f at the weights divided by their sum, in rational arithmetic."""
    total = sum(map(Fraction, weights), Fraction())
    w = [Fraction(each) / total for each in weights]
    curved = sum((w[i] * w[j] * Fraction(gram[i, j]) for i in range(len(w)) for j in range(len(w))), Fraction())
    return sum((a * Fraction(c) for a, c in zip(w, linear, strict=True)), curved / 2)


@pytest.mark.parametrize("rank", [0, 1, 2, 6])
def test_all_supports_of_small_problems(rank: int, rng: np.random.Generator) -> None:
    """Singular matrices with any linear term, which no projection expresses."""
    for unit in (1e-3, 1.0, 1e3):
        for _ in range(10):
            n = int(rng.integers(1, 7))
            factor = rng.normal(size=(rank, n))
            gram, linear = factor.T @ factor, unit * rng.normal(size=n)
            found, expected = hullx.simplex_qp(gram, linear), smallest(gram, linear)
            size = np.abs(gram).max(initial=0) + np.abs(linear).max()
            assert found.lower - 1e-12 * size <= expected <= found.value + 1e-12 * size
            assert found.value - expected < 1e-10 * size
            assert found.value - found.lower < 1e-12 * size * n
            assert exact(gram, linear, found.weights) <= Fraction(float(found.value))
            np.testing.assert_allclose(found.weights.sum(), 1)
            assert (found.weights >= 0).all()


def test_lower_bounds_hold_at_other_weights_exactly(rng: np.random.Generator) -> None:
    factor = rng.integers(-8, 9, (3, 6)).astype(float)
    gram, linear = factor.T @ factor, rng.integers(-8, 9, 6).astype(float)
    found = hullx.simplex_qp(gram, linear)
    for _ in range(50):
        assert Fraction(float(found.lower)) <= exact(gram, linear, rng.dirichlet(np.full(6, 0.3)))
    assert Fraction(float(found.lower)) <= exact(gram, linear, found.weights)


def test_several_linear_terms_and_no_limit_reached(rng: np.random.Generator) -> None:
    factor = rng.normal(size=(40, 40))
    gram, linear = factor.T @ factor, rng.normal(size=(40, 3))
    found = hullx.simplex_qp(gram, linear)
    assert found.weights.shape == (40, 3)
    for i in range(3):
        one = hullx.simplex_qp(gram, linear[:, i])
        np.testing.assert_array_equal(one.weights, found.weights[:, i])
        gradient = gram @ one.weights + linear[:, i]
        used = one.weights > 0
        np.testing.assert_allclose(gradient[used], gradient.min(), atol=1e-10)  # the optimality conditions
    few = hullx.simplex_qp(gram, linear, max_iter=2)
    assert (few.steps <= 3).all()
    assert (few.lower <= found.value).all()
    assert (few.value >= found.lower).all()


def test_only_the_symmetric_part_matters(rng: np.random.Generator) -> None:
    factor, twist = rng.normal(size=(5, 5)), rng.normal(size=(5, 5))
    gram = factor.T @ factor
    found, other = hullx.simplex_qp(gram), hullx.simplex_qp(gram + twist - twist.T)
    np.testing.assert_allclose(found.weights, other.weights, atol=1e-10)


def test_a_float32_gram_matrix_is_semidefinite_up_to_its_rounding(rng: np.random.Generator) -> None:
    factor = rng.normal(size=(3, 60)).astype(np.float32)
    found = hullx.simplex_qp(factor.T @ factor)
    assert found.lower <= found.value < found.lower + 1e-2


@pytest.mark.parametrize(
    ("gram", "linear", "message"),
    [
        (np.diag([1.0, -1.0]), None, "gram: got a matrix with an eigenvalue of -1, expected a positive semidefinite one"),
        (np.ones((2, 3)), None, r"gram: got shape \(2, 3\), expected \(n, n\)"),
        (np.eye(2), np.zeros(3), r"linear: got shape \(3,\), expected \(2,\) or \(2, k\)"),
        (np.array([[np.inf]]), None, "gram: got NaN or infinity"),
        (np.eye(2), np.array([np.nan, 0]), "linear: got NaN or infinity"),
    ],
)
def test_bad_arguments(gram: np.ndarray, linear: np.ndarray | None, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        hullx.simplex_qp(gram, linear)


def test_traced_matrices_are_refused() -> None:
    with pytest.raises(ArgumentTypeError, match=r"gram: got a traced value.*simplex_lstsq works under jit"):
        jax.jit(hullx.simplex_qp)(np.eye(2))


def test_integers_have_no_rounding(rng: np.random.Generator) -> None:
    factor = rng.integers(0, 9, (7, 13))
    gram, linear = factor.T @ factor, -factor.T @ factor[:, 0]
    found = hullx.simplex_qp(gram, linear)
    assert found.value - found.lower <= 1e-9 * abs(found.value)
    np.testing.assert_array_equal(found.weights, hullx.simplex_qp(gram.astype(float), linear.astype(float)).weights)
    assert hullx.simplex_qp(gram.tolist(), linear.tolist()).lower == found.lower
