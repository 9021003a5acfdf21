"""Points to compare a training set with: Gaussian samples of the same covariance, and augmented copies of images."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from experiments.shared.controls import random_change
from hullx.data import Split

AUGMENTED = SHIFTS, MIRRORED, RANDOM = "shifts", "mirror images", "random changes"
PLACES = [(y, x) for y in range(3) for x in range(3) if (y, x) != (1, 1)]  # of a window in an image padded by one pixel
BLOCK = 50  # images changed at a time
COPIES = {SHIFTS: 1 + len(PLACES), MIRRORED: 2, RANDOM: 1 + len(PLACES)}  # points for each image, itself included


class Gaussian(NamedTuple):
    """The Gaussian distribution with the mean and covariance of some rows.

    - mean: (d,).
    - root: (d, d), rows of which are principal axes times deviations.
    - variances: (d,), eigenvalues of the covariance.
    """

    mean: np.ndarray
    root: np.ndarray
    variances: np.ndarray

    def sample(self, rng: np.random.Generator, count: int) -> Float[np.ndarray, "count d"]:
        """Samples in float32."""
        return rng.standard_normal((count, len(self.mean)), dtype=np.float32) @ self.root + self.mean


def gaussian_of(rows: Float[np.ndarray, "n d"]) -> Gaussian:
    """The Gaussian distribution of some rows."""
    mean = rows.mean(0, dtype=np.float64).astype(np.float32)
    centred = rows - mean
    variances, axes = np.linalg.eigh((centred.T @ centred).astype(np.float64) / len(rows))
    variances = np.maximum(variances, 0)
    return Gaussian(mean, (axes * np.sqrt(variances)).T.astype(np.float32), variances)


def gaussian_by_class(rng: np.random.Generator, train: Split, count: int) -> Float[np.ndarray, "count d"]:
    """Gaussian samples with the mean and covariance of a class each; classes are drawn by their frequency."""
    classes = rng.choice(train.labels, count)
    rows = np.empty((count, train.rows.shape[1]), np.float32)
    for label in np.unique(classes):
        own, mine = train.rows[train.labels == label], np.flatnonzero(classes == label)
        mean = own.mean(0)
        # With standard Gaussian z, zᵀ(X − mean)/√m has the covariance of the m rows of X, without its square root.
        weights = rng.standard_normal((len(mine), len(own)), dtype=np.float32) / np.float32(np.sqrt(len(own)))
        rows[mine] = weights @ (own - mean) + mean
    return rows


def augmented(rng: np.random.Generator, images: Float[np.ndarray, "n h w c"], kind: str) -> Float[np.ndarray, "m d"]:
    """Images and the copies that an augmentation adds, as rows.

    Random changes have the lengths of the shifts, one by one.
    """
    n, height, width, _ = images.shape
    rows = images.reshape(n, -1)
    if kind == MIRRORED:
        return np.concatenate([rows, images[:, :, ::-1].reshape(n, -1)])
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
    copies = np.concatenate([padded[:, y : y + height, x : x + width].reshape(n, -1) for y, x in PLACES])
    if kind == RANDOM:
        lengths = np.linalg.norm(copies - np.tile(rows, (len(PLACES), 1)), axis=1)
        blocks = [slice(start, start + BLOCK) for start in range(0, n, BLOCK)]  # small enough for the processor's cache
        moved = [random_change(rng, rows[each], part[each]) for part in np.split(lengths, len(PLACES)) for each in blocks]
        copies = np.concatenate(moved).astype(rows.dtype)
    return np.concatenate([rows, copies])
