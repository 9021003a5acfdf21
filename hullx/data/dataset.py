"""`load`: one front door to every source of images, and deterministic subsets of them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Int, Num

# The seed of digits' split, and the share of it that is held out.
DIGITS_SEED, DIGITS_TEST_SHARE = 0, 0.2


class DataError(ValueError):
    """A data set that cannot be had as asked for; the message says what to do."""


class Split(NamedTuple):
    """images (n, height, width, channels) and labels (n,)."""

    images: Num[np.ndarray, "n h w c"]
    labels: Int[np.ndarray, "n"]

    @property
    def rows(self) -> Num[np.ndarray, "n d"]:
        """Each image as one row of d = height · width · channels numbers."""
        return self.images.reshape(len(self.images), -1)

    def take(self, chosen: Int[np.ndarray, "k"]) -> Split:
        """The examples at the given positions."""
        return Split(self.images[chosen], self.labels[chosen])


class Dataset(NamedTuple):
    """title: the name to print, which says where the pixels are not the original's."""

    title: str
    train: Split
    test: Split
    classes: tuple[str, ...]


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
        train_size, test_size: how many examples to keep, drawn without replacement; None keeps all in their order.
        balanced: draw equally many from each class (as near as the size allows); splits kept whole stay as they are.
        seed: of the draw. The same seed and size always give the same examples.
        dtype: "float32" for [0, 1], "uint8" for 0–255.
        data_dir: where TFDS sets lie; None for TFDS's own default, $TFDS_DATA_DIR or ~/tensorflow_datasets.

    Returns:
        A `Dataset` with splits train and test.

    Raises:
        DataError: no such set, not prepared, or too small for the size asked for.

    Example:
        >>> digits = load("digits", train_size=500, balanced=True)
        >>> digits.train.rows.shape
        (500, 64)
    """
    if name == "digits":
        dataset = _digits()
    elif name.startswith("npz:"):
        dataset = _npz(Path(name.removeprefix("npz:")))
    else:
        from hullx.data.tfds import read  # imported here, for TFDS takes seconds to import

        dataset = read(name, data_dir)
    subsets = [
        _subset(split, size, f"{name}'s {part} split", balanced, seed)
        for part, split, size in (("train", dataset.train, train_size), ("test", dataset.test, test_size))
    ]
    train, test = (split._replace(images=_as_dtype(split.images, dtype)) for split in subsets)
    return dataset._replace(train=train, test=test)


def _as_dtype(images: np.ndarray, dtype: str) -> np.ndarray:
    if dtype == "uint8":
        return images if images.dtype == np.uint8 else np.rint(images * 255).astype(np.uint8)
    pixels = _aligned(images.shape)
    return np.divide(images, 255 if images.dtype == np.uint8 else 1, out=pixels, dtype=np.float32, casting="same_kind")


def _aligned(shape: tuple[int, ...]) -> np.ndarray:
    """An empty float32 array that begins at a multiple of 64 bytes: JAX on a CPU uses such as they are, and copies others."""
    room = np.empty(4 * math.prod(shape) + 64, np.uint8)
    start = -room.ctypes.data % 64
    return room[start : start + 4 * math.prod(shape)].view(np.float32).reshape(shape)


def _subset(split: Split, size: int | None, what: str, balanced: bool, seed: int) -> Split:
    count = len(split.labels)
    if size is None:
        return split
    if not 0 < size <= count:
        raise DataError(f"{what} has {count:,} images, but {size:,} were asked for: choose a size from 1 to {count:,}")
    order = np.random.default_rng(seed).permutation(count)
    if balanced:
        # The i-th image of each class comes before the (i + 1)-th of any, so that a prefix is balanced.
        labels = split.labels[order]
        turn = np.empty(count, np.int64)
        for label in np.unique(labels):
            mine = labels == label
            turn[mine] = np.arange(mine.sum())
        order = order[np.argsort(turn, kind="stable")]
        smallest = np.bincount(labels)[np.unique(labels)].min() * len(np.unique(labels))
        if size > smallest:
            raise DataError(f"{what} has only {smallest:,} images in equal numbers a class: ask for at most {smallest:,}")
    return split.take(np.sort(order[:size]))


def _digits() -> Dataset:
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits: Any = load_digits()
    labels = np.asarray(digits.target, np.int32)
    # Intensities are whole numbers from 0 to 16.
    images = (np.asarray(digits.images, np.float32) / 16)[..., None]
    train, test = train_test_split(
        np.arange(len(labels)), test_size=DIGITS_TEST_SHARE, stratify=labels, random_state=DIGITS_SEED
    )
    whole = Split(images, labels)
    return Dataset("digits", whole.take(np.sort(train)), whole.take(np.sort(test)), tuple("0123456789"))


def _npz(path: Path) -> Dataset:
    wanted = ("x_train", "y_train", "x_test", "y_test")
    try:
        with np.load(path) as file:
            missing = [key for key in wanted if key not in file]
            if missing:
                raise DataError(f"{path} lacks {', '.join(missing)}: save it with numpy.savez(path, x_train=…, …)")
            x_train, y_train, x_test, y_test = (file[key] for key in wanted)
    except (OSError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path} cannot be read as an .npz file: {error}") from error
    splits = []
    for part, images, labels in (("train", x_train, y_train), ("test", x_test, y_test)):
        if images.ndim == 3:
            images = images[..., None]
        if images.ndim == 2:
            images = images[:, None, :, None]
        if images.dtype != np.uint8 and (images.min() < 0 or images.max() > 1):
            raise DataError(f"{path}: x_{part} has values outside [0, 1]: store uint8, or divide by the largest")
        splits.append(Split(images, np.asarray(labels).astype(np.int32).reshape(-1)))
    classes = tuple(str(label) for label in range(int(max(split.labels.max() for split in splits)) + 1))
    return Dataset(path.stem, splits[0], splits[1], classes)
