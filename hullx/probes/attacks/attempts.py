"""Attempts from several starts, and their best point: shared by the attacks within a budget."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from hullx.probes.attacks.attacked import TOGETHER, Found, Target
from hullx.probes.attacks.budget import Bounds, Norm, drawn_within
from hullx.probes.attacks.losses import LOSSES, TARGETED, towards
from hullx.types import Array, Number


@dataclass(frozen=True)
class Search:
    """How an attack searches a budget; static under jit.

    Attributes:
        norm, bounds: of the budget.
        loss: a key of `LOSSES`, or TARGETED: attempt i aims at the other class with the i-th largest logit, and cycles through
            the classes.
        steps: per attempt.
        restarts: number of attempts.
        random: whether an attempt starts at a point drawn from the ball, else at the image.
        early_stop: whether the search of an image ends with its first success.
        together: images in lockstep.
    """

    norm: Norm
    bounds: Bounds
    loss: str
    steps: int
    restarts: int = 1
    random: bool = True
    early_stop: bool = True
    together: int = TOGETHER


class Best(NamedTuple):
    """The best point so far and the steps taken: misclassified points come first, then those of higher loss."""

    image: Array
    loss: Array
    success: Array
    steps: Array

    def noted(self, image: Array, loss: Array, success: Array) -> Best:
        """Update the best with another point. A loss of NaN is never better."""
        better = (success > self.success) | (success == self.success) & (loss > self.loss)
        return self._replace(
            image=jnp.where(better, image, self.image),
            loss=jnp.where(better, loss, self.loss),
            success=self.success | success,
        )


class Seen(NamedTuple):
    """The loss at a point, and whether the network misclassifies it."""

    loss: Array
    success: Array


def measured(target: Target, point: Array, loss: str, number: Array | int = 0) -> tuple[Array, Seen]:
    """The loss at a point in attempt `number`, and `Seen`, as jax.value_and_grad with has_aux expects."""
    logits = target.network(point)
    if loss == TARGETED:
        value = towards(logits, target.label, target.others[number % len(target.others)])
    else:
        value = LOSSES[loss](logits[None], target.label[None])[0]
    return value, Seen(value, target.fooled(logits))


def attempts(
    attempt: Callable[[Array, Array, Best], tuple[Array, Best]], target: Target, key: Array, epsilon: Number, search: Search
) -> Found:
    """The best of all attempts on one image.

    Args:
        attempt: maps its number, a start and the best so far to its last point, not yet evaluated, and the best.
        key: draws the starts. The start of attempt i does not depend on the number of attempts.
    """

    def body(state: tuple[Array, Best]) -> tuple[Array, Best]:
        number, best = state
        start = target.image
        if search.random:
            start = drawn_within(jax.random.fold_in(key, number), target.image, search.norm, epsilon, search.bounds)
        last, best = attempt(number, start, best)
        return number + 1, best.noted(last, *measured(target, last, search.loss, number)[1])

    def unfinished(state: tuple[Array, Best]) -> Array:
        return (state[0] < search.restarts) & goes_on(target, state[1], search)

    low = jnp.full((), -jnp.inf, target.image.dtype)
    first = Best(target.image, low, jnp.bool(False), jnp.int32(0))
    best = lax.while_loop(unfinished, body, (jnp.int32(0), first))[1]
    return Found(best.image, best.success, best.steps)


def goes_on(target: Target, best: Best, search: Search) -> Array:
    """Whether the search continues: not for images misclassified at first, nor, with `early_stop`, after a success."""
    return target.right & ~best.success if search.early_stop else target.right
