"""Lawson and Hanson's active set on a pool, as pivots of one symmetric tableau.

The weights w of the projection minimise ‖q − Σ w_i x_i‖² over the simplex. In the methods of Lawson and Hanson (1974, "Solving
Least Squares Problems", chapter 23) and Wolfe (1976, "Finding the nearest point in a polytope"), one violator at a time enters
the support S, and the weights step towards the minimiser over S's affine hull. Rows whose weights reach zero on the way leave.
The objective falls strictly, so no support returns.

Let p be the point of S's affine hull nearest to the query, and t_i = ⟨x_i − p, r⟩ for all rows of the pool. The optimality
conditions over weights that sum to 1 are a linear system, whose tableau holds

    in S × S    −N, N the inverse of their Gram matrix among weights that sum to 0: N1 = 0;
    beside S    the affine coefficients, on S, of the other rows' projections onto S's affine hull;
    elsewhere   the products of the other rows' residuals from that hull: on the diagonal their squared distances from it;
    value       the weights of p on S, and t_i minus the common t of S elsewhere: positive where a row violates.

The same pivot adds or removes a row: T ← T − uuᵀ/π − 2σ eeᵀ with π = T_pp, u = T_p − σe, σ = 1 or −1 (Goodnight 1979, "A
tutorial on the SWEEP operator"). A step costs P² operations. It calls no LAPACK, whose batched kernels prevent programs from
running in parallel on a CPU.

Rounding errors accumulate in the tableau. The values start as corrections of the current weights and scores, so their errors
are proportional to the remaining correction; the next round starts from the rows again. A Gram matrix squares the condition
number of the rows; if that takes all digits of a dtype, the tableau consists of pairs (`numerics.pairs`).
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

# Maximum steps per row of a pool: a healthy solve takes fewer than one.
STEPS = 4
# A score up to this far above the support's counts as rounding, not as a violation, in units in the last place of the
# largest squared distance. Scores are off by a few such units at most, usually far less. Smaller violations are missed; a row
# that enters through rounding gets no weight.
NOISE_ULPS = 0.25
# An entering row counts as affinely dependent on the support if rounding hides its pivot, the squared distance from the
# support's affine hull: a few units in the last place of its squared distance from the first row (Higham 2002, theorem 10.3).
PIVOT_ULPS = 16
# A row counts as well independent if its pivot exceeds eps^(1/2) of that squared distance, half of the digits: accumulated
# rounding errors of the tableau stay below that.
INDEPENDENT_POWER = 0.5
# Maximum number of builds of a tableau of pairs per pool.
BUILDS = 4


class Solved(NamedTuple):
    """Weights on a pool of P rows.

    - weights: (P,) ≥ 0, sum to 1.
    - rest: (P,), the part of the weights below their dtype's digits, in extended precision; 0 otherwise.
    - inverse: (P, P), N of the rows in use, 0 elsewhere; a pair in extended precision.
    - steps: number of rows that entered or left.
    """

    weights: Float[Array, "P"]
    rest: Float[Array, "P"]
    inverse: Numbers
    steps: Int[Array, ""]


# The kinds of rows: closed for good, out until the weights move, free to enter, or in use.
CLOSED, LEFT, OPEN, USED = range(4)


class _State(NamedTuple):
    table: Numbers  # (P, P)
    values: Numbers  # (P,)
    sides: Array  # (P, 2): weight, kind
    steps: Array
    going: Array


def solve_pool(pool: PoolProblem, max_steps: Count, *, most: Count | None = None) -> Solved:
    """The projection within a pool.

    In pairs, only rows that are well independent of heavier ones keep their initial weight; dependent rows pass theirs to
    heavier rows, and enter again if they violate. A tiny pivot costs the tableau digits, so it is rebuilt until no row moves.

    Args:
        max_steps: maximum number of steps.
        most: maximum number of rows with weight, at least that of the start; None for any number.
    """
    most = len(pool.weights) if most is None else most
    if not isinstance(pool.gram, Pair):
        return _solve(pool, jnp.zeros_like(pool.weights), max_steps, most)

    def again(state: tuple[Solved, Array, Array]) -> tuple[Solved, Array, Array]:
        found, _, builds = state
        shifted, swapped = recentre(pool, found.weights, found.rest)
        more = _solve(shifted, found.rest[swapped], max_steps - found.steps, most)
        return restore_order(more, swapped, found.steps), more.steps > 0, builds + 1

    none = jnp.zeros_like(pool.weights)
    empty = jax.tree.map(jnp.zeros_like, pool.gram)
    start = Solved(pool.weights, none, empty, jnp.zeros((), jnp.int32)), jnp.asarray(True), jnp.zeros((), jnp.int32)
    going = loop_start(start, high(pool.gram), high(pool.scores))
    return lax.while_loop(lambda state: state[1] & (state[2] < BUILDS), again, going)[0]


def recentre(pool: PoolProblem, weights: Array, rest: Array) -> tuple[PoolProblem, Array]:
    """The pool's problem about other weights, with their heaviest row first, and the order of its rows.

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


def restore_order(found: Solved, swapped: Array, steps: Array) -> Solved:
    """A solution about other weights in the pool's own row order, with earlier steps added."""
    inverse = take(take(found.inverse, swapped), (slice(None), swapped))
    return Solved(found.weights[swapped], found.rest[swapped], inverse, steps + found.steps)


