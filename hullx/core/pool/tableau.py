"""Lawson and Hanson's active set on a pool, as pivots of one symmetric tableau.

The weights w of the projection minimise ‖q − Σ w_i x_i‖² over the simplex. Lawson and Hanson (1974, "Solving Least Squares
Problems", chapter 23) and Wolfe (1976, "Finding the nearest point in a polytope") let one violator at a time enter the support
S and step towards the minimiser over S's affine hull; rows whose weights reach zero on the way leave. The objective falls
strictly, so no support returns.

With p the point nearest to the query over S's affine hull, and t_i = ⟨x_i − p, r⟩ for all rows of the pool, the optimality
conditions over weights that sum to 1 are a linear system whose tableau holds

    in S × S    −N, N the inverse of their Gram matrix among weights that sum to 0: N1 = 0;
    beside S    the affine coefficients, on S, of the other rows' projections onto S's affine hull;
    elsewhere   the products of what is left of the other rows: on the diagonal their squared distances from that hull;
    value       the weights of p on S, and t_i less the common t of S elsewhere: positive where a row violates.

A row enters, and a row leaves, by one and the same pivot: T ← T − uuᵀ/π − 2σ eeᵀ with π = T_pp, u = T_p − σe, σ = 1 or −1
(Goodnight 1979, "A tutorial on the SWEEP operator"). A step costs P² operations and calls no LAPACK, whose batched kernels
keep programs that run side by side on a CPU from doing so.

Rounding errors gather in the tableau. The values begin as corrections of the current weights and scores, so their errors are
proportional to what is still wrong, and the next round starts from the rows again. A Gram matrix squares the condition
number of the rows; where that takes all digits of a dtype, the tableau is one of pairs (`numerics.pairs`).
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Float, Int

from hullx.core.pool.problem import PoolProblem
from hullx.numerics.extended import Pair
from hullx.numerics.loops import loop_start
from hullx.numerics.pairs import Numbers, epsilon, high, minus, minus_times, plus, product, reciprocal, select, take, times
from hullx.types import Array, Count

# Most steps for each row of a pool: a healthy solve takes fewer than one.
STEPS = 4
# At most so much above the support's scores is rounding and no violation, in units in the last place of the largest squared
# distance. Scores are off by a few such units at most, and usually by far less; what violates by less is found no more, and a
# row that enters for nothing gets no weight.
NOISE_ULPS = 0.25
# An entering row is affinely dependent on the support where its squared distance from their affine hull, its pivot, is lost in
# rounding: a few units in the last place of its squared distance from the first row (Higham 2002, theorem 10.3).
PIVOT_ULPS = 16
# A row is well independent of others where its pivot exceeds eps^(1/2) of that squared distance, half of the digits: however
# many rounding errors their tableau has gathered, they do not make up so much.
NEAR = 0.5
# Most times that a tableau of pairs is built for a pool.
BUILDS = 4


class Solved(NamedTuple):
    """Weights on a pool of P rows.

    - weights: (P,) ≥ 0, sum to 1.
    - rest: (P,), what the weights' dtype does not hold of them, in extended precision; 0 otherwise.
    - inverse: (P, P), N of the rows in use, 0 elsewhere; a pair in extended precision.
    - steps: rows that entered or left.
    """

    weights: Float[Array, "P"]
    rest: Float[Array, "P"]
    inverse: Numbers
    steps: Int[Array, ""]


# What a row of the pool is: closed for good, out until the weights move, free to enter, or in use.
CLOSED, LEFT, OPEN, USED = range(4)


class _State(NamedTuple):
    table: Numbers  # (P, P)
    values: Numbers  # (P,)
    sides: Array  # (P, 2): weight, kind
    steps: Array
    going: Array


def solve_pool(pool: PoolProblem, max_steps: Count, *, most: int | None = None) -> Solved:
    """The projection within a pool.

    In pairs, only rows that are well independent of heavier ones keep their weight at the start: dependent rows pass theirs to
    heavier rows, until they violate. A tiny pivot costs the tableau digits, so it is built again until no row moves.

    Args:
        max_steps: most steps.
        most: rows that may have weight, no fewer than have some at the start; None for any number.
    """
    most = len(pool.weights) if most is None else most
    if not isinstance(pool.gram, Pair):
        return _solve(pool, jnp.zeros_like(pool.weights), max_steps, most)

    def again(state: tuple[Solved, Array, Array]) -> tuple[Solved, Array, Array]:
        found, _, builds = state
        shifted, swapped = about(pool, found.weights, found.rest)
        more = _solve(shifted, found.rest[swapped], max_steps - found.steps, most)
        return swap(more, swapped, found.steps), more.steps > 0, builds + 1

    none = jnp.zeros_like(pool.weights)
    empty = jax.tree.map(jnp.zeros_like, pool.gram)
    start = Solved(pool.weights, none, empty, jnp.zeros((), jnp.int32)), jnp.asarray(True), jnp.zeros((), jnp.int32)
    going = loop_start(start, high(pool.gram), high(pool.scores))
    return lax.while_loop(lambda state: state[1] & (state[2] < BUILDS), again, going)[0]


def about(pool: PoolProblem, weights: Array, rest: Array) -> tuple[PoolProblem, Array]:
    """The pool's problem about other weights, whose heaviest row comes first, and the order of its rows.

    Args:
        weights, rest: as in `Solved`.
    """
    first = weights.argmax()
    swapped = jnp.arange(len(weights)).at[first].set(0).at[0].set(first)
    row = take(pool.gram, first)
    corner = jax.tree.map(lambda part: -part[first], row)
    gram = minus(pool.gram, row, take(row, (slice(None), None)), corner)
    moved = minus(Pair(weights, rest), pool.weights) if isinstance(pool.gram, Pair) else weights - pool.weights
    scores = minus(pool.scores, product(pool.gram, moved))
    return PoolProblem(
        take(take(gram, swapped), (slice(None), swapped)),
        take(scores, swapped),
        weights[swapped],
        pool.square,
        pool.closed[swapped],
    ), swapped


def swap(found: Solved, swapped: Array, steps: Array) -> Solved:
    """What was found about other weights, in the pool's own order, after some steps."""
    inverse = take(take(found.inverse, swapped), (slice(None), swapped))
    return Solved(found.weights[swapped], found.rest[swapped], inverse, steps + found.steps)


