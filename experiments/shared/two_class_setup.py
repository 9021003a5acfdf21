"""Two classes of images for LeNet, and the norm by which logits are divided, as Chiang et al. (2023) have them."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from experiments.shared.minimizer_measures import layer_norms
from hullx.data import Split


def by_norms(params: Any) -> jax.Array:
    """The product of the layers' Frobenius norms, each divided by 3: that of Chiang et al."""
    return (layer_norms(params)[0] / 3).prod()


def standard(split: Split, images: np.ndarray) -> Split:
    """Images of mean 0 and variance 1 over `images`, 28 × 28."""
    found = (split.images - images.mean()) / images.std()
    if found.shape[1] == 8:
        edge = ((0, 0), (2, 2), (2, 2), (0, 0))
        found = np.pad(found.repeat(3, axis=1).repeat(3, axis=2), edge, constant_values=found.min())
    return split._replace(images=found.astype(np.float32))


def two_classes(split: Split, pair: np.ndarray, rng: np.random.Generator, size: int) -> Split:
    """Half as many images of each of two classes, or all there are; labels 0 and 1."""
    chosen = [rng.permutation(np.flatnonzero(split.labels == name))[: size // 2] for name in pair]
    labels = np.repeat(np.arange(2, dtype=np.int32), [len(rows) for rows in chosen])
    return Split(split.images[np.concatenate(chosen)], labels)
