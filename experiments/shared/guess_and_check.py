"""Minimizers without gradients: guess and check hundreds of networks in one program.

The search draws networks with random weights until enough of them make no training error and have a loss in a given range.
Scaling the weights of such a network makes its loss arbitrarily small. The logits are therefore divided by a measure of the
weights' size (`Scale`) before the loss is computed: the normalised loss.

Source: Chiang et al. (2023), "Loss landscapes are all you need: neural network generalization can be explained without the
implicit bias of gradient descent".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jax.flatten_util import ravel_pytree
from jaxtyping import Bool, Float, Int

from hullx.data.dataset import Split
from hullx.types import Array

# The divisor of a network's logits before its loss is computed: a function of its parameters.
Scale = Callable[[Any], Array]


class Found(NamedTuple):
    """The f networks found, in this order.

    - variables: with a leading axis of length f.
    - loss: normalised, on the training set.
    - tried: number of networks tried.
    """

    variables: Any
    loss: Float[np.ndarray, "f"]
    tried: int

    @classmethod
    def among(cls, variables: Any, loss: Array) -> Found:
        """The tried networks with a finite loss; a search that fails has an infinite one."""
        found = np.flatnonzero(np.isfinite(loss))
        return cls(jax.tree.map(lambda leaf: np.asarray(leaf)[found], variables), np.asarray(loss)[found], len(loss))


def guess(
    key: Array,
    model: nn.Module,
    train: Split,
    edges: Sequence[float],
    *,
    wanted: int,
    budget: int,
    scale: Scale,
    at_once: int = 256,
) -> Found:
    """Networks without a training error: up to `wanted` in each range of the normalised loss.

    Args:
        key: key for all guesses.
        model: a Flax linen module whose variables are all parameters; each weight is drawn from [−1, 1].
        train: a few images and their labels.
        edges: edges of the ranges, ascending; a range excludes its lower edge and includes its upper one.
        wanted: number of networks in each range.
        budget: largest number of guesses, rounded up to whole batches.
        scale: the divisor of a network's logits, as a function of its parameters.
        at_once: guesses in a batch.

    Example:
        >>> train, model = hullx.data.load("digits", train_size=3).train, MLP(classes=10, width=8)
        >>> guessed = guess(jax.random.key(0), model, train, (0, 10), wanted=2, budget=50_000, scale=lambda params: 1e3)
        >>> len(guessed.loss), guessed.tried < 50_000
        (2, True)
    """
    labels = np.asarray(train.labels)
    # Check one image of each class first: most guesses fail on these and skip the others.
    firsts = np.unique(labels, return_index=True)[1]
    order = np.concatenate([firsts, np.setdiff1d(np.arange(len(labels)), firsts)])
    images, targets = jnp.asarray(np.asarray(train.images)[order]), jnp.asarray(labels[order])
    judge = partial(_check_guesses, images=images, labels=targets, first=len(firsts), model=model, scale=scale)
    size, restored = _unraveller(model, images[:1])
    # Drawing takes most of the time, and on a CPU NumPy draws several times as many numbers per second as JAX.
    rng = np.random.Generator(np.random.SFC64(np.asarray(jax.random.key_data(key)).tolist()))
    left, kept, losses, tried = np.full(len(edges) - 1, wanted), [np.empty((0, size), np.float32)], list[float](), 0
    while left.any() and tried < budget:
        numbers = rng.random((at_once, size), np.float32)
        loss, tried = np.asarray(judge(numbers)), tried + at_once
        bins = np.digitize(loss, edges, right=True) - 1
        for row in np.flatnonzero(np.isfinite(loss) & (bins >= 0) & (bins < len(left))):
            if left[bins[row]]:
                left[bins[row]] -= 1
                kept.append(numbers[row : row + 1])
                losses.append(float(loss[row]))
    variables = jax.vmap(restored)(jnp.asarray(_weights(np.concatenate(kept))))
    return Found(jax.tree.map(np.asarray, variables), np.array(losses), tried)


def _weights(numbers: Any) -> Any:
    """Map [0, 1) to [−1, 1)."""
    return 2 * numbers - 1


def _unraveller(model: nn.Module, image: Array) -> tuple[int, Callable[[Array], Any]]:
    """The number of a network's weights, and the function from a vector of weights to its variables."""
    shapes = jax.eval_shape(model.init, jax.random.key(0), image)["params"]
    numbers, restored = ravel_pytree({"params": jax.tree.map(lambda leaf: jnp.zeros(leaf.shape), shapes)})
    return len(numbers), restored


@partial(jax.jit, static_argnames=("first", "model", "scale"))
def _check_guesses(numbers: Array, images: Array, labels: Array, *, first: int, model: nn.Module, scale: Scale) -> Array:
    """The normalised losses of guesses (count, numbers); infinite for guesses that make an error."""
    variables = jax.vmap(_unraveller(model, images[:1])[1])(_weights(numbers))
    passed, _ = jax.vmap(lambda one: check_network(one, images[:first], labels[:first], model=model, scale=scale))(variables)
    order, block = jnp.argsort(~passed), max(len(numbers) // 8, 1)

    def check_block(state: tuple[Array, Array]) -> tuple[Array, Array]:
        taken, losses = state
        rows = lax.dynamic_slice(order, (taken,), (block,))
        these = jax.tree.map(lambda leaf: leaf[rows], variables)
        right, loss = jax.vmap(lambda one: check_network(one, images, labels, model=model, scale=scale))(these)
        return taken + block, losses.at[rows].set(jnp.where(right, loss, jnp.inf))

    start = jnp.int32(0), jnp.full(len(numbers), jnp.inf)
    return lax.while_loop(lambda state: state[0] < passed.sum(), check_block, start)[1]


def check_network(
    variables: Any, images: Float[Array, "n h w c"], labels: Int[Array, "n"], *, model: nn.Module, scale: Scale
) -> tuple[Bool[Array, ""], Float[Array, ""]]:
    """Return whether a network makes no error, and its normalised loss."""
    logits: Any = model.apply(variables, images, train=False)
    loss = optax.softmax_cross_entropy_with_integer_labels(logits / scale(variables["params"]), labels).mean()
    return (logits.argmax(-1) == labels).all(), loss


def draw_networks(key: Array, model: nn.Module, image: Float[Array, "1 h w c"], count: int) -> Any:
    """Variables of `count` networks, each weight uniform in [−1, 1]."""
    shapes = jax.eval_shape(model.init, jax.random.key(0), image)["params"]
    leaves, tree = jax.tree.flatten(shapes)
    keys = jax.random.split(key, len(leaves))
    made = [jax.random.uniform(k, (count, *leaf.shape), minval=-1.0) for k, leaf in zip(keys, leaves, strict=True)]
    return {"params": jax.tree.unflatten(tree, made)}
