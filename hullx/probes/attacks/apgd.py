"""Auto-PGD: projected gradient steps with momentum, whose length halves where the loss no longer rises enough.

It needs no step size. Croce and Hein (2020), "Reliable evaluation of adversarial robustness with an ensemble of diverse
parameter-free attacks", algorithm 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Bool, Float, Int

from hullx.jax_settings import with_jax_defaults
from hullx.probes.attacks.arguments import check_network, check_search, check_settings, each_epsilon
from hullx.probes.attacks.attacked import TOGETHER, Apply, Attacked, Found, Target, over_images
from hullx.probes.attacks.attempts import Best, Search, attempts, goes_on, measured
from hullx.probes.attacks.budget import Budget, nearest_within, steepest
from hullx.types import Array

# Section 3.1: weight of a new step against the last one's; share of steps that are to raise the loss; first step over ε.
MOMENTUM, RISES, FIRST = 0.75, 0.75, 2.0
# Section 3.2: the first two checkpoints, what the distance of two falls by, and the least distance, as shares of all steps.
CHECKPOINTS, FALL, LEAST = (0.0, 0.22), 0.03, 0.06


@dataclass(frozen=True)
class APGD:
    """Settings of `apgd`.

    Attributes:
        steps: of each attempt; the length of a step, 2 ε at first, follows from how the loss rises; static.
        loss: "cross_entropy" or "dlr", as in the paper, "margin" or "targeted"; static.
        restarts: attempts, each from a point drawn uniformly from the ball; static.
        early_stop, together: as for `PGD`; static.

    Example:
        >>> APGD(loss="dlr").steps
        100
    """

    steps: int = 100
    loss: str = "cross_entropy"
    restarts: int = 1
    early_stop: bool = True
    together: int = TOGETHER


@with_jax_defaults
def apgd(
    apply: Apply,
    variables: Any,
    images: Float[Array, "n ..."],
    labels: Int[Array, "n"],
    key: Array,
    *,
    budget: Budget,
    settings: APGD = APGD(),
) -> Attacked:
    """Images after Auto-PGD, the best point of each on the way.

    Args:
        apply, variables, images, labels, key, budget: as for `pgd`.
        settings: how it searches, see `APGD`.

    Raises:
        ArgumentError, ArgumentTypeError: as `pgd`.

    Example:
        >>> images, labels, key = jnp.array([[0.5, 0.4, 0.3]]), jnp.array([0]), jax.random.key(0)
        >>> linear = lambda weights, images: images @ weights
        >>> apgd(linear, jnp.eye(3), images, labels, key, budget=Budget("linf", 0.06), settings=APGD(loss="dlr")).success
        Array([ True], dtype=bool)

    Reference: Croce and Hein (2020), algorithm 1.
    """
    epsilon = each_epsilon(budget, images)
    search = checked_search(settings, budget)
    check_search(search, check_network(apply, variables, images, labels, search.together, budget.bounds), key)
    return _run(apply, variables, images, labels, key, epsilon, search=search)


def checked_search(settings: Any, budget: Budget) -> Search:
    """The search of an Auto-PGD with these settings.

    Raises:
        ArgumentTypeError: they are no `APGD`.
    """
    check_settings(settings, APGD)
    how: APGD = settings
    attempt = how.loss, how.steps, how.restarts
    return Search(budget.norm, budget.bounds, *attempt, early_stop=how.early_stop, together=how.together)


@partial(jax.jit, static_argnames=("apply", "search"))
def _run(apply: Apply, variables: Any, images: Array, labels: Array, key: Array, epsilon: Array, *, search: Search) -> Attacked:
    def one(target: Target, number: Array, epsilon: Array) -> Found:
        return attempts(partial(climbed, target, epsilon, search), target, jax.random.fold_in(key, number), epsilon, search)

    numbers = jnp.arange(len(images))
    return over_images(one, apply, variables, images, labels, numbers, epsilon, norm=search.norm, together=search.together)


class _State(NamedTuple):
    """Where an attempt is before its k-th step; the names in brackets are the paper's."""

    number: Array  # k
    point: Array  # x_k
    before: Array  # x_{k−1}
    size: Array  # η
    last: Array  # f(x_{k−1})
    top: Array  # x_max
    top_loss: Array  # f_max
    top_gradient: Array
    rises: Array  # steps since the last checkpoint that raised the loss
    mark: Array  # f_max at the last checkpoint
    halved: Array  # whether η was halved there
    best: Best


