"""Lawson and Hanson's active set on a pool, with an inverse that is updated where `factored` factorizes anew.

With the rows of a support S, N is the inverse of their Gram matrix among weights that sum to 0: N1 = 0, and the step to the
minimiser over S's affine hull is N t, with the scores t. A row x whose projection onto that hull has the affine coefficients α
and the squared distance π enters, and a row s leaves, by

    N ← N + uuᵀ/π,  u = α − e_x        N ← N − N_s N_sᵀ / N_ss

(bordering and its reverse; Householder 1964, "The Theory of Matrices in Numerical Analysis", section 5.1). A step takes k²
operations instead of k³, and no LAPACK, whose batched kernels keep programs that run side by side on a CPU from doing so.

Rounding errors gather in N. They make a step a little wrong, but not the scores, which follow the weights; and the next round
starts from the rows again. A support that is nearly affinely dependent is for `factored`.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Bool, Float

from hullx.core.pool.factored import PIVOT_ULPS, PoolSolution, noise
from hullx.numerics.loops import loop_start
from hullx.types import Array

# Most steps for each row of a pool: a healthy solve takes fewer than one.
STEPS = 4
# A row is well independent of others where its squared distance from their affine hull is over 2^26 units in the last place,
# half of float64's digits: however many rounding errors their inverse has gathered, they do not make up so much.
NEAR_ULPS = 2.0**26


class _State(NamedTuple):
    slots: Array  # (k,) pool rows
    used: Array  # (k,) bool
    weights: Array  # (k,), 0 where unused
    inverse: Array  # (k, k) N, 0 where unused
    rows: Array  # (k, P) the Gram matrix's rows of the slots
    scores: Array  # (P,) ⟨x_i − p, r⟩ up to a common constant
    open: Array  # (P,) bool: rows that may enter
    settled: Array  # the weights minimise over their affine hull: time to let a row in
    full: Array
    finished: Array
    steps: Array


def solve_pool(
    gram: Float[Array, "P P"],
    scores: Float[Array, "P"],
    weights: Float[Array, "k"],
    blocked: Bool[Array, "P"],
    max_steps: Array,
) -> tuple[PoolSolution, Float[Array, "k k"]]:
    """The projection within a pool, and N on its slots; arguments as `factored.solve_pool`."""
    max_steps = jnp.minimum(max_steps, STEPS * len(scores))
    capacity, pool = len(weights), jnp.arange(len(scores))
    slot = jnp.arange(capacity)
    scale = jnp.diagonal(gram).max()

    def body(state: _State) -> _State:
        # Let the worst violator in, if the last step reached the minimiser over its affine hull.
        own_scores = state.scores[state.slots]
        support_score = (state.weights * own_scores).sum()
        candidates = jnp.where(state.open, state.scores, -jnp.inf)
        worst = candidates.argmax()
        violated = state.settled & (candidates[worst] - support_score > noise(scale, 1, support_score))
        full = violated & state.used.all()
        finished = state.settled & ~violated
        enters = violated & ~full
        entering = enters & (slot == state.used.argmin())
        base = slot == jnp.where(state.used, state.weights, -1).argmax()
        row, base_row = gram[worst], gram[jnp.where(base, state.slots, 0).sum()]
        products = row[state.slots], base_row[state.slots], row[worst]
        updated, lost = _entered(state.inverse, state.used, base, entering, *products)
        dependent = enters & lost
        entering = entering & ~dependent
        slots = jnp.where(entering, worst, state.slots).astype(jnp.int32)
        used = state.used | entering
        rows = jnp.where(entering[:, None], row, state.rows)

        # Step towards the minimiser over the new affine hull, as far as the weights stay nonnegative.
        uphill = jnp.where(used, jnp.where(entering, state.scores[worst], own_scores) - support_score, 0)
        step = updated @ uphill
        step = jnp.where(finished | full | dependent | (step @ uphill <= 0), 0, step)
        change = step @ rows
        # The minimiser along the step: 1 but for the rounding errors in N, with which this still is a descent.
        curvature = step @ change[slots]
        length = jnp.where(curvature > 0, jnp.minimum(step @ uphill / curvature, 2), 1)
        ratios = jnp.where(used & (step < 0), state.weights / -step, jnp.inf)
        drops = ratios.min() < length
        length = jnp.minimum(ratios.min(), length)
        dropped = drops & (slot == ratios.argmin())
        column = jnp.where(dropped, updated, 0).sum(1)
        updated = updated - column[:, None] * (column / jnp.where(drops, (column * dropped).sum(), 1))
        # A row that would leave as it enters, its step negative by rounding, stays outside.
        leaving = pool == jnp.where(dropped & ~entering, slots, -1).max()
        return _State(
            slots=slots,
            used=used & ~dropped,
            weights=jnp.where(dropped, 0, jnp.maximum(state.weights + length * step, 0)),
            inverse=jnp.where(dropped | dropped[:, None], 0, updated),
            rows=rows,
            scores=state.scores - length * change,
            open=state.open & ~(enters & (pool == worst)) | leaving,
            settled=~drops,
            full=full,
            finished=finished,
            steps=state.steps + (~full & ~finished).astype(jnp.int32),
        )

    def unfinished(state: _State) -> Array:
        return ~(state.finished | state.full) & (state.steps < max_steps)

    used, first = inverse(gram[:capacity, :capacity], weights)
    start = _State(
        slots=slot.astype(jnp.int32),
        used=used,
        weights=weights,
        inverse=first,
        rows=gram[:capacity],
        scores=scores,
        open=~blocked & (jnp.pad(weights, (0, len(scores) - capacity)) == 0),
        settled=(weights > 0).sum() == 1,
        full=jnp.asarray(False),
        finished=jnp.asarray(False),
        steps=jnp.zeros((), jnp.int32),
    )
    end = lax.while_loop(unfinished, body, loop_start(start, gram, scores))
    return PoolSolution(end.slots, end.weights / end.weights.sum(), end.steps, end.full, end.finished), end.inverse


def inverse(gram: Array, weights: Array) -> tuple[Array, Array]:
    """The rows that are affinely independent among those with weight, and N of them: one after the other enters."""
    slot = jnp.arange(len(weights))
    base = slot == weights.argmax()
    base_row = jnp.where(base[:, None], gram, 0).sum(0)

    def body(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        so_far, used, waiting = state
        entering = waiting & (slot == waiting.argmax())
        row = jnp.where(entering[:, None], gram, 0).sum(0)
        so_far, lost = _entered(so_far, used, base, entering, row, base_row, (row * entering).sum())
        return so_far, used | (entering & ~lost), waiting & ~entering

    start = jnp.zeros_like(gram), base, (weights > 0) & ~base
    found, used, _ = lax.while_loop(lambda state: state[2].any(), body, loop_start(start, gram, weights))
    return used, found


def independent(gram: Array, weights: Array) -> Array:
    """Weights of nearly the same point on rows that are well affinely independent, among those that have weight.

    A row x that depends on others, with the affine coefficients α, hands its weight on to them, w ← w + t (α − e_x), until it
    has none left, or one of them has: that one goes, and x is looked at again. Source: Carathéodory's theorem, by its proof
    (Schrijver 1986, "Theory of linear and integer programming", section 7.7).
    """
    slot = jnp.arange(len(weights))

    def body(state: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        so_far, used, waiting, weights = state
        base = slot == jnp.where(used, weights, -1).argmax()
        entering = waiting & (slot == jnp.where(waiting, weights, -1).argmax())
        row, base_row = (jnp.where(which[:, None], gram, 0).sum(0) for which in (entering, base))
        products = row, base_row, (row * entering).sum()
        bordered, lost = _entered(so_far, used, base, entering, *products, ulps=NEAR_ULPS)
        towards = jnp.where(used, so_far @ jnp.where(used, row - base_row, 0) + base, 0) - entering
        ratios = jnp.where((towards < 0) & lost, weights / -towards, jnp.inf)
        emptied = (slot == ratios.argmin()) & lost
        weights = jnp.where(emptied, 0, jnp.maximum(weights + jnp.where(lost, ratios.min(), 0) * towards, 0))
        column = jnp.where(emptied & used, so_far, 0).sum(1)
        reduced = so_far - column[:, None] * (column / jnp.where((emptied & used).any(), (column * emptied).sum(), 1))
        reduced = jnp.where(emptied | emptied[:, None], 0, reduced)
        joins = entering & ~lost
        return jnp.where(lost, reduced, bordered), (used | joins) & ~emptied, waiting & ~joins & ~emptied, weights

    first = slot == weights.argmax()
    start = jnp.zeros_like(gram), first, (weights > 0) & ~first, weights
    *_, found = lax.while_loop(lambda state: state[2].any(), body, loop_start(start, gram, weights))
    return found / found.sum()


def _entered(
    inverse: Array,
    used: Array,
    base: Array,
    entering: Array,
    row: Array,
    base_row: Array,
    square: Array,
    *,
    ulps: float = PIVOT_ULPS,
) -> tuple[Array, Array]:
    """N with a row more, and whether rounding makes that row affinely dependent, when it stays out.

    Args:
        base, entering: one-hot: a row in use as the origin, and the slot of the row that enters (or none).
        row, base_row: products of the row that enters, and of the base, with the rows of all slots.
        square: of the row that enters.
        ulps: in units in the last place of its squared distance from the base, what counts as rounding.
    """
    along = inverse @ jnp.where(used, row - base_row, 0)
    apart = square - 2 * (row * base).sum() + (base_row * base).sum()
    pivot = apart - (row - base_row) @ along
    lost = pivot <= ulps * float(jnp.finfo(inverse.dtype).eps) * apart
    joins = entering.any() & ~lost
    u = along + base - entering
    return inverse + u[:, None] * (u * jnp.where(joins, 1 / jnp.where(lost, 1, pivot), 0)), lost
