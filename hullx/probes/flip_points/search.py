"""The search for flip points: from a start beyond the boundary ever nearer to the image, by linearisations.

The aim is the point of a region nearest to x where the margin g = z_c − max z_k (`margins`) is at most 0. A search has one
start of one image; its best point y so far has g(y) ≤ 0. A step

1. finds the points of the region nearest to x where linearisations of g are at most 0: the one at y; that and the latest other;
   all that are remembered. The first is sequential quadratic programming with the objective's own Hessian (Hasofer and Lind
   1974, Rackwitz and Fiessler 1978, who look for the same point in structural reliability). The others are cutting planes: the
   boundaries of networks of rectifiers have edges, where gradients jump, and the nearest point may be on one;
   All are moved outwards until they are hardly nearer than y, to see whether their direction leads to a nearer point;
2. tries them, and points between them and y;
3. goes from the most promising one that lies beyond the boundary back towards x, to where the label changes: the next y. If
   there is none, the linearisation at one of the targets is remembered;
4. so takes one gradient.

The best point of a search never moves away from x, and its label is always another than that of x.
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

# Linearisations that a search remembers, and how many of them make a target.
REMEMBERED = 4
COUNTS = (1, 2, REMEMBERED)
# Shares of the way from y to a target that are tried; share of the way on to y's distance by which a target is moved outwards.
SHARES = (1.0, 0.5, 0.2, 0.05)
OUTWARDS = 0.9
# A search has settled after `IDLE` steps that each shorten the distance by a smaller share than `NEARER`.
IDLE, NEARER = 6, 1e-5
# Rounds of `first_change` for a start, which need not be exact.
ROUNDS = 3


class Searches(NamedTuple):
    """l searches in progress.

    - best: where the label has changed, the nearest points found.
    - distance: from the origin to them; infinite for a search without any.
    - normals, limits: half-spaces {normal · y ≤ limit} of g's linearisations, the one at `best` first; 0 for none.
    - stretch: of the multipliers of each of `COUNTS` targets, as `multipliers` returned it last.
    - idle: steps since `best` became notably nearer.
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
    """New searches, whose best points are near the first change of label between the origins and given points.

    Args:
        beyond: whether the label at the points differs from `own`; where it does not, the search never finds anything.
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
    """The searches after `steps` steps, or as soon as all have settled."""

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
    # Where the label would change on the way back, were g linear on it.
    inside = jnp.maximum(margins(logits(origin), own), 0)[:, None]
    nearer = (values <= 0) & (away < searches.distance[:, None])
    promise = jnp.where(nearer, away * inside / jnp.where(inside > values, inside - values, 1), jnp.inf)
    at, chosen = jnp.arange(len(own)), promise.argmin(1)
    candidate = drawn_back(logits, origin, tried[at, chosen], values[at, chosen], own)
    length = norm(candidate - origin)
    better = nearer[at, chosen] & (length < searches.distance)
    # Where nothing is better, what is linearised next are the targets in turn.
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
    """What is tried in full, for each of `COUNTS`, (l, t, d), and how its multipliers are stretched, (l, t)."""
    count, (_, dimension) = len(COUNTS), origin.shape
    used = jnp.arange(REMEMBERED) < jnp.asarray(COUNTS)[:, None]
    # All of them at once: what is stacked is one program, and in a hull a large one.
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
