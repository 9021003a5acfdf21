"""The search for flip points: linearisations lead from a start beyond the boundary to nearer and nearer points.

The search looks for the point of a region nearest to x where the margin g = z_c − max z_k (`margins`) is at most 0. A search
has one start and one image; its best point y so far has g(y) ≤ 0. A step

1. computes three targets: the points of the region nearest to x where linearisations of g are at most 0. They use the
   linearisation at y; that and the latest other; all stored ones. The first is sequential quadratic programming with the
   objective's own Hessian (Hasofer and Lind 1974, Rackwitz and Fiessler 1978, for the same problem in structural reliability).
   The others are cutting planes: boundaries of ReLU networks have edges, where gradients jump, and the nearest point may be on
   one. All targets are moved outwards until they are only slightly nearer than y, to test their directions;
2. evaluates g at the targets, and at points between them and y;
3. picks the most promising of those beyond the boundary, and moves it towards x to where the label changes: the next y. If
   none is beyond, the search stores the linearisation at one of the targets;
4. takes one gradient in total.

The best point of a search never moves away from x, and its label always differs from that of x.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Bool, Float, Int

from hullx.numerics.norms import norm
from hullx.probes.flip_points.margins import Logits, drawn_back, first_change, linearised, margins, margins_of_each
from hullx.probes.flip_points.regions import Region, combined, multipliers
from hullx.types import Array

# Linearisations that a search stores, and the numbers of them used for the targets.
REMEMBERED = 4
COUNTS = (1, 2, REMEMBERED)
# Shares of the way from y to a target to evaluate. A target moves outwards by this share of the room up to y's distance.
SHARES = (1.0, 0.5, 0.2, 0.05)
OUTWARDS = 0.9
# A search has settled after `IDLE` steps that each shorten the distance by a smaller share than `NEARER`.
IDLE, NEARER = 6, 1e-5
# Rounds of `first_change` for a start, which need not be exact.
ROUNDS = 3


class Searches(NamedTuple):
    """l searches in progress.

    - best: the nearest points found where the label has changed.
    - distance: from the origin to them; infinite if none was found.
    - normals, limits: half-spaces {normal · y ≤ limit} of g's linearisations, the one at `best` first; 0 for none.
    - stretch: of the multipliers of each of `COUNTS` targets, as last returned by `multipliers`.
    - idle: steps since the last notable decrease of `distance`.
    - steps: gradients taken.
    """

    best: Float[Array, "l d"]
    distance: Float[Array, "l"]
    normals: Float[Array, "l q d"]
    limits: Float[Array, "l q"]
    stretch: Float[Array, "l t"]
    idle: Int[Array, "l"]
    steps: Int[Array, "l"]


def opened(
    logits: Logits,
    origin: Float[Array, "l d"],
    points: Float[Array, "l d"],
    beyond: Bool[Array, "l"],
    steps: Int[Array, "l"],
    *,
    own: Int[Array, "l"],
) -> Searches:
    """New searches, with best points near the first change of label between the origins and the given points.

    Args:
        beyond: whether the label at the points differs from `own`; if not, the search finds nothing.
        steps: gradients taken so far.
    """
    points = first_change(logits, origin, points, own, rounds=ROUNDS)[1]
    normal, limit = linearised(logits, points, own)
    return Searches(
        best=points,
        distance=jnp.where(beyond, norm(points - origin), jnp.inf),
        normals=jnp.zeros((len(points), REMEMBERED, points.shape[1]), points.dtype).at[:, 0].set(normal),
        limits=jnp.zeros((len(points), REMEMBERED), points.dtype).at[:, 0].set(limit),
        stretch=jnp.ones((len(points), len(COUNTS)), points.dtype),
        idle=jnp.where(beyond, 0, IDLE),
        steps=steps + 1,
    )


def refined(
    logits: Logits,
    region: Region,
    origin: Float[Array, "l d"],
    own: Int[Array, "l"],
    searches: Searches,
    steps: Int[Array, ""] | int,
) -> Searches:
    """The searches after `steps` steps, or once all have settled."""

    def going(state: tuple[Array, Searches]) -> Array:
        return (state[0] < steps) & (state[1].idle < IDLE).any()

    def advance(state: tuple[Array, Searches]) -> tuple[Array, Searches]:
        taken, searches = state
        following = _step(logits, region, origin, own, searches)
        return taken + 1, jax.tree.map(lambda old, new: _where(searches.idle < IDLE, new, old), searches, following)

    return lax.while_loop(going, advance, (jnp.zeros((), jnp.int32), searches))[1]


def _step(logits: Logits, region: Region, origin: Array, own: Array, searches: Searches) -> Searches:
    targets, stretch = _targets(region, origin, searches)
    shares = jnp.asarray(SHARES, origin.dtype)[:, None]
    best = searches.best[:, None, None]
    tried = (best + shares * (targets[:, :, None] - best)).reshape(len(own), -1, origin.shape[1])
    values = margins_of_each(logits, tried, own)
    away = norm(tried - origin[:, None])
    # Estimates where the label changes on the way back, if g is linear there.
    inside = jnp.maximum(margins(logits(origin), own), 0)[:, None]
    nearer = (values <= 0) & (away < searches.distance[:, None])
    promise = jnp.where(nearer, away * inside / jnp.where(inside > values, inside - values, 1), jnp.inf)
    at, chosen = jnp.arange(len(own)), promise.argmin(1)
    candidate = drawn_back(logits, origin, tried[at, chosen], values[at, chosen], own)
    length = norm(candidate - origin)
    better = nearer[at, chosen] & (length < searches.distance)
    # Without a better point, the targets are linearised in turn.
    failed = targets[at, jnp.minimum(searches.idle, len(COUNTS) - 1)]
    new = linearised(logits, _where(better, candidate, failed), own)
    old = searches.normals[:, 0], searches.limits[:, 0]
    ahead = [_where(better, mine, others) for mine, others in zip(new, old, strict=True)]
    behind = [_where(better, others, mine) for mine, others in zip(new, old, strict=True)]
    return Searches(
        best=_where(better, candidate, searches.best),
        distance=jnp.where(better, length, searches.distance),
        normals=jnp.concatenate([ahead[0][:, None], behind[0][:, None], searches.normals[:, 1:-1]], 1),
        limits=jnp.concatenate([ahead[1][:, None], behind[1][:, None], searches.limits[:, 1:-1]], 1),
        stretch=stretch,
        idle=jnp.where(better & (length < (1 - NEARER) * searches.distance), 0, searches.idle + 1),
        steps=searches.steps + 1,
    )


def _targets(region: Region, origin: Array, searches: Searches) -> tuple[Array, Array]:
    """The target for each of `COUNTS`, (l, t, d), and the stretch of its multipliers, (l, t)."""
    count, (_, dimension) = len(COUNTS), origin.shape
    used = jnp.arange(REMEMBERED) < jnp.asarray(COUNTS)[:, None]
    # Stacked, so that `multipliers` compiles once: its program is large for a hull.
    normals = jnp.where(used[..., None], searches.normals[:, None], 0).reshape(-1, REMEMBERED, dimension)
    limits = jnp.where(used, searches.limits[:, None], 0).reshape(-1, REMEMBERED)
    origins, distance = jnp.repeat(origin, count, 0), jnp.repeat(searches.distance, count)
    found, reached, stretch = multipliers(region, origins, normals, limits, searches.stretch.reshape(-1))
    length = norm(reached - origins)
    room = jnp.where((length > 0) & jnp.isfinite(distance), distance / jnp.where(length > 0, length, 1) - 1, 0)
    outwards = 1 + OUTWARDS * jnp.maximum(room, 0)
    targets = region.project(origins - outwards[:, None] * combined(found, normals))
    return targets.reshape(-1, count, dimension), stretch.reshape(-1, count)


def _where(condition: Array, yes: Array, no: Array) -> Array:
    return jnp.where(condition.reshape(-1, *[1] * (yes.ndim - 1)), yes, no)
