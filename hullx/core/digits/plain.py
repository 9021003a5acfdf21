"""Residuals and brackets in float64, from the raw numbers."""

from __future__ import annotations

import jax.numpy as jnp
from jax import lax

from hullx import certificate
from hullx.core.digits.digits import Refined, correction
from hullx.core.hull import Frame
from hullx.numerics.norms import norm_bound, unit
from hullx.types import Array

# Of the weights, each with scores anew: what the Gram matrix's rounding leaves of one takes another.
CORRECTIONS = 2


class Plain:
    """`Digits` of float64; `along` is the direction."""

    def refined(self, frame: Frame, query: Array, rows: Array, weights: Array, inverse: Array, gram: Array) -> Refined:
        """As `Digits`; `upper` is `certificate.upper_bound`."""
        weights = weights.astype(jnp.float64)
        weights = weights / weights.sum()
        # From the raw numbers, which are rounded once; placed ones would each bring their own rounding.
        data_dtype, query, rows = query.dtype, query.astype(jnp.float64), rows.astype(jnp.float64)
        differences = (query - rows) / frame.scale
        lost = certificate.underflow(len(query), len(weights), frame.scale, data_dtype, jnp.float64)

        def again(_: Array, weights: Array) -> Array:
            # ⟨x_i − p, r⟩ = ‖r‖² − ⟨q − x_i, r⟩, and a constant makes no difference.
            scores = -(differences @ (weights @ differences))
            weights = jnp.maximum(weights + correction(weights, scores, inverse, gram), 0)
            return weights / weights.sum()

        weights = lax.fori_loop(0, CORRECTIONS, again, weights)
        residual, upper = certificate.upper_bound(weights, differences, lost)
        direction = unit(residual)
        return Refined(weights, query - residual * frame.scale, direction, direction, upper)

    def slab(self, frame: Frame, query: Array, rows: Array, along: Array) -> Array:
        """As `Digits`."""
        d = len(query)
        placed = frame.place(query.astype(jnp.float64))
        lost = certificate.underflow(d, d, frame.scale, query.dtype, jnp.float64)
        error = certificate.score_error(d, norm_bound(placed) + frame.radius, jnp.float64) + lost
        largest = jnp.matmul(frame.place(rows.astype(jnp.float64)), along).max()
        return certificate.lower_bound(placed @ along, largest, error, d)
