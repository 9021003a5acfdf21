"""What a projection is given, checked and brought into one form."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from hullx.arguments import check_array, check_count, check_numbers, check_share, known, look
from hullx.errors import ArgumentError
from hullx.numerics.conversion import widened
from hullx.solvers import Solver, resolve
from hullx.types import Array


def check(queries: Array, points: Array) -> np.dtype:
    """The floating dtype that the two arguments promote to: at least float32.

    Args:
        queries, points: what the user has given, of any type.

    Raises:
        ArgumentTypeError, ArgumentError: they cannot be projected; the message says what to change.
    """
    for name, value in (("queries", queries), ("points", points)):
        check_array(name, value)
    if points.ndim != 2:
        raise ArgumentError(f"points: got shape {points.shape}, expected (n, d): flatten each point to one row")
    if 0 in points.shape:
        raise ArgumentError(f"points: got shape {points.shape}, expected at least one point of at least one coordinate")
    if queries.ndim == 0 or queries.shape[-1] != points.shape[1]:
        raise ArgumentError(
            f"queries: got shape {queries.shape}, expected (..., {points.shape[1]}) to match points of shape {points.shape}: "
            "flatten queries and points in the same way"
        )
    return jnp.promote_types(jnp.promote_types(queries.dtype, points.dtype), jnp.float32)


def promoted(queries: Array, points: Array) -> tuple[Array, Array]:
    """The same as JAX arrays of one dtype.

    Raises:
        ArgumentTypeError, ArgumentError: they cannot be projected, or points are not finite or of a size that their dtype
            cannot compute with (where they are known: not under jit).
    """
    dtype = jax.dtypes.canonicalize_dtype(check(queries, points))
    if known(points):
        check_numbers("points", look(points), dtype)
    return widened(queries, dtype), widened(points, dtype)


def settings(solver: str | Solver, rtol: float, max_iter: int | None) -> tuple[Solver, float, int | None]:
    """The settings of a projection, the solver as an object.

    Raises:
        ArgumentTypeError, ArgumentError: one of them has a wrong type or value.
    """
    check_rtol(rtol)
    check_count("max_iter", max_iter, none="the solver's own limit")
    return resolve(solver), rtol, max_iter


def check_rtol(rtol: float) -> None:
    """Whether a relative width can be asked for: 0 ≤ rtol < 1.

    Raises:
        ArgumentTypeError, ArgumentError: it cannot.
    """
    check_share("rtol", rtol, remedy="1e-6 is a good choice")
