"""LeNet with convolutions as matrix products with patches, which is fast for thousands of networks at once."""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Float

from hullx.types import Array


class LeNet(nn.Module):
    """Two 5×5 convolutions, each followed by 2×2 max pooling, then dense layers.

    Its representations are conv_1, conv_2, hidden_1 … and logits. Under `jax.vmap` over variables nn.Conv becomes a grouped
    convolution, which is slow in XLA on CPUs. Here the first layer of all networks is one product.

    Attributes:
        classes: outputs.
        width: factor on the numbers of channels, 6 and 16, and of hidden units.
        hidden: units of the dense layers before the factor: 120 and 84 in LeNet-5; its length sets the depth.

    Example:
        >>> model, images = LeNet(classes=2, width=0.5), jnp.zeros((5, 28, 28, 1))
        >>> variables = model.init(jax.random.key(0), images)
        >>> sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))
        11074

    Reference: LeCun et al. (1998), "Gradient-based learning applied to document recognition"; with ReLU and max pooling as
    in Chiang et al. (2023), "Loss landscapes are all you need".
    """

    classes: int
    width: float = 1.0
    hidden: tuple[int, ...] = (120, 84)

    @nn.compact
    def __call__(self, images: Float[Array, "b h w c"], *, train: bool = False) -> Float[Array, "b k"]:
        del train
        values = images
        for i, channels in enumerate((6, 16), 1):
            values = nn.relu(PatchConv(int(self.width * channels), name=f"convolve_{i}")(values))
            values = nn.max_pool(values, (2, 2), (2, 2))
            self.sow("representations", f"conv_{i}", values)
        values = values.reshape(len(images), -1)
        for i, units in enumerate(self.hidden, 1):
            values = nn.relu(nn.Dense(int(self.width * units), name=f"dense_{i}")(values))
            self.sow("representations", f"hidden_{i}", values)
        logits = nn.Dense(self.classes, name="head")(values)
        self.sow("representations", "logits", logits)
        return logits


class PatchConv(nn.Module):
    """nn.Conv(channels, (side, side), padding="VALID"), computed as one product with all patches.

    Attributes:
        channels: outputs.
        side: side of the kernel.

    Example:
        >>> PatchConv(3).init_with_output(jax.random.key(0), jnp.zeros((2, 8, 8, 1)))[0].shape
        (2, 4, 4, 3)
    """

    channels: int
    side: int = 5

    @nn.compact
    def __call__(self, images: Float[Array, "b h w c"]) -> Float[Array, "b h1 w1 k"]:
        _, height, width, channels = images.shape
        shape = self.side, self.side, channels, self.channels
        kernel = self.param("kernel", nn.initializers.lecun_normal(), shape)
        bias = self.param("bias", nn.initializers.zeros, (self.channels,))
        rows, columns = height - self.side + 1, width - self.side + 1
        places = [(i, j) for i in range(self.side) for j in range(self.side)]
        patches = jnp.concatenate([images[:, i : i + rows, j : j + columns] for i, j in places], axis=-1)
        return patches @ kernel.reshape(-1, self.channels) + bias
