"""Residuals and brackets in float64, from the raw numbers."""

from __future__ import annotations

import jax.numpy as jnp
from jax import lax

from hullx import certificate
from hullx.core.hull import Frame
from hullx.core.pool.tableau import Solved
from hullx.core.precision.protocol import Refined, correction, without_noise
from hullx.numerics.loops import loop_start
from hullx.numerics.norms import norm_bound, unit
from hullx.numerics.pairs import Numbers
from hullx.types import Array

# Corrections of the weights, each with new scores: each leaves a small part, on images a sixtieth, of the error that the Gram
# matrix's rounding caused. After FEWEST more follow, up to MOST, if the support's scores before the last correction differed by
# more than ENOUGH tolerances.
FEWEST, MOST, ENOUGH = 2, 4, 4.0


class Float64:
    """`Precision` of float64; `along` is the direction."""

    def refine(self, frame: Frame, query: Array, rows: Array, solved: Solved, gram: Numbers, rtol: Array) -> Refined:
        """As `Precision`; `upper` is `certificate.upper_bound`."""
        weights = solved.weights.astype(jnp.float64)
        weights = weights / weights.sum()
        # From the raw numbers, so that each difference is rounded once; each placed number would add its own rounding.
        differences = (query - rows) / frame.scale
        data_dtype, scale = frame.centre.dtype, frame.scale
        lost = certificate.underflow(len(query), len(weights), scale, data_dtype, jnp.float64)

        def again(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
            corrections, weights, _ = state
            residual = weights @ differences
            # ⟨x_i − p, r⟩ = ‖r‖² − ⟨q − x_i, r⟩; a constant has no effect.
            scores = -(differences @ residual)
            most, less = (jnp.where(weights > 0, sign * scores, -jnp.inf).max() for sign in (1, -1))
            weights = without_noise(weights + correction(weights, scores, solved.inverse, gram), jnp.float64)
            more = most + less > ENOUGH * rtol * (residual @ residual)
            return corrections + 1, weights / weights.sum(), more

        def unfinished(state: tuple[Array, Array, Array]) -> Array:
            return (state[0] < FEWEST) | ((state[0] < MOST) & state[2])

        start = loop_start((jnp.zeros((), jnp.int32), weights, jnp.asarray(True)), weights, query, differences)
        _, weights, _ = lax.while_loop(unfinished, again, start)
        residual, upper = certificate.upper_bound(weights, differences, lost)
        direction = unit(residual)

        def reproduces(spread: Array) -> Array:
            place, terms = jnp.abs(query) / scale, (weights > 0).sum()
            return certificate.reproduces(residual, spread, place, terms, lost, data_dtype, jnp.float64)

        def exactly(turn: Array, _: Array) -> Array:
            # The barrier keeps XLA from moving the product out of the loop.
            _, sizes = lax.optimization_barrier((turn, differences))
            return reproduces(jnp.matmul(weights, jnp.abs(sizes), precision="highest"))

        # Few queries need this product: no entry of Σ w_i |q − x_i| is larger than this bound.
        possible = reproduces(1.01 * (jnp.abs(frame.place(query)) + frame.radius))
        inside = lax.fori_loop(0, jnp.where(possible, 1, 0), exactly, possible)
        return Refined(weights, query - residual * scale, direction, direction, upper, inside)

    def slab(self, frame: Frame, query: Array, rows: Array, along: Array) -> Array:
        """As `Precision`."""
        d = len(query)
        placed = frame.place(query)
        lost = certificate.underflow(d, d, frame.scale, frame.centre.dtype, jnp.float64)
        error = certificate.score_error(d, norm_bound(placed) + frame.radius, jnp.float64) + lost
        largest = jnp.matmul(frame.place(rows), along).max()
        return certificate.lower_bound(placed @ along, largest, error, d)
