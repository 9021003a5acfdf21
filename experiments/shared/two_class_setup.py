"""Two classes of images for LeNet, and the norm that normalises logits, as in Chiang et al. (2023)."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from experiments.shared.minimizer_measures import layer_norms
from hullx.data import Split


def norm_product(params: Any) -> jax.Array:
    """The product of the layers' Frobenius norms, each divided by 3, as in Chiang et al."""
    return (layer_norms(params)[0] / 3).prod()


def standardise(split: Split, images: np.ndarray) -> Split:
    """28 × 28 images, standardised to mean 0 and variance 1 over `images`."""
    found = (split.images - images.mean()) / images.std()
    if found.shape[1] == 8:
        edge = ((0, 0), (2, 2), (2, 2), (0, 0))
        found = np.pad(found.repeat(3, axis=1).repeat(3, axis=2), edge, constant_values=found.min())
    return split._replace(images=found.astype(np.float32))


def two_classes(split: Split, pair: np.ndarray, rng: np.random.Generator, size: int) -> Split:
    """size / 2 images of each of two classes, or all if there are fewer; labels 0 and 1."""
    chosen = [rng.permutation(np.flatnonzero(split.labels == name))[: size // 2] for name in pair]
    labels = np.repeat(np.arange(2, dtype=np.int32), [len(rows) for rows in chosen])
    return Split(split.images[np.concatenate(chosen)], labels)