def _solve(pool: PoolProblem, rest: Array, max_steps: Count, most: int) -> Solved:
    """The projection within a pool, by one tableau, from weights and what their dtype does not hold of them."""
    gram, scores, weights, _, closed = pool
    max_steps = jnp.minimum(max_steps, STEPS * len(weights))
    dtype, places = high(gram).dtype, jnp.arange(len(weights), dtype=jnp.int32)
    eps, well = epsilon(gram), isinstance(gram, Pair)
    squares = jnp.where(places[:, None] == places, high(gram), 0).sum(0)
    # What counts as rounding of a squared distance from the affine hull of others.
    lost = PIVOT_ULPS * eps * squares
    table, values, used = _enter(gram, scores, weights, eps**NEAR * squares if well else lost)
    # A step to the minimiser corrects the weights; those of dependent rows are passed on, which also changes the scores.
    held = Pair(weights, rest) if isinstance(gram, Pair) else weights
    values = plus(values, product(table, select(~used, held, 0)), select(used, held, 0))
    noise = NOISE_ULPS * eps * (squares.max() + jnp.abs(high(scores)[0]))
    kind = jnp.where(used, USED, jnp.where(closed, CLOSED, OPEN)).astype(dtype)

    def key(value: Array, side: Array, room: Array | bool) -> Array:
        """Largest for the row that moves next, 0 if none does: that whose weight a step to the minimiser over the affine hull
        would use up first, and if there is none the worst violator.
        """
        weight, kind = side[..., 0], side[..., 1]
        violates = (kind == OPEN) & (value > noise) & room
        return jnp.where(
            (kind == USED) & (value < 0), 3 - weight / (weight - value), jnp.where(violates, value / (1 + value), 0)
        )

    def body(state: _State) -> _State:
        room = (state.sides[:, 1] == USED).sum() < most if most < len(places) else True
        row = key(high(state.values), state.sides, room).argmax().astype(jnp.int32)
        here, column, mine, value = places == row, take(state.table, row), state.sides[row], take(state.values, row)
        pivot, picked, weight = take(column, row), key(high(value), mine, room), mine[0]
        leaves = picked >= 2
        moves = leaves | ((picked > 0) & (high(pivot) > lost[row]))
        u, factor, table = _pivot(state.table, column, pivot, here, moves, leaves)
        # As far towards that minimiser as the weights stay nonnegative.
        length = jnp.where(leaves, weight / (weight - high(value)), 1)
        weights, kinds = state.sides.T
        target = jnp.where(kinds == USED, high(state.values), 0)
        moved = jnp.where(leaves, weights + length * (target - weights), target)
        moved = jnp.where(here & leaves, 0, jnp.maximum(moved, 0))
        kinds = jnp.where((kinds == LEFT) & (moved != weights).any(), OPEN, kinds)
        # A row that leaves as it enters, without a weight, would come back at once; one that depends on others stays out.
        becomes = jnp.where(leaves, jnp.where(weight > 0, OPEN, LEFT), jnp.where(moves, USED, CLOSED)).astype(dtype)
        kinds, weights = jnp.where(here & (picked > 0), becomes, kinds), moved
        values = minus_times(state.values, u, times(factor, value))
        going = (picked > 0) & (state.steps + 1 < max_steps)
        return _State(table, values, jnp.stack([weights, kinds], 1), state.steps + (picked > 0), going)

    begin = _State(table, values, jnp.stack([weights, kind], 1), jnp.zeros((), jnp.int32), jnp.asarray(max_steps) > 0)
    end = lax.while_loop(lambda state: state.going, body, loop_start(begin, high(gram), high(scores)))
    found, used = end.sides[:, 0], end.sides[:, 1] == USED
    # Among rows that only rounding tells from dependent ones, weights may be used up or overflow: then nothing has been found.
    total = found.sum()
    valid = (total > 0.5) & jnp.isfinite(total)
    found, rest = jnp.where(valid, found / total, weights), jnp.where(valid, 0, rest)
    if isinstance(end.values, Pair):
        # Weights that the last step reached are pairs, which division would round.
        reached = valid & (end.sides[:, 0] == jnp.where(used, end.values.high, 0)).all()
        found = jnp.where(reached, end.sides[:, 0], found)
        rest = jnp.where(reached, jnp.where(used, end.values.low, 0), rest)
    return Solved(found, rest, _inverse(end.table, used), end.steps)


