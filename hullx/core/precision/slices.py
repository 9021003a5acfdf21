"""Residuals and brackets in sliced numbers (`numerics.extended`): up to twice the digits of the data.

In float32 no bracket of 784 coordinates is narrower than 1e-4. At a distance of 1e-12 radii, a residual q − Σ w_i x_i or a
score ⟨x_j, r⟩ summed in float64 has at most four correct digits. Here both are computed from the raw numbers with negligible
rounding errors. Weights are pairs too, because at such a distance 1e-16 of a weight matters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Float

from hullx import certificate
from hullx.core.hull import Frame
from hullx.core.pool.tableau import Solved
from hullx.core.precision.protocol import Refined, correction, without_noise
from hullx.numerics import extended
from hullx.numerics.extended import Pair, Slicing
from hullx.numerics.loops import loop_start
from hullx.numerics.norms import gamma, power_of_two
from hullx.numerics.pairs import Numbers
from hullx.types import Array

# Roundings of a bound's last sum and of the product that makes it safe, and one spare.
LAST = 3


class Along(NamedTuple):
    """A vector e, the residual r times a power of two that makes its largest entry about 1: r = e / factor.

    - slices: of e, which is their sum.
    - square, length: ‖e‖² and ‖e‖.
    """

    slices: Float[Array, "c d"]
    factor: Float[Array, ""]
    square: Pair
    length: Pair


class _Residual(NamedTuple):
    how: Slicing
    place: Pair  # the query's
    others: Pair  # the rows'
    sliced: Array
    value: Pair  # S q − Σ w_i x_i
    excess: Array  # S − 1


@dataclass(frozen=True)
class Slices:
    """`Precision` with a fixed number of slices of the arithmetic's dtype; `along` is an `Along`.

    Attributes:
        slices: number of slices of each number.
        corrections: of the weights, each with new scores: each removes most of the error that the Gram matrix's rounding left.
    """

    slices: int
    corrections: int

    def refine(self, frame: Frame, query: Array, rows: Array, solved: Solved, gram: Numbers, rtol: Array) -> Refined:
        """As `Precision`.

        With S = Σ w_i, r = S q − Σ w_i x_i is S times (q − a point of the hull), so the distance is at most ‖r‖ / S.
        """
        dtype, d = query.dtype, len(query)
        weights = without_noise(solved.weights.astype(dtype), dtype, 2)
        how, place, others, sliced, value, excess = self._residual(frame, query, rows, weights)
        # Corrections are too small for the weights' dtype to hold, and small enough that their part of r may be rounded. Far
        # from the centre, as beside one long row, most digits of a difference are in the low parts.
        differences, zero = (place.high - others.high) + (place.low - others.low), jnp.zeros((), dtype)

        def add(step: Array, state: tuple[Array, ...]) -> tuple[Array, ...]:
            high, low, added, moved, excess = state
            towards = jnp.matmul(step, differences, precision="highest")
            value = extended.total(jnp.stack([high, towards, low]))
            return *value, added + step, moved + jnp.abs(step).sum(), excess + step.sum()

        def again(_: Array, state: tuple[Array, ...]) -> tuple[Array, ...]:
            high, low, added, *_ = state
            return add(correction(weights + added, self._scores(sliced, Pair(high, low), weights), solved.inverse, gram), state)

        start = add(jnp.where(weights > 0, solved.rest, 0).astype(dtype), (*value, jnp.zeros_like(weights), zero, excess))
        high, low, added, moved, excess = lax.fori_loop(0, self.corrections, again, loop_start(start, weights, query))
        value = Pair(high, low)

        along, used = length_of(value, how), ((weights > 0) | (added != 0)).sum()
        eps, length = float(jnp.finfo(dtype).eps), along.length.high / along.factor
        # The query's distance from the centre is at most the hull's radius plus its distance, ‖r‖ / S with S > 1/2.
        magnitude, safe = 2.01 * frame.radius + 2.02 * length, jnp.where(length > 0, along.length.high, 1)
        # The error of r: of products and sums of pairs; the roundings of what the corrections add, and of the excess; the
        # rounding of the enlarged residual, whose length gives the bound, and that of its length; and underflow.
        off = extended.product_error(1.0, used**0.5 * frame.radius, len(weights), dtype, how, columns=d, nonzero=used)
        off = off + 40 * eps**2 * magnitude + 2 * gamma(len(weights) + 8, dtype) * moved * magnitude
        off = off + 4 * eps * jnp.abs(excess) * (magnitude + length)
        # The sum of k weights and −1: k errors of additions, each at most u times a partial sum of at most 2, are added with k
        # more roundings, k u · 2 k u in all (u is eps / 2; zeros are added without error).
        off = off + 0.6 * ((used + 1) * eps) ** 2 * magnitude
        off = off + eps * jnp.minimum(how.rest * d**0.5 / along.factor, length)
        off = off + extended.product_error(along.length.high, along.length.high, d, dtype, how) / (safe * along.factor)
        off = off + certificate.underflow(d, len(weights), frame.scale, frame.centre.dtype, dtype)
        # Divided by S, which is far from 1 only if a correction failed or a support outgrew its stage.
        total = 1 + excess
        share = excess / total
        upper = (length + (along.length.low / along.factor + off * (1 + jnp.abs(share)) - length * share)) * (
            1 + gamma(LAST, dtype)
        )
        upper = jnp.where(total > 0.5, upper, jnp.inf)
        spread = jnp.matmul(weights, jnp.abs(differences), precision="highest")
        lost = certificate.underflow(d, len(weights), frame.scale, frame.centre.dtype, dtype)
        scale = frame.scale.astype(dtype)
        # Slices have a fixed last place, so where one long row sets the scale, r is known less well than the q − x_i are. The
        # weights as they are returned must reproduce the query, too.
        weights = jnp.maximum(weights + added, 0)
        weights = weights / weights.sum()
        missed = jnp.maximum(jnp.abs(value.high / total), jnp.abs(jnp.matmul(weights, differences, precision="highest")))
        inside = certificate.reproduces(missed, spread, jnp.abs(query) / scale, used, lost, frame.centre.dtype, dtype)
        point = query - value.high / total * scale
        return Refined(weights, point, value.high * along.factor / safe, along, upper, inside)

    def scores(self, frame: Frame, query: Array, rows: Array, weights: Array) -> Pair:
        """⟨x_i, r⟩ of raw rows at weights on them, minus that of the heaviest row."""
        *_, sliced, value, _ = self._residual(frame, query, rows, weights)
        return self._scores(sliced, value, weights)

    def _residual(self, frame: Frame, query: Array, rows: Array, weights: Array) -> _Residual:
        how, place, others = extended.slicing(query.dtype, self.slices), place_exactly(query, frame), place_exactly(rows, frame)
        sliced = extended.cut(others, how)
        excess = extended.total(jnp.concatenate([weights, -jnp.ones(1, weights.dtype)])).high
        mixed = extended.product(extended.cut(Pair(weights, jnp.zeros_like(weights)), how)[:, None], sliced, how)
        terms = place.high, -mixed.high[0], excess * place.high, place.low, -mixed.low[0]
        return _Residual(how, place, others, sliced, extended.total(jnp.stack(terms)), excess)

    def _scores(self, sliced: Array, value: Pair, weights: Array) -> Pair:
        how = extended.slicing(value.high.dtype, self.slices)
        ahead, factor = enlarge(value, how)
        found = extended.product(sliced, ahead[..., None], how)
        high, low = (part[:, 0] for part in found)
        # Scores of a support differ by little, and only the differences matter.
        heaviest = weights.argmax()
        less = (jnp.broadcast_to(-part[heaviest], part.shape) for part in (high, low))
        return Pair(*(part / factor for part in extended.total(jnp.stack([high, low, *less]))))

    def slab(self, frame: Frame, query: Array, rows: Array, along: Along) -> Array:
        """As `Precision`."""
        return self.lower_bound(frame, query, self.slack(frame, query, rows, along).min(), along)

    def slack(self, frame: Frame, query: Array, rows: Array, along: Along) -> Float[Array, "c"]:
        """⟨q − x_j, e⟩ − ⟨r, e⟩ of raw rows: negative for rows inside the slab of width ‖r‖ between query and hull."""
        how = extended.slicing(query.dtype, self.slices)
        column = along.slices[..., None]
        ours, factor = enlarge(place_exactly(query, frame), how)
        ours = extended.product(ours[:, None], column, how)
        theirs = extended.product(extended.cut(place_exactly(rows, frame), how), column, how)
        square = Pair(*(part / along.factor for part in along.square))
        highs, lows = ((q[:, 0] / factor, -x[:, 0], -e) for q, x, e in zip(ours, theirs, square, strict=True))
        return extended.total(jnp.stack(jnp.broadcast_arrays(*highs, *lows))).high

    def lower_bound(self, frame: Frame, query: Array, least: Array, along: Along) -> Array:
        """A lower bound of the distance, from the least value of `slack`; 0 if the bound is negative.

        Any vector e proves the bound min_j ⟨q − x_j, e⟩ / ‖e‖, which is ‖r‖ plus the least value over ‖e‖. Its errors: those
        of the products with the query (made smaller by a power of two), with the rows, and with the residual (‖e‖² has this
        error once, ‖r‖ half of it); those of sums of pairs; and the roundings of the least value.
        """
        dtype, d = query.dtype, len(query)
        how, eps = extended.slicing(dtype, self.slices), float(jnp.finfo(dtype).eps)
        place, factor = place_exactly(query, frame).high, along.factor
        e = jnp.where(along.length.high > 0, along.length.high, 1)
        length, short = along.length.high / factor, least / e
        # The query's distance from the centre is at most the hull's radius plus its distance.
        size, enlarging = 1.01 * (frame.radius + length), power_of_two(jnp.abs(place).max())

        def error(of: Array) -> Array:
            return extended.product_error(of, e, d, dtype, how) / e

        off = error(size / enlarging) * enlarging + error(frame.radius) + 2 * error(e) / factor
        off = off + 36 * eps**2 * (size + frame.radius + 2 * length) + 4 * eps * jnp.abs(short)
        off = 1.01 * off + certificate.underflow(d, d, frame.scale, frame.centre.dtype, dtype)
        bound = (length + (along.length.low / along.factor + short - off)) * (1 - gamma(LAST, dtype))
        # A residual below the normal numbers could not be enlarged; its bound is vacuous.
        return jnp.where((bound > 0) & (along.length.high >= 0.25), bound, 0)


# Five slices have twice the digits of any dtype.
EXTENDED = Slices(5, 2)


def place_exactly(rows: Float[Array, "... d"], frame: Frame) -> Pair:
    """(x − centre) / scale of raw rows, without error."""
    high, low = extended.difference(rows, frame.centre.astype(rows.dtype))
    scale = frame.scale.astype(rows.dtype)
    return Pair(high / scale, low / scale)


def enlarge(value: Pair, how: Slicing) -> tuple[Float[Array, "c d"], Float[Array, ""]]:
    """Slices of a vector times the power of two that makes its largest entry about 1, and that power."""
    factor = 1 / power_of_two(jnp.abs(value.high).max())
    return extended.cut(Pair(value.high * factor, value.low * factor), how), factor


def length_of(value: Pair, how: Slicing) -> Along:
    """The residual enlarged, and its length."""
    slices, factor = enlarge(value, how)
    found = extended.product(slices[:, None], slices[..., None], how)
    square = Pair(found.high[0, 0], found.low[0, 0])
    root = jnp.sqrt(square.high)
    # The error of the root, by a Newton step. Its square is exact: products of halves of its digits are not rounded.
    half = power_of_two(root) * 2.0 ** -((jnp.finfo(root.dtype).nmant + 1) // 2)
    a = jnp.round(root / half) * half
    b = root - a
    lacking = extended.total(jnp.stack([square.high, -a * a, -2 * a * b, -b * b, square.low])).high
    return Along(slices, factor, square, Pair(root, lacking / jnp.where(root > 0, 2 * root, 1)))
