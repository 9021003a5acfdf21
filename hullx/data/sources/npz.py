"""Images and labels in one .npz file: x_train, y_train, x_test, y_test."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hullx.data.dataset import Dataset, Split
from hullx.errors import DataError

KEYS = ("x_train", "y_train", "x_test", "y_test")
# Upper limit of class labels.
MOST_CLASSES = 2**16


def read(path: Path) -> Dataset:
    """The two splits of a file.

    Args:
        path: a file with `KEYS`: images (n, height, width, channels), (n, height, width) or (n, numbers), uint8 or float in
            [0, 1]; labels (n,) or (n, 1), non-negative integers.

    Returns:
        A `Dataset` named after the file; its images have four axes and the file's dtype.

    Raises:
        DataError: the file is unreadable or does not hold images and labels; the message names file, key and remedy.
    """
    arrays = _arrays(path)
    train, test = (
        Split(_images(path, f"x_{part}", arrays), _labels(path, f"y_{part}", arrays, len(arrays[f"x_{part}"])))
        for part in ("train", "test")
    )
    if train.images.shape[1:] != test.images.shape[1:]:
        raise DataError(
            f"{path}: x_train has images of shape {train.images.shape[1:]}, x_test of {test.images.shape[1:]}: "
            "bring both to one shape"
        )
    classes = 1 + max(int(split.labels.max()) for split in (train, test))
    return Dataset(path.stem, train, test, tuple(map(str, range(classes))))


def _arrays(path: Path) -> dict[str, np.ndarray]:
    how = f"numpy.savez(path, {'=…, '.join(KEYS)}=…)"
    try:
        with path.open("rb") as file:
            found = np.load(file)
            if isinstance(found, np.ndarray):
                raise DataError(f"{path} holds one plain array: save four of them with {how}")
            missing = [key for key in KEYS if key not in found]
            if missing:
                raise DataError(f"{path} lacks {', '.join(missing)}: save it with {how}")
            return {key: found[key] for key in KEYS}
    except DataError:
        raise
    except Exception as error:  # NumPy and zipfile raise many error classes for damaged files
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise DataError(f"{path} cannot be read as an .npz file ({reason}): check the path, or save it again") from error


def _images(path: Path, key: str, arrays: dict[str, np.ndarray]) -> np.ndarray:
    images = arrays[key]
    if images.dtype != np.uint8 and not np.issubdtype(images.dtype, np.floating):
        raise DataError(f"{path}: {key} has dtype {images.dtype}: store uint8 from 0 to 255, or floats from 0 to 1")
    if images.ndim not in (2, 3, 4) or not images.size:
        raise DataError(
            f"{path}: {key} has shape {images.shape}: store at least one image, as (n, height, width, channels), "
            "(n, height, width) or (n, numbers)"
        )
    if images.dtype != np.uint8:
        if not np.isfinite(images).all():
            raise DataError(f"{path}: {key} holds NaN or infinity: drop or repair those images")
        if images.min() < 0 or images.max() > 1:
            raise DataError(f"{path}: {key} has values outside [0, 1]: store uint8, or divide by the largest")
    if images.ndim == 2:
        return images[:, None, :, None]
    return images[..., None] if images.ndim == 3 else images


def _labels(path: Path, key: str, arrays: dict[str, np.ndarray], count: int) -> np.ndarray:
    labels = arrays[key]
    if labels.shape not in ((count,), (count, 1)):
        hint = f"store {key}.argmax(1)" if labels.ndim == 2 and len(labels) == count else "store one integer per image"
        raise DataError(f"{path}: {key} has shape {labels.shape} for {count} images, expected ({count},): {hint}")
    if not np.issubdtype(labels.dtype, np.integer) and not np.issubdtype(labels.dtype, np.floating):
        raise DataError(f"{path}: {key} has dtype {labels.dtype}: store integers from 0, one per class")
    labels = labels.reshape(-1)
    whole = (labels >= 0) & (labels < MOST_CLASSES) & (labels == np.floor(labels))
    if not whole.all():
        raise DataError(
            f"{path}: {key} holds labels such as {labels[~whole][0]}, expected integers from 0 to {MOST_CLASSES - 1}: "
            "number the classes from 0"
        )
    return labels.astype(np.int32)