def climbed(target: Target, epsilon: Array, search: Search, number: Array, start: Array, best: Best) -> tuple[Array, Best]:
    """One attempt: from its number, a start and the best point yet to the last point and the best.

    Args:
        target, epsilon, search: the image, its ε, and how it is attacked.
    """
    look = jax.value_and_grad(partial(measured, target, loss=search.loss, number=number), has_aux=True)
    there, since = map(jnp.asarray, checkpoints(search.steps))

    def step(state: _State) -> _State:
        (value, seen), gradient = look(state.point)
        best, first = state.best.noted(state.point, *seen), state.number == 0
        on = goes_on(target, best, search)
        higher = value > state.top_loss
        top, top_gradient = jnp.where(higher, state.point, state.top), jnp.where(higher, gradient, state.top_gradient)
        top_loss, rises = jnp.where(higher, value, state.top_loss), state.rises + (value > state.last)
        # Conditions 1 and 2 of section 3.1.
        slow, stuck = rises < RISES * since[state.number], ~state.halved & (top_loss <= state.mark)
        check = there[state.number]
        halve = check & (slow | stuck)
        size = jnp.where(halve, state.size / 2, state.size)
        point, gradient = jnp.where(halve, top, state.point), jnp.where(halve, top_gradient, gradient)

        def within(moved: Array) -> Array:
            return nearest_within(moved, target.image, search.norm, epsilon, search.bounds)

        straight = within(point + size * steepest(gradient, search.norm))
        share = jnp.where(first, 1, MOMENTUM).astype(point.dtype)
        moved = within(point + share * (straight - point) + (1 - share) * (point - state.before))
        return _State(
            number=state.number + 1,
            point=jnp.where(on, moved, state.point),
            before=point,
            size=size,
            last=jnp.where(halve, top_loss, value),
            top=top,
            top_loss=top_loss,
            top_gradient=top_gradient,
            rises=jnp.where(check, 0, rises),
            mark=jnp.where(check | first, top_loss, state.mark),
            halved=jnp.where(check, halve, state.halved),
            best=best._replace(steps=best.steps + on),
        )

    def unfinished(state: _State) -> Array:
        return (state.number < search.steps) & goes_on(target, state.best, search)

    high = jnp.full((), jnp.inf, start.dtype)
    none, size = jnp.zeros_like(start), FIRST * jnp.asarray(epsilon, start.dtype)
    begun = _State(jnp.int32(0), start, start, size, high, start, -high, none, jnp.int32(0), -high, jnp.bool(False), best)
    ended = lax.while_loop(unfinished, step, begun)
    return ended.point, ended.best


def checkpoints(steps: int) -> tuple[Bool[np.ndarray, "steps"], Int[np.ndarray, "steps"]]:
    """Whether each step is a checkpoint, and how many steps after the last one: w_j = ⌈p_j · steps⌉ of section 3.2.

    Example:
        >>> found, since = checkpoints(100)
        >>> np.flatnonzero(found), since[found]
        (array([22, 41, 57, 70, 80, 87, 93, 99]), array([22, 19, 16, 13, 10,  7,  6,  6]))
    """
    shares = list(CHECKPOINTS)
    while shares[-1] < 1:
        shares.append(shares[-1] + max(shares[-1] - shares[-2] - FALL, LEAST))
    # A share that rounding has left above a whole number of steps is that number.
    at = np.unique(np.ceil(np.array(shares) * steps - 1e-9).astype(int))
    found, since = np.zeros(steps, bool), np.zeros(steps, int)
    inside = at[1:] < steps
    found[at[1:][inside]], since[at[1:][inside]] = True, np.diff(at)[inside]
    return found, since
