"""Random augmentations of image batches that preserve labels: pure JAX functions of a key, for training steps."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Float

from hullx.types import Array


@dataclass(frozen=True)
class CropFlip:
    """Pad each image with zeros, crop a random window of its original size, and mirror it with probability 1/2.

    Call it with a key and a batch of images (b, h, w, c); the result has the same shape and dtype.

    Attributes:
        padding: pixels on each side; 4 for CIFAR.
        flip: whether to mirror left and right; False for digits.

    Example:
        >>> image = jnp.arange(1.0, 5).reshape(1, 2, 2, 1)
        >>> CropFlip(padding=1)(jax.random.key(0), image)[0, :, :, 0]
        Array([[0., 2.],
               [0., 4.]], dtype=float32)

    Reference: He et al. (2016), "Deep residual learning for image recognition", section 4.2.
    """

    padding: int = 4
    flip: bool = True

    def __call__(self, key: Array, images: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
        places_key, flip_key = jax.random.split(key)
        pad = (0, 0), (self.padding, self.padding), (self.padding, self.padding), (0, 0)
        places = jax.random.randint(places_key, (len(images), 2), 0, 2 * self.padding + 1)

        def window(image: Array, place: Array) -> Array:
            return lax.dynamic_slice(image, (place[0], place[1], 0), images.shape[1:])

        cut = jax.vmap(window)(jnp.pad(images, pad), places)
        if not self.flip:
            return cut
        mirrored = jax.random.bernoulli(flip_key, shape=(len(images), 1, 1, 1))
        return jnp.where(mirrored, cut[:, :, ::-1], cut)
