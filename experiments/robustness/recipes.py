"""Kinds of networks for the experiments on robustness, and how each kind is trained on plain images."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import optax

from experiments.shared import networks
from experiments.shared.networks import Kind, adam
from hullx.data import CropFlip
from hullx.models.convolution import Conv

RATE, BATCH = 1e-3, 128


class BatchNormCNN(nn.Module):
    """Four 3×3 convolutions, each with 2×2 max pooling, batch normalisation and ReLU, then a linear layer.

    Seven million multiply-adds for an image of CIFAR-10. Its representations are pooled (the last hidden layer) and logits.

    Attributes:
        classes: outputs.
        channels: of each convolution.
    """

    classes: int
    channels: tuple[int, ...] = (24, 48, 96, 96)

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool = False) -> jax.Array:
        values = images - 0.5
        for channels in self.channels:
            values = nn.max_pool(Conv(channels, (3, 3), use_bias=False)(values), (2, 2), (2, 2))
            values = nn.relu(nn.BatchNorm(use_running_average=not train, momentum=0.9)(values))
        values = values.reshape(len(images), -1)
        self.sow("representations", "pooled", values)
        logits = nn.Dense(self.classes, name="head")(values)
        self.sow("representations", "logits", logits)
        return logits


class Recipe(NamedTuple):
    """How a kind of network is trained on plain images.

    - optimizer: maps the number of steps to an optimizer.
    - augment: changes each batch.
    - together: whether networks with different seeds are trained at once, on the same batches; slow for convolutions on a CPU.
    """

    optimizer: Callable[[int], optax.GradientTransformation] = lambda steps: adam(RATE)
    augment: Any = None
    together: bool = True


@cache
def one_cycle(steps: int, peak: float = 8e-3) -> optax.GradientTransformation:
    """Adam with a rate that rises for a quarter of the steps, then falls; cached as `adam` is."""
    return optax.adam(optax.cosine_onecycle_schedule(steps, peak, 0.25))


NETWORKS = {**networks.NETWORKS, "batch_norm_cnn": Kind(BatchNormCNN, "pooled")}
RECIPES = {name: Recipe() for name in NETWORKS} | {"batch_norm_cnn": Recipe(partial(one_cycle), CropFlip(), False)}
