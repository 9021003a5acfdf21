"""How far an attack may move an image: a ball of a norm about it, cut with the range of pixels.

All functions here are of one image, an array of any shape; `jax.vmap` gives those of many.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Float

from hullx.arguments import is_concrete
from hullx.errors import ArgumentError
from hullx.numerics.extended import difference, total
from hullx.numerics.norms import norm as euclidean
from hullx.numerics.norms import unit
from hullx.types import Array, Number

Norm = Literal["linf", "l2"]
NORMS: tuple[Norm, ...] = ("linf", "l2")
# The least and the largest value of a pixel.
Bounds = tuple[float, float]
UNIT: Bounds = (0.0, 1.0)


@dataclass(frozen=True)
class Budget:
    """Perturbations x' with ‖x' − x‖ ≤ ε and low ≤ x' ≤ high; both hold for the returned numbers, whatever was rounded.

    Attributes:
        norm: "linf", the largest change of a pixel, or "l2", the Euclidean norm of all changes.
        epsilon: ε > 0 in the pixels' units, one for all images or (n,); may be traced.
        bounds: low and high, by default those of images in [0, 1]; static. For images that are standardised with one mean and
            deviation: ((0 − mean) / deviation, (1 − mean) / deviation), with ε divided by the deviation. If channels have
            different ones, standardise within the network instead.

    Raises:
        ArgumentError: another norm, an ε that is not a finite number above 0, bounds that are not two finite numbers in
            ascending order, or an ε for "linf" above their difference.

    Example:
        >>> Budget("linf", 8 / 255)
        Budget(norm='linf', epsilon=0.0313..., bounds=(0.0, 1.0))
    """

    norm: Norm
    epsilon: Float[Array, "..."] | float
    bounds: Bounds = UNIT

    def __post_init__(self) -> None:
        check_norm(self.norm)
        check_bounds(self.bounds)
        low, high = self.bounds
        object.__setattr__(self, "bounds", (float(low), float(high)))  # NumPy's numbers would decide dtypes
        if is_concrete(self.epsilon):
            check_positive("epsilon", self.epsilon)
            if self.norm == "linf" and np.max(self.epsilon) > high - low:
                got = f"epsilon: got {np.max(self.epsilon):g}, expected at most {high - low:g}"
                raise ArgumentError(f"{got}, as pixels are in [{low:g}, {high:g}]: divide it by 255 if it counts grey levels")


def moved(changed: Float[Array, "..."], image: Float[Array, "..."], norm: Norm) -> Float[Array, ""]:
    """‖changed − image‖ in a norm.

    Example:
        >>> moved(jnp.array([0.3, 0.4]), jnp.zeros(2), "l2"), moved(jnp.array([0.3, 0.4]), jnp.zeros(2), "linf")
        (Array(0.5, dtype=float32), Array(0.4, dtype=float32))
    """
    change = (changed - image).ravel()
    return jnp.abs(change).max() if norm == "linf" else euclidean(change)


def steepest(gradient: Float[Array, "..."], norm: Norm) -> Float[Array, "..."]:
    """The step of length 1 along which a function rises most: the gradient's signs, or the gradient over its norm; 0 for 0.

    Example:
        >>> steepest(jnp.array([3.0, -4.0]), "linf"), steepest(jnp.array([3.0, -4.0]), "l2").round(6)
        (Array([ 1., -1.], dtype=float32), Array([ 0.6, -0.8], dtype=float32))
    """
    return jnp.sign(gradient) if norm == "linf" else unit(gradient.ravel()).reshape(gradient.shape)


def nearest_within(
    changed: Float[Array, "..."], image: Float[Array, "..."], norm: Norm, epsilon: Number, bounds: Bounds = UNIT
) -> Float[Array, "..."]:
    """The budget's point nearest to `changed` in Euclidean distance, for both norms: in the ball and the pixels' range at once.

    For L2 it is clip(x + t (changed − x), low, high) with the largest t ≤ 1 that the ball allows, for such are the points that
    meet the Karush-Kuhn-Tucker conditions. Pixels that are clipped at some t are clipped at all larger ones. So t is solved for
    with none clipped, then with those clipped that were beyond the range, and so on until they are no more.

    Args:
        changed: any point.
        image: the ball's centre, within the bounds.

    Example:
        >>> found = nearest_within(jnp.array([2.0, 0.0]), jnp.array([0.7, 0.5]), "l2", 0.5)
        >>> [round(float(pixel), 5) for pixel in found], bool(moved(found, jnp.array([0.7, 0.5]), "l2") <= 0.5)
        ([1.0, 0.1], True)
    """
    change, (low, high) = changed - image, bounds
    if norm == "linf":
        return _no_farther(jnp.clip(image + jnp.clip(change, -epsilon, epsilon), low, high), image, epsilon)
    room = jnp.where(change > 0, high - image, image - low)

    def solved(clipped: Array) -> Array:
        left = jnp.maximum(epsilon**2 - jnp.where(clipped, room**2, 0).sum(), 0)
        free = euclidean(jnp.where(clipped, 0, change).ravel())
        return jnp.where(free > 0, jnp.minimum(jnp.sqrt(left) / jnp.where(free > 0, free, 1), 1), 1)

    def beyond(share: Array) -> Array:
        return share * jnp.abs(change) >= room

    def more(state: tuple[Array, Array]) -> tuple[Array, Array]:
        clipped = state[0] | beyond(solved(state[0]))
        return clipped, clipped.sum() > state[0].sum()

    clipped, _ = lax.while_loop(lambda state: state[1], more, (jnp.zeros(image.shape, bool), jnp.bool(True)))
    return _shortened(jnp.clip(image + solved(clipped) * change, low, high), image, epsilon, bounds)


def drawn_within(
    key: Array, image: Float[Array, "..."], norm: Norm, epsilon: Number, bounds: Bounds = UNIT
) -> Float[Array, "..."]:
    """A point drawn uniformly from the ball, its pixels then clipped to their range.

    Example:
        >>> image = jnp.full((8, 8), 0.5)
        >>> 0.27 < moved(drawn_within(jax.random.key(0), image, "l2", 0.3), image, "l2") < 0.3
        Array(True, dtype=bool)
    """
    if norm == "linf":
        drawn = jnp.clip(image + epsilon * jax.random.uniform(key, image.shape, image.dtype, -1, 1), *bounds)
        return _no_farther(drawn, image, epsilon)
    direction_key, length_key = jax.random.split(key)
    direction = unit(jax.random.normal(direction_key, image.shape, image.dtype).ravel()).reshape(image.shape)
    length = epsilon * jax.random.uniform(length_key, (), image.dtype) ** (1 / image.size)
    return nearest_within(image + length * direction, image, norm, epsilon, bounds)


def _shortened(changed: Array, image: Array, epsilon: Number, bounds: Bounds) -> Array:
    """A point that rounding has put more than ε from the image, moved towards it: at most ε in exact arithmetic.

    The range is convex and the image in it, so that a shorter step stays in it. `length` is an upper bound for any number of
    pixels: differences have no error, squares have one rounding each, and their sum as a pair has a relative one. Rounding the
    shorter step puts a pixel at most half a float farther out, and the float before it is nearer to the image.
    """
    exact = difference(changed, image)
    eps = jnp.finfo(image.dtype).eps
    length = jnp.sqrt(total(((jnp.abs(exact.high) + jnp.abs(exact.low)) ** 2).ravel()).high) * (1 + 8 * eps)
    # The length that users compute from the returned images has a relative error of about √d eps.
    most = epsilon * (1 - 4 * eps * max(image.size, 16) ** 0.5)
    shorter = image + (changed - image) * (most / jnp.where(length > 0, length, 1))
    return jnp.where(length > most, jnp.clip(jnp.nextafter(shorter, image), *bounds), changed)


def _no_farther(changed: Array, image: Array, epsilon: Number) -> Array:
    """Pixels that rounding has put more than ε from the image, one float nearer to it: at most ε exactly."""
    distance = difference(changed, image)
    beyond = jnp.abs(distance.high) - epsilon
    rounded = jnp.where(distance.high < 0, -distance.low, distance.low)
    return jnp.where((beyond > 0) | ((beyond == 0) & (rounded > 0)), jnp.nextafter(changed, image), changed)


def check_norm(norm: Any) -> None:
    """Whether there is such a norm.

    Raises:
        ArgumentError: there is not.
    """
    if norm not in NORMS:
        raise ArgumentError(f"norm: got {norm!r}, expected one of {', '.join(NORMS)}: choose one of them")


def check_bounds(bounds: Any) -> None:
    """Whether bounds are two finite numbers in ascending order.

    Raises:
        ArgumentError: they are not.
    """
    pair: Any = bounds if isinstance(bounds, tuple) else ()
    numbers = all(isinstance(end, float | int | np.number) and np.isfinite(end) for end in pair)
    if len(pair) != 2 or not numbers or not pair[0] < pair[1]:
        raise ArgumentError(f"bounds: got {bounds!r}, expected (low, high), two finite numbers with low < high")


def check_positive(name: str, value: Any) -> None:
    """Whether numbers are finite and above 0.

    Raises:
        ArgumentError: they are not.
    """
    numbers = np.asarray(value)
    if not (np.issubdtype(numbers.dtype, np.number) and numbers.size and (numbers > 0).all() and np.isfinite(numbers).all()):
        raise ArgumentError(f"{name}: got {value}, expected finite numbers above 0: give it in the pixels' units")
