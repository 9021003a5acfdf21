"""Column generation for a batch of queries: the two compiled programs that `hullx.sweep` streams queries through.

    nearest   one product of queries by points; each query's nearest points become its first candidates;
    advance   an exact solve on support and candidates, then one product that scores all points along the new residual:
              it certifies the query or names its worst violators, the next candidates.

The products are in float32. The certificate is in float64 all the same: a float32 score is off by at most γ_d ‖x‖, so the best
candidates are scored again in float64 from the raw points, and all other points enter with the bound of their score.

Both must be called under `jax.enable_x64(True)`.
"""

from __future__ import annotations

from functools import partial
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
# Queries that solve in lockstep; small, because the slowest of them decides (measured: 32 to 64 are best on 2 cores).
LANES = 32


class Hull(NamedTuple):
    """The points that span a hull, on the device, and their coordinates without units: (x − centre) / scale."""

    points: Array  # (n, d) raw; small sets are padded with row 0
    placed: Array  # (w, d) float32, in the frame; padded with zeros to w ≥ n rows
    count: Array  # () int32: n
    centre: Array  # (d,) of the raw dtype
    scale: Array  # () a power of two
    radius: Array  # () float64: max ‖placed‖

    def place(self, rows: Array) -> Array:
        """Raw rows in the frame's coordinates, in float64."""
        return (rows.astype(jnp.float64) - self.centre.astype(jnp.float64)) / self.scale


class Lanes(NamedTuple):
    """A batch of b queries between rounds."""

    queries: Array  # (b, d) raw
    support: Array  # (b, k) int32
    weights: Array  # (b, k) float64
    candidates: Array  # (b, c) int32


class Round(NamedTuple):
    """What a round found for a batch of queries; distances in the frame's units."""

    support: Array
    weights: Array
    candidates: Array
    upper: Array
    lower: Array
    point: Array  # (b, d) float64, raw units
    direction: Array  # (b, d) float64
    steps: Array
    full: Array  # a violator found no free slot
    entered: Array  # some candidate joined the support


