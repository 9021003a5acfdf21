"""Checks and conversion of the arguments of projections."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jax import lax

from hullx.arguments import check_count, check_share, check_width, is_concrete
from hullx.core.hull import Hull
from hullx.errors import ArgumentError
from hullx.inputs import numeric_array
from hullx.solvers import Solver, resolve
from hullx.types import Array


class Given(NamedTuple):
    """Queries and points as arrays of real floating numbers.

    - queries: (..., d).
    - points: (n, d), or a prepared hull.
    - dtype: their promoted dtype, at least float32.
    """

    queries: Array
    points: Array | Hull
    dtype: np.dtype

    @property
    def raw(self) -> Array:
        """The points, possibly padded."""
        return self.points.points if isinstance(self.points, Hull) else self.points

    @property
    def concrete(self) -> bool:
        """Whether all numbers are concrete, apart from derivatives."""
        return all(is_concrete(leaf) for leaf in jax.tree.leaves((constant(self.queries), constant(self.points))))

    @property
    def differentiated(self) -> bool:
        """Whether some numbers are traced."""
        return not all(is_concrete(leaf) for leaf in (self.queries, self.raw))


def given(queries: Any, points: Any) -> Given:
    """Check and convert queries and points of any numeric type.

    Raises:
        ArgumentTypeError, ArgumentError: they are invalid; the message says what to change.
    """
    queries = numeric_array("queries", queries)
    if not isinstance(points, Hull):
        points = numeric_array("points", points)
        check_points(points)
    raw = points.points if isinstance(points, Hull) else points
    if queries.ndim == 0 or queries.shape[-1] != raw.shape[1]:
        what = f"a prepared hull of {raw.shape[1]} coordinates" if isinstance(points, Hull) else f"points of shape {raw.shape}"
        raise ArgumentError(
            f"queries: got shape {queries.shape}, expected (..., {raw.shape[1]}) to match {what}: "
            "flatten queries and points in the same way"
        )
    return Given(queries, points, np.dtype(jnp.promote_types(jnp.promote_types(queries.dtype, raw.dtype), jnp.float32)))


def check_points(points: Array) -> None:
    """Check that points have shape (n, d) with n and d at least 1.

    Raises:
        ArgumentError: they do not.
    """
    if points.ndim != 2:
        raise ArgumentError(f"points: got shape {points.shape}, expected (n, d): flatten each point to one row")
    if 0 in points.shape:
        raise ArgumentError(f"points: got shape {points.shape}, expected at least one point of at least one coordinate")


def constant(value: Any) -> Any:
    """The value without its derivatives: concrete numbers under jax.grad alone."""
    return jax.tree.map(lambda leaf: lax.stop_gradient(leaf) if isinstance(leaf, jax.core.Tracer) else leaf, value)


def check_settings(solver: str | Solver, rtol: float, atol: float, max_iter: int | None) -> Solver:
    """Check the settings of a projection; return the solver object.

    Raises:
        ArgumentTypeError, ArgumentError: a setting has a wrong type or value.
    """
    check_tolerances(rtol, atol)
    check_count("max_iter", max_iter, none="the solver's own limit")
    return resolve(solver)


def check_tolerances(rtol: float, atol: float = 0.0) -> None:
    """Check that 0 ≤ rtol < 1 and 0 ≤ atol < ∞.

    Raises:
        ArgumentTypeError, ArgumentError: it is not.
    """
    check_share("rtol", rtol, remedy="1e-6 is a good choice")
    check_width("atol", atol, remedy="0 asks for the relative width alone")
