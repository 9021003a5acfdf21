"""The smallest budget with which an attack succeeds, by bisection for each image."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Float, Int

from hullx.arguments import check_count
from hullx.jax_settings import with_jax_defaults
from hullx.probes.attacks.apgd import APGD, checked_search, climbed
from hullx.probes.attacks.arguments import check_network, check_search, each_epsilon
from hullx.probes.attacks.attacked import Apply, Attacked, Found, Target, over_images
from hullx.probes.attacks.attempts import Search, attempts
from hullx.probes.attacks.budget import Budget, moved
from hullx.types import Array

DEFAULT = APGD(steps=30, loss="targeted", restarts=3)


@with_jax_defaults
def smallest_budget(
    apply: Apply,
    variables: Any,
    images: Float[Array, "n ..."],
    labels: Int[Array, "n"],
    key: Array,
    *,
    largest: Budget,
    halvings: int = 10,
    settings: APGD = DEFAULT,
) -> Attacked:
    """The nearest misclassified point that Auto-PGD finds for each image: an upper bound of the distance to the boundary.

    The first attack has the largest budget. Each further one takes ε halfway between the largest that failed, initially 0, and
    the distance of the nearest success.

    Args:
        largest: the norm, and the first ε.
        halvings: of the interval, whose final length is at most ε / 2^halvings; static.
        settings: of the attack with each budget; by default 3 targeted attempts of 30 steps. On a linear network one "targeted"
            attempt per other class is exact. Cross entropy leads to several classes at once, the margin to the one with the
            largest logit.
        apply, variables, images, labels, key: as for `pgd`.

    Returns:
        The nearest points; where the largest budget fails, the best point of that attack.

    Raises:
        ArgumentError, ArgumentTypeError: as `pgd`.

    Example:
        >>> images, labels, key = jnp.array([[0.5, 0.4]]), jnp.array([0]), jax.random.key(0)
        >>> linear = lambda weights, images: images @ weights
        >>> found = smallest_budget(linear, jnp.eye(2), images, labels, key, largest=Budget("l2", 1.0))
        >>> bool(abs(found.distance[0] - 0.1 / 2**0.5) < 1e-3)
        True

    Reference: Croce and Hein (2020), algorithm 1, for the attack.
    """
    epsilon = each_epsilon(largest, images)
    search = checked_search(settings, largest)
    check_search(search, check_network(apply, variables, images, labels, search.together, largest.bounds), key)
    check_count("halvings", halvings, least=0)
    return _run(apply, variables, images, labels, key, epsilon, search=search, halvings=halvings)


@partial(jax.jit, static_argnames=("apply", "search", "halvings"))
def _run(
    apply: Apply,
    variables: Any,
    images: Array,
    labels: Array,
    key: Array,
    epsilon: Array,
    *,
    search: Search,
    halvings: int,
) -> Attacked:
    def one(target: Target, number: Array, epsilon: Array) -> Found:
        mine = jax.random.fold_in(key, number)

        def halve(i: Array, state: tuple[Found, Array, Array]) -> tuple[Found, Array, Array]:
            nearest, low, high = state
            first = i == 0
            tried = jnp.where(first, epsilon, (low + high) / 2)
            # Images that resist the largest budget are not attacked further.
            wanted = target._replace(right=target.right & (first | nearest.success))
            found = attempts(partial(climbed, wanted, tried, search), wanted, jax.random.fold_in(mine, i), tried, search)
            better = first | found.success
            image, success = jnp.where(better, found.image, nearest.image), nearest.success | found.success
            high = jnp.where(found.success, jnp.minimum(tried, moved(found.image, target.image, search.norm)), high)
            low = jnp.where(found.success | first, low, tried)
            return Found(image, success, nearest.steps + found.steps), low, high

        begun = Found(target.image, jnp.bool(False), jnp.int32(0)), jnp.zeros_like(epsilon), epsilon
        return lax.fori_loop(0, halvings + 1, halve, begun)[0]

    numbers = jnp.arange(len(images))
    return over_images(one, apply, variables, images, labels, numbers, epsilon, norm=search.norm, together=search.together)
