"""Prepare points for projections: place them in their frame once for many calls."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Float

from hullx.arguments import Numbers, check_numbers, finite_and_max, is_concrete
from hullx.core.coarse_start import for_many_queries
from hullx.core.hull import Hull, hull_of
from hullx.core.scores import GROUP
from hullx.inputs import numeric_array
from hullx.jax_settings import eagerly, with_jax_defaults
from hullx.numerics.conversion import upcast
from hullx.projection.arguments import check_points, constant
from hullx.types import Array

# Points are padded to one of few sizes, so that similar sizes share programs: powers of two up to TINY, four per octave up to
# SMALL, eight above. Not if that would copy more than COPIED_BYTES.
TINY, SMALL, COPIED_BYTES = 2**9, 2**14, 2**26
# Points of fewer columns than NARROW are padded to a power of two, FEWEST_COLUMNS or more.
NARROW, FEWEST_COLUMNS = 64, 8


@with_jax_defaults
def prepare(points: Float[Array, "n d"]) -> Hull:
    """The hull of points, prepared: `project`, `distance` and `sweep` accept it in place of the points.

    Each call with points first places them in a frame, which takes longer than projecting one query. A prepared hull does this
    once. Outside jit, for points of 384 coordinates or more on a CPU, it also holds their coordinates in the 252 directions of
    largest variance, for a coarse start of the search, and on processors with matrix units for bfloat16 (AMX) a rounded copy of
    half the size, which they score several times as fast.

    A hull is a pytree: it can be an argument of jitted functions. Distances to `prepare(points)` are differentiable in points.

    Args:
        points: one per row, (n, d), of any type that `project` accepts. NumPy float64 keeps full precision for every x64
            setting of JAX.

    Returns:
        A `Hull`, on JAX's default device.

    Raises:
        ArgumentTypeError, ArgumentError: (TypeError, ValueError) the points have a wrong type, dtype or shape, or (outside jit)
            are not finite or of a size that their dtype cannot compute with.

    Example:
        >>> hull = hullx.prepare(square)
        >>> hullx.distance(jnp.array([2.0, 0.5]), hull), jax.jit(hullx.distance)(jnp.array([2.0, 0.5]), hull)
        (Array(1.00000..., dtype=float32), Array(1.00000..., dtype=float32))
    """
    points = numeric_array("points", points)
    check_points(points)
    if is_concrete(points):
        with eagerly():
            return for_many_queries(on_device(points, np.dtype(jnp.promote_types(points.dtype, jnp.float32))))
    return traced(points, jax.dtypes.canonicalize_dtype(jnp.promote_types(points.dtype, jnp.float32)))


def traced(points: Array, dtype: np.dtype) -> Hull:
    """The hull of points under tracing, differentiable in its points."""
    points = upcast(points, dtype)
    return hull_of(constant(points), len(points), rows=len(points))._replace(points=points)


def on_device(points: Array, dtype: np.dtype, *, queries: int | None = None) -> Hull:
    """The padded hull of concrete points in a dtype that holds them, without principal directions; needs x64.

    Args:
        queries: number of queries if columns may be padded with zeros, which changes no distance; None if not.

    Raises:
        ArgumentError: the points are not finite or of a size that their dtype cannot compute with.
    """
    count, d = points.shape
    columns = d if queries is None else padded_columns(max(count, queries), d, dtype)
    rows = padded_size((count, columns), dtype)
    if isinstance(points, jax.Array) and (points.dtype != dtype or rows > count or columns > d):
        points = np.asarray(points)
    if isinstance(points, np.ndarray):
        points = np.asarray(points, dtype)
        if columns > d:
            points = np.pad(points, ((0, 0), (0, columns - d)))
        if rows > count:
            points = np.concatenate([points, np.broadcast_to(points[:1], (rows - count, points.shape[1]))])
        points = jax.device_put(points)
    hull, largest = _prepared(points, np.int32(count), rows=-(-rows // GROUP) * GROUP)
    seen = Numbers(np.isfinite(float(hull.frame.radius)), float(largest))
    # Compiled code flushes subnormal numbers to 0, and differences of finite numbers may overflow.
    check_numbers("points", seen if seen.finite and seen.largest else finite_and_max(np.asarray(points)), dtype)
    return hull._replace(points=points, n=count)


def padded_size(shape: tuple[int, ...], dtype: np.dtype) -> int:
    """The number of rows after padding.

    Example:
        >>> [padded_size(shape, np.dtype("float32")) for shape in ((100, 4), (1437, 64), (60_000, 784))]
        [128, 1536, 60000]
    """
    n, d = shape
    step = 2 ** (n.bit_length() - (3 if n < SMALL else 4))
    rows = max(2 ** (n - 1).bit_length(), 2 * GROUP) if n <= TINY else -(-n // step) * step
    return rows if rows * d * dtype.itemsize <= COPIED_BYTES else n


def padded_columns(rows: int, d: int, dtype: np.dtype) -> int:
    """The number of columns after padding: a power of two if they are few, so that tables of similar width share programs.

    Args:
        rows: number of points, or of queries if those are more.

    Example:
        >>> padded_columns(1000, 13, np.dtype("float32")), padded_columns(60_000, 784, np.dtype("float32"))
        (16, 784)
    """
    columns = max(2 ** (d - 1).bit_length(), FEWEST_COLUMNS)
    return columns if d < NARROW and rows * columns * dtype.itemsize <= COPIED_BYTES else d


@partial(jax.jit, static_argnames="rows")
def _prepared(points: Array, count: Array, *, rows: int) -> tuple[Any, Array]:
    hull = hull_of(points, count, rows=rows)
    # Omit the points to avoid a copy.
    return hull._replace(points=None), jnp.maximum(points.max(0), -points.min(0)).max()  # type: ignore[arg-type]


def in_dtype(hull: Hull, dtype: np.dtype) -> Hull:
    """A prepared hull with points in a dtype that holds them, and a frame in the widest available dtype."""
    wide, frame = jax.dtypes.canonicalize_dtype(np.float64), hull.frame
    if hull.points.dtype != dtype:
        centre = jnp.asarray(frame.centre).astype(dtype)
        hull, frame = hull._replace(points=lax.stop_gradient(upcast(hull.points, dtype))), frame._replace(centre=centre)
    if frame.scale.dtype != wide:
        frame = frame._replace(scale=jnp.asarray(frame.scale).astype(wide), radius=jnp.asarray(frame.radius).astype(wide))
    return hull._replace(frame=frame)