def _inverse(table: Numbers, used: Array) -> Numbers:
    table = select(used & used[:, None], table, 0)
    return Pair(-table.high, -table.low) if isinstance(table, Pair) else -table


def _enter(gram: Numbers, scores: Numbers, weights: Array, lost: Array) -> tuple[Numbers, Numbers, Array]:
    """The tableau with the rows that have weight in use, heaviest first, the values of a step, and which those rows are.

    Some rows may depend on others, and are left out. The values are eliminated along with the tableau: the inverse times the
    scores would lose twice as many digits.
    """
    pool = jnp.arange(len(weights), dtype=jnp.int32)
    first = pool == 0

    def body(state: tuple[Numbers, Numbers, Array, Array]) -> tuple[Numbers, Numbers, Array, Array]:
        table, values, used, waiting = state
        row = waiting.argmax().astype(jnp.int32)
        here, column = pool == row, take(table, row)
        pivot = take(column, row)
        moves = high(pivot) > lost[row]
        u, factor, table = _pivot(table, column, pivot, here, moves, jnp.asarray(False))
        values = minus_times(values, u, times(factor, take(values, row)))
        return table, values, used | (here & moves), jnp.where(here, 0, waiting)

    # With one row in use, the tableau is known.
    start = select(~(first ^ first[:, None]), gram, 1), select(~first, minus(scores, take(scores, 0)), 0)
    table, values, used, _ = lax.while_loop(
        lambda state: (state[3] > 0).any(), body, loop_start((*start, first, jnp.where(first, 0, weights)), high(gram), weights)
    )
    return table, values, used


def _pivot(
    table: Numbers, column: Numbers, pivot: Numbers, here: Array, moves: Array, leaves: Array
) -> tuple[Numbers, Numbers, Numbers]:
    """u, 1/π and the tableau after a pivot, or 0 and the tableau as it was where nothing moves."""
    sign = jnp.where(leaves, -1.0, 1.0).astype(high(table).dtype)
    factor = select(moves, reciprocal(select(moves, pivot, 1)), 0)
    u = minus(column, sign * here)
    table = minus_times(table, take(times(u, factor), (slice(None), None)), take(u, None))
    return u, factor, minus(table, jnp.where(here[:, None] & here & moves, 2 * sign, 0))


def inverse(pool: PoolProblem) -> Solved:
    """The weights as they are, and N of the rows that have some, 0 for those that rounding makes dependent on heavier ones."""
    gram, weights = pool.gram, pool.weights
    table, _, used = _enter(gram, pool.scores, weights, PIVOT_ULPS * epsilon(gram) * jnp.diagonal(high(gram)))
    return Solved(weights, jnp.zeros_like(weights), _inverse(table, used), jnp.zeros((), jnp.int32))
