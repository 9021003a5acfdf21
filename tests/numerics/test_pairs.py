"""Arithmetic of pairs against rational numbers."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hullx.core.pool import tableau
from hullx.core.pool.problem import PoolProblem
from hullx.numerics import pairs
from hullx.numerics.extended import Pair

DTYPES = [np.float32, np.float64]


def random_pair(rng: np.random.Generator, shape: tuple[int, ...], dtype: type) -> Pair:
    high = (rng.normal(size=shape) * 10.0 ** rng.integers(-4, 4, shape)).astype(dtype)
    return Pair(jnp.asarray(high), jnp.asarray(high * dtype(np.finfo(dtype).eps / 8) * rng.normal(size=shape).astype(dtype)))


def exact(pair: Pair) -> list[Fraction]:
    return [Fraction(float(a)) + Fraction(float(b)) for a, b in zip(pair.high.ravel(), pair.low.ravel(), strict=True)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("of", "truth"),
    [
        (pairs.times, lambda a, b: a * b),
        (pairs.minus, lambda a, b: a - b),
        (lambda a, b: pairs.reciprocal(a), lambda a, b: 1 / a),
    ],
    ids=["times", "minus", "reciprocal"],
)
def test_pairs_have_twice_the_digits(of: Callable, truth: Callable, dtype: type, rng: np.random.Generator) -> None:
    with jax.enable_x64(dtype is np.float64):
        a, b = (random_pair(rng, (500,), dtype) for _ in range(2))
        found = exact(jax.jit(of)(a, b))
        for x, y, z in zip(exact(a), exact(b), found, strict=True):
            assert abs(z - truth(x, y)) <= 16 * Fraction(float(np.finfo(dtype).eps) ** 2) * max(
                abs(truth(x, y)), abs(x - y) / 4
            )


@pytest.mark.parametrize("dtype", DTYPES)
def test_products_with_a_matrix(dtype: type, rng: np.random.Generator) -> None:
    with jax.enable_x64(dtype is np.float64):
        matrix, vector = random_pair(rng, (7, 7), dtype), random_pair(rng, (7,), dtype)
        found, rows, numbers = exact(jax.jit(pairs.product)(matrix, vector)), exact(matrix), exact(vector)
        for i in range(7):
            terms = [a * b for a, b in zip(rows[7 * i : 7 * i + 7], numbers, strict=True)]
            bound = 100 * Fraction(float(np.finfo(dtype).eps) ** 2) * sum(map(abs, terms))
            assert abs(found[i] - sum(terms)) <= bound


def test_a_tableau_of_pairs_tells_columns_of_very_different_size_apart(rng: np.random.Generator) -> None:
    """An inverse Gram matrix of columns 1e6 apart has no digits in float64: its error grows with the ratio's third power."""
    with jax.enable_x64(True):
        rows = rng.normal(size=(4, 3)) * [1e3, 1.0, 1e-3]
        centred = [[Fraction(float(a)) - Fraction(float(b)) for a, b in zip(row, rows[0], strict=True)] for row in rows]
        gram = [[sum(a * b for a, b in zip(x, y, strict=True)) for y in centred] for x in centred]
        high = np.array([[float(value) for value in row] for row in gram])
        low = np.array([[float(value - Fraction(float(value))) for value in row] for row in gram])
        weights, none = jnp.full(4, 0.25), jnp.zeros(4)
        problem = PoolProblem(Pair(jnp.asarray(high), jnp.asarray(low)), Pair(none, none), weights, jnp.zeros(()), none > 0)  # type: ignore[arg-type]
        found = tableau.inverse(problem).inverse
        # N G is the identity among vectors of sum 0.
        step = np.array([1.0, -0.25, -0.5, -0.25])
        image = [sum(g * Fraction(float(s)) for g, s in zip(row, step, strict=True)) for row in gram]
        top = np.array([float(value) for value in image])
        rest = np.array([float(value - Fraction(float(value))) for value in image])
        back = pairs.high(jax.jit(pairs.product)(found, Pair(jnp.asarray(top), jnp.asarray(rest))))
        np.testing.assert_allclose(back, step, rtol=1e-9)
        plain = tableau.inverse(problem._replace(gram=jnp.asarray(high), scores=none)).inverse
        assert not np.allclose(plain @ top, step, rtol=1e-2)
