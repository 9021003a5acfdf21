"""Argument checks of `flip_points`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from hullx.arguments import check_array, check_numbers, finite_and_max
from hullx.errors import ArgumentError
from hullx.probes.flip_points.regions import Box, Everywhere, HullRegion, Region
from hullx.types import Array


def checked_images(name: str, images: Any) -> Float[np.ndarray, "m *shape"]:
    """Finite images as a NumPy array, in the dtype that they and float32 promote to.

    Raises:
        ArgumentTypeError, ArgumentError: they are not such an array, or there are none.
    """
    check_array(name, images)
    if images.ndim < 2 or 0 in images.shape:
        raise ArgumentError(
            f"{name}: got shape {images.shape}, expected (m, ...) with one image or more: one image is {name}[None]"
        )
    dtype = jax.dtypes.canonicalize_dtype(jnp.promote_types(images.dtype, jnp.float32))
    found = np.asarray(images).astype(dtype)
    check_numbers(name, finite_and_max(found), found.dtype)
    return found


def check_apply(apply: Callable[[Any, Array], Any], variables: Any, images: Float[np.ndarray, "m *shape"]) -> int:
    """The number of classes, two or more.

    Raises:
        ArgumentError: apply does not accept such images, or does not return logits.
    """
    try:
        found = jax.eval_shape(apply, variables, images[:1])
    except Exception as error:
        raise ArgumentError(
            f"images: got shape {images.shape}, expected images that apply takes with these variables: "
            "use the shape of the training images"
        ) from error
    shape = getattr(found, "shape", None)
    if shape is None or len(shape) != 2 or shape[0] != 1 or shape[1] < 2:
        what = f"shape {shape}" if shape is not None else type(found).__name__
        raise ArgumentError(
            f"apply: got {what} for one image, expected logits (1, k) of 2 classes or more: "
            "give a function that returns only one logit per class"
        )
    return shape[1]


def checked_region(images: Float[np.ndarray, "m *shape"], within: tuple[float, float] | Float[Array, "n d"] | None) -> Region:
    """The region of the search for flip points.

    Raises:
        ArgumentTypeError, ArgumentError: the range is empty or does not contain the images, or the points do not match them.
    """
    if within is None:
        return Everywhere()
    if not isinstance(within, tuple):
        return _hull(images, within)
    low, high = map(float, within)
    if not low < high:
        raise ArgumentError(f"within: got ({low}, {high}), expected low < high: swap them, or give None for no limits")
    if images.min() < low or images.max() > high:
        raise ArgumentError(
            f"within: got ({low}, {high}) for images from {images.min():.6g} to {images.max():.6g}, "
            "expected all images inside: widen it, or give None for no limits"
        )
    return Box(jnp.asarray(low, images.dtype), jnp.asarray(high, images.dtype))


def _hull(images: np.ndarray, within: Any) -> HullRegion:
    check_array("within", within)
    size = images[0].size
    if within.ndim != 2 or within.shape[0] == 0 or within.shape[1] != size:
        raise ArgumentError(
            f"within: got shape {within.shape}, expected (n, {size}) to match images of shape {images.shape}: "
            "flatten each point to one row"
        )
    points = np.asarray(within).astype(images.dtype)
    check_numbers("within", finite_and_max(points), points.dtype)
    return HullRegion(jnp.asarray(points))


def checked_others(images: Float[np.ndarray, "m *shape"], towards: Any) -> Float[np.ndarray, "t *shape"]:
    """Other images, checked to have the same shape.

    Raises:
        ArgumentTypeError, ArgumentError: they have another shape, a wrong type or are not finite.
    """
    found = checked_images("towards", towards)
    if found.shape[1:] != images.shape[1:]:
        expected = ", ".join(map(str, ("t", *images.shape[1:])))
        raise ArgumentError(
            f"towards: got shape {found.shape}, expected ({expected}) to match images of shape {images.shape}: reshape them"
        )
    return found.astype(images.dtype)
