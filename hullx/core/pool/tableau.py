"""Lawson and Hanson's active set on a pool, as pivots of one symmetric tableau.

With S the rows in use, p their point nearest to the query over S's affine hull, and t_i = ⟨x_i − p, r⟩ for all rows of the
pool, the optimality conditions over weights that sum to 1 are a linear system whose tableau holds

    in S × S    −N, N the inverse of their Gram matrix among weights that sum to 0: N1 = 0;
    beside S    the affine coefficients, on S, of the other rows' projections onto S's affine hull;
    elsewhere   the products of what is left of the other rows: on the diagonal their squared distances from that hull;
    value       the weights of p on S, and t_i less the common t of S elsewhere: positive where a row violates.

A row enters, and a row leaves, by one and the same pivot: T ← T − uuᵀ/π − 2σ eeᵀ with π = T_pp, u = T_p − σe, σ = 1 or −1
(Goodnight 1979, "A tutorial on the SWEEP operator"). A step costs P² operations, and no LAPACK, whose batched kernels keep
programs that run side by side on a CPU from doing so.

Rounding errors gather in the tableau. The values begin as corrections of weights and scores at hand, so that theirs are
proportional to what is still wrong; and the next round starts from the rows again. A support that is nearly affinely dependent
is for `factored`.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Float, Int

from hullx.core.pool.equations import Equations
from hullx.core.pool.factored import PIVOT_ULPS
from hullx.numerics.loops import loop_start
from hullx.types import Array, Count

# Most steps for each row of a pool: a healthy solve takes fewer than one.
STEPS = 4
# At most so much above the support's scores is rounding and no violation, in units in the last place of the largest squared
# distance. Scores are off by a few such units at most and far less as a rule; what violates by less is found no more, and a row
# that enters for nothing gets no weight.
NOISE_ULPS = 0.25
# A row is well independent of others where its squared distance from their affine hull is over eps^(1/2) of that from the first
# row, half of the digits: however many rounding errors their tableau has gathered, they do not make up so much.
NEAR = 0.5


class Solved(NamedTuple):
    """Weights on a pool of P rows.

    - weights: (P,) ≥ 0, sum to 1.
    - inverse: (P, P), N of the rows in use, 0 elsewhere.
    - steps: rows that entered or left.
    """

    weights: Float[Array, "P"]
    inverse: Float[Array, "P P"]
    steps: Int[Array, ""]


# What a row of the pool is.
CLOSED, OPEN, USED = range(3)


class _State(NamedTuple):
    table: Array  # (P, P)
    sides: Array  # (P, 3): value, weight, kind
    steps: Array
    going: Array


def solve_pool(pool: Equations, max_steps: Count, *, well: bool = False) -> Solved:
    """The projection within a pool.

    Args:
        max_steps: at most so many.
        well: only rows that are well independent of heavier ones keep their weight; others hand it on, until they violate.
    """
    gram, scores, weights, _, closed = pool
    max_steps = jnp.minimum(max_steps, STEPS * len(weights))
    dtype, places = gram.dtype, jnp.arange(len(weights), dtype=jnp.int32)
    eps = float(jnp.finfo(dtype).eps)
    squares = jnp.where(places[:, None] == places, gram, 0).sum(0)
    # What counts as rounding of a squared distance from the affine hull of others.
    lost = PIVOT_ULPS * eps * squares
    table, used = _entered(gram, weights, eps**NEAR * squares if well else lost)
    # A step to the minimiser corrects the weights by N t, and hands on those of rows that depend on others; what is left of the
    # scores then is what rows violate by.
    change = jnp.matmul(table, jnp.where(used, scores, -weights), precision="highest")
    noise = NOISE_ULPS * eps * (squares.max() + jnp.abs(scores[0]))
    kind = jnp.where(used, USED, jnp.where(closed, CLOSED, OPEN)).astype(dtype)

    def key(sides: Array) -> Array:
        """Largest for the row that moves next, 0 if none does: that whose weight a step to the minimiser over the affine hull
        would use up first, and if there is none the worst violator.
        """
        value, weight, kind = (sides[..., i] for i in range(3))
        violates = (kind == OPEN) & (value > noise)
        return jnp.where(
            (kind == USED) & (value < 0), 3 - weight / (weight - value), jnp.where(violates, value / (1 + value), 0)
        )

    def body(state: _State) -> _State:
        row = key(state.sides).argmax().astype(jnp.int32)
        here, column, mine = places == row, state.table[row], state.sides[row]
        pivot, picked, (value, weight, _) = column[row], key(mine), mine
        leaves = picked >= 2
        moves = leaves | ((picked > 0) & (pivot > lost[row]))
        u, factor, table = _pivoted(state.table, column, pivot, here, moves, leaves)
        # As far towards that minimiser as the weights stay nonnegative.
        length = jnp.where(leaves, weight / (weight - value), 1)
        values, weights, kinds = state.sides.T
        target = jnp.where(kinds == USED, values, 0)
        weights = jnp.where(here & leaves, 0, jnp.maximum(weights + length * (target - weights), 0))
        # A row that leaves as it enters, its weight negative by rounding, stays out, as does one that depends on others.
        becomes = jnp.where(leaves & (weight > 0), OPEN, jnp.where(moves & ~leaves, USED, CLOSED)).astype(dtype)
        kinds = jnp.where(here & (picked > 0), becomes, kinds)
        sides = jnp.stack([values - u * (factor * value), weights, kinds], 1)
        return _State(table, sides, state.steps + (picked > 0), (picked > 0) & (state.steps + 1 < max_steps))

    sides = jnp.stack([jnp.where(used, weights, scores) - change, weights, kind], 1)
    start = _State(table, sides, jnp.zeros((), jnp.int32), jnp.asarray(max_steps) > 0)
    end = lax.while_loop(lambda state: state.going, body, loop_start(start, gram, scores))
    found, used = end.sides[:, 1], end.sides[:, 2] == USED
    # Among rows that only rounding tells from dependent ones weights may be used up, or overflow: then nothing has been found.
    total = found.sum()
    found = jnp.where((total > 0.5) & jnp.isfinite(total), found / total, weights)
    return Solved(found, jnp.where(used & used[:, None], -end.table, 0), end.steps)


def _entered(gram: Array, weights: Array, lost: Array) -> tuple[Array, Array]:
    """The tableau with the rows that have weight in use, heaviest first, and which those are: some may depend on others."""
    pool = jnp.arange(len(weights), dtype=jnp.int32)
    first = pool == 0

    def body(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        table, used, waiting = state
        row = waiting.argmax().astype(jnp.int32)
        here, column = pool == row, table[row]
        moves = column[row] > lost[row]
        _, _, table = _pivoted(table, column, column[row], here, moves, jnp.asarray(False))
        return table, used | (here & moves), jnp.where(here, 0, waiting)

    # With one row in use, the tableau is known.
    start = jnp.where(first ^ first[:, None], 1, gram), first, jnp.where(first, 0, weights)
    table, used, _ = lax.while_loop(lambda state: (state[2] > 0).any(), body, loop_start(start, gram, weights))
    return table, used


def _pivoted(table: Array, column: Array, pivot: Array, here: Array, moves: Array, leaves: Array) -> tuple[Array, Array, Array]:
    """u, 1/π and the tableau after a pivot, or 0 and the tableau as it was where nothing moves."""
    sign = jnp.where(leaves, -1.0, 1.0).astype(table.dtype)
    factor = jnp.where(moves, 1 / jnp.where(moves, pivot, 1), 0)
    u = column - sign * here
    return u, factor, table - (u * factor)[:, None] * u - jnp.where(here[:, None] & here & moves, 2 * sign, 0)


def inverse(pool: Equations, max_steps: Count = 0) -> Solved:
    """The weights as they are, and N of the rows that have some, 0 for those that rounding makes dependent on heavier ones."""
    gram, weights = pool.gram, pool.weights
    table, used = _entered(gram, weights, PIVOT_ULPS * float(jnp.finfo(gram.dtype).eps) * jnp.diagonal(gram))
    return Solved(weights, jnp.where(used & used[:, None], -table, 0), jnp.zeros((), jnp.int32))


def independent(gram: Float[Array, "P P"], weights: Float[Array, "P"]) -> Float[Array, "P"]:
    """Weights of nearly the same point on rows that are well affinely independent, among those that have weight.

    Rows that depend on heavier ones hand their weight on to them. Source: Carathéodory's theorem, by its proof (Schrijver 1986,
    "Theory of linear and integer programming", section 7.7).

    Args:
        gram, weights: as in `Equations`.
    """
    none = jnp.zeros_like(weights)
    pool = Equations(gram, none, weights, jnp.zeros((), gram.dtype), jnp.ones(len(weights), bool))
    return solve_pool(pool, STEPS * len(weights), well=True).weights
