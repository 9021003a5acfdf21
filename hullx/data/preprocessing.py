"""Preprocessing of images before training: crops and scaling. Inputs are NHWC, float32, with values in [0, 1]."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from hullx.errors import ArgumentError
from hullx.types import Array


def centre_crop(images: Float[Array, "n h w c"], size: int) -> Float[Array, "n size size c"]:
    """The central size × size pixels of each image.

    Args:
        images: float NumPy (not copied) or JAX arrays.
        size: from 1 to the smaller of height and width.

    Raises:
        ArgumentError: the images are smaller.

    Example:
        >>> centre_crop(np.arange(16.0).reshape(1, 4, 4, 1), 2)[0, :, :, 0]
        array([[ 5.,  6.],
               [ 9., 10.]])
    """
    height, width = images.shape[1:3]
    if not 0 < size <= min(height, width):
        raise ArgumentError(
            f"centre_crop: images are {height} × {width}, so size must be from 1 to {min(height, width)}, not {size}"
        )
    top, left = (height - size) // 2, (width - size) // 2
    return images[:, top : top + size, left : left + size]


def whitened(images: Float[np.ndarray, "n h w c"]) -> Float[np.ndarray, "n h w c"]:
    """Each image shifted to mean 0 and scaled to standard deviation 1, over all its pixels and channels.

    Deviations are at least 1/√(number of values), so constant images stay finite. This is TensorFlow's
    per_image_standardization, as used by Zhang et al. (2017), appendix A.

    Example:
        >>> whitened(np.array([1.0, 3.0, 3.0, 1.0], np.float32).reshape(1, 2, 2, 1)).ravel()
        array([-1.,  1.,  1., -1.], dtype=float32)
    """
    rows = images.reshape(len(images), -1)
    mean = rows.mean(1, dtype=np.float64)
    deviation = np.maximum(rows.std(1, dtype=np.float64), rows.shape[1] ** -0.5)
    shape = (-1, 1, 1, 1)
    return (images - mean.astype(np.float32).reshape(shape)) / deviation.astype(np.float32).reshape(shape)


def standardised(images: Float[np.ndarray, "n h w c"], reference: Float[np.ndarray, "m h w c"]) -> Float[np.ndarray, "n h w c"]:
    """Images with each channel standardised by the reference's mean and standard deviation of that channel.

    Args:
        images, reference: with equal numbers of channels; channels that are constant in the reference are only shifted.

    Example:
        >>> digits = hullx.data.load("digits")
        >>> train, test = (standardised(part.images, digits.train.images) for part in (digits.train, digits.test))
        >>> float(train.std()), float(test.std())
        (1.0..., 0.99...)
    """
    mean = reference.mean((0, 1, 2), dtype=np.float64).astype(np.float32)
    deviation = reference.std((0, 1, 2), dtype=np.float64).astype(np.float32)
    return (images - mean) / np.where(deviation > 0, deviation, 1)
