"""Column generation for a batch of queries: the compiled programs that `hullx.sweep` streams queries through.

    nearest   one product of queries by points; each query's nearest points become its first candidates;
    advance   an exact solve on support and candidates, then one product that scores all points along the new residual:
              it certifies the query or names its worst violators, the next candidates.

The products are in float32. The certificate is in float64 all the same: a float32 score is off by at most γ_d ‖x‖, so the best
candidates are scored again in float64 from the raw points, and all other points enter with the bound of their score.

All of it must be called under `jax.enable_x64(True)`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from hullx import certificate
from hullx.core.pool import factored, updated
from hullx.numerics.norms import gamma, norm_bound, power_of_two, unit
from hullx.types import Array

# Scores are first reduced to maxima over this many rows, so that the sort behind top_k sees a sixteenth of them (measured:
# twice as fast at n = 60,000 as top_k on all).
GROUP = 16
# Sets below this size are padded to one of four sizes an octave, so that sets of similar size share compiled programs.
SMALL = 2**14
# Most queries that solve in lockstep on a CPU: the slowest of them decides, and their inverses should stay in a core's cache
# (measured with 65 slots: 10 µs a step with 4 queries, 16 with 8). Fewer, where their pools would not fit into a last-level
# cache of this many bytes.
LANES = 4
CACHE_BYTES = 2**24
# A batch with at most so many queries left is scored on its own: the last rounds have few.
FEW = 32
# Steps of iterative refinement: from float32's digits the first gains about seven, the second what is left of float64's.
REFINEMENTS = 2


class Method(Enum):
    """How a pool is solved: each is slower than the one before and copes with more."""

    FLOAT32 = "updated inverse in float32"
    FLOAT64 = "updated inverse in float64"
    FACTORED = "a new factorization each step in float64"

    @property
    def dtype(self) -> type:
        """Of the Gram matrix."""
        return np.float32 if self is Method.FLOAT32 else np.float64


class Frame(NamedTuple):
    """Coordinates without units: (x − centre) / scale."""

    centre: Array  # (d,) of the raw dtype
    scale: Array  # () a power of two
    radius: Array  # () float64: no less than the largest norm of a placed point

    def place(self, rows: Array) -> Array:
        """Raw rows in these coordinates, in float64."""
        return (rows.astype(jnp.float64) - self.centre.astype(jnp.float64)) / self.scale

    def roughly(self, rows: Array) -> Array:
        """The same in float32, from differences in the rows' own dtype."""
        return ((rows - self.centre) / self.scale.astype(rows.dtype)).astype(jnp.float32)


class Hull(NamedTuple):
    """The points that span a hull, on the device."""

    points: Array  # (n, d) raw; a small set is padded with row 0, as `placed` is
    placed: Array  # (w, d) float32, in the frame; padded with zeros to w ≥ n rows
    half_squares: Array  # (w,) float32: ‖placed‖²/2
    count: Array  # () int32: n
    frame: Frame


class Lanes(NamedTuple):
    """A batch of b queries between rounds."""

    queries: Array  # (b, d) raw
    support: Array  # (b, k) int32
    weights: Array  # (b, k) float64
    candidates: Array  # (b, c) int32


class Pool(NamedTuple):
    """The rows among which a query's support is sought."""

    members: Array  # (c,) int32
    weights: Array  # (k,) float64 of the first k of them
    blocked: Array  # (c,) bool: repetitions


class Found(NamedTuple):
    """A query's exact solve on its pool, as good as the arithmetic lets it be."""

    support: Array  # (k,) int32
    weights: Array  # (k,) float64
    inverse: Array  # (k, k) see `pool.updated`
    steps: Array
    full: Array  # a violator found no free slot
    entered: Array  # some candidate joined the support


class Solution(NamedTuple):
    """The same after refinement in float64."""

    support: Array  # (k,) int32
    weights: Array  # (k,) float64
    point: Array  # (d,) float64, raw units
    direction: Array  # (d,) float64, of length 1
    upper: Array  # in the frame's units
    steps: Array
    full: Array
    entered: Array


class Round(NamedTuple):
    """What a round found for a batch of queries; distances in the frame's units."""

    solution: Solution
    candidates: Array
    lower: Array


