"""Differences and products of float64 numbers as if float64 had twice its digits, by matrix products alone.

A number is cut into slices of few bits, multiples of 2^−b, 2^−2b, …; the product of two slices, summed over an inner
dimension, then fits into float64's 53 bits and has no rounding error at all, in whatever order a library sums it (Ozaki, Ogita,
Oishi and Rump 2012, "Error-free transformations of matrix multiplication by using fast routines of matrix multiplication").
What is left out is bounded by `Slicing.error`.

It needs IEEE float64, which CPUs and GPUs have; TPUs emulate float64 with fewer bits.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Float

from hullx.numerics.loops import loop_start
from hullx.types import Array

# Bits after the binary point that the slices keep together: products are good to about 1e-26 of the largest.
KEPT_BITS = 88
# Numbers may be a little larger than 1 before slices of products overflow 53 bits: |x| ≤ 2^2.
SPARE_BITS = 2


class Pair(NamedTuple):
    """A number as the unevaluated sum of two of one shape, the second a rounding error of the first."""

    high: Array
    low: Array


class Slicing(NamedTuple):
    """How numbers of magnitude ≤ 4 are cut for sums of so many products.

    Attributes:
        terms: most products in a sum.
        bits: of a slice.
        slices: how many.
        error: bound of what a sum of products leaves out.
    """

    terms: int
    bits: int
    slices: int
    error: float


def slicing(terms: int) -> Slicing:
    """The slicing for sums of at most so many products.

    Example:
        >>> slicing(784)
        Slicing(terms=784, bits=18, slices=5, error=1.2...e-22)
    """
    # A sum of `terms` products of two slices, with spare bits and a sign each, has to fit into 53 bits.
    bits = (53 - terms.bit_length() - 2 * (SPARE_BITS + 1)) // 2
    count = -(-KEPT_BITS // bits)
    # Left out: products whose slices' places add up to more than count + 1, the largest of which are count many and at most
    # 2^(2 spare) 2^(−count bits) in each of the terms; those further down add less than as much again.
    return Slicing(terms, bits, count, 2.0 * (count + 1) * terms * 2.0 ** (2 * SPARE_BITS - count * bits))


def difference(a: Float[Array, "..."], b: Float[Array, "..."]) -> Pair:
    """a − b without error (Knuth 1969, "The Art of Computer Programming", volume 2, section 4.2.2, theorem B).

    Example:
        >>> difference(jnp.array([1.0]), jnp.array([2.0**-30]))
        Pair(high=Array([1.], dtype=float32), low=Array([-9.313226e-10], dtype=float32))
    """
    high = a - b
    lost = high - a
    return Pair(high, (a - (high - lost)) - (b + lost))


def add(a: Pair, b: Float[Array, "..."]) -> Pair:
    """a + b as a pair: the rounding errors of the sum are in its second number, themselves rounded."""
    return total(jnp.stack([a.high, b, a.low]))


def total(terms: Float[Array, "t ..."]) -> Pair:
    """The sum of arrays over the first axis, largest first, as a pair.

    Example:
        >>> total(jnp.array([1.0, 2.0**-30, -1.0]))
        Pair(high=Array(9.313226e-10, dtype=float32), low=Array(0., dtype=float32))
    """

    def body(so_far: Pair, term: Array) -> tuple[Pair, None]:
        high, error = difference(so_far.high, -term)
        return Pair(high, so_far.low + error), None

    zero = jnp.zeros_like(terms[0])
    high, low = lax.scan(body, loop_start(Pair(zero, zero), terms), terms)[0]
    return Pair(*difference(high, -low))


def cut(number: Pair, how: Slicing) -> Float[Array, "c ..."]:
    """The slices of a number, the most significant first: multiples of 2^−bits, 2^−2bits, …, whose sum it is.

    Args:
        number: of magnitude ≤ 4, float64, of any shape.
        how: how many slices, and of how many bits.
    """

    def body(left: Pair, unit: Array) -> tuple[Pair, Array]:
        part = jnp.round(left.high / unit) * unit
        # What is left of the first number is exact; as it shrinks, the second joins it.
        return Pair(*difference(left.high - part, -left.low)), part

    units = 2.0 ** (-how.bits * np.arange(1.0, how.slices + 1))
    return lax.scan(body, number, jnp.asarray(units, number.high.dtype))[1]


def product(a: Float[Array, "c ... k"], b: Float[Array, "c k m"], how: Slicing) -> Pair:
    """The matrix product of two sliced numbers: (..., k) @ (k, m), off by at most `how.error`.

    Args:
        a, b: slices (`cut`) of numbers of magnitude ≤ 4.
        how: the slicing of both, for k terms or more.

    Example:
        >>> with jax.enable_x64(True):
        ...     how = slicing(1)
        ...     third = cut(Pair(jnp.full((1, 1), 1 / 3), jnp.zeros((1, 1))), how)
        ...     high, low = product(third, third, how)
        >>> from fractions import Fraction
        >>> bool(abs(Fraction(float(high[0, 0])) + Fraction(float(low[0, 0])) - Fraction(1 / 3) ** 2) <= how.error)
        True
    """
    # All slices of b side by side: one product.
    beside = jnp.moveaxis(b, 0, 1).reshape(b.shape[1], -1)
    parts = jnp.matmul(a, beside, precision="highest").reshape(*a.shape[:-1], how.slices, b.shape[2])
    places = sorted((i + j, i, j) for i in range(how.slices) for j in range(how.slices - i))
    _, of_a, of_b = np.array(places).T
    # Slices of a and b ahead of all else, then the pairs of slices in order of size.
    return total(jnp.moveaxis(parts, -2, 0)[of_b, of_a])
