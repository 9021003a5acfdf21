"""Images that a network was not trained for: noise, changed test images, other data sets, mixtures. All in [0, 1]."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from jaxtyping import Float
from scipy import ndimage

from hullx import runs
from hullx.data import Sample, Split, centre_crop
from hullx.errors import ArgumentError

UNIFORM, NOISY, BLURRED, ROTATED, SHUFFLED, MIXED = (
    "uniform noise",
    "added noise",
    "blurred",
    "rotated by 90°",
    "shuffled pixels",
    "mixtures",
)
# Standard deviation of added noise; of the blur, as a share of the image's side: 2 pixels of 28.
NOISE, BLUR = 0.3, 1 / 14
# Luminance of red, green and blue, ITU-R BT.601.
LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)


def changed(rng: np.random.Generator, source: Split) -> dict[str, Float[np.ndarray, "n h w c"]]:
    """Images (n, h, w, c) by kind, as many as in the source: noise, and changes of the source's images.

    A mixture is the mean of two images of different classes. It is in the hull of the two.

    Raises:
        ArgumentError: images are not square, or all of one class.
    """
    images, n = source.images, len(source.images)
    if images.shape[1] != images.shape[2]:
        raise ArgumentError(f"images: got {images.shape[1]} × {images.shape[2]} pixels, expected square ones: crop them")
    if len(classes := np.unique(source.labels)) < 2:
        raise ArgumentError(f"images: got {len(classes)} classes, expected two or more: draw more test images")
    partners = [rng.choice(np.flatnonzero(source.labels != label)) for label in source.labels]
    sigma = BLUR * images.shape[1]
    found = {
        UNIFORM: rng.random(images.shape),
        NOISY: np.clip(images + NOISE * rng.standard_normal(images.shape), 0, 1),
        BLURRED: ndimage.gaussian_filter(images, (0, sigma, sigma, 0)),
        ROTATED: np.rot90(images, axes=(1, 2)),
        SHUFFLED: rng.permuted(images.reshape(n, -1), axis=1).reshape(images.shape),
        MIXED: (images + images[partners]) / 2,
    }
    return {name: np.ascontiguousarray(each, np.float32) for name, each in found.items()}


def in_grey(images: Float[np.ndarray, "n h w c"], like: Float[np.ndarray, "m s s 1"], name: str) -> np.ndarray:
    """The central pixels (n, s, s, 1) of other images, in grey, at the size of some grey images.

    Raises:
        ArgumentError: the other images are smaller, or those to be like are in colour.
    """
    size, channels = like.shape[1], like.shape[3]
    if channels != 1 or min(images.shape[1:3]) < size:
        said = f"others: got {name}, {images.shape[1:]}, beside {like.shape[1:]}"
        raise ArgumentError(f"{said}, expected {size} × {size} pixels or more, beside grey images: choose other data")
    weights = LUMINANCE if images.shape[3] == 3 else np.full(images.shape[3], 1 / images.shape[3], np.float32)
    return np.ascontiguousarray((centre_crop(images, size) @ weights)[..., None])


def others(config: runs.Config, samples: Iterable[Sample], like: Float[np.ndarray, "n s s 1"]) -> dict[str, np.ndarray]:
    """As many test images of other data sets, drawn without replacement, in grey.

    Raises:
        ArgumentError: a set has fewer test images, or other sizes than `in_grey` takes.
    """
    found = dict[str, np.ndarray]()
    for sample in samples:
        data = sample.load(seed=config.seed, data_dir=config.data_dir)
        name, images = data.title.partition(",")[0], data.test.images
        if len(images) < len(like):
            raise ArgumentError(f"others: got {len(images):,} test images of {name}, expected {len(like):,} or more: draw more")
        chosen = runs.generator(config.seed, "others", sample).permutation(len(images))[: len(like)]
        found[f"{name} in grey"] = in_grey(images[chosen], like, name)
    return found