def _solve(pool: PoolProblem, rest: Array, max_steps: Count, most: Count) -> Solved:
    """The projection within a pool by one tableau, from the pool's weights and their `rest`."""
    gram, scores, weights, _, closed = pool
    max_steps = jnp.minimum(max_steps, STEPS * len(weights))
    dtype, places = high(gram).dtype, jnp.arange(len(weights), dtype=jnp.int32)
    eps, in_pairs = epsilon(gram), isinstance(gram, Pair)
    squares = jnp.where(places[:, None] == places, high(gram), 0).sum(0)
    # The rounding level of a squared distance from the affine hull of other rows.
    lost = PIVOT_ULPS * eps * squares
    table, values, used = _initial_tableau(gram, scores, weights, eps**INDEPENDENT_POWER * squares if in_pairs else lost)
    # A step to the minimiser corrects the weights; dependent rows pass on theirs, which also changes the scores.
    held = Pair(weights, rest) if isinstance(gram, Pair) else weights
    values = plus(values, product(table, select(~used, held, 0)), select(used, held, 0))
    noise = NOISE_ULPS * eps * (squares.max() + jnp.abs(high(scores)[0]))
    kind = jnp.where(used, USED, jnp.where(closed, CLOSED, OPEN)).astype(dtype)

    def key(value: Array, side: Array, room: Array | bool) -> Array:
        """A priority, largest for the row that moves next, 0 if none does.

        The row that moves next is the first whose weight reaches 0 on the step to the minimiser over the affine hull, or the
        worst violator if there is none.
        """
        weight, kind = side[..., 0], side[..., 1]
        violates = (kind == OPEN) & (value > noise) & room
        return jnp.where(
            (kind == USED) & (value < 0), 3 - weight / (weight - value), jnp.where(violates, value / (1 + value), 0)
        )

    def body(state: _State) -> _State:
        room = (state.sides[:, 1] == USED).sum() < most
        row = key(high(state.values), state.sides, room).argmax().astype(jnp.int32)
        here, column, mine, value = places == row, take(state.table, row), state.sides[row], take(state.values, row)
        pivot, picked, weight = take(column, row), key(high(value), mine, room), mine[0]
        leaves = picked >= 2
        moves = leaves | ((picked > 0) & (high(pivot) > lost[row]))
        u, factor, table = _pivot(state.table, column, pivot, here, moves, leaves)
        # Step towards that minimiser as far as the weights stay nonnegative.
        length = jnp.where(leaves, weight / (weight - high(value)), 1)
        weights, kinds = state.sides.T
        target = jnp.where(kinds == USED, high(state.values), 0)
        moved = jnp.where(leaves, weights + length * (target - weights), target)
        moved = jnp.where(here & leaves, 0, jnp.maximum(moved, 0))
        kinds = jnp.where((kinds == LEFT) & (moved != weights).any(), OPEN, kinds)
        # A row that leaves without weight would enter again at once, so it waits. A row that depends on others is closed.
        becomes = jnp.where(leaves, jnp.where(weight > 0, OPEN, LEFT), jnp.where(moves, USED, CLOSED)).astype(dtype)
        kinds, weights = jnp.where(here & (picked > 0), becomes, kinds), moved
        values = minus_times(state.values, u, times(factor, value))
        going = (picked > 0) & (state.steps + 1 < max_steps)
        return _State(table, values, jnp.stack([weights, kinds], 1), state.steps + (picked > 0), going)

    begin = _State(table, values, jnp.stack([weights, kind], 1), jnp.zeros((), jnp.int32), jnp.asarray(max_steps) > 0)
    end = lax.while_loop(lambda state: state.going, body, loop_start(begin, high(gram), high(scores)))
    found, used = end.sides[:, 0], end.sides[:, 1] == USED
    # If rows are dependent up to rounding, weights may vanish or overflow; then keep the initial weights.
    total = found.sum()
    valid = (total > 0.5) & jnp.isfinite(total)
    found, rest = jnp.where(valid, found / total, weights), jnp.where(valid, 0, rest)
    if isinstance(end.values, Pair):
        # Keep weights that the last step reached as pairs, because division would round them.
        reached = valid & (end.sides[:, 0] == jnp.where(used, end.values.high, 0)).all()
        found = jnp.where(reached, end.sides[:, 0], found)
        rest = jnp.where(reached, jnp.where(used, end.values.low, 0), rest)
    return Solved(found, rest, _inverse(end.table, used), end.steps)


def _inverse(table: Numbers, used: Array) -> Numbers:
    table = select(used & used[:, None], table, 0)
    return Pair(-table.high, -table.low) if isinstance(table, Pair) else -table


def _initial_tableau(gram: Numbers, scores: Numbers, weights: Array, lost: Array) -> tuple[Numbers, Numbers, Array]:
    """The tableau with the rows with weight in use, entered heaviest first; the values of a step; the mask of those rows.

    Rows that depend on heavier ones are left out. The values are eliminated together with the tableau: multiplying the scores
    by the inverse would lose twice as many digits.
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
    """u, 1/π and the tableau after a pivot; if no row moves, 1/π is 0 and the tableau is unchanged."""
    sign = jnp.where(leaves, -1.0, 1.0).astype(high(table).dtype)
    factor = select(moves, reciprocal(select(moves, pivot, 1)), 0)
    u = minus(column, sign * here)
    table = minus_times(table, take(times(u, factor), (slice(None), None)), take(u, None))
    return u, factor, minus(table, jnp.where(here[:, None] & here & moves, 2 * sign, 0))


def inverse(pool: PoolProblem) -> Solved:
    """The pool's weights, and N of the rows with weight; 0 for rows that depend on heavier ones up to rounding."""
    gram, weights = pool.gram, pool.weights
    table, _, used = _initial_tableau(gram, pool.scores, weights, PIVOT_ULPS * epsilon(gram) * jnp.diagonal(high(gram)))
    return Solved(weights, jnp.zeros_like(weights), _inverse(table, used), jnp.zeros((), jnp.int32))
