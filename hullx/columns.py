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
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from hullx import certificate
from hullx.solvers.lawson_hanson import affine_step, solve_pool
from hullx.types import Array

# Scores are first reduced to maxima over this many rows, so that the sort behind top_k sees a sixteenth of them (measured:
# twice as fast at n = 60,000 as top_k on all).
GROUP = 16
# Sets below this size are padded to one of four sizes an octave, so that sets of similar size share compiled programs.
SMALL = 2**14
# Most queries that solve in lockstep on a CPU: the slowest of them decides (8 is up to a seventh faster than 32 on MNIST).
# Fewer, where their pools would not fit into a last-level cache of this many bytes.
LANES = 8
CACHE_BYTES = 2**24


class Frame(NamedTuple):
    """Coordinates without units: (x − centre) / scale."""

    centre: Array  # (d,) of the raw dtype
    scale: Array  # () a power of two
    radius: Array  # () float64: the largest norm of a placed point

    def place(self, rows: Array) -> Array:
        """Raw rows in these coordinates, in float64."""
        return (rows.astype(jnp.float64) - self.centre.astype(jnp.float64)) / self.scale


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


class Solution(NamedTuple):
    """A query's exact solve on its pool."""

    support: Array  # (k,) int32
    weights: Array  # (k,) float64
    point: Array  # (d,) float64, raw units
    direction: Array  # (d,) float64, of length 1
    upper: Array  # in the frame's units
    steps: Array
    full: Array  # a violator found no free slot
    entered: Array  # some candidate joined the support


class Round(NamedTuple):
    """What a round found for a batch of queries; distances in the frame's units."""

    solution: Solution
    candidates: Array
    lower: Array


def width(n: int) -> int:
    """How many rows n points are padded to."""
    step = max(GROUP, 2 ** (n.bit_length() - 3)) if n < SMALL else GROUP
    return -(-n // step) * step


def frame(points: np.ndarray) -> tuple[Frame, np.ndarray]:
    """The frame of the points, and the points in it, in their own dtype."""
    # Any centre in the hull will do; a sample's mean is one. Differences to a point stay accurate far from the origin.
    sample = points[:: max(1, len(points) // 4096)]
    centre = points[0] + (sample - points[0]).mean(0, dtype=np.float64).astype(points.dtype)
    placed = points - centre
    largest = max(placed.max(), -placed.min())
    scale = 2.0 ** np.frexp(np.float64(largest))[1] if largest > 0 else 1.0
    placed /= points.dtype.type(scale)
    radius = np.sqrt(np.einsum("nd,nd->n", placed, placed, dtype=np.float64).max())
    return Frame(centre, np.float64(scale), radius), placed


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
    placed = hull.frame.place(queries).astype(jnp.float32)
    products = jnp.matmul(placed, hull.placed.T, precision="highest")
    return _best(hull, products - hull.half_squares, count)[1]


def advance(hull: Hull, lanes: Lanes, max_steps: Array, active: Array, *, gram_dtype) -> Round:
    """One round of column generation: solve on the pool, score all points, certify. Only the first `active` lanes count."""

    def solved(lane: Lanes, steps: Array) -> Solution:
        rows = hull.points[jnp.concatenate([lane.support, lane.candidates])]
        return solve(hull.frame, lane.queries, rows, *lane[1:], steps, gram_dtype=gram_dtype)

    pool = lanes.support.shape[1] + lanes.candidates.shape[1]
    together = lockstep(pool * lanes.queries.shape[1] * 4, len(lanes.queries))
    solution = each(solved, (lanes, max_steps), active, together)
    products = jnp.matmul(solution.direction.astype(jnp.float32), hull.placed.T, precision="highest")
    scores, candidates = _best(hull, products, lanes.candidates.shape[1])

    def largest_of(rows: Array, direction: Array) -> Array:
        return largest_exact(hull.frame, hull.points[rows], direction)

    largest = each(largest_of, (candidates, solution.direction), active, together)
    complete = candidates.shape[1] == len(hull.placed)
    others = jnp.where(complete, -jnp.inf, scores[:, -1])
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


def solve(
    frame: Frame,
    query: Array,
    rows: Array,
    support: Array,
    weights: Array,
    candidates: Array,
    max_steps: Array,
    *,
    gram_dtype,
) -> Solution:
    """One query's exact solve on a pool, in `gram_dtype`, then a step of refinement on the support in float64.

    Args:
        rows: (k + c, d) raw points: those of the support, then the candidates.
    """
    capacity = len(support)
    placed_query = frame.place(query)
    placed = frame.place(rows[:capacity])
    # Any origin near the nearest point will do; this one is a raw number, so that differences to it are rounded once.
    origin = (weights @ placed * frame.scale + frame.centre).astype(rows.dtype)
    pool = ((rows - origin) / frame.scale.astype(rows.dtype)).astype(gram_dtype)
    residual = (weights @ (placed_query - placed)).astype(gram_dtype)
    repeated = ((candidates[:, None] == support) & (weights > 0)).any(1)
    gram = jnp.matmul(pool, pool.T, precision="highest")
    found = solve_pool(
        gram,
        jnp.matmul(pool, residual, precision="highest"),
        weights.astype(gram_dtype),
        jnp.concatenate([weights == 0, repeated]),
        max_steps,
    )
    # Iterative refinement: residual and scores in float64, the matrix as it is.
    weights = found.weights.astype(jnp.float64)
    weights = weights / weights.sum()
    used = weights > 0
    placed = frame.place(rows[found.slots])
    differences = placed_query - placed
    gram = gram[found.slots[:, None], found.slots[None, :]].astype(jnp.float64)
    # ⟨x_i − p, r⟩ = ‖r‖² − ⟨q − x_i, r⟩, and a constant makes no difference.
    scores = -(differences @ (weights @ differences))
    step, _ = affine_step(gram, scores - weights @ scores, used)
    step = jnp.where(jnp.isfinite(step).all(), step, 0)
    length = jnp.minimum(jnp.where(step < 0, weights / -step, jnp.inf).min(), 1)
    weights = jnp.maximum(weights + length * step, 0)
    weights = weights / weights.sum()
    residual = weights @ differences
    return Solution(
        support=jnp.concatenate([support, candidates])[found.slots],
        weights=weights,
        point=weights @ placed * frame.scale + frame.centre,
        direction=certificate.unit(residual),
        upper=certificate.upper_bound(residual, weights @ certificate.norm(differences), (weights > 0).sum()),
        steps=found.steps,
        full=found.full,
        entered=((found.slots >= capacity) & (found.weights > 0)).any(),
    )


def largest_exact(frame: Frame, rows: Array, direction: Array) -> Array:
    """The largest score of some raw rows along a direction, in float64."""
    return jnp.matmul(frame.place(rows), direction).max()


def lower_bound(frame: Frame, queries: Array, directions: Array, largest: Array, others: Array) -> Array:
    """The certified lower bounds of a batch.

    Args:
        largest: the largest float64 score of the candidates.
        others: no point that is not a candidate has a larger float32 score.
    """
    dimension = queries.shape[1]
    others = others + certificate.score_error(dimension, frame.radius, jnp.float32)
    placed = frame.place(queries)
    error = certificate.score_error(dimension, certificate.norm(placed) + frame.radius, jnp.float64)
    return certificate.lower_bound((placed * directions).sum(1), jnp.maximum(largest, others), error)
