"""The last digits of a projection in float64, for queries so near the hull that ordinary float64 proves nothing about them.

At a distance of 1e-12 radii, a residual q − Σ w_i x_i summed in float64 has no more than four right digits, and neither has a
score ⟨x_j, r⟩. Here both are computed by `extended`, from the raw numbers. The active set goes on with these scores; only the
matrix of its linear systems stays in float64, which makes it iterative refinement (Higham 2002, chapter 12). The last weights
get a correction below float64's resolution, for at that distance 1e-16 of a weight is not little.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Bool, Float

from hullx import certificate
from hullx.core.hull import Hull
from hullx.core.pool.factored import affine_step, solve_pool
from hullx.core.scores import next_candidates, repeated
from hullx.numerics import extended
from hullx.numerics.extended import Pair, Slicing
from hullx.numerics.loops import varying
from hullx.numerics.norms import gamma, norm_bound, power_of_two, unit
from hullx.types import Answer, Array, Status

# Rows scored at a time: their slices are what takes memory.
CHUNK = 1024
# Rows that may enter the support in a round.
CANDIDATES = 64
# Most rounds, each of which solves exactly on the rows that it knows.
ROUNDS = 100
# Rounds without progress after which it gives up: the first knows no candidates yet, and one may end on a weight that only
# rounding keeps positive.
IDLE = 3
# Each gains the digits of float64, less those of the support's condition.
CORRECTIONS = 2
# Largest coordinate of a query, in the frame, for which products are exact (`extended.SPARE_BITS`); no other query needs this.
NEAR = 2.0


class Place(NamedTuple):
    """Raw numbers to slices of (x − centre) / scale, exactly."""

    centre: Float[Array, "d"]
    scale: Float[Array, ""]
    how: Slicing

    def __call__(self, rows: Float[Array, "... d"]) -> Float[Array, "c ... d"]:
        high, low = extended.difference(rows, self.centre)
        return extended.cut(Pair(high / self.scale, low / self.scale), self.how)


# Best so far, candidates, rounds without progress, rounds.
_State = tuple[Answer, Array, Array, Array]


class Residual(NamedTuple):
    """r = q − p, and its slices once a power of two has brought its largest entry to about 1."""

    value: Pair
    enlarged: Float[Array, "c d"]
    factor: Float[Array, ""]


def residual(value: Pair, how: Slicing) -> Residual:
    """The residual from its value."""
    largest = jnp.abs(value.high).max()
    factor = 1 / power_of_two(largest)
    return Residual(value, extended.cut(Pair(value.high * factor, value.low * factor), how), factor)


def combined(weights: Float[Array, "s"], differences: Float[Array, "c s d"], how: Slicing) -> Pair:
    """Σ_i w_i (q − x_i)."""
    sliced = extended.cut(Pair(weights, jnp.zeros_like(weights)), how)
    high, low = extended.product(sliced[:, None], differences, how)
    return Pair(high[0], low[0])


def slabs(query: Float[Array, "c d"], rows: Float[Array, "c n d"], along: Residual, how: Slicing) -> Float[Array, "n"]:
    """⟨q − x_j, r⟩ times r's factor."""
    column = along.enlarged[..., None]
    ours, theirs = extended.product(query[:, None], column, how), extended.product(rows, column, how)
    terms = jnp.broadcast_arrays(ours.high, -theirs.high, ours.low, -theirs.low)
    return extended.total(jnp.stack(terms)).high[:, 0]


