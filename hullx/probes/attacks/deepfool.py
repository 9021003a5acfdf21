"""DeepFool: small changes in L2 by steps to the nearest decision boundary of the linearised network."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Float, Int

from hullx.arguments import check_count, check_share
from hullx.jax_settings import with_jax_defaults
from hullx.numerics.norms import norm
from hullx.probes.attacks.arguments import check_network, check_settings
from hullx.probes.attacks.attacked import TOGETHER, Apply, Attacked, Found, Target, over_images
from hullx.probes.attacks.budget import UNIT, Bounds, check_bounds
from hullx.types import Array, Number


@dataclass(frozen=True)
class DeepFool:
    """Settings of `deepfool`.

    Attributes:
        overshoot: η in [0, 1): points are x + (1 + η) Σ r, which lie beyond the boundary; may be traced.
        steps: most steps; each takes the gradients of all candidates; static.
        candidates: number of other classes, those with the largest logits at the image; None for all; static.
        bounds: the range of images, to which points are clipped, or None; static.
        together: images in lockstep; static.

    Example:
        >>> DeepFool(candidates=9).overshoot
        0.02
    """

    overshoot: Number = 0.02
    steps: int = 50
    candidates: int | None = None
    bounds: Bounds | None = UNIT
    together: int = TOGETHER


@with_jax_defaults
def deepfool(
    apply: Apply,
    variables: Any,
    images: Float[Array, "n ..."],
    labels: Int[Array, "n"],
    settings: DeepFool = DeepFool(),
) -> Attacked:
    """Images moved across a nearby decision boundary; the L2 distance is an upper bound of that to the nearest one.

    z are the logits of a point, and w_j is the gradient of z_j − z_y there. The next change is the shortest that makes
    z_j = z_y for one class j in the linearised network: `|z_j − z_y| / ‖w_j‖² · w_j`, where j
    minimises `|z_j − z_y| / ‖w_j‖`.

    Args:
        apply, variables, images, labels: as for `pgd`.
        settings: see `DeepFool`.

    Raises:
        ArgumentError, ArgumentTypeError: as `pgd`.

    Example:
        >>> images, labels = jnp.array([[0.5, 0.4]]), jnp.array([0])
        >>> found = deepfool(lambda weights, images: images @ weights, jnp.eye(2), images, labels)
        >>> found.success, found.distance.round(4)  # 1.02 × 0.1 / √2
        (Array([ True], dtype=bool), Array([0.0721], dtype=float32))

    Reference: Moosavi-Dezfooli et al. (2016), "DeepFool: a simple and accurate method to fool deep neural networks",
    algorithm 2.
    """
    check_settings(settings, DeepFool)
    how = settings
    if how.bounds is not None:
        check_bounds(how.bounds)
    classes = check_network(apply, variables, images, labels, how.together, how.bounds)
    check_count("steps", how.steps)
    check_count("candidates", how.candidates, none="all other classes")
    check_share("overshoot", how.overshoot, remedy="the paper's is 0.02")
    several = classes - 1 if how.candidates is None else min(how.candidates, classes - 1)
    setting, overshoot = _Setting(how.steps, several, how.bounds), jnp.asarray(how.overshoot, jnp.result_type(images))
    return _run(apply, variables, images, labels, overshoot, setting=setting, together=how.together)


class _Setting(NamedTuple):
    """Static settings."""

    steps: int
    candidates: int
    bounds: Bounds | None


class _State(NamedTuple):
    """Number of steps, the point, the sum of its steps, and whether the network misclassifies it."""

    number: Array
    point: Array
    total: Array
    success: Array


@partial(jax.jit, static_argnames=("apply", "setting", "together"))
def _run(
    apply: Apply, variables: Any, images: Array, labels: Array, overshoot: Array, *, setting: _Setting, together: int
) -> Attacked:
    one = partial(_crossed, overshoot=overshoot, setting=setting)
    return over_images(one, apply, variables, images, labels, norm="l2", together=together)


def _crossed(target: Target, *, overshoot: Array, setting: _Setting) -> Found:
    others = target.others[: setting.candidates]

    def ahead(point: Array) -> tuple[Array, Array]:
        logits = target.network(point)
        return logits[others] - logits[target.label], logits

    def step(state: _State) -> _State:
        values, pull, logits = jax.vjp(ahead, state.point, has_aux=True)
        (across,) = jax.vmap(pull)(jnp.eye(setting.candidates, dtype=values.dtype))
        fooled = target.fooled(logits)
        # At the boundary itself a step would be 0. Adding the logits' rounding error lengthens it.
        rounding = 4 * jnp.finfo(logits.dtype).eps * jnp.abs(logits).max()
        lengths = norm(across.reshape(setting.candidates, -1))
        distances = jnp.where(lengths > 0, (jnp.abs(values) + rounding) / jnp.where(lengths > 0, lengths, 1), jnp.inf)
        distances = jnp.where(jnp.isfinite(distances), distances, jnp.inf)
        nearest = distances.argmin()
        change = (distances[nearest] / lengths[nearest]).astype(state.total.dtype) * across[nearest]
        total = jnp.where(jnp.isfinite(distances[nearest]), state.total + change, state.total)
        moved = target.image + (1 + overshoot) * total
        moved = moved if setting.bounds is None else jnp.clip(moved, *setting.bounds)
        point = jnp.where(fooled, state.point, moved)
        return _State(state.number + ~fooled, point, jnp.where(fooled, state.total, total), fooled)

    def unfinished(state: _State) -> Array:
        return (state.number < setting.steps) & ~state.success & target.right

    begun = _State(jnp.int32(0), target.image, jnp.zeros_like(target.image), jnp.bool(False))
    ended = lax.while_loop(unfinished, step, begun)
    return Found(ended.point, target.fooled(target.network(ended.point)), ended.number)
