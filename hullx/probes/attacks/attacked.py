"""Run an attack that is written for one image on many images, and the types of its input and result.

`jax.vmap` runs the images in lockstep. A finished image no longer changes, and the loop ends when all images have finished.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Bool, Float, Int

from hullx.numerics.batching import over_queries
from hullx.probes.attacks.budget import Norm, moved
from hullx.types import Array

# From variables and images to logits.
Apply = Callable[[Any, Array], Array]
# Images in lockstep: enough for small networks on an accelerator. On a CPU more than 64 do not speed up a CNN's steps.
TOGETHER = 128


class Attacked(NamedTuple):
    """The result of an attack on n images.

    Images that the network already misclassifies are returned unchanged, with success, distance 0 and 0 steps.

    - images: attacked images within the bounds; without success, the best point found.
    - success: whether the network misclassifies the attacked image.
    - distance: from the original to the attacked image, in the attack's norm.
    - steps: taken in all attempts.
    """

    images: Float[Array, "n ..."]
    success: Bool[Array, "n"]
    distance: Float[Array, "n"]
    steps: Int[Array, "n"]


class Target(NamedTuple):
    """One image under attack.

    - network: from one image to its logits (k,).
    - image, label: the image and its right label.
    - right: whether the network predicts that label.
    - others: the other classes (k − 1,), those with the largest logits first.
    """

    network: Callable[[Array], Array]
    image: Array
    label: Array
    right: Array
    others: Array

    def fooled(self, logits: Float[Array, "k"]) -> Bool[Array, ""]:
        """Whether these logits misclassify the image; False for logits that are not finite."""
        return (logits.argmax() != self.label) & jnp.isfinite(logits).all()


class Found(NamedTuple):
    """The result of an attack on one image."""

    image: Array
    success: Array
    steps: Array


def over_images(
    attack: Callable[..., Found],
    apply: Apply,
    variables: Any,
    images: Float[Array, "n ..."],
    labels: Int[Array, "n"],
    *each: Array,
    norm: Norm,
    together: int,
) -> Attacked:
    """Run an attack on each of n images.

    Args:
        attack: maps a `Target` and its row of each further array to the result.
        apply: from variables and images to logits; called with one image at a time under `jax.vmap`.
        each: arrays (n, ...).
        norm: of the distance.
        together: images in lockstep.
    """

    def one(image: Array, label: Array, *mine: Array) -> Attacked:
        def network(image: Array) -> Array:
            return apply(variables, image[None])[0]

        logits = network(image)
        right = logits.argmax() == label
        others = jnp.argsort(jnp.where(jnp.arange(len(logits)) == label, -jnp.inf, logits), descending=True)[:-1]
        found = attack(Target(network, image, label, right, others), *mine)
        changed = jnp.where(right, found.image, image)
        return Attacked(
            changed, found.success | ~right, moved(changed, image, norm), jnp.where(right, found.steps, 0).astype(jnp.int32)
        )

    return over_queries(one, images, labels, *each, together=together)
