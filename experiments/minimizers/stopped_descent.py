"""Minimizers by stochastic gradient descent, stopped at a given loss to compare them with guesses of that loss."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jax import lax

from experiments.shared.guess_and_check import Found, Scale, check_network, draw_networks
from hullx.data.dataset import Split
from hullx.types import Array


@dataclass(frozen=True)
class StoppedDescent:
    """Settings of `stopped_descent`.

    Attributes:
        rate: learning rate.
        batch: images per step; all if there are fewer.
        steps: largest number of steps.
    """

    rate: float = 1e-3
    batch: int = 2
    steps: int = 1000


def stopped_descent(
    key: Array,
    model: nn.Module,
    train: Split,
    *,
    members: int,
    high: float,
    scale: Scale,
    settings: StoppedDescent = StoppedDescent(),
) -> Found:
    """Networks that gradient descent trains from guesses; each stops once it makes no error and its normalised loss is low.

    Descent itself minimises the unnormalised loss.

    Args:
        key: key for the guesses and for the batches.
        model, train, scale: as for `guess`.
        members: number of networks to train.
        high: the normalised loss at which a network stops.
        settings: see `StoppedDescent`.

    Returns:
        The networks that reached that loss.

    Example:
        >>> train, model = hullx.data.load("digits", train_size=3).train, MLP(classes=10, width=8)
        >>> descended = stopped_descent(jax.random.key(0), model, train, members=8, high=0.5, scale=lambda params: 1.0)
        >>> len(descended.loss), bool((descended.loss <= 0.5).all())
        (4, True)
    """
    images, labels = jnp.asarray(train.images), jnp.asarray(train.labels)
    static = {"model": model, "scale": scale, "members": members, "settings": settings}
    return Found.among(*_descend(key, images, labels, jnp.float32(high), **static))


@partial(jax.jit, static_argnames=("model", "scale", "members", "settings"))
def _descend(
    key: Array,
    images: Array,
    labels: Array,
    high: Array,
    *,
    model: nn.Module,
    scale: Scale,
    members: int,
    settings: StoppedDescent,
) -> tuple[Any, Array]:
    guess_key, batch_key = jax.random.split(key)

    def entropy(params: Any, rows: Array) -> Array:
        logits: Any = model.apply({"params": params}, images[rows], train=False)
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels[rows]).mean()

    def step(variables: Any, key: Array) -> tuple[Any, None]:
        rows = jax.random.choice(key, len(images), (min(settings.batch, len(images)),), replace=False)

        def one(variables: Any) -> Any:
            right, loss = check_network(variables, images, labels, model=model, scale=scale)
            done = right & (loss <= high)
            gradient = jax.grad(entropy)(variables["params"], rows)
            return {
                "params": jax.tree.map(
                    lambda leaf, slope: jnp.where(done, leaf, leaf - settings.rate * slope), variables["params"], gradient
                )
            }

        return jax.vmap(one)(variables), None

    variables, _ = lax.scan(
        step, draw_networks(guess_key, model, images[:1], members), jax.random.split(batch_key, settings.steps)
    )
    right, loss = jax.vmap(lambda one: check_network(one, images, labels, model=model, scale=scale))(variables)
    return variables, jnp.where(right & (loss <= high), loss, jnp.inf)
