"""Minimizers without any gradient: guess and check, hundreds of networks in one program.

Weights are drawn at random until networks are found that make no error on the training set, and whose loss lies in a given
range. The loss of a network that makes no error can be made as small as one likes by a factor on its weights; so it is taken of
logits that are divided by some measure of the weights' size (`Scale`).

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

# By what a network's logits are divided before its loss is taken: a function of its parameters.
Scale = Callable[[Any], Array]


class Found(NamedTuple):
    """Networks that were found, f of them, in the order in which they were.

    - variables: with a leading axis of f.
    - loss: each one's normalised loss on the training set.
    - tried: how many networks it took.
    """

    variables: Any
    loss: Float[np.ndarray, "f"]
    tried: int


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
    """Networks that make no error on the training set, so many in each range of the normalised loss, or as many as are found.

    Args:
        key: of all guesses.
        model: a Flax linen module whose variables are all parameters; each number is drawn from [−1, 1].
        train: a few images and their labels.
        edges: of the ranges, rising; loss is above the lower and at most the upper.
        wanted: in each range.
        budget: guesses at most, rounded up to whole batches.
        scale: what a network's logits are divided by, of its parameters.
        at_once: guesses a batch.

    Example:
        >>> train, model = hullx.data.load("digits", train_size=3).train, MLP(classes=10, width=8)
        >>> guessed = guess(jax.random.key(0), model, train, (0, 10), wanted=2, budget=50_000, scale=lambda params: 1e3)
        >>> len(guessed.loss), guessed.tried < 50_000
        (2, True)
    """
    labels = np.asarray(train.labels)
    # One image of each class to begin with: a guess that fails them, as most do, need not see the others.
    firsts = np.unique(labels, return_index=True)[1]
    order = np.concatenate([firsts, np.setdiff1d(np.arange(len(labels)), firsts)])
    images, targets = jnp.asarray(np.asarray(train.images)[order]), jnp.asarray(labels[order])
    judge = partial(_judged, images=images, labels=targets, first=len(firsts), model=model, scale=scale)
    size, restored = _unravelled(model, images[:1])
    # NumPy draws several times as many numbers a second as JAX on a CPU, where drawing is most of the work.
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
    """From [0, 1) to [−1, 1)."""
    return 2 * numbers - 1


def _unravelled(model: nn.Module, image: Array) -> tuple[int, Callable[[Array], Any]]:
    """How many numbers a network has, and what makes variables of so many in a row."""
    shapes = jax.eval_shape(model.init, jax.random.key(0), image)["params"]
    numbers, restored = ravel_pytree({"params": jax.tree.map(lambda leaf: jnp.zeros(leaf.shape), shapes)})
    return len(numbers), restored


@partial(jax.jit, static_argnames=("first", "model", "scale"))
def _judged(numbers: Array, images: Array, labels: Array, *, first: int, model: nn.Module, scale: Scale) -> Array:
    """The normalised losses of guesses (count, numbers), infinite of those that make an error."""
    variables = jax.vmap(_unravelled(model, images[:1])[1])(_weights(numbers))
    passed, _ = jax.vmap(lambda one: judged(one, images[:first], labels[:first], model=model, scale=scale))(variables)
    order, block = jnp.argsort(~passed), max(len(numbers) // 8, 1)

    def look(state: tuple[Array, Array]) -> tuple[Array, Array]:
        taken, losses = state
        rows = lax.dynamic_slice(order, (taken,), (block,))
        these = jax.tree.map(lambda leaf: leaf[rows], variables)
        right, loss = jax.vmap(lambda one: judged(one, images, labels, model=model, scale=scale))(these)
        return taken + block, losses.at[rows].set(jnp.where(right, loss, jnp.inf))

    start = jnp.int32(0), jnp.full(len(numbers), jnp.inf)
    return lax.while_loop(lambda state: state[0] < passed.sum(), look, start)[1]


def judged(
    variables: Any, images: Float[Array, "n h w c"], labels: Int[Array, "n"], *, model: nn.Module, scale: Scale
) -> tuple[Bool[Array, ""], Float[Array, ""]]:
    """Whether a network makes no error, and its normalised loss."""
    logits: Any = model.apply(variables, images, train=False)
    loss = optax.softmax_cross_entropy_with_integer_labels(logits / scale(variables["params"]), labels).mean()
    return (logits.argmax(-1) == labels).all(), loss


def stopped_descent(
    key: Array,
    model: nn.Module,
    train: Split,
    *,
    members: int,
    high: float,
    scale: Scale,
    rate: float = 1e-3,
    batch: int = 2,
    steps: int = 1000,
) -> Found:
    """What stochastic gradient descent makes of guesses, each stopped once it makes no error and its normalised loss is low.

    Args:
        key: of the guesses and of the batches.
        model, train, scale: as for `guess`.
        members: guesses to begin with.
        high: the normalised loss at which one stops.
        rate: learning rate.
        batch: images a step, at most all.
        steps: at most.

    Returns:
        Those that came so far; the loss that descends is not normalised.

    Example:
        >>> train, model = hullx.data.load("digits", train_size=3).train, MLP(classes=10, width=8)
        >>> descended = stopped_descent(jax.random.key(0), model, train, members=8, high=0.5, scale=lambda params: 1.0)
        >>> len(descended.loss), bool((descended.loss <= 0.5).all())
        (4, True)
    """
    images, labels = jnp.asarray(train.images), jnp.asarray(train.labels)
    settings = {"model": model, "scale": scale, "members": members, "batch": min(batch, len(labels)), "steps": steps}
    variables, loss = _descended(key, images, labels, jnp.float32(high), jnp.float32(rate), **settings)
    there = np.flatnonzero(np.isfinite(loss))
    return Found(jax.tree.map(lambda leaf: np.asarray(leaf)[there], variables), np.asarray(loss)[there], members)


@partial(jax.jit, static_argnames=("model", "scale", "members", "batch", "steps"))
def _descended(
    key: Array,
    images: Array,
    labels: Array,
    high: Array,
    rate: Array,
    *,
    model: nn.Module,
    scale: Scale,
    members: int,
    batch: int,
    steps: int,
) -> tuple[Any, Array]:
    guess_key, batch_key = jax.random.split(key)

    def entropy(params: Any, rows: Array) -> Array:
        logits: Any = model.apply({"params": params}, images[rows], train=False)
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels[rows]).mean()

    def step(variables: Any, key: Array) -> tuple[Any, None]:
        rows = jax.random.choice(key, len(images), (batch,), replace=False)

        def one(variables: Any) -> Any:
            right, loss = judged(variables, images, labels, model=model, scale=scale)
            done = right & (loss <= high)
            gradient = jax.grad(entropy)(variables["params"], rows)
            return {
                "params": jax.tree.map(
                    lambda leaf, slope: jnp.where(done, leaf, leaf - rate * slope), variables["params"], gradient
                )
            }

        return jax.vmap(one)(variables), None

    variables, _ = lax.scan(step, drawn(guess_key, model, images[:1], members), jax.random.split(batch_key, steps))
    right, loss = jax.vmap(lambda one: judged(one, images, labels, model=model, scale=scale))(variables)
    return variables, jnp.where(right & (loss <= high), loss, jnp.inf)


def drawn(key: Array, model: nn.Module, image: Float[Array, "1 h w c"], count: int) -> Any:
    """Variables of so many networks, every number uniform in [−1, 1]."""
    shapes = jax.eval_shape(model.init, jax.random.key(0), image)["params"]
    leaves, tree = jax.tree.flatten(shapes)
    keys = jax.random.split(key, len(leaves))
    made = [jax.random.uniform(k, (count, *leaf.shape), minval=-1.0) for k, leaf in zip(keys, leaves, strict=True)]
    return {"params": jax.tree.unflatten(tree, made)}
