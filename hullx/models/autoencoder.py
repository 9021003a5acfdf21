"""A small autoencoder of vectors, such as a network's features."""

from __future__ import annotations

import flax.linen as nn
from jaxtyping import Float

from hullx.models.mlp import activation
from hullx.types import Array


class Autoencoder(nn.Module):
    """An autoencoder with layers d – width – bottleneck – width – d and a linear bottleneck.

    Unlike the other models it maps rows (n, d) to rows (n, d), which should be standardised. Apply its methods by name:
    `model.apply(variables, rows, method="encode")`.

    Attributes:
        features: dimension d of the rows.
        bottleneck: dimension of the codes.
        width: units of each hidden layer.
        activation: a key of `ACTIVATIONS`.

    Example:
        >>> model, rows = Autoencoder(features=64, bottleneck=2), jnp.zeros((5, 64))
        >>> variables = model.init(jax.random.key(0), rows)
        >>> codes = model.apply(variables, rows, method="encode")
        >>> codes.shape, model.apply(variables, codes, method="decode").shape
        ((5, 2), (5, 64))

    Reference for the architecture: Hinton and Salakhutdinov (2006), "Reducing the dimensionality of data with neural networks".
    """

    features: int
    bottleneck: int
    width: int = 64
    activation: str = "relu"

    def setup(self) -> None:
        """Create the four layers."""
        self.encoder = [nn.Dense(self.width), nn.Dense(self.bottleneck)]
        self.decoder = [nn.Dense(self.width), nn.Dense(self.features)]

    def encode(self, rows: Float[Array, "n d"]) -> Float[Array, "n k"]:
        """The codes of rows."""
        return self.encoder[1](activation(self.activation)(self.encoder[0](rows)))

    def decode(self, codes: Float[Array, "n k"]) -> Float[Array, "n d"]:
        """The rows decoded from codes."""
        return self.decoder[1](activation(self.activation)(self.decoder[0](codes)))

    def __call__(self, rows: Float[Array, "n d"]) -> Float[Array, "n d"]:
        """The reconstructed rows."""
        return self.decode(self.encode(rows))
