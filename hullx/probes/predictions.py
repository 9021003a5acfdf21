"""Logits of one network, or of all members of an ensemble, for images."""

from __future__ import annotations

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Float

from hullx.training.steps import EVALUATED, over_members
from hullx.types import Array


@partial(jax.jit, static_argnames=("model", "members"))
def logits(
    variables: Any, images: Float[Array, "n h w c"], *, model: nn.Module, members: bool = True
) -> Float[Array, "m n k"] | Float[Array, "n k"]:
    """The logits of every member for every image, computed in blocks of some hundred images.

    Args:
        variables: of one network, or with a leading axis of members, as `fit(...).state.variables`.
        images: preprocessed as in training.
        members: whether the variables have an axis of members.

    Example:
        >>> model, images = MLP(classes=10), jnp.zeros((5, 8, 8, 1))
        >>> members = jax.vmap(lambda key: model.init(key, images))(jax.random.split(jax.random.key(0), 3))
        >>> logits(members, images, model=model).argmax(-1).shape
        (3, 5)
    """
    n = len(images)
    size = min(n, EVALUATED)
    # Blocks of one size; the last is padded with its last image.
    rows = jnp.minimum(jnp.arange(-(-n // size) * size), n - 1).reshape(-1, size)

    def one(variables: Any) -> Array:
        found: Any = lax.map(lambda some: model.apply(variables, images[some], train=False), rows)
        return found.reshape(-1, found.shape[-1])[:n]

    return over_members(one, model, images, None)(variables) if members else one(variables)
