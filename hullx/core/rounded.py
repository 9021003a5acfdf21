"""Points rounded to bfloat16: one product gives upper bounds of all scores, at a third to a fifth of the time in float32.

With x̂ and û rounded, ⟨x, u⟩ ≤ ⟨x̂, û⟩ + ‖x‖ ‖u − û‖ + ‖x − x̂‖ ‖û‖. Both norms of x are columns of the rounded points, and their
factors are entries of the rounded vector, so the product itself is the bound. Few points of a hull lie near the face next to a
query; the bounds exclude all others, and only the candidates are scored precisely.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import BFloat16, Float

from hullx.core.scores import in_chunks
from hullx.numerics.norms import gamma
from hullx.numerics.processor import multiplies_bfloat16, on_cpu
from hullx.types import Array

# Widths of the product are multiples of ALIGNED, the entries in a row of a matrix unit's tile.
ALIGNED = 32
# bfloat16 has 8 bits: a number is rounded by at most a factor 1 ± 2^−8. UP rounds up a number that is rounded afterwards.
UP = 1 + 2.0**-7
# The score of padding as nearest point: below all others, and finite, because 0 times infinity is NaN.
FARTHEST = -1e38
# In more dimensions than this, sums in float32 are too inexact for these bounds.
WIDEST = 2**19
# Rows that are rounded at a time.
CHUNK = 1024


def rounded_copy(placed: Array, half_squares: Array) -> Array | None:
    """`round_rows` where the processor multiplies bfloat16 fast, else None."""
    fast = on_cpu(placed) and multiplies_bfloat16() and placed.shape[1] <= WIDEST
    return round_rows(placed, half_squares) if fast else None


@jax.jit
def round_rows(placed: Float[Array, "n d"], half_squares: Float[Array, "n"]) -> BFloat16[Array, "n k"]:
    """The rows x̂, then −‖x‖²/2 in two columns, and upper bounds of ‖x‖ and of ‖x − x̂‖; zeros up to a multiple of ALIGNED.

    Args:
        placed: in a frame, float32.
        half_squares: ‖x‖²/2; infinite for padding.
    """
    return in_chunks((placed, half_squares), CHUNK, _round_some)


def _round_some(points: tuple[Array, Array]) -> Array:
    placed, half_squares = points
    d, real, rounded = placed.shape[1], jnp.isfinite(half_squares), _rounded(placed)
    # Squares below the smallest normal number are flushed to 0, and so are such entries of x̂.
    tiny = d * float(jnp.finfo(jnp.float32).tiny)
    up = UP * (1 + gamma(d + 8, jnp.float32))
    norm, error = (up * jnp.sqrt((rows * rows).sum(1) + tiny) for rows in (placed, placed - rounded))
    nearness = jnp.where(real, -half_squares, FARTHEST)
    columns = _rounded(nearness), nearness - _rounded(nearness), jnp.where(real, norm, 0), jnp.where(real, error, 0)
    beside = jnp.pad(jnp.stack(columns, 1), ((0, 0), (0, -(d + len(columns)) % ALIGNED)))
    return jnp.concatenate([rounded.astype(jnp.bfloat16), beside.astype(jnp.bfloat16)], 1)


def upper_scores(rows: BFloat16[Array, "n k"], directions: Float[Array, "b d"]) -> Float[Array, "b n"]:
    """Upper bounds of ⟨x_j, u⟩ for each direction u of length 1, float32.

    Args:
        rows: results of `round_rows`.
        directions: float32, in the frame.
    """
    d, rounded = directions.shape[1], _rounded(directions)
    lost = directions - rounded
    # The sum of the product is in float32. Its terms add up to less than 1.25 ‖x‖, and a product and a sum may round twice.
    error = 1.25 * gamma(2 * rows.shape[1] + 16, jnp.float32) + jnp.sqrt((lost * lost).sum(1)) * (1 + gamma(d + 8, jnp.float32))
    zero = jnp.zeros_like(error)
    factors = jnp.stack([zero, zero, UP * error, zero + UP**2], 1)
    return _product(rows, jnp.concatenate([rounded, factors], 1))


def rounded_nearness(rows: BFloat16[Array, "n k"], vectors: Float[Array, "b d"]) -> Float[Array, "b n"]:
    """−‖x_j − v‖²/2 up to a constant for each v, from rounded numbers.

    Args:
        rows: results of `round_rows`.
        vectors: float32, in the frame.
    """
    return _product(rows, jnp.concatenate([_rounded(vectors), jnp.ones_like(vectors[:, :2])], 1))


def _rounded(numbers: Array) -> Array:
    """The numbers rounded to bfloat16, in their own dtype. XLA may omit a conversion to bfloat16 and back."""
    return lax.reduce_precision(numbers, exponent_bits=8, mantissa_bits=7)


def _product(rows: Array, vectors: Array) -> Array:
    vectors = jnp.pad(vectors, ((0, 0), (0, rows.shape[1] - vectors.shape[1]))).astype(jnp.bfloat16)
    return jnp.einsum("bk,nk->bn", vectors, rows, preferred_element_type=jnp.float32)
