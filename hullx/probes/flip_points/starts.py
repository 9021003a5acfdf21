"""Starts of searches for flip points: points beyond the boundary, in different directions."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Bool, Float, Int

from hullx.numerics.norms import norm
from hullx.probes.flip_points.margins import Logits, half_spaces, margins, margins_of_each
from hullx.probes.flip_points.regions import Region, multipliers
from hullx.types import Array

# Steps towards a class, the factor by which each exceeds the linear prediction, and doublings of the whole way afterwards.
STEPS, OVERSHOOT, DOUBLINGS = 10, 1.05, 6


def towards_classes(
    logits: Logits,
    region: Region,
    origin: Float[Array, "l d"],
    start: Float[Array, "l d"],
    own: Int[Array, "l"],
    classes: Int[Array, "l"],
) -> tuple[Float[Array, "l d"], Bool[Array, "l"], Int[Array, "l"]]:
    """Points reached from each start towards a class by linearisations, until the label is no longer `own`.

    Returns:
        Points of the region, whether the label has changed there, and the steps taken.

    Reference: Moosavi-Dezfooli et al. (2016), "DeepFool: a simple and accurate method to fool deep neural networks", here for
    one class at a time.
    """

    def going(state: tuple[Array, Array, Array]) -> Array:
        points, _, taken = state
        return (taken < STEPS) & (margins(logits(points), own) > 0).any()

    def advance(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        points, steps, taken = state
        values, gradients, beyond = _leads(logits, points, own, classes)
        normals, limits = half_spaces(points, values, gradients)
        found = multipliers(region, points, normals[:, None], limits[:, None])[0]
        moved = region.project(points - OVERSHOOT * found * normals)
        return jnp.where(beyond[:, None], points, moved), steps + ~beyond, taken + 1

    zero = jnp.zeros((), jnp.int32)
    reached, steps, _ = lax.while_loop(going, advance, (start, jnp.zeros(len(start), jnp.int32), zero))
    factors = 2.0 ** jnp.arange(DOUBLINGS + 1)[:, None]
    farther = origin[:, None] + factors * (reached - origin)[:, None]
    farther = region.project(farther.reshape(-1, origin.shape[1])).reshape(farther.shape)
    beyond = margins_of_each(logits, farther, own) <= 0
    return farther[jnp.arange(len(own)), beyond.argmax(1)], beyond.any(1), steps


def around(
    logits: Logits,
    region: Region,
    origin: Float[Array, "m d"],
    own: Int[Array, "m"],
    classes: Int[Array, "m"],
    keys: Array,
    count: int,
) -> Float[Array, "m s d"]:
    """Random starts around each origin, at the distance of a class's boundary in the linearisation there.

    Args:
        classes: the class of that boundary, for each origin.
        keys: one per origin, so that the starts of an origin do not depend on the others.
        count: s, starts per origin.
    """
    values, gradients, _ = _leads(logits, origin, own, classes)
    length = norm(gradients)
    radius = jnp.abs(values) / jnp.where(length > 0, length, 1)

    def draw(key: Array) -> Array:
        return jax.random.normal(key, (count, origin.shape[1]), origin.dtype)

    directions = jax.vmap(draw)(keys)
    drawn = origin[:, None] + radius[:, None, None] * directions / norm(directions)[..., None]
    return region.project(drawn.reshape(-1, origin.shape[1])).reshape(drawn.shape)


def nearest_called_otherwise(
    origin: Float[Array, "m d"], own: Int[Array, "m"], rows: Float[Array, "n d"], labels: Int[Array, "n"]
) -> tuple[Float[Array, "m d"], Bool[Array, "m"]]:
    """The nearest row of another label to each origin, and whether one exists.

    Example:
        >>> rows, labels = jnp.array([[0.0], [1.0], [3.0]]), jnp.array([0, 0, 1])
        >>> nearest_called_otherwise(jnp.zeros((1, 1)), jnp.array([0]), rows, labels)[0]
        Array([[3.]], dtype=float32)
    """
    # ‖row − origin‖² up to a term without the row. Its rounding affects only which row is chosen.
    squares = (rows**2).sum(1) - 2 * jnp.matmul(origin, rows.T, precision="highest")
    squares = jnp.where(labels == own[:, None], jnp.inf, squares)
    nearest = squares.argmin(1)
    return rows[nearest], jnp.isfinite(squares.min(1))


def _leads(logits: Logits, points: Array, own: Array, classes: Array) -> tuple[Array, Array, Array]:
    """z_own − z_class at each point, its gradient, and whether the label differs from own."""

    def lead(points: Array) -> tuple[Array, tuple[Array, Array]]:
        found, at = logits(points), jnp.arange(len(points))
        leads = found[at, own] - found[at, classes]
        return leads.sum(), (leads, margins(found, own) <= 0)

    gradients, (leads, beyond) = jax.grad(lead, has_aux=True)(points)
    return leads, gradients, beyond
