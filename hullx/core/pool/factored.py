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

import jax.numpy as jnp
from jax import lax
from jaxtyping import Bool, Float, Int

from hullx.numerics.loops import loop_start
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
    moved: Array  # sum of the lengths of the steps so far, in weights
    steps: Array


def noise(scale: Array, error: float | Array, support_score: Array) -> Array:
    """At most so much above the support's score is rounding and no violation.

    Args:
        scale: largest entry of the Gram matrix.
        error: of the scores, in units in the last place of that entry: where they started, and the steps since.
    """
    return SCORE_ULPS * float(jnp.finfo(scale.dtype).eps) * (scale * jnp.minimum(error, 1) + jnp.abs(support_score))


def affine_step(gram: Float[Array, "k k"], scores: Float[Array, "k"], used: Bool[Array, "k"]) -> Float[Array, "k"]:
    """The step δ to the minimiser over the affine hull of the rows in use; NaN where they are affinely dependent."""
    scaled = _scaled(gram, scores, used, used)
    factor, solved = _factor(scaled.matrix, jnp.stack(scaled.sides))
    return _towards(_substitute(factor, solved), scaled)


def bordered_step(
    gram: Float[Array, "k k"],
    scores: Float[Array, "k"],
    used: Bool[Array, "k"],
    entering: Bool[Array, "k"],
    rows: Float[Array, "k d"] | None = None,
) -> tuple[Float[Array, "k"], Float[Array, ""]]:
    """The same with one row more, if there is one that enters, and that row's pivot relative to its diagonal entry.

    The Cholesky factor L is that of the rows in use. The entering row borders it with l = L⁻¹h, h its products with them, and
    with the pivot π = h_jj − ‖l‖², its squared distance from their affine hull.

    Args:
        entering: at most one row, not in use.
        rows: the rows themselves, if the pivot is to be right to float64's square root: that of the Gram matrix is lost where
            the row is nearer to the others' affine hull than about 1e-8 of its length.
    """
    scaled = _scaled(gram, scores, used, used | entering)
    products = jnp.where(used, (scaled.gram * entering[:, None]).sum(0) + 1, 0)
    factor, solved = _factor(scaled.matrix, jnp.stack([*scaled.sides, products]))
    solved, border = solved[:2], solved[2]
    corner = jnp.where(entering, jnp.diagonal(scaled.gram) + 1, 0).sum()
    pivot = corner - border @ border
    if rows is not None:
        apart = jnp.where(entering, 1, -_substitute(factor, border[None])[0])
        pivot = ((apart @ rows) ** 2).sum() / scaled.unit + apart.sum() ** 2
    last = jnp.stack([jnp.where(entering, scaled.scores, 0).sum(), jnp.ones_like(pivot)]) - solved @ border
    last = jnp.where(entering.any(), last / jnp.where(pivot > 0, pivot, 1), 0)[:, None]
    ends = last * entering
    step = _towards(_substitute(factor, solved - last * border) + ends, scaled)
    return step, pivot / jnp.where(entering.any(), corner, 1)


class _Scaled(NamedTuple):
    """A step's linear systems without units: H/s has 1 … 2 on its diagonal, scores have 1 as their largest."""

    gram: Array
    scores: Array
    matrix: Array  # H/s of the rows in use, the identity elsewhere
    sides: list[Array]  # t and 1 of the rows in use
    unit: Array
    largest: Array


def _scaled(gram: Array, scores: Array, used: Array, involved: Array) -> _Scaled:
    unit = jnp.max(jnp.diagonal(gram), where=involved, initial=0)
    unit = jnp.where(unit > 0, unit, 1)
    gram = gram / unit
    largest = jnp.max(jnp.abs(scores), where=involved, initial=0)
    largest = jnp.where(largest > 0, largest, 1)
    scores = scores / largest
    matrix = jnp.where(used[:, None] & used[None, :], gram + 1, jnp.eye(len(used), dtype=gram.dtype))
    return _Scaled(gram, scores, matrix, [jnp.where(used, scores, 0), used.astype(gram.dtype)], unit, largest)


