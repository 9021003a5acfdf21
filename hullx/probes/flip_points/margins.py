"""Margins of a classifier, their linearisations, and changes of label on segments.

The margin is g(y) = z_c(y) − max z_k(y) over k ≠ c, in logits. Where g ≤ 0, the label is no longer c. Points are rows (l, d),
`logits` is a function of any number of rows, and `own` holds c for each row.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Float, Int

from hullx.numerics.norms import norm
from hullx.types import Array

# Steps of false position from a point beyond the change of label back to it.
BACK = 5
# Parts of a segment in one round, and rounds after which the segment is shorter than float32 resolves.
PARTS, ROUNDS = 16, 7

Logits = Callable[[Array], Array]


def margins(logits: Float[Array, "... k"], own: Int[Array, "..."]) -> Float[Array, "..."]:
    """g: a class's logit minus the largest other one.

    Example:
        >>> margins(jnp.array([[3.0, 1.0, 2.0], [3.0, 1.0, 2.0]]), jnp.array([0, 2]))
        Array([ 1., -1.], dtype=float32)
    """
    mine = own[..., None] == jnp.arange(logits.shape[-1])
    return jnp.where(mine, logits, 0).sum(-1) - jnp.where(mine, -jnp.inf, logits).max(-1)


def margins_of_each(logits: Logits, points: Float[Array, "l p d"], own: Int[Array, "l"]) -> Float[Array, "l p"]:
    """g at p points for each of l classes."""
    found = logits(points.reshape(-1, points.shape[-1]))
    return margins(found.reshape(*points.shape[:2], -1), own[:, None])


def linearised(
    logits: Logits, points: Float[Array, "l d"], own: Int[Array, "l"]
) -> tuple[Float[Array, "l d"], Float[Array, "l"]]:
    """Half-spaces {normal · y ≤ limit} where g's linearisation at each point is at most 0, as from `half_spaces`."""

    def gap(points: Array) -> tuple[Array, Array]:
        found = margins(logits(points), own)
        return found.sum(), found

    gradients, values = jax.grad(gap, has_aux=True)(points)
    return half_spaces(points, values, gradients)


def half_spaces(
    points: Float[Array, "l d"], values: Float[Array, "l"], gradients: Float[Array, "l d"]
) -> tuple[Float[Array, "l d"], Float[Array, "l"]]:
    """{y: value + gradient · (y − point) ≤ 0} as {normal · y ≤ limit}, with unit normals; both 0 where there is no gradient.

    Example:
        >>> half_spaces(jnp.array([[1.0, 0.0]]), jnp.array([2.0]), jnp.array([[4.0, 0.0]]))  # y₁ ≤ 1/2
        (Array([[1., 0.]], dtype=float32), Array([0.5], dtype=float32))
    """
    length = norm(gradients)
    usable = (length > 0) & jnp.isfinite(length)
    length = jnp.where(usable, length, 1)
    normals = jnp.where(usable[:, None], gradients / length[:, None], 0)
    limits = jnp.einsum("ld,ld->l", normals, points, precision="highest") - values / length
    return normals, jnp.where(usable, limits, 0)


def between(origin: Float[Array, "l d"], points: Float[Array, "l d"], places: Float[Array, "l"]) -> Float[Array, "l d"]:
    """Points on the segments: place 0 is the origin, place 1 exactly the given point."""
    share = places[:, None]
    return jnp.where(share < 1, origin + share * (points - origin), points)


def drawn_back(
    logits: Logits, origin: Float[Array, "l d"], points: Float[Array, "l d"], values: Float[Array, "l"], own: Int[Array, "l"]
) -> Float[Array, "l d"]:
    """Points where g ≤ 0, moved towards the origin to near the change of label by false position (Illinois).

    Args:
        points: where g ≤ 0; the result for other points is unspecified.
        values: g there.
    """

    def body(_: int, state: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        low, high, at_low, at_high = state
        drop = at_low - at_high
        middle = low + jnp.clip(at_low / jnp.where(drop > 0, drop, 1), 0, 1) * (high - low)
        found = margins(logits(between(origin, points, middle)), own)
        beyond = found <= 0
        # Halving the value at the end that stays prevents false position from stalling there.
        return (
            jnp.where(beyond, low, middle),
            jnp.where(beyond, middle, high),
            jnp.where(beyond, at_low / 2, found),
            jnp.where(beyond, found, at_high / 2),
        )

    zero = jnp.zeros_like(values)
    high = lax.fori_loop(0, BACK, body, (zero, zero + 1, margins(logits(origin), own), values))[1]
    return between(origin, points, high)


def first_change(
    logits: Logits, origin: Float[Array, "l d"], points: Float[Array, "l d"], own: Int[Array, "l"], *, rounds: int = ROUNDS
) -> tuple[Float[Array, "l d"], Float[Array, "l d"]]:
    """Points just before and just behind the first change of label found on segments to points where g ≤ 0.

    Each round evaluates 15 inner places; the next round refines the part that ends at the first place with g ≤ 0.
    """
    shares = jnp.arange(1, PARTS, dtype=points.dtype) / PARTS

    def body(_: int, state: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = state
        inner = low[:, None] + shares * (high - low)[:, None]
        beyond = margins_of_each(logits, origin[:, None] + inner[..., None] * (points - origin)[:, None], own) <= 0
        places = jnp.concatenate([low[:, None], inner, high[:, None]], 1)
        first = jnp.where(beyond.any(1), beyond.argmax(1), PARTS - 1)
        at = jnp.arange(len(first))
        return places[at, first], places[at, first + 1]

    zero = jnp.zeros(len(points), points.dtype)
    low, high = lax.fori_loop(0, rounds, body, (zero, zero + 1))
    return between(origin, points, low), between(origin, points, high)
