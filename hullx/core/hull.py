"""The points that span a hull, in dimensionless coordinates."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Float, Int

from hullx.numerics.norms import gamma, power_of_two
from hullx.types import Array

# Number of rows whose mean is the centre; any rows suffice.
SAMPLE = 4096


class Frame(NamedTuple):
    """Dimensionless coordinates: (x − centre) / scale.

    Centring keeps rounding errors at the size of the hull (and first-order methods fast); the scale is a power of two, so
    dividing by it is exact, and puts every coordinate into [−1, 1]. The radius is an upper bound of the norms of placed points.
    """

    centre: Float[Array, "d"]  # of the points' dtype
    scale: Float[Array, ""]  # the scale and the radius in the widest dtype that there is
    radius: Float[Array, ""]

    def place(self, rows: Float[Array, "... d"]) -> Float[Array, "... d"]:
        """Rows in these coordinates, each number rounded once to their own dtype.

        Example:
            >>> Frame(jnp.array([1.0, 1.0]), jnp.array(2.0), jnp.array(1.0)).place(jnp.array([[1.0, 1.0], [3.0, 0.0]]))
            Array([[ 0. ,  0. ],
                   [ 1. , -0.5]], dtype=float32)
        """
        return (rows - self.centre.astype(rows.dtype)) / self.scale.astype(rows.dtype)


class Coarse(NamedTuple):
    """The points in few directions of largest variance (`core.coarse_start`).

    - basis: orthonormal directions, one per column.
    - rows, half_squares: as `Hull.placed` and its half squares, in these directions.
    """

    basis: Float[Array, "d k"]
    rows: Float[Array, "w k"]
    half_squares: Float[Array, "w"]


class Hull(NamedTuple):
    """The points that span a hull, prepared for projections by `hullx.prepare`.

    - points: raw; possibly padded with copies of the first.
    - placed: in the frame, in float32, the dtype of the products with all points; padded with zeros.
    - half_squares: ‖placed‖²/2; infinite for padding.
    - n: number of points.
    - frame: the coordinates of `placed`; its radius is NaN if the points are not finite.
    - coarse: for a coarse start in high dimension, or None.
    """

    points: Float[Array, "p d"]
    placed: Float[Array, "w d"]
    half_squares: Float[Array, "w"]
    n: Int[Array, ""] | int
    frame: Frame
    coarse: Coarse | None = None


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
    # Averaging differences to the first point keeps the average accurate far from the origin; in units of the largest, their
    # sum does not overflow.
    wide = jax.dtypes.canonicalize_dtype(np.float64)
    sample = points[:: max(1, len(points) // SAMPLE)]
    apart = sample - points[0]
    unit = power_of_two(jnp.abs(apart).max())
    centre = points[0] + (apart / unit).mean(0) * unit
    # The largest |x − centre|, for rounding is monotonic; differences of all points would be written down first.
    scale = power_of_two(jnp.maximum(points.max(0) - centre, centre - points.min(0)).max())
    placed = ((points - centre) / scale).astype(jnp.float32)
    placed = jnp.pad(placed, ((0, rows - len(points)), (0, 0)))
    # A padding row is the centre, which never scores above all points: it cannot displace the worst violator. It may be nearer
    # than all of them, and so lies at infinity where the nearest is asked for. Placed once, and not again for each use.
    real = jnp.arange(rows) < n
    placed = lax.optimization_barrier(jnp.where(real[:, None], placed, 0))
    squares = half_squares(placed)
    # No coordinate is above 1, and the largest about 1. A maximum may drop NaN: XLA's on a CPU does.
    radius = jnp.sqrt(2 * squares.max()) * (1 + gamma(points.shape[1] + 8, jnp.float32))
    radius = jnp.where(jnp.isfinite(squares).all(), radius, jnp.nan)
    frame = Frame(centre, scale.astype(wide), radius.astype(wide))
    return Hull(points, placed, jnp.where(real, squares, jnp.inf), n, frame)


def half_squares(placed: Float[Array, "n d"]) -> Float[Array, "n"]:
    """‖x‖²/2 of each row."""
    return (placed * placed).sum(1) / 2


# The same for points that are too many for copies of all of them, or come a piece at a time.


def centre_of(sample: np.ndarray) -> np.ndarray:
    """A centre for points, in their dtype: any near them will do, and a sample's mean is one.

    Args:
        sample: (k, d), k ≥ 1 of the points.
    """
    # Differences to a point stay accurate far from the origin.
    return sample[0] + (sample - sample[0]).mean(0, dtype=np.float64).astype(sample.dtype)


def spread(rows: Array, centre: np.ndarray) -> tuple[float, float]:
    """The largest coordinate of rows about a centre, and a close bound of the largest norm, NaN if some are not finite.

    Args:
        rows: (n, d), n ≥ 1, of NumPy or of JAX.
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
    """The frame of points that are spread so about a centre.

    Args:
        centre: (d,).
        largest, radius: what `spread` returns; their maxima, for points that come in pieces.
    """
    scale = _scale(largest, centre.dtype)
    return Frame(centre, np.float64(scale), np.float64(radius / scale))


def _scale(largest: float, dtype: np.dtype) -> float:
    """`power_of_two` in the points' dtype, as a number of Python's."""
    return float(jax.jit(power_of_two)(np.asarray(largest, dtype)))


# In the rows' own dtype and in two programs, or copies of all rows in float64 would be made on the way.
@jax.jit
def _largest(rows: Array, centre: Array) -> Array:
    return jnp.abs(rows - centre).max()


@jax.jit
def _largest_norm(rows: Array, centre: Array, unit: Array) -> Array:
    squares = (((rows - centre) / unit) ** 2).sum(1)
    # A maximum may drop NaN: XLA's on a CPU does.
    return jnp.where(jnp.isfinite(squares).all(), jnp.sqrt(squares.max()), jnp.nan)
