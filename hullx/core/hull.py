"""The points that span a hull, in dimensionless coordinates."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import BFloat16, Float, Int

from hullx.numerics.norms import gamma, power_of_two
from hullx.types import Array

# Number of rows whose mean is the centre; any rows suffice.
SAMPLE = 4096


class Frame(NamedTuple):
    """Dimensionless coordinates: (x − centre) / scale.

    Centring keeps rounding errors relative to the size of the hull, and first-order methods fast. The scale is a power of two,
    so dividing by it is exact; it brings every coordinate into [−1, 1]. The radius is an upper bound of placed points' norms.
    """

    centre: Float[Array, "d"]  # in the points' dtype
    scale: Float[Array, ""]  # scale and radius in the widest available dtype
    radius: Float[Array, ""]

    def place(self, rows: Float[Array, "... d"]) -> Float[Array, "... d"]:
        """Rows in these coordinates, each number rounded once to its dtype.

        Example:
            >>> Frame(jnp.array([1.0, 1.0]), jnp.array(2.0), jnp.array(1.0)).place(jnp.array([[1.0, 1.0], [3.0, 0.0]]))
            Array([[ 0. ,  0. ],
                   [ 1. , -0.5]], dtype=float32)
        """
        return (rows - self.centre.astype(rows.dtype)) / self.scale.astype(rows.dtype)


class Coarse(NamedTuple):
    """The points in the directions of largest variance (`core.coarse_start`).

    - basis: orthonormal directions, one per column.
    - rows, half_squares, rounded: as the hull's `placed`, `half_squares` and `rounded`, in these directions.
    """

    basis: Float[Array, "d k"]
    rows: Float[Array, "w k"]
    half_squares: Float[Array, "w"]
    rounded: BFloat16[Array, "w k"] | None = None


class Hull(NamedTuple):
    """The points that span a hull, prepared for projections by `hullx.prepare`.

    - points: raw; possibly padded with copies of the first.
    - placed: in the frame, in float32, the dtype of the products with all points; padded with zeros.
    - half_squares: ‖placed‖²/2; infinite for padding.
    - n: number of points.
    - frame: the coordinates of `placed`; its radius is NaN if the points are not finite.
    - coarse: for a coarse start in high dimension, or None.
    - rounded: for products in bfloat16, `core.rounded.round_rows`, or None.
    """

    points: Float[Array, "p d"]
    placed: Float[Array, "w d"]
    half_squares: Float[Array, "w"]
    n: Int[Array, ""] | int
    frame: Frame
    coarse: Coarse | None = None
    rounded: BFloat16[Array, "w k"] | None = None


def hull_of(points: Float[Array, "p d"], n: Int[Array, ""] | int, *, rows: int) -> Hull:
    """The hull of points, as a pure function; its radius is NaN if they are not finite.

    Args:
        points: one per row, floating point; possibly padded with copies of the first.
        n: number of points.
        rows: rows of `placed`, at least those of the points.

    Example:
        >>> hull = hull_of(jnp.array([[10.0, 0.0], [14.0, 0.0], [12.0, 3.0]]), 3, rows=4)
        >>> hull.frame.centre, hull.frame.scale, hull.placed[0]
        (Array([12.,  1.], dtype=float32), Array(4., dtype=float32), Array([-0.5 , -0.25], dtype=float32))
    """
    # Averaging differences to the first point keeps the average accurate far from the origin. In units of the largest
    # difference, the sum does not overflow.
    wide = jax.dtypes.canonicalize_dtype(np.float64)
    sample = points[:: max(1, len(points) // SAMPLE)]
    differences = sample - points[0]
    unit = power_of_two(jnp.abs(differences).max())
    centre = points[0] + (differences / unit).mean(0) * unit
    # The largest |x − centre|, because rounding is monotonic; this avoids an array of all differences.
    scale = power_of_two(jnp.maximum(points.max(0) - centre, centre - points.min(0)).max())
    placed = ((points - centre) / scale).astype(jnp.float32)
    placed = jnp.pad(placed, ((0, rows - len(points)), (0, 0)))
    # Padding rows are the centre, which scores above all points by rounding at most, beside a flat hull; stages with more
    # precision leave them out. They may be nearer than all points, so their half squares are infinite. The barrier prevents
    # placing the points again for each use.
    real = jnp.arange(rows) < n
    placed = lax.optimization_barrier(jnp.where(real[:, None], placed, 0))
    squares = half_squares(placed)
    # The largest coordinate is about 1, so its square neither overflows nor underflows. XLA's maximum on a CPU drops NaN.
    radius = jnp.sqrt(2 * squares.max()) * (1 + gamma(points.shape[1] + 8, jnp.float32))
    radius = jnp.where(jnp.isfinite(squares).all(), radius, jnp.nan)
    frame = Frame(centre, scale.astype(wide), radius.astype(wide))
    return Hull(points, placed, jnp.where(real, squares, jnp.inf), n, frame)


def half_squares(placed: Float[Array, "n d"]) -> Float[Array, "n"]:
    """‖x‖²/2 of each row."""
    return (placed * placed).sum(1) / 2


# The same for points that exceed memory when copied, or come in chunks.


def centre_of(sample: np.ndarray) -> np.ndarray:
    """The mean of a sample of the points, in their dtype; any nearby centre suffices.

    Args:
        sample: (k, d), k ≥ 1 of the points.
    """
    # Differences to a point stay accurate far from the origin.
    return sample[0] + (sample - sample[0]).mean(0, dtype=np.float64).astype(sample.dtype)


def spread(rows: Array, centre: np.ndarray) -> tuple[float, float]:
    """The largest |coordinate| of rows about a centre, and a tight upper bound of the largest norm; NaN if not finite.

    Args:
        rows: (n, d), n ≥ 1, NumPy or JAX.
        centre: (d,), of the same dtype.

    Example:
        >>> largest, norm = spread(np.array([[3.0, 4.0], [0.0, 1.0]], np.float32), np.zeros(2, np.float32))
        >>> largest, 5 <= norm < 5.001
        (4.0, True)
    """
    largest = float(_largest(rows, centre))
    scale = _scale(largest, rows.dtype)
    norm = float(_largest_norm(rows, centre, rows.dtype.type(scale)))
    return largest, norm * scale * (1 + float(gamma(rows.shape[1] + 8, rows.dtype)))


def frame_of(centre: np.ndarray, largest: float, radius: float) -> Frame:
    """The frame of points with a given centre and spread.

    Args:
        centre: (d,).
        largest, radius: results of `spread`; their maxima over all chunks.
    """
    scale = _scale(largest, centre.dtype)
    return Frame(centre, np.float64(scale), np.float64(radius / scale))


def _scale(largest: float, dtype: np.dtype) -> float:
    """`power_of_two` in the points' dtype, as a Python number."""
    return float(jax.jit(power_of_two)(np.asarray(largest, dtype)))


# In the rows' own dtype and in two programs, to avoid copies of all rows in float64.
@jax.jit
def _largest(rows: Array, centre: Array) -> Array:
    return jnp.abs(rows - centre).max()


@jax.jit
def _largest_norm(rows: Array, centre: Array, unit: Array) -> Array:
    squares = (((rows - centre) / unit) ** 2).sum(1)
    # XLA's maximum on a CPU drops NaN.
    return jnp.where(jnp.isfinite(squares).all(), jnp.sqrt(squares.max()), jnp.nan)
