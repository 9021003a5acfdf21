"""Networks of experiments by name: a constructor for a given number of classes, and the name of the last hidden layer."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import flax.linen as nn
import optax

from hullx.models import CNN, MLP, LeNet, ResNet


class Kind(NamedTuple):
    """A kind of network.

    - make: maps a number of classes to the module.
    - last: the name of its last hidden layer.
    """

    make: Callable[[int], nn.Module]
    last: str


NETWORKS = {
    "mlp": Kind(lambda classes: MLP(classes, depth=2, width=64), "hidden_2"),
    "lenet": Kind(lambda classes: LeNet(classes, width=2), "hidden_2"),
    "cnn": Kind(CNN, "embedding"),
    "resnet": Kind(lambda classes: ResNet(classes, blocks=1), "pooled"),
}


@cache
def adam(rate: float, steps: int | None = None) -> optax.GradientTransformation:
    """Adam; if `steps` is given, its rate falls to 0 over them.

    Cached: another object with the same settings would compile another program.
    """
    return optax.adam(rate if steps is None else optax.cosine_decay_schedule(rate, steps))
