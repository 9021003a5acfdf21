"""The exact projection onto the hull of a small pool of rows, from their Gram matrix: Lawson and Hanson's active set.

The weights w of the projection minimise ‖q − Σ w_i x_i‖² over the simplex. On a support S the minimiser over the affine hull
solves an equality-constrained least-squares problem; Lawson and Hanson (1974, "Solving Least Squares Problems", chapter 23)
and Wolfe (1976, "Finding the nearest point in a polytope") let one violator at a time enter S and step towards that
minimiser, dropping the rows whose weights reach zero on the way. The objective falls strictly, so no support returns.

The step is computed as a correction of the weights at hand. With scores t_i = ⟨x_i − p, r⟩ and any s > 0,

    H = G_S + s 11ᵀ,    δ = H⁻¹t − λ H⁻¹1,    λ = (1ᵀH⁻¹t) / (1ᵀH⁻¹1),    w ← w + αδ,    t ← t − α G δ

(Σδ = 0, so the term s 11ᵀ changes nothing but makes H positive definite exactly when S is affinely independent, also when
the origin lies in its affine hull). A solve starts from scores that were computed from r itself, so its rounding errors
are proportional to the correction and not to the weights: solving again from the new r is iterative refinement.

Written for one query, with fixed shapes; `jax.vmap` gives the batch.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Bool, Float, Int

from hullx.types import Array

# An entering row is affinely dependent on the support when its squared distance from their affine hull, a pivot of the Cholesky
# factor, is lost in rounding: a few units in the last place of its diagonal entry (Higham 2002, theorem 10.3; the bound there
# grows with the support's size, the observed error does not).
PIVOT_ULPS = 16
# Scores are sums of products with the Gram matrix and off by a few units in the last place of its largest entry.
SCORE_ULPS = 4


class PoolSolution(NamedTuple):
    """Weights on a support within a pool of P rows, k slots.

    - slots: pool rows of the support; a slot with weight 0 is free.
    - weights: ≥ 0, sum to 1.
    - steps: factorizations made.
    - full: a violator found no free slot.
    - finished: no violator is left in the pool (rows that rounding makes affinely dependent aside).
    """

    slots: Int[Array, "k"]
    weights: Float[Array, "k"]
    steps: Int[Array, ""]
    full: Bool[Array, ""]
    finished: Bool[Array, ""]


class _State(NamedTuple):
    slots: Array  # (k,) pool rows
    used: Array  # (k,) bool
    weights: Array  # (k,), 0 where unused
    scores: Array  # (P,) ⟨x_i − p, r⟩ up to a common constant
    blocked: Array  # (P,) bool: rows that may not enter
    settled: Array  # the weights minimise over their affine hull: time to let a row in
    full: Array
    finished: Array
    steps: Array


def affine_step(
    gram: Float[Array, "k k"], scores: Float[Array, "k"], used: Bool[Array, "k"], entering: Bool[Array, "k"]
) -> tuple[Float[Array, "k"], Float[Array, ""]]:
    """The step δ to the minimiser over the affine hull of the rows in use, and the entering row's pivot.

    The pivot is relative to the row's diagonal entry; it is NaN where the matrix is not positive definite.
    """
    both = used[:, None] & used[None, :]
    shift = jnp.max(jnp.diagonal(gram), where=used, initial=0)
    shift = lax.stop_gradient(jnp.where(shift > 0, shift, 1))
    matrix = jnp.where(both, gram + shift, jnp.where(jnp.eye(len(used), dtype=bool), shift, 0))
    # Scores are divided by their largest, so that a far query's do not overflow in the triangular solves. Neither this
    # factor nor the shift changes the step, so neither has a derivative.
    largest = jnp.max(jnp.abs(scores), where=used, initial=0)
    largest = lax.stop_gradient(jnp.where(largest > 0, largest, 1))
    sides = jnp.stack([jnp.where(used, scores / largest, 0), used.astype(scores.dtype), entering.astype(scores.dtype)])
    factor = jnp.linalg.cholesky(matrix, symmetrize_input=False)
    solved = jax.scipy.linalg.cho_solve((factor, True), sides.T).T
    towards, along, column = solved
    step = towards - along * (towards.sum() / along.sum())
    pivot = 1 / jnp.where(entering, column * jnp.diagonal(matrix), 0).sum()
    return jnp.where(used, step * largest, 0), pivot


def solve_pool(
    gram: Float[Array, "P P"],
    scores: Float[Array, "P"],
    weights: Float[Array, "k"],
    blocked: Bool[Array, "P"],
    max_steps: int | Array,
) -> PoolSolution:
    """The exact projection within a pool, started from a support that fills the pool's first k rows.

    Args:
        gram: ⟨x_i − o, x_j − o⟩ for any origin o; best one near the hull's nearest point.
        scores: ⟨x_i − p, r⟩ at the starting weights, p = Σ w_i x_i, r = q − p; a constant may be added.
        weights: starting weights of the first k rows, ≥ 0 with sum 1; k is also the capacity of the support.
        blocked: rows that may not enter (padding, duplicates of the support).
        max_steps: at most so many factorizations.
    """
    capacity, dtype = len(weights), gram.dtype
    eps = float(jnp.finfo(dtype).eps)
    scale = jnp.diagonal(gram).max()

    def body(state: _State) -> _State:
        # Let the worst violator in, if the last step reached the minimiser over its affine hull.
        in_support = ((jnp.arange(len(scores))[:, None] == state.slots) & state.used).any(1)
        candidates = jnp.where(state.blocked | in_support, -jnp.inf, state.scores)
        worst = candidates.argmax()
        support_score = (state.weights * state.scores[state.slots]).sum()
        noise = SCORE_ULPS * eps * (scale + jnp.abs(support_score))
        violated = state.settled & (candidates[worst] - support_score > noise)
        full = violated & state.used.all()
        finished = state.settled & ~violated
        enters = violated & ~full
        entering = enters & (jnp.arange(capacity) == state.used.argmin())
        slots = jnp.where(entering, worst, state.slots).astype(jnp.int32)
        used = state.used | entering

        # Step towards the minimiser over the new affine hull, as far as the weights stay nonnegative.
        support_gram = gram[slots[:, None], slots[None, :]]
        step, pivot = affine_step(support_gram, state.scores[slots] - support_score, used, entering)
        sound = jnp.isfinite(step).all()
        dependent = enters & ~(sound & (pivot > PIVOT_ULPS * eps) & ((step * entering).sum() > 0))
        step = jnp.where(sound & ~dependent & ~full & ~finished, step, 0)
        ratios = jnp.where(used & (step < 0), state.weights / -step, jnp.inf)
        length = jnp.minimum(ratios.min(), 1)
        moved = state.weights + length * step
        dropped = used & (ratios <= length) & (length < 1) | (used & (moved <= 0) & ~entering)
        rejected = dependent & entering
        return _State(
            slots=slots,
            used=used & ~dropped & ~rejected,
            weights=jnp.where(dropped | rejected, 0, jnp.maximum(moved, 0)),
            scores=state.scores - length * jnp.matmul(step, gram[slots], precision="highest"),
            blocked=state.blocked | (dependent & (jnp.arange(len(scores)) == worst)),
            settled=~dropped.any() | ~sound,
            full=full,
            finished=finished,
            steps=state.steps + (~full & ~finished).astype(jnp.int32),
        )

    def unfinished(state: _State) -> Array:
        return ~(state.finished | state.full) & (state.steps < max_steps)

    start = _State(
        slots=jnp.arange(capacity, dtype=jnp.int32),
        used=weights > 0,
        weights=weights,
        scores=scores,
        blocked=blocked,
        settled=jnp.asarray((weights > 0).sum() == 1),
        full=jnp.asarray(False),
        finished=jnp.asarray(False),
        steps=jnp.zeros((), jnp.int32),
    )
    end = lax.while_loop(unfinished, body, start)
    weights = end.weights / end.weights.sum()
    return PoolSolution(end.slots, weights, end.steps, end.full, end.finished)
