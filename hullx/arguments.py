"""Argument checks. Each error names the argument, its value, the expected value and a remedy."""

from __future__ import annotations

import operator
from typing import Any, NamedTuple

import jax
import jax.core
import jax.numpy as jnp
import numpy as np

from hullx.errors import ArgumentError, ArgumentTypeError
from hullx.types import Array


def check_array(name: str, value: Any) -> None:
    """Check that a value is an array of a real floating dtype supported by JAX.

    Raises:
        ArgumentTypeError: it is not.
    """
    remedy = "convert with numpy.asarray"
    if isinstance(value, np.ma.MaskedArray):
        raise ArgumentTypeError(
            f"{name}: got a masked array, expected a plain one: fill it, {name}.filled(0), or drop masked rows"
        )
    if not isinstance(value, np.ndarray | np.generic | jax.Array | jax.ShapeDtypeStruct):
        raise ArgumentTypeError(f"{name}: got {type(value).__name__}, expected an array: {remedy}")
    dtype = value.dtype
    if not jnp.issubdtype(dtype, jnp.floating):
        raise ArgumentTypeError(
            f"{name}: got dtype {dtype}, expected a real floating dtype: convert with {name}.astype('float32')"
        )
    if not isinstance(value, jax.Array) and (dtype.itemsize > 8 or not dtype.isnative):
        what = "big-endian" if not dtype.isnative else "extended precision"
        raise ArgumentTypeError(
            f"{name}: got dtype {dtype.str} ({what}), expected float16, float32 or float64 in this machine's byte order: "
            f"convert with {name}.astype('float64')"
        )


class Numbers(NamedTuple):
    """Whether an array is finite, and its largest magnitude."""

    finite: bool
    largest: float


def finite_and_max(value: Array) -> Numbers:
    """Whether an array (n, d), n ≥ 1, is finite, and its largest magnitude."""
    if isinstance(value, jax.Array):
        with jax.ensure_compile_time_eval():
            finite, largest = map(float, _look(value))
        if not finite or largest > 0:
            return Numbers(bool(finite), largest)
        value = np.asarray(value)  # compiled code flushes subnormal numbers to 0
    # NumPy's extremes propagate NaN and infinity, without a copy of the array.
    largest = float(np.max([value.max(), -value.min()]))
    return Numbers(bool(np.isfinite(largest)), largest)


@jax.jit
def _look(value: Array) -> tuple[Array, Array]:
    # XLA's maximum on a CPU may drop NaN.
    return jnp.isfinite(value).all(), jnp.abs(value).max()


def check_numbers(name: str, seen: Numbers, dtype: np.dtype) -> None:
    """Check that numbers are finite, and that their differences neither overflow nor underflow.

    Raises:
        ArgumentError: they are not finite, or differences may overflow or underflow.
    """
    limits = jnp.finfo(dtype)
    if not seen.finite:
        raise ArgumentError(
            f"{name}: got NaN or infinity, expected finite numbers: drop those rows, {name}[isfinite({name}).all(1)]"
        )
    if seen.largest > float(limits.max) / 8:
        what = f"numbers as large as {seen.largest:.0e}, too large for {limits.dtype}: divide"
    elif 0 < seen.largest < float(limits.tiny) / float(limits.eps):
        what = f"no number larger than {seen.largest:.0e}, too small for {limits.dtype} to compute with: multiply"
    else:
        return
    other = ", or use float64" if limits.bits < 64 else ""
    raise ArgumentError(f"{name}: got {what} queries and points by a power of two{other}")


def is_concrete(value: Any) -> bool:
    """Whether a value is concrete, not a tracer or a shape struct."""
    return not isinstance(value, jax.core.Tracer | jax.ShapeDtypeStruct)


def check_share(name: str, value: Any, *, remedy: str) -> None:
    """Check that a number is at least 0 and below 1, unless it is a tracer.

    Raises:
        ArgumentTypeError: the value is not a number.
        ArgumentError: the number is outside [0, 1) or NaN.
    """
    _check_number(name, value, 1.0, "0 or more and less than 1", remedy)


def check_width(name: str, value: Any, *, remedy: str) -> None:
    """Check that a number is at least 0 and finite, unless it is a tracer.

    Raises:
        ArgumentTypeError: the value is not a number.
        ArgumentError: the number is negative, infinite or NaN.
    """
    _check_number(name, value, float("inf"), "0 or more, and finite", remedy)


def _check_number(name: str, value: Any, end: float, expected: str, remedy: str) -> None:
    if not is_concrete(value):
        return
    if isinstance(value, bool) or not isinstance(value, int | float | np.number | np.ndarray | jax.Array) or np.ndim(value):
        raise ArgumentTypeError(f"{name}: got {_shown(value)}, expected one number: {remedy}")
    try:
        number = float(value)
    except OverflowError:  # an integer beyond float64
        number = float("inf")
    if not 0 <= number < end:
        raise ArgumentError(f"{name}: got {value}, expected {expected}: {remedy}")


def check_count(name: str, value: Any, *, least: int = 1, none: str = "") -> None:
    """Check that a value is an integer of at least `least`, unless it is a tracer.

    Args:
        none: the meaning of None, if None is allowed.

    Raises:
        ArgumentTypeError: the value is not an integer.
        ArgumentError: the integer is too small.
    """
    if not is_concrete(value) or (none and value is None):
        return
    expected = f"expected an integer of at least {least}" + (f", or None for {none}" if none else "")
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool):
        raise ArgumentTypeError(f"{name}: got {_shown(value)}, {expected}: convert with int({name})")
    if number < least:
        raise ArgumentError(f"{name}: got {number}, {expected}: raise it")


def _shown(value: Any) -> str:
    return repr(value) if isinstance(value, int | float | str | None) else type(value).__name__
