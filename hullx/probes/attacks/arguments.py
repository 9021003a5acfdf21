"""Argument checks of attacks, and arguments in the form of one row per image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from hullx.arguments import check_array, check_count, is_concrete
from hullx.errors import ArgumentError, ArgumentTypeError
from hullx.probes.attacks.attacked import Apply
from hullx.probes.attacks.attempts import Search
from hullx.probes.attacks.budget import UNIT, Bounds, Budget, check_norm, check_positive
from hullx.probes.attacks.losses import LOSSES, TARGETED
from hullx.types import Array

# Madry et al. (2018), section 5: steps of 2.5 ε / steps.
REACH = 2.5


def check_network(apply: Apply, variables: Any, images: Any, labels: Any, together: int, bounds: Bounds | None) -> int:
    """Number of the network's classes, after a check that network, images and labels match.

    Args:
        bounds: the range of pixels; None for any.

    Raises:
        ArgumentTypeError, ArgumentError: they do not match; the message says what to change.
    """
    _check_images(images)
    check_count("together", together)
    low, high = bounds or (-np.inf, np.inf)
    # Standardised pixels may be a rounding beyond standardised bounds.
    slack = 0.0 if bounds in (None, UNIT) else 4 * float(jnp.finfo(jnp.result_type(images)).eps) * max(abs(low), abs(high))
    if bounds is not None and not _all(images, lambda pixels: (pixels >= low - slack) & (pixels <= high + slack)):
        remedy = "divide by their largest value, or give bounds=(low, high)"
        raise ArgumentError(f"images: got pixels outside [{low:g}, {high:g}] or NaN, expected {low:g} to {high:g}: {remedy}")
    if not callable(apply) or not _hashable(apply):
        raise ArgumentTypeError(
            f"apply: got {type(apply).__name__}, expected a hashable function of variables and images: give model.apply"
        )
    logits: Any = jax.eval_shape(apply, variables, jax.ShapeDtypeStruct((1, *images.shape[1:]), jnp.result_type(images)))
    if getattr(logits, "ndim", 0) != 2 or logits.shape[0] != 1 or logits.shape[1] < 2:
        what = getattr(logits, "shape", type(logits).__name__)
        raise ArgumentError(f"apply: got {what} for one image, expected logits (1, k) with k ≥ 2: return the logits only")
    _check_labels(labels, len(images), logits.shape[1])
    return logits.shape[1]


def _check_images(images: Any) -> None:
    check_array("images", images)
    if images.ndim < 2:
        raise ArgumentError(f"images: got shape {images.shape}, expected (n, ...): give one image as images[None]")


def _check_labels(labels: Any, count: int, classes: int) -> None:
    if np.shape(labels) != (count,):
        raise ArgumentError(f"labels: got shape {np.shape(labels)}, expected ({count},): give one label per image")
    dtype = jnp.result_type(labels)
    if not jnp.issubdtype(dtype, jnp.integer):
        raise ArgumentTypeError(f"labels: got dtype {dtype}, expected integers: convert with labels.astype('int32')")
    if not _all(labels, lambda numbers: (numbers >= 0) & (numbers < classes)):
        raise ArgumentError(f"labels: got some outside 0 to {classes - 1}, expected the network's classes: number them from 0")


def _all(values: Any, fine: Callable[[Any], Any]) -> bool:
    """Whether all values pass the test or are tracers; NaN never passes."""
    with jax.ensure_compile_time_eval():
        return not is_concrete(values) or bool(fine(jnp.asarray(values)).all())


def _hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def check_settings(settings: Any, kind: type) -> None:
    """Check the type of an attack's settings.

    Raises:
        ArgumentTypeError: they are of another type.
    """
    if not isinstance(settings, kind):
        got, expected = type(settings).__name__, kind.__name__
        raise ArgumentTypeError(f"settings: got {got}, expected {expected}: give {expected}(steps=…)")


def check_search(search: Search, classes: int, key: Any) -> None:
    """Check the settings of a search and its key.

    Raises:
        ArgumentTypeError, ArgumentError: they are invalid.
    """
    check_norm(search.norm)
    check_count("steps", search.steps)
    check_count("restarts", search.restarts)
    if search.loss not in (*LOSSES, TARGETED):
        raise ArgumentError(f"loss: got {search.loss!r}, expected one of {', '.join((*LOSSES, TARGETED))}")
    if search.loss == "dlr" and classes < 3:
        raise ArgumentError(f"loss: got 'dlr' for {classes} classes, expected three or more: choose 'margin'")
    if search.restarts > 1 and not search.random:
        raise ArgumentError(
            f"restarts: got {search.restarts}, expected 1, because all attempts start at the image: set random_start=True"
        )
    if not isinstance(key, jax.Array) or not jnp.issubdtype(key.dtype, jax.dtypes.prng_key) or key.ndim:
        raise ArgumentTypeError(f"key: got {type(key).__name__}, expected one key: give jax.random.key(seed)")


def each_epsilon(budget: Any, images: Array) -> Float[Array, "n"]:
    """ε of each image, in the images' dtype.

    Raises:
        ArgumentTypeError, ArgumentError: the budget is missing, or its ε do not match the images.
    """
    _check_images(images)
    if not isinstance(budget, Budget):
        raise ArgumentTypeError(f"budget: got {type(budget).__name__}, expected a Budget: give Budget('linf', 8 / 255)")
    if np.shape(budget.epsilon) not in ((), (len(images),)):
        shape = np.shape(budget.epsilon)
        raise ArgumentError(f"epsilon: got shape {shape}, expected () or ({len(images)},): give one number, or one per image")
    return jnp.broadcast_to(jnp.asarray(budget.epsilon, jnp.result_type(images)), len(images))


def sizes_of(epsilon: Float[Array, "n"], steps: int, step_size: Any) -> Float[Array, "n steps"]:
    """The length of each step, for each image.

    Args:
        step_size: one number, (steps,), a function of the step's number, or None for 2.5 ε / steps.

    Raises:
        ArgumentError: their number differs from `steps`, or one is not positive.

    Example:
        >>> sizes_of(jnp.array([0.5]), 2, lambda number: 0.1 / (1 + number))
        Array([[0.1 , 0.05]], dtype=float32)
    """
    if step_size is None:
        return jnp.broadcast_to(REACH * epsilon[:, None] / steps, (len(epsilon), steps))
    given: Any = step_size
    if callable(step_size):
        function: Callable[[int], Any] = step_size
        given = np.array([float(function(i)) for i in range(steps)])
    if np.shape(given) not in ((), (steps,)):
        raise ArgumentError(
            f"step_size: got shape {np.shape(given)}, expected () or ({steps},): give one number, or one per step"
        )
    if is_concrete(given):
        check_positive("step_size", given)
    return jnp.broadcast_to(jnp.asarray(given, epsilon.dtype), (len(epsilon), steps))
