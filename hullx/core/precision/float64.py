"""Residuals and brackets in float64, from the raw numbers."""

from __future__ import annotations

import jax.numpy as jnp
from jax import lax

from hullx import certificate
from hullx.core.hull import Frame
from hullx.core.pool.tableau import Solved
from hullx.core.precision.protocol import Refined, correction, without_noise
from hullx.numerics.norms import norm_bound, unit
from hullx.numerics.pairs import Numbers
from hullx.types import Array

# Corrections of the weights, each with new scores: each removes most of the error that the Gram matrix's rounding left.
CORRECTIONS = 2


class Float64:
    """`Precision` of float64; `along` is the direction."""

    def refine(self, frame: Frame, query: Array, rows: Array, solved: Solved, gram: Numbers) -> Refined:
        """As `Precision`; `upper` is `certificate.upper_bound`."""
        weights = solved.weights.astype(jnp.float64)
        weights = weights / weights.sum()
        # From the raw numbers, so that each difference is rounded once; each placed number would add its own rounding.
        differences = (query - rows) / frame.scale
        data_dtype, scale = frame.centre.dtype, frame.scale
        lost = certificate.underflow(len(query), len(weights), scale, data_dtype, jnp.float64)

        def again(_: Array, weights: Array) -> Array:
            # ⟨x_i − p, r⟩ = ‖r‖² − ⟨q − x_i, r⟩; a constant has no effect.
            scores = -(differences @ (weights @ differences))
            weights = without_noise(weights + correction(weights, scores, solved.inverse, gram), jnp.float64)
            return weights / weights.sum()

        weights = lax.fori_loop(0, CORRECTIONS, again, weights)
        residual, upper = certificate.upper_bound(weights, differences, lost)
        direction = unit(residual)
        spread = jnp.matmul(weights, jnp.abs(differences), precision="highest")
        inside = certificate.reproduces(
            residual, spread, jnp.abs(query) / scale, (weights > 0).sum(), lost, data_dtype, jnp.float64
        )
        return Refined(weights, query - residual * scale, direction, direction, upper, inside)

    def slab(self, frame: Frame, query: Array, rows: Array, along: Array) -> Array:
        """As `Precision`."""
        d = len(query)
        placed = frame.place(query)
        lost = certificate.underflow(d, d, frame.scale, frame.centre.dtype, jnp.float64)
        error = certificate.score_error(d, norm_bound(placed) + frame.radius, jnp.float64) + lost
        largest = jnp.matmul(frame.place(rows), along).max()
        return certificate.lower_bound(placed @ along, largest, error, d)
