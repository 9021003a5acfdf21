"""`load`: data sets from every source, and deterministic subsets of them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from hullx.arguments import check_count
from hullx.data.dataset import Dataset, Split
from hullx.data.sources import digits, npz
from hullx.errors import ArgumentError, ArgumentTypeError, DataError
from hullx.numerics.aligned import aligned


def load(
    name: str,
    *,
    train_size: int | None = None,
    test_size: int | None = None,
    balanced: bool = False,
    seed: int = 0,
    dtype: Literal["float32", "uint8"] = "float32",
    data_dir: str | Path | None = None,
) -> Dataset:
    """A data set by name, whole or as a deterministic subset.

    Args:
        name: "digits" (scikit-learn's, 1,437 training and 360 test images by a fixed stratified split), the name of a TFDS
            image-classification set, or "npz:PATH", a file with x_train, y_train, x_test, y_test (uint8, or float in [0, 1]).
        train_size, test_size: number of examples, drawn without replacement; None keeps all in their order.
        balanced: draw equal numbers from each class, up to rounding of the size; ignored for whole splits.
        seed: seed of the draw. The same seed and size always give the same examples.
        dtype: "float32" for [0, 1], "uint8" for 0–255.
        data_dir: folder of TFDS sets; None for TFDS's default, $TFDS_DATA_DIR or ~/tensorflow_datasets.

    Returns:
        A `Dataset` with splits train and test: images (n, height, width, channels), labels (n,) int32.

    Raises:
        DataError: the set is unknown, not prepared, damaged or smaller than the requested size; or an argument is invalid.
        PackageError: the package that provides the set is not installed.

    Example:
        >>> digits = load("digits", train_size=500, balanced=True)
        >>> digits.train.rows.shape
        (500, 64)
    """
    _check(name, train_size, test_size, seed, dtype)
    if name == "digits":
        dataset = digits.read()
    elif name.startswith("npz:"):
        dataset = npz.read(Path(name.removeprefix("npz:")))
    else:
        from hullx.data.sources import tfds  # imported here, because TFDS takes seconds to import

        dataset = tfds.read(name, data_dir)
    subsets = [
        _subset(split, size, f"{name}'s {part} split", balanced, seed)
        for part, split, size in (("train", dataset.train, train_size), ("test", dataset.test, test_size))
    ]
    train, test = (split._replace(images=_as_dtype(split.images, dtype)) for split in subsets)
    return dataset._replace(train=train, test=test)


def _check(name: str, train_size: int | None, test_size: int | None, seed: int, dtype: str) -> None:
    if not isinstance(name, str):
        raise DataError(f"name: got {type(name).__name__}, expected a string such as 'digits': see hullx.data.load")
    if dtype not in ("float32", "uint8"):
        raise DataError(
            f"dtype: got {dtype!r}, expected 'float32' for [0, 1] or 'uint8' for 0–255: convert the images afterwards"
        )
    try:
        for argument, size in (("train_size", train_size), ("test_size", test_size)):
            check_count(argument, size, least=0, none="all images")
        check_count("seed", seed, least=0)
    except (ArgumentError, ArgumentTypeError) as error:
        raise DataError(str(error)) from error


def _as_dtype(images: np.ndarray, dtype: str) -> np.ndarray:
    if dtype == "uint8":
        return images if images.dtype == np.uint8 else np.rint(images * 255).astype(np.uint8)
    pixels = aligned(images.shape)
    return np.divide(images, 255 if images.dtype == np.uint8 else 1, out=pixels, dtype=np.float32, casting="same_kind")


def _subset(split: Split, size: int | None, what: str, balanced: bool, seed: int) -> Split:
    count = len(split.labels)
    if size is None:
        return split
    if not 0 < size <= count:
        raise DataError(f"{what} has {count:,} images, but {size:,} were requested: choose a size from 1 to {count:,}")
    order = np.random.default_rng(seed).permutation(count)
    if balanced:
        # The i-th image of each class precedes the (i + 1)-th of any class, so every prefix is balanced.
        labels = split.labels[order]
        turn = np.empty(count, np.int64)
        for label in np.unique(labels):
            mine = labels == label
            turn[mine] = np.arange(mine.sum())
        order = order[np.argsort(turn, kind="stable")]
        smallest = np.bincount(labels)[np.unique(labels)].min() * len(np.unique(labels))
        if size > smallest:
            raise DataError(f"{what} has only {smallest:,} images with equal class counts: request at most {smallest:,}")
    return split.take(np.sort(order[:size]))
