"""Attacks that follow the loss's gradient: in one step (FGSM), and in many, projected to the budget each time (PGD)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Float, Int

from hullx.jax_settings import with_jax_defaults
from hullx.probes.attacks.arguments import check_network, check_search, check_settings, each_epsilon, sizes_of
from hullx.probes.attacks.attacked import TOGETHER, Apply, Attacked, Found, Target, over_images
from hullx.probes.attacks.attempts import Best, Search, attempts, goes_on, measured
from hullx.probes.attacks.budget import Budget, nearest_within, steepest
from hullx.types import Array


@dataclass(frozen=True)
class PGD:
    """Settings of `pgd`.

    Attributes:
        steps: of each attempt, one gradient each; static.
        step_size: η in the pixels' units: one number, (steps,), or a function of the step's number from 0 on. None for
            2.5 ε / steps, with which any point of the ball can be reached from any other (Madry et al. 2018, section 5).
        loss: "cross_entropy", "margin" or "dlr", or "targeted", with which each attempt leads to one other class, those with
            the largest logits at the image first; static.
        restarts: attempts, each from another start, until one succeeds; static.
        random_start: whether they begin at a point drawn uniformly from the ball, else at the image; static.
        early_stop: whether the attack on an image ends once it is called wrongly. Else it goes on to raise the loss, with the
            same images a success; static.
        together: images in lockstep; static.

    Example:
        >>> PGD(steps=20, loss="dlr").restarts
        1
    """

    steps: int = 40
    step_size: Float[Array, "..."] | float | Callable[[int], float] | None = None
    loss: str = "cross_entropy"
    restarts: int = 1
    random_start: bool = True
    early_stop: bool = True
    together: int = TOGETHER


@with_jax_defaults
def fgsm(
    apply: Apply,
    variables: Any,
    images: Float[Array, "n ..."],
    labels: Int[Array, "n"],
    *,
    budget: Budget,
    loss: str = "cross_entropy",
    together: int = TOGETHER,
) -> Attacked:
    """Images after one step of length ε along which the loss rises most: x + ε sign ∇L(x) for L∞, x + ε ∇L/‖∇L‖ for L2.

    Args, raises: those of `pgd` and `PGD`.

    Example:
        >>> images, labels = jnp.array([[0.5, 0.4]]), jnp.array([0])
        >>> fgsm(lambda weights, images: images @ weights, jnp.eye(2), images, labels, budget=Budget("linf", 0.25)).images
        Array([[0.25, 0.65]], dtype=float32)

    Reference: Goodfellow et al. (2015), "Explaining and harnessing adversarial examples", section 4.
    """
    epsilon = each_epsilon(budget, images)
    search = Search(budget.norm, budget.bounds, loss, steps=1, random=False, together=together)
    check_search(search, check_network(apply, variables, images, labels, together, budget.bounds), jax.random.key(0))
    return _one_step(apply, variables, images, labels, epsilon, search=search)


@with_jax_defaults
def pgd(
    apply: Apply,
    variables: Any,
    images: Float[Array, "n ..."],
    labels: Int[Array, "n"],
    key: Array,
    *,
    budget: Budget,
    settings: PGD = PGD(),
) -> Attacked:
    """Images after projected steps along which the loss rises most, the best point of each on the way.

    x ← P(x + η s), with s = sign ∇L for L∞ and ∇L/‖∇L‖ for L2, and P the projection to the ball and the pixels' range.

    Compiled once for each `apply`, shape, norm and setting; ε and the step sizes are traced. An image's result depends neither
    on the other images nor on how many there are at once.

    Args:
        apply: from variables and images (b, ...) to logits (b, k), such as `model.apply`; hashable, and the same object each
            time, for it is static.
        variables: of the network.
        images: within the budget's bounds, by default [0, 1], of any shape.
        labels: the right ones, whole numbers below k.
        key: of the random starts.
        budget: norm and ε, which may differ from image to image.
        settings: how it searches, see `PGD`.

    Raises:
        ArgumentError, ArgumentTypeError: arguments of a wrong value, type or shape.

    Example:
        >>> images, labels = jnp.array([[0.5, 0.4], [0.9, 0.1], [0.1, 0.2]]), jnp.array([0, 0, 0])
        >>> linear, key = lambda weights, images: images @ weights, jax.random.key(0)
        >>> found = pgd(linear, jnp.eye(2), images, labels, key, budget=Budget("l2", 0.25))
        >>> found.success, found.distance[2]
        (Array([ True, False,  True], dtype=bool), Array(0., dtype=float32))

    Reference: Madry et al. (2018), "Towards deep learning models resistant to adversarial attacks", equation 2.1 and below.
    """
    epsilon = each_epsilon(budget, images)
    check_settings(settings, PGD)
    how = settings
    attempt = how.loss, how.steps, how.restarts, how.random_start, how.early_stop, how.together
    search = Search(budget.norm, budget.bounds, *attempt)
    check_search(search, check_network(apply, variables, images, labels, how.together, budget.bounds), key)
    sizes = sizes_of(epsilon, how.steps, how.step_size)
    return _many_steps(apply, variables, images, labels, key, epsilon, sizes, search=search)


@partial(jax.jit, static_argnames=("apply", "search"))
def _one_step(apply: Apply, variables: Any, images: Array, labels: Array, epsilon: Array, *, search: Search) -> Attacked:
    def one(target: Target, epsilon: Array) -> Found:
        gradient = jax.grad(lambda point: measured(target, point, search.loss)[0])(target.image)
        moved = target.image + epsilon * steepest(gradient, search.norm)
        moved = nearest_within(moved, target.image, search.norm, epsilon, search.bounds)
        return Found(moved, target.fooled(target.network(moved)), jnp.int32(1))

    return over_images(one, apply, variables, images, labels, epsilon, norm=search.norm, together=search.together)


@partial(jax.jit, static_argnames=("apply", "search"))
def _many_steps(
    apply: Apply,
    variables: Any,
    images: Array,
    labels: Array,
    key: Array,
    epsilon: Array,
    sizes: Array,
    *,
    search: Search,
) -> Attacked:
    def one(target: Target, number: Array, epsilon: Array, sizes: Array) -> Found:
        mine = jax.random.fold_in(key, number)
        return attempts(partial(_climbed, target, epsilon, sizes, search), target, mine, epsilon, search)

    numbers = jnp.arange(len(images))
    return over_images(
        one, apply, variables, images, labels, numbers, epsilon, sizes, norm=search.norm, together=search.together
    )


def _climbed(
    target: Target, epsilon: Array, sizes: Array, search: Search, number: Array, start: Array, best: Best
) -> tuple[Array, Best]:
    """One attempt."""
    look = jax.value_and_grad(partial(measured, target, loss=search.loss, number=number), has_aux=True)

    def step(state: tuple[Array, Array, Best]) -> tuple[Array, Array, Best]:
        number, point, best = state
        (_, seen), gradient = look(point)
        best = best.noted(point, *seen)
        on = goes_on(target, best, search)
        moved = point + sizes[number] * steepest(gradient, search.norm)
        moved = nearest_within(moved, target.image, search.norm, epsilon, search.bounds)
        return number + 1, jnp.where(on, moved, point), best._replace(steps=best.steps + on)

    def unfinished(state: tuple[Array, Array, Best]) -> Array:
        return (state[0] < search.steps) & goes_on(target, state[2], search)

    _, point, best = lax.while_loop(unfinished, step, (jnp.int32(0), start, best))
    return point, best
