"""Arithmetic on arrays or on pairs: a `Pair` has about twice the digits of its dtype.

Every function takes arrays, with the ordinary operation, or pairs, so an algorithm written with them runs in both precisions.
Source: Dekker (1971), "A floating-point technique for extending the available precision". A product has a relative error of a
few u², u the unit roundoff. No certificate depends on these error bounds.
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
    """The relative spacing of the numbers: eps of an array's dtype, eps² of a pair's.

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


def plus(*numbers: Numbers) -> Numbers:
    """The sum, a pair if the first is one."""
    if not isinstance(numbers[0], Pair):
        return sum(numbers[1:], numbers[0])
    return _total([n.high if isinstance(n, Pair) else n for n in numbers], [n.low for n in numbers if isinstance(n, Pair)])


def minus(a: Numbers, *others: Numbers) -> Numbers:
    """a minus the others, a pair if a is one."""
    return plus(a, *(jax.tree.map(lambda part: -part, b) for b in others))


def times(a: Numbers, b: Numbers) -> Numbers:
    """a · b, element by element; both arrays, or both pairs.

    Example:
        >>> third = jnp.float32(1 / 3)
        >>> times(Pair(third, jnp.float32(0)), Pair(third, jnp.float32(0)))  # 1/9 and what float32 leaves of it
        Pair(high=Array(0.111111..., dtype=float32), low=Array(..., dtype=float32))
    """
    return _total(*_terms(a, b)) if isinstance(a, Pair) else a * b


def minus_times(a: Numbers, b: Numbers, c: Numbers) -> Numbers:
    """a − b · c, all arrays or all pairs; one sum instead of the two of `minus` and `times`."""
    if not isinstance(a, Pair):
        return a - b * c
    terms, rest = _terms(jax.tree.map(lambda part: -part, b), c)
    return _total([a.high, *terms], [a.low, *rest])


def reciprocal(numbers: Numbers) -> Numbers:
    """1 / numbers; for a pair by one Newton step."""
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
    terms, rest = _terms(matrix, take(vector, None))
    return extended.total(jnp.concatenate([term.T for term in (*terms, *rest)]))


def _terms(a: Pair, b: Pair) -> tuple[list[Array], list[Array]]:
    """Terms that add up to a · b: exact ones, and small ones with rounding errors.

    Products of halves are exact, so it does not matter whether a compiler contracts them with a sum. (The usual formula
    subtracts the rounded product, which XLA may recompute without rounding.)
    """
    (a_top, a_rest), (b_top, b_rest) = _halves(a.high), _halves(b.high)
    return [a_top * b_top, a_top * b_rest, a_rest * b_top], [a_rest * b_rest + (a.high * b.low + a.low * b.high)]


def _total(terms: list[Array], rest: list[Array]) -> Pair:
    """The sum of terms, and of small ones that may be added with rounding errors.

    One reduction compiles to one kernel, whereas each error-free difference would be a kernel of its own.
    """
    return extended.total(jnp.stack(jnp.broadcast_arrays(*terms, sum(rest[1:], rest[0]))))


def _halves(numbers: Array) -> tuple[Array, Array]:
    """Two numbers with half the digits that add up to each number: the rounded number and the rest."""
    info = jnp.finfo(numbers.dtype)
    whole, cut = jnp.dtype(f"int{info.bits}"), info.nmant // 2 + 1
    bits = lax.bitcast_convert_type(numbers, whole) + jnp.asarray(1 << (cut - 1), whole)
    top = lax.bitcast_convert_type(bits & jnp.asarray(-(1 << cut), whole), numbers.dtype)
    return top, numbers - top