def width(n: int) -> int:
    """How many rows n points are padded to."""
    step = max(GROUP, 2 ** (n.bit_length() - 3)) if n < SMALL else GROUP
    return -(-n // step) * step


def hull(points: np.ndarray) -> Hull:
    """Points placed on the default device."""
    n, d = points.shape
    # Any centre in the hull will do; a sample's mean is one. Differences to a point stay accurate far from the origin.
    sample = points[:: max(1, n // 4096)]
    centre = points[0] + (sample - points[0]).mean(0, dtype=np.float64).astype(points.dtype)
    centred = points - centre
    largest = max(centred.max(), -centred.min())
    scale = 2.0 ** np.frexp(np.float64(largest))[1] if largest > 0 else 1.0
    centred /= points.dtype.type(scale)
    # A padding row is the centre, which never scores above all points: it cannot displace the worst violator.
    placed = np.zeros((width(n), d), np.float32)
    placed[:n] = centred
    radius = np.sqrt(np.einsum("nd,nd->n", centred, centred, dtype=np.float64).max())
    if n < SMALL:
        points = np.concatenate([points, np.repeat(points[:1], width(n) - n, 0)])
    return Hull(*map(jnp.asarray, (points, placed, np.int32(n), centre, np.float64(scale), radius)))


def _top_scores(scores: Array, count: int, n: Array) -> tuple[Array, Array]:
    """The `count` largest scores of each query, in falling order, and their rows (0 for padding): exact, in two stages."""
    lanes, rows = scores.shape
    if rows // GROUP < 2 * count:
        values, best = lax.top_k(scores, count)
    else:
        # The rows of the largest scores lie in the groups of the largest maxima.
        groups = rows // GROUP
        _, best = lax.top_k(scores.reshape(lanes, GROUP, groups).max(1), count)
        members = (best[:, None, :] + groups * jnp.arange(GROUP)[:, None]).reshape(lanes, -1)
        values, order = lax.top_k(jnp.take_along_axis(scores, members, 1), count)
        best = jnp.take_along_axis(members, order, 1)
    return values, jnp.where(best < n, best, 0).astype(jnp.int32)


@partial(jax.jit, static_argnames=("count",))
def nearest(hull: Hull, queries: Array, *, count: int) -> Array:
    """Rows of the `count` points nearest to each query, as good as float32 tells: (b, count)."""
    placed = hull.place(queries).astype(jnp.float32)
    half_squares = (hull.placed * hull.placed).sum(1) / 2
    products = jnp.matmul(placed, hull.placed.T, precision="highest")
    return _top_scores(products - half_squares, count, hull.count)[1]


@partial(jax.jit, static_argnames=("gram_dtype",))
def advance(hull: Hull, lanes: Lanes, max_steps: Array, *, gram_dtype) -> Round:
    """One round of column generation: solve on the pool, score all points, certify."""
    rows, d = hull.placed.shape
    count = lanes.candidates.shape[1]

    solve = partial(_solve, hull, gram_dtype=gram_dtype)
    solved = lax.map(lambda lane: solve(*lane), (*lanes, max_steps), batch_size=LANES)
    support, weights, residual, point, spread, steps, full, entered = solved
    upper = certificate.upper_bound(residual, spread, (weights > 0).sum(1))
    direction = certificate.unit(residual)

    products = jnp.matmul(direction.astype(jnp.float32), hull.placed.T, precision="highest")
    scores, candidates = _top_scores(products, count, hull.count)
    exact = lax.map(
        lambda lane: jnp.matmul(hull.place(hull.points[lane[0]]), lane[1]), (candidates, direction), batch_size=LANES
    )
    # No point outside the candidates scores more than the last of them, but for the float32 error.
    others = scores[:, -1] + certificate.score_error(d, hull.radius, jnp.float32)
    largest = exact.max(1) if count == rows else jnp.maximum(exact.max(1), others)
    placed = hull.place(lanes.queries)
    query_score = (placed * direction).sum(1)
    error = certificate.score_error(d, certificate.norm(placed) + hull.radius, jnp.float64)
    return Round(
        support=support,
        weights=weights,
        candidates=candidates,
        upper=upper,
        lower=certificate.lower_bound(query_score, largest, error),
        point=point * hull.scale + hull.centre,
        direction=direction,
        steps=steps,
        full=full,
        entered=entered,
    )


def _solve(hull: Hull, query: Array, support: Array, weights: Array, candidates: Array, max_steps: Array, *, gram_dtype):
    """One query's exact solve on its pool, in `gram_dtype`, then a Newton step on the support in float64."""
    capacity = len(support)
    placed_query = hull.place(query)
    rows = hull.place(hull.points[support])
    origin, residual = weights @ rows, weights @ (placed_query - rows)
    pool = jnp.concatenate([support, candidates])
    if gram_dtype == jnp.float32:
        pool_rows = hull.placed[pool] - origin.astype(jnp.float32)
    else:
        pool_rows = hull.place(hull.points[pool]) - origin
    repeated = ((candidates[:, None] == support) & (weights > 0)).any(1)
    solution = solve_pool(
        jnp.matmul(pool_rows, pool_rows.T, precision="highest"),
        jnp.matmul(pool_rows, residual.astype(gram_dtype), precision="highest"),
        weights.astype(gram_dtype),
        jnp.concatenate([weights == 0, repeated]),
        max_steps,
    )
    entered = ((solution.slots >= capacity) & (solution.weights > 0)).any()
    support = pool[solution.slots]
    weights = solution.weights.astype(jnp.float64)
    weights = weights / weights.sum()

    rows = hull.place(hull.points[support])
    differences = placed_query - rows
    used = weights > 0
    centred = jnp.where(used[:, None], rows - weights @ rows, 0)
    step, _ = affine_step(centred @ centred.T, centred @ (weights @ differences), used, jnp.zeros_like(used))
    step = jnp.where(jnp.isfinite(step).all(), step, 0)
    length = jnp.minimum(jnp.where(step < 0, weights / -step, jnp.inf).min(), 1)
    weights = jnp.maximum(weights + length * step, 0)
    weights = weights / weights.sum()
    spread = weights @ certificate.norm(differences)
    return support, weights, weights @ differences, weights @ rows, spread, solution.steps, solution.full, entered
