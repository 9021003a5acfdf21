"""Residual networks for 32 × 32 images."""

from __future__ import annotations

from functools import partial

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Float

from hullx.models.convolution import Conv
from hullx.types import Array


class ResNet(nn.Module):
    """The CIFAR variant: 6n + 2 layers in three stages of 16, 32 and 64 channels, shortcuts without parameters.

    Its representations are stage_1 … stage_3, pooled (64 numbers at width 1, the last hidden layer) and logits. It has
    batch statistics: apply it with `mutable=["batch_stats"]` in training.

    Attributes:
        classes: outputs.
        blocks: n, the blocks per stage: 3 for ResNet-20, 5 for ResNet-32, 9 for ResNet-56.
        width: multiplies the channels.

    Example:
        >>> model, images = ResNet(classes=10, blocks=1), jnp.zeros((5, 32, 32, 3))
        >>> logits, variables = jax.eval_shape(model.init_with_output, jax.random.key(0), images)
        >>> logits.shape, sorted(variables)
        ((5, 10), ['batch_stats', 'params', 'representations'])

    Reference: He et al. (2016), "Deep residual learning for image recognition", section 4.2.
    """

    classes: int
    blocks: int = 3
    width: int = 1

    @nn.compact
    def __call__(self, images: Float[Array, "b h w c"], *, train: bool = False) -> Float[Array, "b k"]:
        normalise = partial(nn.BatchNorm, use_running_average=not train, momentum=0.9)
        convolve = partial(Conv, kernel_size=(3, 3), use_bias=False, kernel_init=nn.initializers.he_normal())
        values = nn.relu(normalise()(convolve(16 * self.width)(images)))
        for stage in range(3):
            channels = 16 * 2**stage * self.width
            for block in range(self.blocks):
                strides = (2, 2) if stage and not block else (1, 1)
                branch = nn.relu(normalise()(convolve(channels, strides=strides)(values)))
                branch = normalise()(convolve(channels)(branch))
                values = nn.relu(branch + shortcut(values, channels, strides))
            self.sow("representations", f"stage_{stage + 1}", values)
        pooled = values.mean((1, 2))
        self.sow("representations", "pooled", pooled)
        logits = nn.Dense(self.classes, name="head")(pooled)
        self.sow("representations", "logits", logits)
        return logits


def shortcut(values: Float[Array, "b h w c"], channels: int, strides: tuple[int, int]) -> Array:
    """The identity; if the size changes, every second pixel, with zeros for new channels (option A).

    Args:
        channels: channels of the result: those of the values plus an even number.
        strides: (1, 1), or (2, 2) for every second pixel.

    Example:
        >>> shortcut(jnp.ones((1, 4, 4, 2)), 4, (2, 2))[0, 0]
        Array([[0., 1., 1., 0.],
               [0., 1., 1., 0.]], dtype=float32)
    """
    missing = channels - values.shape[-1]
    return jnp.pad(values[:, :: strides[0], :: strides[1]], ((0, 0), (0, 0), (0, 0), (missing // 2, missing - missing // 2)))
