"""A random search for adversarial images that needs no gradient: Square Attack in L∞, simplified."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int

Apply = Callable[[Any, jax.Array], Any]


def square_attack(
    apply: Apply,
    variables: Any,
    images: Float[jax.Array, "n h w c"],
    labels: Int[jax.Array, "n"],
    key: jax.Array,
    *,
    radius: float,
    queries: int,
) -> tuple[Float[jax.Array, "n h w c"], Bool[jax.Array, "n"]]:
    """Attacked images in [0, 1] within an L∞ radius, and whether the network misclassifies them.

    The search starts from vertical stripes of ±radius. Each step sets a random square of each image to ±radius from the
    original, one sign per channel, and keeps it if the margin of the true class falls. Squares shrink from a third of the side
    to one pixel. A network whose gradients mislead other attacks does not mislead this one (Athalye et al. 2018).

    Args:
        apply: maps variables and images to logits (n, k); compiled.
        queries: evaluations of the network.

    Reference: Andriushchenko et al. (2020), "Square Attack", algorithms 1 and 2, here with a linear schedule of sizes.
    """
    height, width, channels = images.shape[1:]
    first, rest = jax.random.split(key)

    def margin(points: jax.Array) -> jax.Array:
        logits = apply(variables, points)
        mine = jax.nn.one_hot(labels, logits.shape[1], dtype=bool)
        return jnp.where(mine, logits, 0).sum(1) - jnp.where(mine, -jnp.inf, logits).max(1)

    @jax.jit
    def proposed(key: jax.Array, points: jax.Array, side: jax.Array) -> jax.Array:
        """The points, with a random square of each at the given distance from the image."""
        rows_key, columns_key, signs_key = jax.random.split(key, 3)
        top, left = (
            jax.random.randint(each, (len(images), 1), 0, length - side + 1)
            for each, length in ((rows_key, height), (columns_key, width))
        )
        down, across = (
            (jnp.arange(length) >= at) & (jnp.arange(length) < at + side) for length, at in ((height, top), (width, left))
        )
        inside = (down[:, :, None] & across[:, None, :])[..., None]
        signs = jax.random.rademacher(signs_key, (len(images), 1, 1, channels), images.dtype)
        return jnp.where(inside, jnp.clip(images + radius * signs, 0, 1), points)

    stripes = jax.random.rademacher(first, (len(images), 1, width, channels), images.dtype)
    points = jnp.clip(images + radius * stripes, 0, 1)
    best = margin(points)
    for step, each in enumerate(jax.random.split(rest, queries - 1)):
        side = max(round(height / 3 * (1 - step / queries)), 1)
        tried = proposed(each, points, jnp.int32(side))
        found = margin(tried)
        better = found < best
        points, best = jnp.where(better[:, None, None, None], tried, points), jnp.where(better, found, best)
    return points, best < 0
