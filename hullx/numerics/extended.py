"""Differences and products with about twice the digits of a dtype, by matrix products alone.

A number is cut into slices of few bits, multiples of 2^−b, 2^−2b, …. The product of two slices, summed over a block of an
inner dimension, then fits into the dtype's digits. It has no rounding error, in any order of summation (Ozaki, Ogita, Oishi
and Rump 2012, "Error-free transformations of matrix multiplication by using fast routines of matrix multiplication"). So
float32 gives about float64's digits where float64 is unavailable, and float64 gives about twice as many.

This requires IEEE arithmetic of the dtype, which CPUs and GPUs have. TPUs have it in float32, and emulate float64 with fewer
bits. In float32 slices have 8 bits, which bfloat16 holds.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import DTypeLike
from jaxtyping import Float

from hullx.numerics.norms import gamma
from hullx.types import Array, Count, Number

# Products of slices i and j are added as pairs if i + j is less than this.
LEADING = 4


class Pair(NamedTuple):
    """A number as the unevaluated sum of two of one shape; the second is a rounding error of the first."""

    high: Array
    low: Array


class Slicing(NamedTuple):
    """How to cut numbers of magnitude ≤ 1 into slices of a fixed number of bits; the last slice is the rounded rest.

    Attributes:
        bits: of each slice except the last; products of such slices are exact.
        slices: number of slices.
        block: maximum number of products of slices summed at once: block · 2^(2 bits) is at most 2^24, or 2^53.
    """

    bits: int
    slices: int
    block: int

    @property
    def rest(self) -> float:
        """The last slice's largest magnitude."""
        return 2.0 ** -(self.bits * (self.slices - 1))


def slicing(dtype: DTypeLike, slices: int = 5) -> Slicing:
    """The slicing of numbers of a dtype.

    Example:
        >>> slicing(jnp.float32)
        Slicing(bits=8, slices=5, block=256)
    """
    return Slicing(8, slices, 2**8) if np.dtype(dtype) == np.float32 else Slicing(20, slices, 2**13)


def product_error(
    a: Number, b: Number, terms: int, dtype: DTypeLike, how: Slicing, *, columns: int = 1, nonzero: Count | None = None
) -> Number:
    """An upper bound of the error of a `product`: of one entry, or the length of a row of errors.

    The N products of the first slices of all blocks are added as pairs. Their highs are added without error; the lows collect
    the N − 1 roundings, each at most u times a partial sum. Adding the lows costs N − 1 more roundings, each at most N u times
    that sum. Slices of one number add up to at most 1 + 2^−7 of it in magnitude, which a quarter more covers. The products of
    later slices, whose entries are at most 2^−(bits · LEADING), are added in the dtype. A product with a last slice has the
    rounding of that slice and of the sum over its block; the last slice is no larger than its number.

    Args:
        a, b: Euclidean norms of a row of the first factor, and of the second with all its columns.
        terms: length of the inner dimension.
        nonzero: maximum number of nonzero terms; None for all.
    """
    unit, blocks = float(jnp.finfo(dtype).eps) / 2, -(-terms // how.block)
    pairs = sum(i + j < LEADING for i in range(how.slices) for j in range(how.slices)) + 1
    most = terms if nonzero is None else nonzero
    rounded = gamma(smaller(most, how.block) + 4, dtype) * (how.rest * (1 + 2.0**-how.bits))
    lasts = a * smaller((most * columns) ** 0.5, b / how.rest) + b * smaller(most**0.5, a / how.rest)
    later = smaller(how.slices**2 * terms * columns**0.5 * 2.0 ** (-how.bits * LEADING), 1.25 * a * b)
    return 1.25 * (pairs * blocks * unit) ** 2 * a * b + float(gamma(how.slices**2, dtype)) * later + rounded * lasts


def smaller(a: Number | Count, b: Number | Count) -> Number | Count:
    """The smaller of two numbers, traced or not."""
    return min(a, b) if isinstance(a, float | int) and isinstance(b, float | int) else jnp.minimum(a, b)


def difference(a: Float[Array, "..."], b: Float[Array, "..."]) -> Pair:
    """a − b without error (Knuth 1969, "The Art of Computer Programming", volume 2, section 4.2.2, theorem B).

    Example:
        >>> difference(jnp.array([1.0]), jnp.array([2.0**-30]))
        Pair(high=Array([1.], dtype=float32), low=Array([-9.313226e-10], dtype=float32))
    """
    high = a - b
    lost = high - a
    return Pair(high, (a - (high - lost)) - (b + lost))


def total(terms: Float[Array, "t ..."]) -> Pair:
    """The sum of arrays over the first axis, as a pair.

    Example:
        >>> total(jnp.array([1.0, 2.0**-30, -1.0]))
        Pair(high=Array(9.313226e-10, dtype=float32), low=Array(0., dtype=float32))
    """

    def add(a: tuple[Array, Array], b: tuple[Array, Array]) -> tuple[Array, Array]:
        high, error = difference(a[0], -b[0])
        return high, error + (a[1] + b[1])

    zero = np.zeros((), terms.dtype)
    high, low = lax.reduce((terms, jnp.zeros_like(terms)), (zero, zero), add, (0,))
    return Pair(*difference(high, -low))


def cut(number: Pair, how: Slicing) -> Float[Array, "c ..."]:
    """The slices of a number, the most significant first: multiples of 2^−bits, 2^−2bits, …, and the rest.

    Each slice is the difference of two roundings of the number, to its own bits and to those of the slice before; it is exact.

    Args:
        number: of magnitude ≤ 1, of any shape.
    """
    dtype = number.high.dtype
    places = jnp.asarray(2.0 ** (how.bits * np.arange(1.0, how.slices)), dtype).reshape(-1, *[1] * number.high.ndim)

    def rounded(part: Array) -> Array:
        return jnp.round(part * places) / places

    highs, lows = rounded(number.high), rounded(number.low)
    ends = (number.high - highs[-1]) + (number.low - lows[-1])
    inner = (highs[1:] - highs[:-1]) + (lows[1:] - lows[:-1])
    return jnp.concatenate([highs[:1] + lows[:1], inner, ends[None]])


def product(a: Float[Array, "c n k"], b: Float[Array, "c k m"], how: Slicing) -> Pair:
    """The matrix product of two sliced numbers, (n, k) @ (k, m), up to `product_error`.

    Args:
        a, b: slices (`cut`) of numbers of magnitude ≤ 1.
        how: the slicing of both.

    Example:
        >>> how = slicing(jnp.float32)
        >>> third = cut(Pair(jnp.full((1, 1), 1 / 3), jnp.zeros((1, 1))), how)
        >>> high, low = product(third, third, how)
        >>> from fractions import Fraction
        >>> error = Fraction(float(high[0, 0])) + Fraction(float(low[0, 0])) - Fraction(float(np.float32(1 / 3))) ** 2
        >>> bool(abs(error) <= product_error(1 / 3, 1 / 3, 1, jnp.float32, how))
        True
    """
    c, blocks = len(a), [slice(i, i + how.block) for i in range(0, a.shape[2], how.block)]
    parts = [jnp.einsum("ink,jkm->ijnm", a[..., part], b[:, part], precision="highest") for part in blocks]
    first = np.add.outer(np.arange(c), np.arange(c)) < LEADING
    later = [part[~first].sum(0, keepdims=True) for part in parts if not first.all()]
    return total(jnp.concatenate([*(part[first] for part in parts), *later]))
