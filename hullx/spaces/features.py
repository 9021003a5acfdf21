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
    """The flattened activations of one network layer, in evaluation mode.

    Attributes:
        model: any Flax linen module applied to images alone.
        variables: variables of one network, such as `fitted.state.variables`.
        layer: a name from `hullx.models.representations`: for hullx's models a name in their docstrings, for others the path
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
        """The layer's activations.

        Raises:
            ArgumentError: the network has no such layer, or the variables belong to another model.
        """
        check_variables(self.model, self.variables, images)
        found = representations(self.model, self.variables, images)
        if self.layer not in found:
            said = f"layer: got {self.layer!r}, expected one of {', '.join(found)}"
            raise ArgumentError(f"{said}: choose among those of {type(self.model).__name__}")
        return found[self.layer].reshape(len(images), -1)


def layers(model: nn.Module, variables: Any, images: Float[Array, "n h w c"]) -> dict[str, tuple[int, ...]]:
    """The names of a network's layers, from first to last, with the shape of one image's activations.

    Raises:
        ArgumentError: the variables belong to another model.

    Example:
        >>> images, model = jnp.zeros((1, 8, 8, 1)), MLP(classes=10, depth=2, width=64)
        >>> layers(model, model.init(jax.random.key(0), images), images)
        {'hidden_1': (64,), 'hidden_2': (64,), 'logits': (10,)}
    """
    check_variables(model, variables, images)
    order = list[str]()

    def run(variables: Any, images: Array) -> dict[str, Array]:
        found = representations(model, variables, images)
        order.extend(found)  # tracing sorts returned dicts by name
        return found

    shapes = jax.eval_shape(run, variables, images[:1])
    return {name: shapes[name].shape[1:] for name in order}


def check_variables(model: nn.Module, variables: Any, images: Float[Array, "n h w c"]) -> None:
    """Check that variables belong to one network of a model, for images of this size.

    Raises:
        ArgumentError: they do not; the message names the first difference.
    """
    expected = _shapes(jax.eval_shape(model.init, jax.random.key(0), images[:1]))
    got = _shapes(variables)
    if expected == got:
        return
    name = next(name for name in [*expected, *got] if expected.get(name) != got.get(name))
    said = f"variables: got {name} of shape {got.get(name, 'none')}, expected {expected.get(name, 'none')}"
    model_name = type(model).__name__
    raise ArgumentError(
        f"{said}: give variables of one {model_name} with these settings, trained on images of {images.shape[1:]}"
    )


def _shapes(variables: Any) -> dict[str, tuple[int, ...]]:
    """Shapes by path, except of sown collections."""
    own = {name: each for name, each in variables.items() if name not in ("representations", "intermediates")}
    leaves = jax.tree_util.tree_leaves_with_path(own)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): np.shape(leaf) for path, leaf in leaves}
