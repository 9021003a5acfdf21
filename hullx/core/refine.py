"""The last digits of a projection in float64, for queries so near the hull that ordinary float64 proves nothing about them.

The active set goes on with residuals and scores in about twice the digits (`core.sliced`); only the matrix of its linear
systems stays in float64, which makes it iterative refinement (Higham 2002, chapter 12). The last weights get a correction below
float64's resolution, for at that distance 1e-16 of a weight is not little.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Bool, Float

from hullx import certificate
from hullx.core import sliced
from hullx.core.hull import Hull
from hullx.core.pool.factored import affine_step, solve_pool
from hullx.core.scores import next_candidates, repeated
from hullx.core.sliced import NEAR, Residual
from hullx.numerics import extended
from hullx.numerics.extended import Slicing
from hullx.numerics.loops import loop_start
from hullx.numerics.norms import unit
from hullx.types import Answer, Array, Number, Status

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


class _Problem(NamedTuple):
    """What all rounds share."""

    query: Float[Array, "d"]  # raw
    placed: Float[Array, "c d"]  # its slices
    hull: Hull
    how: Slicing
    rtol: Number


class _State(NamedTuple):
    """Between rounds: the best answer so far, what may join its support, and how long nothing has come of it."""

    best: Answer
    candidates: Array
    idle: Array
    rounds: Array


class _Solved(NamedTuple):
    """An exact solve on a pool, and the residual of its corrected weights."""

    support: Array
    weights: Array
    along: Residual
    travelled: Array  # sum of the lengths of the corrections, in weights
    steps: Array
    entered: Array  # some candidate joined the support


def refine(query: Float[Array, "d"], hull: Hull, start: Answer, rtol: Number) -> Answer:
    """The same projection with a narrower bracket, where rounding or want of room had left it wider than rtol.

    Args:
        query: raw; it and the points are in float64.
        start: a solver's answer.
    """
    n, d = hull.points.shape
    how = extended.slicing(max(d, len(start.weights)))
    problem = _Problem(query, sliced.place(query, hull.frame, how), hull, how, rtol)

    def unfinished(state: _State) -> Array:
        return (state.idle < IDLE) & _undecided(state.best.status) & (state.rounds < ROUNDS)

    near = jnp.abs((query - hull.frame.centre) / hull.frame.scale).max() <= NEAR
    none_yet = jnp.broadcast_to(start.support[0], (min(n, CANDIDATES),)).astype(jnp.int32)
    first = _State(start, none_yet, jnp.where(near, 0, IDLE), jnp.asarray(0))
    return lax.while_loop(unfinished, lambda state: _round(problem, state), loop_start(first, query, hull.points)).best


def _undecided(status: Array) -> Bool[Array, ""]:
    return (status == Status.ROUNDING) | (status == Status.CAPACITY)


def _round(problem: _Problem, state: _State) -> _State:
    """Solve on the pool, score all points, certify."""
    (_, d), best = problem.hull.points.shape, state.best
    solved = _solved(problem, best, state.candidates)
    scores = _scores(problem, solved.along)
    dtype, frame, used = scores.dtype, problem.hull.frame, solved.weights > 0
    lost = certificate.underflow(d, len(used), frame.scale, dtype, dtype)
    upper, lower = sliced.bracket(solved.along, scores.max(), solved.travelled, lost, problem.how)
    # A bound and the direction that proves it belong together.
    higher = lower > best.lower
    lower = jnp.where(higher, lower, best.lower)
    level = certificate.inside_level(frame.radius, used.sum(), lost, dtype, dtype)
    status = certificate.status(upper, lower, level, problem.rtol)
    found = Answer(
        support=solved.support,
        weights=solved.weights,
        upper=upper,
        lower=lower,
        direction=jnp.where(higher, unit(solved.along.value.high), best.direction),
        iterations=best.iterations + solved.steps,
        status=jnp.where(status < 0, best.status, status),
        done=best.done,
    )
    following = next_candidates(scores, solved.support, used, len(state.candidates))
    # More patient than `rounds.stalled`: at this resolution a row that enters may pay a round later.
    improves = solved.entered | (upper - lower < 0.5 * (best.upper - best.lower))
    return _State(found, following, jnp.where(improves, 0, state.idle + 1), state.rounds + 1)


def _solved(problem: _Problem, best: Answer, candidates: Array) -> _Solved:
    """The exact solve on the support and the candidates."""
    points, frame, how = problem.hull.points, problem.hull.frame, problem.how
    capacity, pool = len(best.weights), jnp.concatenate([best.support, candidates])
    rows = sliced.place(points[pool], frame, how)
    differences = problem.placed[:, None] - rows
    along = sliced.residual(sliced.combined(best.weights, differences[:, :capacity], how), how)
    scores = -sliced.slabs(problem.placed, rows, along, how) / along.factor
    centred = (points[pool] - best.weights @ points[best.support]) / frame.scale
    gram = jnp.matmul(centred, centred.T, precision="highest")
    blocked = jnp.concatenate([best.weights == 0, repeated(candidates, best.support, best.weights)])
    found = solve_pool(gram, scores, best.weights, blocked, 4 * capacity + len(candidates), 0, centred)
    slots, used = found.slots, found.weights > 0
    along, travelled = _corrected(problem, found.weights, rows[:, slots], gram[slots[:, None], slots])
    return _Solved(pool[slots], found.weights, along, travelled, found.steps, (used & (slots >= capacity)).any())


def _corrected(problem: _Problem, weights: Array, rows: Float[Array, "c s d"], gram: Array) -> tuple[Residual, Array]:
    """The residual of the weights and corrections below their resolution, and how far these go.

    float64 has digits enough for what the corrections add to the residual.
    """
    how, used = problem.how, weights > 0
    differences = problem.placed[:, None] - rows

    def correct(_, state: tuple[Residual, Array, Array]) -> tuple[Residual, Array, Array]:
        along, moved, travelled = state
        scores = -sliced.slabs(problem.placed, rows, along, how) / along.factor
        step = affine_step(gram, scores - weights @ scores, used)
        step = jnp.maximum(jnp.where(jnp.isfinite(step).all(), step, 0), -weights - moved)
        along = sliced.residual(extended.add(along.value, step @ differences.sum(0)), how)
        return along, moved + step, travelled + jnp.abs(step).sum()

    along = sliced.residual(sliced.combined(weights, differences, how), how)
    still = along, jnp.zeros_like(weights), jnp.zeros((), weights.dtype)
    along, _, travelled = lax.fori_loop(0, CORRECTIONS, correct, loop_start(still, problem.query, problem.hull.points))
    return along, travelled


def _scores(problem: _Problem, along: Residual) -> Float[Array, "n"]:
    """⟨x_j − q, r⟩ times r's factor, of all points."""
    points = problem.hull.points
    n, chunk = len(points), min(CHUNK, len(points))

    def body(i: Array, found: Array) -> Array:
        first = jnp.minimum(i * chunk, n - chunk)
        rows = sliced.place(lax.dynamic_slice_in_dim(points, first, chunk), problem.hull.frame, problem.how)
        return lax.dynamic_update_slice_in_dim(found, -sliced.slabs(problem.placed, rows, along, problem.how), first, 0)

    return lax.fori_loop(0, -(-n // chunk), body, loop_start(jnp.zeros(n, points.dtype), problem.query, points))
