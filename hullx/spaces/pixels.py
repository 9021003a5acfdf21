"""Pixel spaces: all pixels, the central ones, or those of a smaller image."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import jax
from jaxtyping import Float

from hullx.data.preprocessing import centre_crop
from hullx.errors import ArgumentError
from hullx.types import Array


@partial(jax.tree_util.register_dataclass, data_fields=(), meta_fields=("shape",))
@dataclass(frozen=True)
class Pixels:
    """The pixels themselves: each image as one row.

    Attributes:
        shape: height, width and channels, for the inverse.

    Example:
        >>> space = Pixels((8, 8, 1))
        >>> images = hullx.data.load("digits").test.images
        >>> space(images).shape, bool((space.inverse(space(images)) == images).all())
        ((360, 64), True)
    """

    shape: tuple[int, int, int]

    def __call__(self, images: Float[Array, "n h w c"]) -> Float[Array, "n k"]:
        """The pixels as rows.

        Raises:
            ArgumentError: the images have another shape.
        """
        check_shape(self.shape, images)
        return images.reshape(len(images), -1)

    def inverse(self, vectors: Float[Array, "n k"]) -> Float[Array, "n h w c"]:
        """The images."""
        return vectors.reshape(-1, *self.shape)


@partial(jax.tree_util.register_dataclass, data_fields=(), meta_fields=("size",))
@dataclass(frozen=True)
class Crop:
    """The central size × size pixels, as in Balestriero, Pesenti and LeCun (2021), arXiv 2110.09485, figure 3.

    Attributes:
        size: from 1 to the smaller of height and width.

    Example:
        >>> Crop(2)(jnp.arange(16.0).reshape(1, 4, 4, 1))
        Array([[ 5.,  6.,  9., 10.]], dtype=float32)
    """

    size: int

    def __call__(self, images: Float[Array, "n h w c"]) -> Float[Array, "n k"]:
        """The central pixels as rows.

        Raises:
            ArgumentError: the images are smaller.
        """
        return centre_crop(images, self.size).reshape(len(images), -1)


@partial(jax.tree_util.register_dataclass, data_fields=(), meta_fields=("size",))
@dataclass(frozen=True)
class SmoothSubsample:
    """The image smoothed and then sampled on a coarser grid of size × size pixels (2110.09485, figure 3, lower row).

    That paper does not specify its smoothing. This class uses a triangle kernel two grid steps wide, by `jax.image.resize`
    with antialiasing: linear, weights that sum to 1.

    Attributes:
        size: from 1 to the smaller of height and width.

    Example:
        >>> SmoothSubsample(2)(jnp.arange(16.0).reshape(1, 4, 4, 1)).shape
        (1, 4)
    """

    size: int

    def __call__(self, images: Float[Array, "n h w c"]) -> Float[Array, "n k"]:
        """The pixels of the smaller images as rows.

        Raises:
            ArgumentError: the images are smaller.
        """
        n, height, width, channels = images.shape
        if not 0 < self.size <= min(height, width):
            said = f"images are {height} × {width}, so size must be from 1 to {min(height, width)}, not {self.size}"
            raise ArgumentError(f"SmoothSubsample: {said}")
        small = jax.image.resize(images, (n, self.size, self.size, channels), "linear", antialias=True)
        return small.reshape(n, -1)


def check_shape(expected: tuple[int, int, int], images: Float[Array, "n h w c"]) -> None:
    """Check that images have a space's shape.

    Raises:
        ArgumentError: they have another.
    """
    if images.shape[1:] != expected:
        raise ArgumentError(f"images: got shape {images.shape}, expected (n, {', '.join(map(str, expected))}): resize them")