def refine(query: Float[Array, "d"], hull: Hull, start: Answer, rtol: float) -> Answer:
    """The same projection with a narrower bracket, where rounding or want of room had left it wider than rtol.

    Args:
        query: raw; it and the points are in float64.
        start: a solver's answer.
    """
    points, (centre, scale, radius) = hull.points, hull.frame
    n, d = points.shape
    capacity = len(start.weights)
    how = extended.slicing(max(d, capacity))
    place = Place(centre, scale, how)
    placed, chunk = place(query), min(CHUNK, n)

    def scores_of_all(along: Residual) -> Array:
        def body(i: Array, found: Array) -> Array:
            first = jnp.minimum(i * chunk, n - chunk)
            rows = place(lax.dynamic_slice_in_dim(points, first, chunk))
            return lax.dynamic_update_slice_in_dim(found, -slabs(placed, rows, along, how), first, 0)

        return lax.fori_loop(0, -(-n // chunk), body, varying(jnp.zeros(n, points.dtype), query, points))

    def better(best: Answer, candidates: Array) -> tuple[Answer, Array, Array]:
        pool = jnp.concatenate([best.support, candidates])
        rows = place(points[pool])
        differences = placed[:, None] - rows
        along = residual(combined(best.weights, differences[:, :capacity], how), how)
        scores = -slabs(placed, rows, along, how) / along.factor
        centred = (points[pool] - best.weights @ points[best.support]) / scale
        gram = jnp.matmul(centred, centred.T, precision="highest")
        blocked = jnp.concatenate([best.weights == 0, repeated(candidates, best.support, best.weights)])
        found = solve_pool(gram, scores, best.weights, blocked, 4 * capacity + len(candidates), 0, centred)

        # Corrections below the weights' resolution: float64 has digits enough for what they add to the residual.
        slots, weights, used = found.slots, found.weights, found.weights > 0
        along = residual(combined(weights, differences[:, slots], how), how)

        def correct(_, state: tuple[Residual, Array, Array]) -> tuple[Residual, Array, Array]:
            along, moved, travelled = state
            scores = -slabs(placed, rows[:, slots], along, how) / along.factor
            step, _ = affine_step(gram[slots[:, None], slots], scores - weights @ scores, used)
            step = jnp.maximum(jnp.where(jnp.isfinite(step).all(), step, 0), -weights - moved)
            along = residual(extended.add(along.value, step @ differences[:, slots].sum(0)), how)
            return along, moved + step, travelled + jnp.abs(step).sum()

        still = along, jnp.zeros_like(weights), jnp.zeros((), weights.dtype)
        along, _, travelled = lax.fori_loop(0, CORRECTIONS, correct, varying(still, query, points))

        scores = scores_of_all(along)
        lost = certificate.underflow(d, capacity, scale, points.dtype, points.dtype)
        upper, lower = _bracket(along, scores.max(), travelled, lost, how)
        # A bound and the direction that proves it belong together.
        higher = lower > best.lower
        lower = jnp.where(higher, lower, best.lower)
        level = certificate.inside_level(radius, used.sum(), lost, points.dtype, points.dtype)
        status = certificate.status(upper, lower, level, rtol)
        support = pool[slots]
        found = Answer(
            support=support,
            weights=weights,
            upper=upper,
            lower=lower,
            direction=jnp.where(higher, unit(along.value.high), best.direction),
            iterations=best.iterations + found.steps,
            status=jnp.where(status < 0, best.status, status),
            done=best.done,
        )
        following = next_candidates(scores, support, used, len(candidates))
        entered = (used & (slots >= capacity)).any()
        return found, following, entered | (upper - lower < 0.5 * (best.upper - best.lower))

    def unfinished(state: _State) -> Array:
        best, _, idle, rounds = state
        return (idle < IDLE) & _undecided(best.status) & (rounds < ROUNDS)

    def body(state: _State) -> _State:
        best, candidates, idle, rounds = state
        found, following, improves = better(best, candidates)
        return found, following, jnp.where(improves, 0, idle + 1), rounds + 1

    near = jnp.abs((query - centre) / scale).max() <= NEAR
    none_yet = jnp.broadcast_to(start.support[0], (min(n, CANDIDATES),)).astype(jnp.int32)
    first = varying((start, none_yet, jnp.where(near, 0, IDLE), jnp.asarray(0)), query, points)
    return lax.while_loop(unfinished, body, first)[0]


def _undecided(status: Array) -> Bool[Array, ""]:
    return (status == Status.ROUNDING) | (status == Status.CAPACITY)


def _bracket(along: Residual, largest_score: Array, travelled: Array, lost: Array, how: Slicing) -> tuple[Array, Array]:
    """‖r‖ and the slab along r, each with what its computation may be off by.

    ‖r‖ is that of weights that sum to 1 up to a few roundings for each of them, which are relative errors of r, as is the
    rounding of its norm. (Where a correction was cut short at weight 0 the sum is larger, and so is r.) An entry of r is off by
    what the slices leave out, and by the corrections' part of it, which is a sum in float64 of coordinates of q − x, at most
    NEAR + 1 each; a weight that rounding makes negative is less than u times the correction that did so.

    Any vector e proves a lower bound, ⟨q − x_j, e⟩ / ‖e‖ for the least j: here e is the sum of r's slices, of length ‖r‖ times
    the factor. Each of the two products of a score leaves something out, which three times the slicing's bound pays for.

    Args:
        travelled: sum of the lengths of the corrections, in weights.
        lost: to underflow (`certificate.underflow`).
    """
    value = along.value.high
    relative = 8 * gamma(how.terms + 8, value.dtype)
    rounded = gamma(2 * how.terms + how.count + 8, value.dtype) * (NEAR + 1) * travelled
    upper = norm_bound(value) * (1 + relative) + (how.error + rounded) * len(value) ** 0.5 + lost
    slab = -largest_score * (1 - relative) - 3 * how.error
    lower = slab / (norm_bound(value) * along.factor) - lost
    return upper, jnp.where(lower > 0, lower, 0)
