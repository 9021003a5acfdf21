"""The compiled program of `flip_points`: all searches of a block of images, and the nearest points."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int

from hullx.probes.flip_points.margins import Logits, first_change, margins
from hullx.probes.flip_points.regions import Region
from hullx.probes.flip_points.search import opened, refined
from hullx.probes.flip_points.starts import around, nearest_called_otherwise, towards_classes
from hullx.types import Array

Apply = Callable[[Any, Array], Any]


class Searched(NamedTuple):
    """Results for b images.

    - points: on the boundary, or the origin where none was found.
    - origin: the image's nearest point in the region.
    - called: the class of the origin.
    - exists: whether a point was found.
    - steps: gradients taken, over all starts.
    """

    points: Float[Array, "b *shape"]
    origin: Float[Array, "b *shape"]
    called: Int[Array, "b"]
    exists: Bool[Array, "b"]
    steps: Int[Array, "b"]


class _Starts(NamedTuple):
    """s starts of each of b images."""

    points: Float[Array, "b s d"]
    beyond: Bool[Array, "b s"]
    steps: Int[Array, "b s"]


@partial(jax.jit, static_argnames=("apply", "classes", "steps"))
def search(
    variables: Any,
    images: Float[Array, "b *shape"],
    region: Region,
    others: tuple[Float[Array, "t d"], Int[Array, "t"]] | None,
    keys: Array | None,
    *,
    apply: Apply,
    classes: int,
    steps: int,
) -> Searched:
    """The nearest flip points found in a region.

    Args:
        others: rows and their labels; the nearest row of another label is a start.
        keys: one per image, for random starts.
        apply, classes, steps: as for `flip_points`; static. At most as many classes as the network has.
    """
    count = len(images)

    def logits(rows: Array) -> Array:
        return apply(variables, rows.reshape(-1, *images.shape[1:]))

    centre = region.project(images.reshape(count, -1))
    ranked = jnp.argsort(-logits(centre), 1)[:, :classes]
    called = ranked[:, 0]
    starts = _starts(logits, region, centre, ranked, keys)
    if others is not None:
        nearest, there = nearest_called_otherwise(centre, called, *others)
        nearest = region.project(nearest)
        there = there & (margins(logits(nearest), called) <= 0)
        more = _Starts(nearest[:, None], there[:, None], jnp.zeros_like(called[:, None]))
        starts = _Starts(*(jnp.concatenate(both, 1) for both in zip(starts, more, strict=True)))
    per_image = starts.points.shape[1]
    origin, own = jnp.repeat(centre, per_image, 0), jnp.repeat(called, per_image, 0)
    begun = opened(logits, origin, *(field.reshape(count * per_image, *field.shape[2:]) for field in starts), own=own)
    ended = refined(logits, region, origin, own, begun, steps)
    distance = ended.distance.reshape(count, per_image)
    at, best = jnp.arange(count), distance.argmin(1)
    exists = jnp.isfinite(distance[at, best])
    before, behind = first_change(logits, centre, ended.best.reshape(count, per_image, -1)[at, best], called)
    nearer = jnp.abs(margins(logits(before), called)) < jnp.abs(margins(logits(behind), called))
    points = jnp.where(exists[:, None], jnp.where(nearer[:, None], before, behind), centre)
    return Searched(
        points.reshape(images.shape), centre.reshape(images.shape), called, exists, ended.steps.reshape(count, per_image).sum(1)
    )


def _starts(logits: Logits, region: Region, centre: Array, ranked: Array, keys: Array | None) -> _Starts:
    """Starts from the image towards each other class, and with keys the same number from random places around it."""
    (count, dimension), called, aims = centre.shape, ranked[:, 0], ranked[:, 1:]
    begin = jnp.repeat(centre[:, None], aims.shape[1], 1)
    if keys is not None:
        drawn = around(logits, region, centre, called, ranked[:, 1], keys, aims.shape[1])
        begin, aims = jnp.concatenate([begin, drawn], 1), jnp.concatenate([aims, aims], 1)
    per_image = aims.shape[1]
    found = towards_classes(
        logits,
        region,
        jnp.repeat(centre, per_image, 0),
        begin.reshape(-1, dimension),
        jnp.repeat(called, per_image, 0),
        aims.reshape(-1),
    )
    return _Starts(*(field.reshape(count, per_image, *field.shape[1:]) for field in found))
