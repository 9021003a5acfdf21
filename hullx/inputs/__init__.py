"""Lossless conversion of user data to arrays of a real floating dtype; lossy conversions raise an error.

pandas, polars, PyTorch, SciPy and Flax objects are recognised by their attributes; the packages are never imported.
"""

from __future__ import annotations

import reprlib
from functools import reduce
from typing import Any

import jax
import jax.core
import jax.numpy as jnp
import numpy as np

from hullx.errors import ArgumentTypeError
from hullx.inputs.dtypes import Numeric, check_exact, floating
from hullx.inputs.tables import is_table, table_array

__all__ = ["numeric_array"]


def numeric_array(name: str, value: Any) -> Numeric:
    """The value as an array of a real floating dtype that holds all its numbers exactly.

    NumPy and JAX arrays of float16, bfloat16, float32 and float64 are returned unchanged, as are tracers and shape structs.
    Integers and booleans become float32 if that holds them exactly, else float64; see `dtypes.floating`.

    Args:
        name: the value's name in errors.
        value: an array, a number, nested lists of numbers, a DataFrame or Series of pandas or polars, an `nnx.Param`, or
            any object with `__jax_array__` or `__array__`. Missing values of tables become NaN.

    Raises:
        ArgumentTypeError: the value holds anything else, or integers that float64 cannot hold.

    Example:
        >>> numeric_array("points", [[0, 255], [3, 4]])
        array([[  0., 255.],
               [  3.,   4.]], dtype=float32)
        >>> numeric_array("points", [[0.5, 1.0], [2.0]])
        Traceback (most recent call last):
        hullx.errors.ArgumentTypeError: points: got parts of shapes (1,) and (2,), expected one shape:
        make all rows equally long
    """
    if isinstance(value, np.ma.MaskedArray):
        raise ArgumentTypeError(
            f"{name}: got a masked array, expected a plain one: fill it, {name}.filled(0), or drop masked rows"
        )
    if isinstance(value, bool | int | float | complex | np.generic | np.matrix):
        value = np.asarray(value)
    if isinstance(value, np.ndarray | jax.Array | jax.ShapeDtypeStruct):
        return floating(name, value)
    if isinstance(value, list | tuple | range) and not hasattr(value, "_fields"):
        return _sequence(name, value)
    return _foreign(name, value)


def _foreign(name: str, value: Any) -> Numeric:
    if is_table(value):
        return table_array(name, value)
    for dense in ("toarray", "todense"):
        if hasattr(value, dense):
            what = f"a sparse matrix ({type(value).__name__})"
            raise ArgumentTypeError(f"{name}: got {what}, expected a dense array: call {name}.{dense}()")
    if not isinstance(value, type):
        if hasattr(value, "__jax_array__"):
            return numeric_array(name, value.__jax_array__())
        if hasattr(value, "__array__") or hasattr(value, "__array_interface__"):
            return numeric_array(name, _as_numpy(name, value))
    if value is None or isinstance(value, str | bytes):
        raise ArgumentTypeError(f"{name}: got {reprlib.repr(value)}, expected numbers")
    raise ArgumentTypeError(f"{name}: got {type(value).__name__}, expected an array: convert with numpy.asarray")


def _sequence(name: str, value: list[Any] | tuple[Any, ...] | range) -> Numeric:
    if not len(value):
        return np.zeros(0, np.float32)
    if all(isinstance(each, bool | int | float | np.number | np.bool) for each in value):
        # NumPy converts integers beside floats, and those beyond 64 bits, to other types.
        whole = [int(each) for each in value if isinstance(each, int | np.integer)]
        check_exact(name, max(map(abs, whole), default=0))
        return floating(name, np.asarray(value))
    parts = [numeric_array(f"{name}[{i}]", each) for i, each in enumerate(value)]
    shapes = sorted({part.shape for part in parts})
    if len(shapes) > 1:
        raise ArgumentTypeError(
            f"{name}: got parts of shapes {shapes[0]} and {shapes[1]}, expected one shape: make all rows equally long"
        )
    if any(isinstance(part, jax.ShapeDtypeStruct) for part in parts):
        raise ArgumentTypeError(f"{name}: got a {type(value).__name__} of shape structs, expected one for the whole array")
    dtype = np.dtype(reduce(jnp.promote_types, [part.dtype for part in parts]))
    if any(isinstance(part, jax.core.Tracer) for part in parts):
        return jnp.stack([jnp.asarray(part, jax.dtypes.canonicalize_dtype(dtype)) for part in parts])
    return np.stack([np.asarray(part, dtype) for part in parts])


def _as_numpy(name: str, value: Any) -> np.ndarray:
    try:
        return np.asarray(value)
    except Exception as error:  # for example tensors on a GPU or with gradients; each library raises its own class
        remedy = "numpy.asarray"
        if type(value).__module__.partition(".")[0] == "torch":
            remedy = f"{name}.detach().cpu().{'float().' if 'bfloat16' in str(value.dtype) else ''}numpy()"
        reason = str(error).strip().partition("\n")[0].rstrip(".")
        raise ArgumentTypeError(
            f"{name}: got {type(value).__name__} that NumPy cannot read ({reason}), expected an array: convert with {remedy}"
        ) from error
