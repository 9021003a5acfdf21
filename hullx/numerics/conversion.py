"""Lossless conversion between floating dtypes."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import lax

from hullx.types import Array


def upcast(numbers: Array, dtype: np.dtype) -> Array:
    """The same numbers in a wider dtype, including subnormal numbers; differentiable.

    A subnormal float32 is a normal float64, but a processor that flushes subnormal numbers to 0 does that before converting.

    Args:
        numbers: float16, bfloat16, float32 or float64, of any shape.
        dtype: at least as wide; float64 needs jax.enable_x64.

    Example:
        >>> with jax.enable_x64(True):
        ...     upcast(np.array([0.5, 1e-40], np.float32), np.dtype(np.float64))
        Array([5.00000...e-01, 9.9999...e-41], dtype=float64)
    """
    numbers = jnp.asarray(numbers)
    wide = numbers.astype(dtype)
    if dtype != jnp.float64 or numbers.dtype not in (jnp.float32, jnp.bfloat16):
        return wide  # subnormal float16 numbers are normal in float32; float32 to float32 changes nothing
    bits = lax.bitcast_convert_type(lax.stop_gradient(numbers), jnp.uint32 if numbers.dtype == jnp.float32 else jnp.uint16)
    # bfloat16 is float32 without its last 16 bits.
    bits = bits.astype(jnp.uint32) << (0 if numbers.dtype == jnp.float32 else 16)
    # With exponent 0, the significand counts multiples of 2^−149.
    size = (bits & 0x7FFFFF).astype(jnp.float64) * 2.0**-149
    tiny = jnp.where(bits >> 31 == 0, size, -size)
    return wide + lax.stop_gradient(jnp.where((bits >> 23) & 0xFF == 0, tiny - wide, 0))
