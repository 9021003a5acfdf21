"""Sliced products against rational arithmetic."""

from __future__ import annotations

from fractions import Fraction

import jax
import numpy as np
import pytest

from hullx.numerics import extended
from hullx.numerics.extended import Pair

pytestmark = pytest.mark.usefixtures("x64")


@pytest.mark.parametrize(("dtype", "slices", "least"), [(np.float32, 3, 3e-8), (np.float32, 5, 2e-11), (np.float64, 5, 1e-29)])
@pytest.mark.parametrize("inner", [1, 12, 784])
def test_products_are_within_the_bound(inner: int, dtype: type, slices: int, least: float, rng: np.random.Generator) -> None:
    a, b = rng.uniform(-1, 1, (3, inner)).astype(dtype), rng.uniform(-1, 1, (inner, 2)).astype(dtype)
    unit = np.finfo(dtype).eps / 8
    low_a, low_b = (each * (unit * rng.normal(size=each.shape)).astype(dtype) for each in (a, b))
    how = extended.slicing(dtype, slices)

    @jax.jit
    def product(a, low_a, b, low_b) -> Pair:
        return extended.product(extended.cut(Pair(a, low_a), how), extended.cut(Pair(b, low_b), how), how)

    found = product(a, low_a, b, low_b)
    for i in range(3):
        for j in range(2):
            one, other = (
                [Fraction(float(high)) + Fraction(float(low)) for high, low in zip(*pair, strict=True)]
                for pair in ((a[i], low_a[i]), (b[:, j], low_b[:, j]))
            )
            truth = sum(x * y for x, y in zip(one, other, strict=True))
            value = Fraction(float(found.high[i, j])) + Fraction(float(found.low[i, j]))
            norms = np.linalg.norm(a[i]), np.linalg.norm(b[:, j])
            assert abs(float(truth - value)) <= extended.product_error(float(norms[0]), float(norms[1]), inner, dtype, how)
            assert extended.product_error(1.0, 1.0, inner, dtype, how) < least


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
