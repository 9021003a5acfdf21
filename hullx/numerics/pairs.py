"""Arithmetic on arrays or on pairs: a `Pair` has about twice the digits of its dtype.

Every function takes arrays, for which it is the ordinary operation, or pairs. An algorithm written with them runs in either.
Source: Dekker (1971), "A floating-point technique for extending the available precision"; a product has a relative error of a
few u², u the unit roundoff. Nothing certified rests on these error bounds.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from hullx.numerics import extended
from hullx.numerics.extended import Pair
from hullx.types import Array

# An array or a pair of them.
Numbers = Any


def high(numbers: Numbers) -> Array:
    """The numbers, rounded to their dtype."""
    return numbers.high if isinstance(numbers, Pair) else numbers


def epsilon(numbers: Numbers) -> float:
    """The relative spacing of these numbers: eps of an array's dtype, eps² of a pair's.

    Example:
        >>> epsilon(jnp.zeros(2)) ** 2 == epsilon(Pair(jnp.zeros(2), jnp.zeros(2)))
        True
    """
    eps = float(jnp.finfo(high(numbers).dtype).eps)
    return eps * eps if isinstance(numbers, Pair) else eps


def take(numbers: Numbers, index: Any) -> Numbers:
    """numbers[index]."""
    return jax.tree.map(lambda part: part[index], numbers)


def select(condition: Array, numbers: Numbers, other: float) -> Numbers:
    """The numbers where the condition holds, and another number elsewhere."""
    if isinstance(numbers, Pair):
        return Pair(jnp.where(condition, numbers.high, other), jnp.where(condition, numbers.low, 0))
    return jnp.where(condition, numbers, other)


def minus(a: Numbers, b: Numbers) -> Numbers:
    """a − b, a pair if a is one."""
    if not isinstance(a, Pair):
        return a - b
    b = b if isinstance(b, Pair) else Pair(b, jnp.zeros((), a.high.dtype))
    top, lost = extended.difference(a.high, b.high)
    return Pair(*extended.difference(top, -(lost + (a.low - b.low))))


def plus(a: Numbers, b: Numbers) -> Numbers:
    """a + b, a pair if a is one."""
    return minus(a, jax.tree.map(lambda part: -part, b))


def times(a: Numbers, b: Numbers) -> Numbers:
    """a · b, element by element; both arrays, or both pairs.

    Example:
        >>> third = jnp.float32(1 / 3)
        >>> times(Pair(third, jnp.float32(0)), Pair(third, jnp.float32(0)))  # 1/9 and what float32 leaves of it
        Pair(high=Array(0.111111..., dtype=float32), low=Array(..., dtype=float32))
    """
    if not isinstance(a, Pair):
        return a * b
    (a_top, a_rest), (b_top, b_rest) = _halves(a.high), _halves(b.high)
    # Products of halves are exact, so it makes no difference where a compiler contracts them with a sum. (The usual formula
    # subtracts the rounded product, which XLA may compute again, and not rounded.)
    middle, lost = extended.difference(a_top * b_rest, -(a_rest * b_top))
    product, rest = extended.difference(a_top * b_top, -middle)
    rest = rest + (lost + (a_rest * b_rest + (a.high * b.low + a.low * b.high)))
    return Pair(*extended.difference(product, -rest))


def reciprocal(numbers: Numbers) -> Numbers:
    """1 / numbers; for a pair by one step of Newton's."""
    if not isinstance(numbers, Pair):
        return 1 / numbers
    guess = 1 / numbers.high
    one = Pair(jnp.ones_like(guess), jnp.zeros_like(guess))
    error = minus(one, times(numbers, Pair(guess, jnp.zeros_like(guess))))
    return Pair(*extended.difference(guess, -(guess * error.high)))


def product(matrix: Numbers, vector: Numbers) -> Numbers:
    """The matrix (P, P) times the vector (P,)."""
    if not isinstance(matrix, Pair):
        return jnp.matmul(matrix, vector, precision="highest")
    terms = times(matrix, take(vector, None))
    total = extended.total(terms.high.T)
    return Pair(*extended.difference(total.high, -(total.low + terms.low.sum(1))))


def _halves(numbers: Array) -> tuple[Array, Array]:
    """Each number as the sum of two with half its digits: rounded to these, and the rest."""
    info = jnp.finfo(numbers.dtype)
    whole, cut = jnp.dtype(f"int{info.bits}"), info.nmant // 2 + 1
    bits = lax.bitcast_convert_type(numbers, whole) + jnp.asarray(1 << (cut - 1), whole)
    top = lax.bitcast_convert_type(bits & jnp.asarray(-(1 << cut), whole), numbers.dtype)
    return top, numbers - top
