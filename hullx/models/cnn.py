"""Small convolutional networks: one for MNIST with an embedding of chosen dimension, and the small AlexNet for CIFAR."""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Float

from hullx.models.convolution import Conv
from hullx.types import Array


class CNN(nn.Module):
    """conv 32, conv 64, max pooling, dropout, linear to the embedding, dropout, linear to the classes.

    Its representations are conv_1, conv_2, embedding and logits.

    Attributes:
        classes: outputs.
        embedding: dimension of the last hidden layer.
        dropout: dropout probabilities before and after the embedding, in training only.
        linear: whether the embedding is linear, as in the second reference, or followed by ReLU, as in PyTorch's example.

    Example:
        >>> logits, _ = jax.eval_shape(CNN(classes=10).init_with_output, jax.random.key(0), jnp.zeros((5, 28, 28, 1)))
        >>> logits.shape
        (5, 10)

    Reference: PyTorch's MNIST example; SMHendryx/learning-in-high-dimensions-always-amounts-to-extrapolation.
    """

    classes: int
    embedding: int = 128
    dropout: tuple[float, float] = (0.25, 0.5)
    linear: bool = False

    @nn.compact
    def __call__(self, images: Float[Array, "b h w c"], *, train: bool = False) -> Float[Array, "b k"]:
        values = images
        for i, channels in enumerate((32, 64), 1):
            values = nn.relu(Conv(channels, (3, 3), padding="VALID", name=f"convolve_{i}")(values))
            self.sow("representations", f"conv_{i}", values)
        values = nn.max_pool(values, (2, 2), (2, 2)).reshape(len(images), -1)
        values = nn.Dropout(self.dropout[0], deterministic=not train)(values)
        values = nn.Dense(self.embedding, name="embed")(values)
        values = values if self.linear else nn.relu(values)
        self.sow("representations", "embedding", values)
        values = nn.Dropout(self.dropout[1], deterministic=not train)(values)
        logits = nn.Dense(self.classes, name="head")(values)
        self.sow("representations", "logits", logits)
        return logits


class SmallAlexNet(nn.Module):
    """Two modules of 5×5 convolution, 3×3 max pooling and local response normalisation, then linear 384, 192, classes.

    Its representations are conv_1, conv_2, hidden_1, hidden_2 and logits.

    Attributes:
        classes: outputs.

    Example:
        >>> logits, _ = jax.eval_shape(SmallAlexNet(classes=10).init_with_output, jax.random.key(0), jnp.zeros((5, 28, 28, 3)))
        >>> logits.shape
        (5, 10)

    Reference: Zhang et al. (2017), "Understanding deep learning requires rethinking generalization", appendix A.
    """

    classes: int

    @nn.compact
    def __call__(self, images: Float[Array, "b h w c"], *, train: bool = False) -> Float[Array, "b k"]:
        del train
        values = images
        for i in (1, 2):
            values = nn.relu(Conv(64, (5, 5), name=f"convolve_{i}")(values))
            values = local_response(nn.max_pool(values, (3, 3), (2, 2), padding="SAME"))
            self.sow("representations", f"conv_{i}", values)
        values = values.reshape(len(images), -1)
        for i, width in enumerate((384, 192), 1):
            values = nn.relu(nn.Dense(width, name=f"dense_{i}")(values))
            self.sow("representations", f"hidden_{i}", values)
        logits = nn.Dense(self.classes, name="head")(values)
        self.sow("representations", "logits", logits)
        return logits


def local_response(values: Float[Array, "b h w c"], radius: int = 4, alpha: float = 0.001 / 9, beta: float = 0.75) -> Array:
    """x / (1 + α Σ x²)^β, the sum over the channels within `radius`. Source: Krizhevsky et al. (2012), section 3.3.

    Example:
        >>> local_response(2 * jnp.ones((1, 1, 1, 3)), radius=1, alpha=1 / 8, beta=1).ravel()
        Array([1. , 0.8, 1. ], dtype=float32)
    """
    squares = jnp.pad(values**2, ((0, 0),) * 3 + ((radius, radius),))
    sums = sum(squares[..., i : i + values.shape[-1]] for i in range(2 * radius + 1))
    return values / (1 + alpha * sums) ** beta
