"""Sliced products against rational arithmetic."""

from __future__ import annotations

from fractions import Fraction

import jax
import numpy as np
import pytest

from hullx.numerics import extended
from hullx.numerics.extended import Pair

pytestmark = pytest.mark.usefixtures("x64")


@pytest.mark.parametrize("inner", [1, 12, 784])
def test_products_are_within_the_bound(inner: int, rng: np.random.Generator) -> None:
    how = extended.slicing(inner)
    a, b = rng.uniform(-1, 1, (3, inner)), rng.uniform(-4, 4, (inner, 2))
    low_a, low_b = a * 1e-17 * rng.normal(size=a.shape), b * 1e-17 * rng.normal(size=b.shape)

    @jax.jit
    def product(a, low_a, b, low_b) -> Pair:
        return extended.product(extended.cut(Pair(a, low_a), how), extended.cut(Pair(b, low_b), how), how)

    found = product(a, low_a, b, low_b)
    for i in range(3):
        for j in range(2):
            truth = sum(
                (Fraction(a[i, k]) + Fraction(low_a[i, k])) * (Fraction(b[k, j]) + Fraction(low_b[k, j])) for k in range(inner)
            )
            value = Fraction(float(found.high[i, j])) + Fraction(float(found.low[i, j]))
            assert abs(float(truth - value)) <= how.error
            assert how.error < 1e-21


def test_difference_loses_nothing(rng: np.random.Generator) -> None:
    a, b = rng.normal(size=1000), rng.normal(size=1000) * 10.0 ** rng.integers(-20, 20, 1000)
    high, low = jax.jit(extended.difference)(a, b)
    np.testing.assert_array_equal(high, a - b)
    for numbers in zip(a, b, np.asarray(high), np.asarray(low), strict=True):
        x, y, h, e = map(Fraction, numbers)
        assert x - y == h + e


def test_a_sum_survives_cancellation(rng: np.random.Generator) -> None:
    terms = rng.normal(size=(5, 100)) * 2.0 ** (-21.0 * np.arange(5))[:, None]
    terms[1] = -terms[0]
    high, low = jax.jit(extended.total)(terms)
    truth = [sum(map(Fraction, column)) for column in terms.T]
    errors = [abs(float(Fraction(float(h)) + Fraction(float(e)) - t)) for h, e, t in zip(high, low, truth, strict=True)]
    assert max(errors) < 1e-30
    assert (np.abs(low) <= np.abs(high) * 2.0**-53).all()