def _towards(solved: Array, scaled: _Scaled) -> Array:
    """δ from H⁻¹t and H⁻¹1."""
    towards, along = solved
    return (towards - along * (towards.sum() / along.sum())) * (scaled.largest / scaled.unit)


def _factor(matrix: Float[Array, "k k"], sides: Float[Array, "r k"]) -> tuple[Float[Array, "k k"], Float[Array, "r k"]]:
    """The Cholesky factor L and, one a row, L⁻¹ of each side.

    The sides are rows that border the matrix, with corners so large that it stays positive definite: forward substitution at
    no cost, and without JAX's triangular_solve, which on CPUs may wait for ever for its own thread pool.
    """
    k = len(matrix)
    corner = jnp.eye(len(sides), dtype=matrix.dtype) * (float(jnp.finfo(matrix.dtype).max) / 4)
    factor = jnp.linalg.cholesky(jnp.block([[matrix, sides.T], [sides, corner]]), symmetrize_input=False)
    return factor[:k, :k], factor[k:, :k]


def _substitute(factor: Float[Array, "k k"], sides: Float[Array, "r k"]) -> Float[Array, "r k"]:
    """L⁻ᵀ of each side, one a row: back substitution."""
    diagonal = jnp.diagonal(factor)
    below = jnp.tril(factor, -1) / diagonal[:, None]
    last = len(factor) - 1
    solved = lax.fori_loop(0, last + 1, lambda i, x: x - x[:, last - i, None] * below[last - i], loop_start(sides, factor))
    return solved / diagonal


def solve_pool(
    gram: Float[Array, "P P"],
    scores: Float[Array, "P"],
    weights: Float[Array, "k"],
    blocked: Bool[Array, "P"],
    max_steps: int | Array,
    start_error: float = 1,
    rows: Float[Array, "P d"] | None = None,
) -> PoolSolution:
    """The exact projection within a pool, started from a support that fills the pool's first k rows.

    Args:
        gram: ⟨x_i − o, x_j − o⟩ for any origin o; best one near the hull's nearest point.
        scores: ⟨x_i − p, r⟩ at the starting weights, p = Σ w_i x_i, r = q − p; a constant may be added.
        weights: starting weights of the first k rows, ≥ 0 with sum 1; k is also the capacity of the support.
        blocked: rows that may not enter (padding, duplicates of the support).
        max_steps: at most so many factorizations.
        start_error: rounding error of the starting scores, in units in the last place of the largest entry of the Gram matrix.
        rows: the pool's rows themselves, if even rows that are very nearly affinely dependent are to be told apart.
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
        level = noise(scale, start_error + state.moved, support_score)
        violated = state.settled & (candidates[worst] - support_score > level)
        full = violated & state.used.all()
        finished = state.settled & ~violated
        enters = violated & ~full
        entering = enters & (jnp.arange(capacity) == state.used.argmin())
        slots = jnp.where(entering, worst, state.slots).astype(jnp.int32)

        # Step towards the minimiser over the new affine hull, as far as the weights stay nonnegative.
        support_gram = gram[slots[:, None], slots[None, :]]
        support_rows = None if rows is None else rows[slots]
        step, pivot = bordered_step(support_gram, state.scores[slots] - support_score, state.used, entering, support_rows)
        used = state.used | entering
        sound = jnp.isfinite(step).all()
        # With rows at hand a tiny pivot means an exchange: a long step, which ends where some weight is used up.
        lost = PIVOT_ULPS * eps if rows is None else 0
        dependent = enters & ~(sound & (pivot > lost) & ((step * entering).sum() > 0))
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
            moved=state.moved + length * jnp.abs(step).sum(),
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
        moved=jnp.zeros((), dtype),
        steps=jnp.zeros((), jnp.int32),
    )
    end = lax.while_loop(unfinished, body, loop_start(start, gram, scores, weights))
    weights = end.weights / end.weights.sum()
    return PoolSolution(end.slots, weights, end.steps, end.full, end.finished)