def width(n: int) -> int:
    """How many rows n points are padded to."""
    step = max(GROUP, 2 ** (n.bit_length() - 3)) if n < SMALL else GROUP
    return -(-n // step) * step


def centre(sample: np.ndarray) -> np.ndarray:
    """A centre for points, in their dtype: any near them will do, and a sample's mean is one."""
    # Differences to a point stay accurate far from the origin.
    return sample[0] + (sample - sample[0]).mean(0, dtype=np.float64).astype(sample.dtype)


def spread(rows: Array, centre: np.ndarray) -> tuple[float, float]:
    """The largest coordinate of rows about a centre, NaN if some are not finite, and a close bound of the largest norm."""
    largest = float(_largest(rows, centre))
    scale = _scale(largest, rows.dtype)
    norm = float(_largest_norm(rows, centre, rows.dtype.type(scale)))
    return largest, norm * scale * (1 + float(gamma(rows.shape[1] + 8, rows.dtype)))


def frame(centre: np.ndarray, largest: float, radius: float) -> Frame:
    """The frame of points that are spread so about a centre."""
    scale = _scale(largest, centre.dtype)
    return Frame(centre, np.float64(scale), np.float64(radius / scale))


def _scale(largest: float, dtype: np.dtype) -> float:
    """`power_of_two` in the points' dtype, as a number of Python's."""
    return float(jax.jit(power_of_two)(np.asarray(largest, dtype)))


# In the rows' own dtype and in two programs, or copies of all rows in float64 would be made on the way.
@jax.jit
def _largest(rows: Array, centre: Array) -> Array:
    # A maximum may drop NaN: XLA's on a CPU does.
    return jnp.where(jnp.isfinite(rows).all(), jnp.abs(rows - centre).max(), jnp.nan)


@jax.jit
def _largest_norm(rows: Array, centre: Array, unit: Array) -> Array:
    return jnp.sqrt((((rows - centre) / unit) ** 2).sum(1).max())


def top(scores: Array, count: int) -> tuple[Array, Array]:
    """The `count` largest scores of each query, in falling order, and their columns: exact, in two stages."""
    lanes, rows = scores.shape
    if rows // GROUP < 2 * count:
        return lax.top_k(scores, count)
    # The largest scores lie in the groups with the largest maxima.
    groups = rows // GROUP
    _, best = lax.top_k(scores.reshape(lanes, GROUP, groups).max(1), count)
    members = (best[:, None, :] + groups * jnp.arange(GROUP)[:, None]).reshape(lanes, -1)
    values, order = lax.top_k(jnp.take_along_axis(scores, members, 1), count)
    return values, jnp.take_along_axis(members, order, 1)


def nearest(hull: Hull, queries: Array, *, count: int) -> Array:
    """Rows of the `count` points nearest to each query, as good as float32 tells: (b, count)."""
    products = jnp.matmul(hull.frame.place(queries).astype(jnp.float32), hull.placed.T, precision="highest")
    return _best(hull, products - hull.half_squares, count)[1]


def advance(hull: Hull, lanes: Lanes, max_steps: Array, active: Array, *, method: Method) -> Round:
    """One round of column generation: solve on the pool, score all points, certify. Only the first `active` lanes count."""
    count, d = lanes.candidates.shape[1], lanes.queries.shape[1]
    together = lockstep(count * d * 4, len(lanes.queries))

    def solved(lane: Lanes, steps: Array) -> Solution:
        start, query = pool(*lane[1:]), hull.frame.place(lane.queries)
        if method is Method.FLOAT32:
            found = solve(query.astype(jnp.float32), hull.placed[start.members], start, steps, method=method)
        else:
            found = solve(query, hull.frame.place(hull.points[start.members]), start, steps, method=method)
        return refine(hull.frame, lane.queries, hull.points[found.support], found)

    solution = each(solved, (lanes, max_steps), active, together)
    directions = solution.direction.astype(jnp.float32)

    def best(lanes: int) -> tuple[Array, Array]:
        products = jnp.matmul(directions[:lanes], hull.placed.T, precision="highest")
        missing = (0, len(directions) - lanes), (0, 0)
        return jax.tree.map(lambda found: jnp.pad(found, missing), _best(hull, products, count))

    few = min(FEW, len(directions))
    scores, candidates = lax.cond(active <= few, lambda: best(few), lambda: best(len(directions)))

    def largest_of(rows: Array, direction: Array) -> Array:
        return largest_exact(hull.frame, hull.points[rows], direction)

    largest = each(largest_of, (candidates, solution.direction), active, together)
    others = jnp.where(count == len(hull.placed), -jnp.inf, scores[:, -1])
    return Round(solution, candidates, lower_bound(hull.frame, lanes.queries, solution.direction, largest, others))


def lockstep(pool_bytes: int, batch: int) -> int:
    """How many queries solve together: the whole batch on an accelerator; on a CPU a power of two whose pools fit the cache."""
    together = batch
    if jax.default_backend() == "cpu":
        fit = max(CACHE_BYTES // pool_bytes, 1)
        together = min(LANES, 2 ** (fit.bit_length() - 1), batch)
    return math.gcd(together, batch)


def each(function: Callable, inputs: tuple, active: Array, together: int):
    """function(*lane) for the first `active` lanes, vectorised over so many at a time; the other results are 0."""
    batched = jax.vmap(function)

    def part(start: Array | int) -> tuple:
        return jax.tree.map(lambda field: lax.dynamic_slice_in_dim(field, start, together), inputs)

    lanes = len(jax.tree.leaves(inputs)[0])
    shapes = jax.eval_shape(lambda: batched(*part(0)))
    empty = jax.tree.map(lambda field: jnp.zeros((lanes, *field.shape[1:]), field.dtype), shapes)

    def body(i: Array, results):
        found = batched(*part(i * together))
        return jax.tree.map(lambda all_, new: lax.dynamic_update_slice_in_dim(all_, new, i * together, 0), results, found)

    return lax.fori_loop(0, (active + together - 1) // together, body, empty)


def _best(hull: Hull, scores: Array, count: int) -> tuple[Array, Array]:
    """The largest scores and their rows; a padding row, which is no point, becomes row 0."""
    values, rows = top(scores, count)
    return values, jnp.where(rows < hull.count, rows, 0).astype(jnp.int32)


def pool(support: Array, weights: Array, candidates: Array) -> Pool:
    """As many rows as there are candidates: those of the support, then the best candidates besides."""
    repeated = ((candidates[:, None] == support) & (weights > 0)).any(1)
    key = jnp.concatenate([jnp.where(weights > 0, 0, 2), jnp.where(repeated, 2, 1)])
    first = jnp.argsort(key, stable=True)[: len(candidates)]
    weights = jnp.where(key == 0, jnp.concatenate([weights, jnp.zeros(len(candidates))]), 0)
    return Pool(jnp.concatenate([support, candidates])[first], weights[first[: len(support)]], key[first] == 2)


def solve(query: Array, rows: Array, start: Pool, max_steps: Array, *, method: Method) -> Found:
    """One query's exact solve on a pool.

    Args:
        query, rows: (d,) and (c, d), placed, in the method's dtype: the query, and the pool's members.
    """
    weights = start.weights.astype(rows.dtype)
    capacity = len(weights)
    residual = weights @ (query - rows[:capacity])
    # Any origin near the nearest point will do.
    centred = rows - weights @ rows[:capacity]
    gram = jnp.matmul(centred, centred.T, precision="highest")
    problem = gram, jnp.matmul(centred, residual, precision="highest"), weights, start.blocked, max_steps
    if method is Method.FACTORED:
        found = factored.solve_pool(*problem)
        inverse = updated.inverse(gram[found.slots[:, None], found.slots], found.weights)[1]
    else:
        found, inverse = updated.solve_pool(*problem)
    return Found(
        support=start.members[found.slots],
        weights=found.weights.astype(jnp.float64),
        inverse=inverse,
        steps=found.steps,
        full=found.full,
        entered=((jnp.pad(weights, (0, len(rows) - capacity))[found.slots] == 0) & (found.weights > 0)).any(),
    )


def refine(frame: Frame, query: Array, rows: Array, found: Found) -> Solution:
    """Iterative refinement on the support: residual and scores in float64, the inverse as it is.

    Args:
        query, rows: (d,) and (k, d), raw: the query, and the support's points.
    """
    weights = found.weights / found.weights.sum()
    used = weights > 0
    # From the raw numbers, which are rounded once; placed ones would each bring their own rounding.
    data_dtype, query, rows = query.dtype, query.astype(jnp.float64), rows.astype(jnp.float64)
    differences = (query - rows) / frame.scale
    lost = certificate.underflow(len(query), len(weights), frame.scale, data_dtype, jnp.float64)

    def improved(_: int, weights: Array) -> Array:
        # ⟨x_i − p, r⟩ = ‖r‖² − ⟨q − x_i, r⟩, and a constant makes no difference.
        scores = -(differences @ (weights @ differences))
        step = found.inverse.astype(jnp.float64) @ jnp.where(used, scores - weights @ scores, 0)
        step = jnp.where(used & jnp.isfinite(step).all(), step, 0)
        length = jnp.minimum(jnp.where(step < 0, weights / -step, jnp.inf).min(), 1)
        weights = jnp.maximum(weights + length * step, 0)
        return weights / weights.sum()

    weights = lax.fori_loop(0, REFINEMENTS, improved, weights)
    residual, upper = certificate.upper_bound(weights, differences, lost)
    return Solution(
        support=found.support,
        weights=weights,
        point=query - residual * frame.scale,
        direction=unit(residual),
        upper=upper,
        steps=found.steps,
        full=found.full,
        entered=found.entered,
    )


def largest_exact(frame: Frame, rows: Array, direction: Array) -> Array:
    """The largest score of some raw rows along a direction, in float64."""
    return jnp.matmul(frame.place(rows), direction).max()


def lower_bound(frame: Frame, queries: Array, directions: Array, largest: Array, others: Array) -> Array:
    """The certified lower bounds of a batch.

    Scores in float64 are off by γ_(d+8) in float64 times the norms. Those in float32 are products of a direction and a row that
    were each rounded once to float32, whether from float64 or as a difference of float32 numbers: γ_(d+8) in float32.

    Args:
        queries: raw.
        largest: the largest float64 score of the candidates.
        others: no point that is not a candidate has a larger float32 score.
    """
    d = queries.shape[1]
    lost = certificate.underflow(d, d, frame.scale, queries.dtype, jnp.float32)
    others = others + certificate.score_error(d, frame.radius, jnp.float32)
    placed = frame.place(queries)
    error = certificate.score_error(d, norm_bound(placed) + frame.radius, jnp.float64) + lost
    return certificate.lower_bound((placed * directions).sum(1), jnp.maximum(largest, others), error, d)
