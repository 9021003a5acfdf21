"""Minimizers by pattern search, which moves one weight at a time and uses no gradient.

Source: Hooke and Jeeves (1961), "Direct search solution of numerical and statistical problems"; as used by Chiang et al.
(2023).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jax.flatten_util import ravel_pytree
from jaxtyping import Float, Int

from experiments.shared.guess_and_check import Found, Scale, check_network, draw_networks
from hullx.data.dataset import Split
from hullx.types import Array


@dataclass(frozen=True)
class PatternSearch:
    """Settings of `pattern_search`.

    Attributes:
        steps: largest number of steps.
        at_once: number of moves tried in each step.
        radius: size of the first moves.
    """

    steps: int = 1000
    at_once: int = 64
    radius: float = 1.0


class _State(NamedTuple):
    """The state of one search: the weights as a vector, the size of the moves, and the number of successive failures."""

    numbers: Float[Array, "p"]
    radius: Float[Array, ""]
    failed: Int[Array, ""]


def pattern_search(
    key: Array,
    model: nn.Module,
    train: Split,
    *,
    members: int,
    high: float,
    scale: Scale,
    settings: PatternSearch = PatternSearch(),
) -> Found:
    """Networks that pattern search moves from random weights to no error and a low normalised loss.

    A move changes one weight by the radius, up or down. Each step tries `at_once` random moves, and makes the best if it lowers
    the loss. The radius is halved once the number of successive failures reaches the number of possible moves.

    Args:
        key: key for the first weights and for the moves.
        model, train, scale: as for `guess`.
        members: number of networks to search for.
        high: the normalised loss at which a network stops.
        settings: see `PatternSearch`.

    Returns:
        The networks that reached that loss.

    Example:
        >>> digits = hullx.data.load("digits", train_size=3)
        >>> found = pattern_search(
        ...     jax.random.key(0), MLP(classes=10, width=8), digits.train, members=4, high=0.5, scale=lambda params: 1.0
        ... )
        >>> bool((found.loss <= 0.5).all())
        True
    """
    images, labels = jnp.asarray(train.images), jnp.asarray(train.labels)
    static = {"model": model, "scale": scale, "members": members, "settings": settings}
    return Found.among(*_search(key, images, labels, jnp.float32(high), **static))


@partial(jax.jit, static_argnames=("model", "scale", "members", "settings"))
def _search(
    key: Array,
    images: Array,
    labels: Array,
    high: Array,
    *,
    model: nn.Module,
    scale: Scale,
    members: int,
    settings: PatternSearch,
) -> tuple[Any, Array]:
    first, *keys = jax.random.split(key, 1 + members)
    starts = draw_networks(first, model, images[:1], members)
    _, restored = ravel_pytree(jax.tree.map(lambda leaf: leaf[0], starts))

    def judge(numbers: Array) -> tuple[Array, Array]:
        return check_network(restored(numbers), images, labels, model=model, scale=scale)

    def step(state: _State, key: Array) -> tuple[_State, None]:
        size = len(state.numbers)
        place_key, sign_key = jax.random.split(key)
        places = jax.random.randint(place_key, (settings.at_once,), 0, size)
        moves = state.radius * jax.random.rademacher(sign_key, (settings.at_once,), jnp.float32)
        _, losses = jax.vmap(lambda place, move: judge(state.numbers.at[place].add(move)))(places, moves)
        best = losses.argmin()
        right, loss = judge(state.numbers)
        better = (losses[best] < loss) & ~(right & (loss <= high))
        failed = jnp.where(better, 0, state.failed + settings.at_once)
        radius = jnp.where(failed >= 2 * size, state.radius / 2, state.radius)
        moved = state.numbers.at[places[best]].add(jnp.where(better, moves[best], 0))
        return _State(moved, radius, jnp.where(failed >= 2 * size, 0, failed)), None

    def one(start: Any, key: Array) -> tuple[Any, Array]:
        numbers, _ = ravel_pytree(start)
        state = _State(numbers, jnp.float32(settings.radius), jnp.int32(0))
        found, _ = lax.scan(step, state, jax.random.split(key, settings.steps))
        right, loss = judge(found.numbers)
        return restored(found.numbers), jnp.where(right & (loss <= high), loss, jnp.inf)

    return jax.vmap(one)(starts, jnp.stack(keys))
