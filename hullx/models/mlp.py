"""Multilayer perceptrons."""

from __future__ import annotations

from collections.abc import Callable

import flax.linen as nn
import jax
from jaxtyping import Float

from hullx.errors import ArgumentError
from hullx.types import Array

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "relu": nn.relu,
    "tanh": nn.tanh,
    "gelu": nn.gelu,
    "erf": jax.scipy.special.erf,
}


def activation(name: str) -> Callable[[Array], Array]:
    """The activation function of that name.

    Args:
        name: a key of `ACTIVATIONS`.

    Raises:
        ArgumentError: the name is unknown.

    Example:
        >>> activation("relu")(jnp.array([-1.0, 2.0]))
        Array([0., 2.], dtype=float32)
    """
    if name not in ACTIVATIONS:
        raise ArgumentError(f"activation {name!r} is unknown: choose one of {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]


class MLP(nn.Module):
    """Fully connected layers on flattened images.

    Its representations are hidden_1 … hidden_<depth>, after the activation, and logits.

    Attributes:
        classes: outputs.
        depth: hidden layers.
        width: units of each hidden layer.
        activation: a key of `ACTIVATIONS`.

    Example:
        >>> model, images = MLP(classes=10, depth=3, width=512), jnp.zeros((5, 8, 8, 1))
        >>> variables = model.init(jax.random.key(0), images[:1])
        >>> model.apply(variables, images).shape
        (5, 10)

    Reference: the MLPs of Zhang et al. (2017), "Understanding deep learning requires rethinking generalization": 1 or 3 hidden
    layers of 512 units.
    """

    classes: int
    depth: int = 2
    width: int = 64
    activation: str = "relu"

    @nn.compact
    def __call__(self, images: Float[Array, "b ..."], *, train: bool = False) -> Float[Array, "b k"]:
        del train
        values = images.reshape(len(images), -1)
        for i in range(1, self.depth + 1):
            values = activation(self.activation)(nn.Dense(self.width, name=f"dense_{i}")(values))
            self.sow("representations", f"hidden_{i}", values)
        logits = nn.Dense(self.classes, name="head")(values)
        self.sow("representations", "logits", logits)
        return logits
