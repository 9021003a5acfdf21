"""Models that are linear in their parameters: fixed features and a head."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Float

from hullx.models.mlp import activation
from hullx.types import Array


class RandomFeatures(nn.Module):
    """A fixed random first layer and a linear head.

    Its representations are features, after the activation, and logits. The first layer, Gaussian with variance 1/d, is the
    variable "weights" of the collection "fixed".

    Attributes:
        classes: outputs.
        features: number of features.
        activation: a key of `ACTIVATIONS`.

    Example:
        >>> model, images = RandomFeatures(classes=10, features=50), jnp.zeros((5, 8, 8, 1))
        >>> variables = jax.eval_shape(model.init, jax.random.key(0), images)
        >>> variables["fixed"]["weights"].shape, variables["params"]["head"]["kernel"].shape
        ((64, 50), (50, 10))

    Reference: Rahimi and Recht (2007), "Random features for large-scale kernel machines".
    """

    classes: int
    features: int = 1000
    activation: str = "relu"

    @nn.compact
    def __call__(self, images: Float[Array, "b ..."], *, train: bool = False) -> Float[Array, "b k"]:
        del train
        rows = images.reshape(len(images), -1)
        shape = rows.shape[1], self.features
        draw = lambda: jax.random.normal(self.make_rng("params"), shape) / shape[0] ** 0.5  # noqa: E731
        weights = self.variable("fixed", "weights", draw).value
        values = activation(self.activation)(rows @ weights)
        self.sow("representations", "features", values)
        logits = nn.Dense(self.classes, name="head")(values)
        self.sow("representations", "logits", logits)
        return logits


class Polynomial(nn.Module):
    """Powers 0 … degree of each coordinate, and a linear head without bias (the power 0 replaces it).

    Its representations are features, 1 + degree · d numbers, and logits.

    Attributes:
        classes: outputs.
        degree: the highest power, 0 or more.

    Example:
        >>> variables = jax.eval_shape(Polynomial(classes=10).init, jax.random.key(0), jnp.zeros((5, 8, 8, 1)))
        >>> variables["params"]["head"]["kernel"].shape
        (193, 10)
    """

    classes: int
    degree: int = 3

    @nn.compact
    def __call__(self, images: Float[Array, "b ..."], *, train: bool = False) -> Float[Array, "b k"]:
        del train
        rows = images.reshape(len(images), -1)
        powers = [jnp.ones_like(rows[:, :1]), *(rows**k for k in range(1, self.degree + 1))]
        values = jnp.concatenate(powers, axis=1)
        self.sow("representations", "features", values)
        logits = nn.Dense(self.classes, use_bias=False, name="head")(values)
        self.sow("representations", "logits", logits)
        return logits
