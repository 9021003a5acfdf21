"""Networks from images (float in [0, 1] or standardised, NHWC) to logits: Flax linen modules, pure `init` and `apply`."""

from __future__ import annotations

from hullx.extras import require

require(__name__, "flax")

from typing import Any

import flax.linen as nn
from flax import traverse_util
from jaxtyping import Float

from hullx.models.autoencoder import Autoencoder
from hullx.models.cnn import CNN, SmallAlexNet
from hullx.models.lenet import LeNet
from hullx.models.linear import Polynomial, RandomFeatures
from hullx.models.mlp import ACTIVATIONS, MLP
from hullx.models.resnet import ResNet
from hullx.types import Array

__all__ = [
    "ACTIVATIONS",
    "CNN",
    "MLP",
    "Autoencoder",
    "LeNet",
    "Polynomial",
    "RandomFeatures",
    "ResNet",
    "SmallAlexNet",
    "representations",
]


def representations(model: nn.Module, variables: Any, images: Float[Array, "b ..."]) -> dict[str, Array]:
    """The activations of a network's layers, by the names in the model's docstring, from first to last.

    For models that sow no "representations": the outputs of all submodules by path; for repeated calls, the first output.

    Args:
        variables: variables of one network, without a leading axis of members.
        images: as in training.

    Returns:
        Arrays (b, ...) by name, as in evaluation: without dropout, with the batch statistics of training.

    Example:
        >>> model, images = MLP(classes=10), jnp.zeros((5, 8, 8, 1))
        >>> variables = model.init(jax.random.key(0), images)
        >>> representations(model, variables, images)["hidden_2"].shape
        (5, 64)
    """
    # `init` returns its own sown values, and `apply` would append to them.
    others = {name: each for name, each in variables.items() if name not in ("representations", "intermediates")}
    _, sown = model.apply(others, images, mutable=["representations"], capture_intermediates=True)
    if "representations" in sown:
        return {name: values[0] for name, values in sown["representations"].items()}
    called: dict[tuple[str, ...], Any] = traverse_util.flatten_dict(sown["intermediates"])
    return {"/".join(path[:-1]): values[0] for path, values in called.items() if path[-1] == "__call__" and path[:-1]}
