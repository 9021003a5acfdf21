"""Lossless conversion of arrays of any real dtype to a floating dtype."""

from __future__ import annotations

from typing import TypeAlias

import jax
import jax.core
import jax.numpy as jnp
import numpy as np

from hullx.errors import ArgumentTypeError

Numeric: TypeAlias = np.ndarray | jax.Array | jax.ShapeDtypeStruct

SINGLE, DOUBLE = np.dtype(np.float32), np.dtype(np.float64)
# Integers up to these sizes are exact: the significands of float32 and float64 have 24 and 53 bits.
EXACT = {SINGLE: 2**24, DOUBLE: 2**53}


def floating(name: str, array: Numeric) -> Numeric:
    """The same numbers in a floating dtype that holds them exactly; the array itself if it needs no conversion.

    - float16, bfloat16, float32 and float64 are kept; big-endian arrays are byte-swapped; float8 and narrower become float32.
    - Booleans and integers of up to 16 bits become float32.
    - Wider integers become float32 if it holds all values, else float64, after a pass over them. float64 arrays are NumPy
      arrays while x64 is off. The values of tracers and shape structs are unknown, so their 32-bit integers become float64,
      which needs x64.

    Raises:
        ArgumentTypeError: no such dtype exists.

    Example:
        >>> floating("points", jnp.array([1, 2**24 + 1]))
        array([1.0000000e+00, 1.6777217e+07])
    """
    dtype = array.dtype
    if jnp.issubdtype(dtype, jnp.integer) or dtype == np.bool:
        return _cast(array, _for_integers(name, array))
    if not jnp.issubdtype(dtype, jnp.floating):
        kind = getattr(dtype, "kind", "")  # JAX random keys have none
        remedy = f": convert with {name}.astype('float64')" if kind in tuple("OSTUMm") else ""
        if kind == "c":
            remedy = f": take {name}.real, or concatenate real and imaginary parts"
        raise ArgumentTypeError(f"{name}: got dtype {dtype}, expected real numbers{remedy}")
    if dtype.itemsize > 8:
        raise ArgumentTypeError(
            f"{name}: got dtype {dtype.str} (extended precision), expected float16, float32 or float64: "
            f"convert with {name}.astype('float64')"
        )
    if dtype.itemsize < 2:
        return _cast(array, SINGLE)
    return array if dtype.isnative else _cast(array, dtype.newbyteorder("="))


def check_exact(name: str, largest: int) -> None:
    """Check that float64 holds all integers up to a size.

    Raises:
        ArgumentTypeError: it does not.
    """
    if largest > EXACT[DOUBLE]:
        raise ArgumentTypeError(
            f"{name}: got an integer of size {largest}, expected at most 2**53, beyond which float64 skips some: "
            "subtract an offset from queries and points"
        )


def _for_integers(name: str, array: Numeric) -> np.dtype:
    bits = 1 if array.dtype == np.bool else jnp.iinfo(array.dtype).bits
    if bits <= 16 or 0 in array.shape:
        return SINGLE
    if not isinstance(array, jax.core.Tracer | jax.ShapeDtypeStruct):
        if bits == 64:
            array = np.asarray(array)  # JAX truncates 64 bits while x64 is off
        with jax.ensure_compile_time_eval():
            largest = max(-int(array.min()), int(array.max()))
        check_exact(name, largest)
        return SINGLE if largest <= EXACT[SINGLE] else DOUBLE
    x64 = jax.dtypes.canonicalize_dtype(DOUBLE) == DOUBLE
    if bits <= 32 and x64:
        return DOUBLE
    remedy = f"{name}.astype('float64'), exact up to 2**53"
    if not x64:
        remedy = f"{name}.astype('float32'), exact up to 2**24, or use jax.enable_x64"
    raise ArgumentTypeError(
        f"{name}: got {array.dtype} under jit, where its values are unknown, expected a floating dtype: convert with {remedy}"
    )


def _cast(array: Numeric, dtype: np.dtype) -> Numeric:
    if isinstance(array, jax.ShapeDtypeStruct):
        return array.update(dtype=dtype)
    if isinstance(array, jax.core.Tracer):
        return array.astype(dtype)
    if isinstance(array, jax.Array) and jax.dtypes.canonicalize_dtype(dtype) == dtype:
        with jax.ensure_compile_time_eval():  # keeps constants concrete under jit
            return array.astype(dtype)
    return np.asarray(array).astype(dtype)
