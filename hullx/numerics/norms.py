"""Norms without overflow or underflow, and bounds of their rounding errors."""

from __future__ import annotations

import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike
from jaxtyping import Float

from hullx.types import Array


def gamma(operations: int | Array, dtype: DTypeLike) -> float | Array:
    """γ_k = k u / (1 − k u): relative error bound of a sum of k rounded products in any order (Higham 2002, eq. 3.4).

    Infinite if k u ≥ 1.

    Args:
        operations: k ≥ 0, a number or an array.
        dtype: its unit roundoff is u: 2^−24 for float32, 2^−53 for float64.

    Example:
        >>> gamma(10, jnp.float32), gamma(2**24, jnp.float32)
        (5.96...e-07, inf)
    """
    error = operations * (float(jnp.finfo(dtype).eps) / 2)
    if isinstance(error, float):
        return error / (1 - error) if error < 1 else float("inf")
    return jnp.where(error < 1, error / jnp.where(error < 1, 1 - error, 1), jnp.inf)


def power_of_two(magnitude: Float[Array, "..."]) -> Float[Array, "..."]:
    """The least power of two above a magnitude, and 1 for 0; dividing by it is exact.

    Near the ends of the dtype's range, it is the last power whose reciprocal is also normal, because compiled code replaces
    divisions by multiplications with the reciprocal and flushes subnormal numbers to 0.

    Args:
        magnitude: ≥ 0.

    Example:
        >>> power_of_two(jnp.array([0.0, 0.75, 1.0, 5.0]))
        Array([1., 1., 2., 8.], dtype=float32)
    """
    info = jnp.finfo(magnitude.dtype)
    whole = jnp.dtype(f"int{info.bits}")
    # Uses the exponent's bits, so it does not depend on the accuracy of library functions.
    exponent = lax.shift_right_logical(lax.bitcast_convert_type(magnitude, whole), jnp.asarray(info.nmant, whole)) + 1
    bias = 1 - info.minexp
    exponent = jnp.clip(exponent, info.minexp + 1 + bias, info.maxexp - 2 + bias)
    power = lax.bitcast_convert_type(lax.shift_left(exponent, jnp.asarray(info.nmant, whole)), magnitude.dtype)
    return jnp.where(magnitude > 0, power, 1)


def norm(vectors: Float[Array, "... d"]) -> Float[Array, "..."]:
    """Euclidean norm over the last axis, safe against overflow and underflow, with gradient 0 (not NaN) at zero.

    Example:
        >>> norm(jnp.array([[3e30, 4e30], [0.0, 0.0]]))
        Array([5.e+30, 0.e+00], dtype=float32)
    """
    scale = power_of_two(lax.stop_gradient(jnp.abs(vectors).max(-1, keepdims=True)))
    squares = ((vectors / scale) ** 2).sum(-1)
    # NaN must stay NaN.
    zero = squares == 0
    return jnp.where(zero, 0, jnp.sqrt(jnp.where(zero, 1, squares))) * scale[..., 0]


def norm_bound(vectors: Float[Array, "... d"]) -> Float[Array, "..."]:
    """An upper bound of the norm: `norm` plus a bound of its rounding error.

    Squaring costs each term 1 u; summing d terms costs at most d − 1 more. The root halves that and adds one rounding, and so
    does this product: d/2 + 2. Two more are for sums of such bounds.

    Example:
        >>> bool(5 < norm_bound(jnp.array([3.0, 4.0])) < 5.00001)
        True
    """
    return norm(vectors) * (1 + gamma(vectors.shape[-1] / 2 + 4, vectors.dtype))


def unit(vectors: Float[Array, "... d"]) -> Float[Array, "... d"]:
    """vectors / ‖vectors‖, or zero if the norm is 0. The length is 1 up to γ_(d/2+4).

    Example:
        >>> unit(jnp.array([[3e30, 4e30], [0.0, 0.0]])).round(6)
        Array([[0.6, 0.8],
               [0. , 0. ]], dtype=float32)
    """
    scaled = vectors / power_of_two(jnp.abs(vectors).max(-1, keepdims=True))
    length = jnp.sqrt((scaled**2).sum(-1, keepdims=True))
    return scaled / jnp.where(length > 0, length, 1)
