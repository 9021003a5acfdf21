"""An attack on one image, and on many: the network as it sees one image, and what comes of it.

An attack is written for one image, with loops that end when it is done. `jax.vmap` runs many in lockstep: images that are done
stay as they are, and the loop ends with the last of them.
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
# Images in lockstep: enough for small networks on an accelerator; on a CPU a CNN's steps are no faster with more than 64.
TOGETHER = 128


class Attacked(NamedTuple):
    """What an attack has made of n images.

    Images that the network calls wrongly as they are need no attack: they are returned as they are, with success, distance 0
    and 0 steps.

    - images: in [0, 1]; where there is no success, the best that was found.
    - success: whether the network calls it wrongly.
    - distance: of it from the image, in the attack's norm.
    - steps: that were taken, in all attempts.
    """

    images: Float[Array, "n ..."]
    success: Bool[Array, "n"]
    distance: Float[Array, "n"]
    steps: Int[Array, "n"]


class Target(NamedTuple):
    """One image under attack.

    - network: from one image to its logits (k,).
    - image, label: it, and what it should be called.
    - right: whether it is called so.
    - others: the other classes (k − 1,), those with the largest logits first.
    """

    network: Callable[[Array], Array]
    image: Array
    label: Array
    right: Array
    others: Array

    def fooled(self, logits: Float[Array, "k"]) -> Bool[Array, ""]:
        """Whether these logits call it wrongly; logits that are no numbers do not."""
        return (logits.argmax() != self.label) & jnp.isfinite(logits).all()


class Found(NamedTuple):
    """What an attack has made of one image."""

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
    """An attack on each of n images.

    Args:
        attack: from a `Target`, and its row of each further array, to what is found.
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
