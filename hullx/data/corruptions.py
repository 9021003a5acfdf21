"""Data with less or no structure to learn: the six conditions of Zhang et al. (2017), each drawn once and then fixed.

    true               unchanged
    partly corrupted   each training label replaced, with a given probability, by a uniformly drawn class
    random             every training label replaced by a uniformly drawn class
    shuffled pixels    one permutation of the pixels for all images, test images included
    random pixels      a separate permutation for each image
    gaussian           normal pixels with the training images' mean and variance (not clipped to [0, 1])

Test labels stay true; test pixels are corrupted like training pixels.

Reference: Zhang et al. (2017), "Understanding deep learning requires rethinking generalization", section 2.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hullx.data.dataset import Dataset, Split
from hullx.errors import ArgumentError

CONDITIONS = TRUE, PARTLY, RANDOM, SHUFFLED, RANDOM_PIXELS, GAUSSIAN = (
    "true labels",
    "partly corrupted labels",
    "random labels",
    "shuffled pixels",
    "random pixels",
    "gaussian",
)
# Conditions that leave the images unchanged.
LABEL_CONDITIONS = CONDITIONS[:3]


def corrupted(rng: np.random.Generator, data: Dataset, condition: str, *, share: float = 0.5) -> Dataset:
    """The data set under a condition.

    Args:
        rng: draws the labels, or the order or values of pixels.
        data: images uint8 or float32; not modified.
        condition: one of `CONDITIONS`.
        share: probability from 0 to 1 that a label is replaced, for "partly corrupted labels".

    Raises:
        ArgumentError: unknown condition, share outside [0, 1], or integer pixels for "gaussian".

    Example:
        >>> digits = hullx.data.load("digits")
        >>> noise = corrupted(np.random.default_rng(0), digits, "random labels")
        >>> float((noise.train.labels == digits.train.labels).mean().round(2))
        0.1
    """
    if condition not in CONDITIONS:
        raise ArgumentError(f"condition {condition!r} is unknown: choose one of {', '.join(CONDITIONS)}")
    if not 0 <= share <= 1:
        raise ArgumentError(f"share must be a probability, from 0 to 1, not {share}")
    if condition == TRUE:
        return data
    if condition in LABEL_CONDITIONS:
        labels = relabelled(rng, data.train.labels, len(data.classes), 1.0 if condition == RANDOM else share)
        return data._replace(train=data.train._replace(labels=labels))
    change = _pixel_change(rng, data.train, condition)
    train, test = (split._replace(images=change(split.images)) for split in (data.train, data.test))
    return data._replace(train=train, test=test)


def relabelled(rng: np.random.Generator, labels: np.ndarray, classes: int, share: float) -> np.ndarray:
    """Labels, each replaced with probability `share` by a uniformly drawn class (possibly its own).

    Args:
        labels: (n,), integers.
        classes: number of classes; new labels are 0 to classes − 1.
        share: from 0 to 1.

    Example:
        >>> relabelled(np.random.default_rng(0), np.array([7, 7, 7, 7, 7, 7]), 10, 0.5)
        array([8, 7, 7, 7, 7, 7])
    """
    drawn = rng.integers(0, classes, len(labels)).astype(labels.dtype)
    return np.where(rng.random(len(labels)) < share, drawn, labels)


def _pixel_change(rng: np.random.Generator, train: Split, condition: str) -> Callable[[np.ndarray], np.ndarray]:
    if train.images.dtype != np.float32 and condition == GAUSSIAN:
        raise ArgumentError(f"gaussian needs images of float32, not {train.images.dtype}: load them with dtype='float32'")
    _, height, width, channels = train.images.shape
    pixels = height * width
    if condition == GAUSSIAN:
        mean, deviation = train.images.mean(dtype=np.float64), train.images.std(dtype=np.float64)
        return lambda images: rng.normal(mean, deviation, images.shape).astype(images.dtype)
    order = rng.permutation(pixels)

    def change(images: np.ndarray) -> np.ndarray:
        flat = images.reshape(len(images), pixels, channels)
        if condition == SHUFFLED:
            return np.ascontiguousarray(flat[:, order]).reshape(images.shape)
        orders = rng.permuted(np.tile(np.arange(pixels), (len(images), 1)), axis=1)
        return np.take_along_axis(flat, orders[..., None], 1).reshape(images.shape)

    return change
