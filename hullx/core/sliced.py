"""Residuals, scores and brackets in sliced numbers (`numerics.extended`): about twice the digits of float64.

At a distance of 1e-12 radii, a residual q − Σ w_i x_i summed in float64 has no more than four right digits, and neither has a
score ⟨x_j, r⟩. Here both are computed from the raw numbers without rounding errors that matter.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Float

from hullx.core.hull import Frame
from hullx.numerics import extended
from hullx.numerics.extended import Pair, Slicing
from hullx.numerics.norms import gamma, norm_bound, power_of_two
from hullx.types import Array

# Largest coordinate of a query, in the frame, for which products are exact (`extended.SPARE_BITS`).
NEAR = 2.0


def place(rows: Float[Array, "... d"], frame: Frame, how: Slicing) -> Float[Array, "c ... d"]:
    """Raw rows as slices of (x − centre) / scale, exactly."""
    high, low = extended.difference(rows, frame.centre)
    return extended.cut(Pair(high / frame.scale, low / frame.scale), how)


class Residual(NamedTuple):
    """r = q − p, and its slices once a power of two has brought its largest entry to about 1."""

    value: Pair
    enlarged: Float[Array, "c d"]
    factor: Float[Array, ""]


def residual(value: Pair, how: Slicing) -> Residual:
    """The residual from its value."""
    largest = jnp.abs(value.high).max()
    factor = 1 / power_of_two(largest)
    return Residual(value, extended.cut(Pair(value.high * factor, value.low * factor), how), factor)


def combined(weights: Float[Array, "s"], differences: Float[Array, "c s d"], how: Slicing) -> Pair:
    """Σ_i w_i (q − x_i)."""
    sliced = extended.cut(Pair(weights, jnp.zeros_like(weights)), how)
    high, low = extended.product(sliced[:, None], differences, how)
    return Pair(high[0], low[0])


def slabs(query: Float[Array, "c d"], rows: Float[Array, "c n d"], along: Residual, how: Slicing) -> Float[Array, "n"]:
    """⟨q − x_j, r⟩ times r's factor."""
    column = along.enlarged[..., None]
    ours, theirs = extended.product(query[:, None], column, how), extended.product(rows, column, how)
    terms = jnp.broadcast_arrays(ours.high, -theirs.high, ours.low, -theirs.low)
    return extended.total(jnp.stack(terms)).high[:, 0]


def bracket(along: Residual, largest_score: Array, travelled: Array, lost: Array, how: Slicing) -> tuple[Array, Array]:
    """‖r‖ and the slab along r, each with what its computation may be off by.

    ‖r‖ is that of weights that sum to 1 up to a few roundings for each of them, which are relative errors of r, as is the
    rounding of its norm. (Where a correction was cut short at weight 0 the sum is larger, and so is r.) An entry of r is off by
    what the slices leave out, and by the corrections' part of it, which is a sum in float64 of coordinates of q − x, at most
    NEAR + 1 each; a weight that rounding makes negative is less than u times the correction that did so.

    Any vector e proves a lower bound, ⟨q − x_j, e⟩ / ‖e‖ for the least j: here e is the sum of r's slices, of length ‖r‖ times
    the factor. Each of the two products of a score leaves something out, which three times the slicing's bound pays for.

    Args:
        travelled: sum of the lengths of the corrections, in weights.
        lost: to underflow (`certificate.underflow`).
    """
    value = along.value.high
    relative = 8 * gamma(how.terms + 8, value.dtype)
    rounded = gamma(2 * how.terms + how.slices + 8, value.dtype) * (NEAR + 1) * travelled
    upper = norm_bound(value) * (1 + relative) + (how.error + rounded) * len(value) ** 0.5 + lost
    slab = -largest_score * (1 - relative) - 3 * how.error
    lower = slab / (norm_bound(value) * along.factor) - lost
    return upper, jnp.where(lower > 0, lower, 0)
