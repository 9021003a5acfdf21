"""A layer of a network as a space."""

from __future__ import annotations

from hullx.extras import require

require("hullx.spaces.Features", "flax")

from dataclasses import dataclass
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import numpy as np
from jaxtyping import Float

from hullx.errors import ArgumentError
from hullx.models import representations
from hullx.types import Array


@partial(jax.tree_util.register_dataclass, data_fields=("variables",), meta_fields=("model", "layer"))
@dataclass(frozen=True)
class Features:
    """What a network makes of images in one of its layers, flattened, as in evaluation.

    Attributes:
        model: any Flax linen module that is applied to images alone.
        variables: of one network, such as `fitted.state.variables`.
        layer: a name that `hullx.models.representations` gives: of hullx's models those in their docstrings, of others the path
            of a submodule, such as "Dense_0".

    Example:
        >>> images, model = hullx.data.load("digits").test.images, MLP(classes=10, depth=2, width=64)
        >>> space = Features(model, model.init(jax.random.key(0), images), "hidden_2")
        >>> hullx.spaces.rows(space, images).shape
        (360, 64)
    """

    model: nn.Module
    variables: Any
    layer: str

    def __call__(self, images: Float[Array, "n h w c"]) -> Float[Array, "n k"]:
        """The layer's values.

        Raises:
            ArgumentError: the network has no such layer, or its variables are another model's.
        """
        check_variables(self.model, self.variables, images)
        found = representations(self.model, self.variables, images)
        if self.layer not in found:
            said = f"layer: got {self.layer!r}, expected one of {', '.join(found)}"
            raise ArgumentError(f"{said}: choose among those of {type(self.model).__name__}")
        return found[self.layer].reshape(len(images), -1)


def layers(model: nn.Module, variables: Any, images: Float[Array, "n h w c"]) -> dict[str, tuple[int, ...]]:
    """The names that a network's layers have, from the first to the last, and the shape that one image has there.

    Raises:
        ArgumentError: the variables are another model's.

    Example:
        >>> images, model = jnp.zeros((1, 8, 8, 1)), MLP(classes=10, depth=2, width=64)
        >>> layers(model, model.init(jax.random.key(0), images), images)
        {'hidden_1': (64,), 'hidden_2': (64,), 'logits': (10,)}
    """
    check_variables(model, variables, images)
    order = list[str]()

    def run(variables: Any, images: Array) -> dict[str, Array]:
        found = representations(model, variables, images)
        order.extend(found)  # what a traced function returns comes back sorted by name
        return found

    shapes = jax.eval_shape(run, variables, images[:1])
    return {name: shapes[name].shape[1:] for name in order}


def check_variables(model: nn.Module, variables: Any, images: Float[Array, "n h w c"]) -> None:
    """Whether variables are those of one network of a model, for images of such a size.

    Raises:
        ArgumentError: they are not; the message names the first that differs.
    """
    expected = _shapes(jax.eval_shape(model.init, jax.random.key(0), images[:1]))
    got = _shapes(variables)
    if expected == got:
        return
    name = next(name for name in [*expected, *got] if expected.get(name) != got.get(name))
    said = f"variables: got {name} of shape {got.get(name, 'none')}, expected {expected.get(name, 'none')}"
    model_name = type(model).__name__
    raise ArgumentError(f"{said}: give those of one {model_name} with these settings, trained on images of {images.shape[1:]}")


def _shapes(variables: Any) -> dict[str, tuple[int, ...]]:
    """By path, of all but what a model has sown."""
    own = {name: each for name, each in variables.items() if name not in ("representations", "intermediates")}
    leaves = jax.tree_util.tree_leaves_with_path(own)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): np.shape(leaf) for path, leaf in leaves}
