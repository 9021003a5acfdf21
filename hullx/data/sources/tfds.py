"""Read prepared TFDS sets without TensorFlow, and prepare them. Only this file imports tensorflow-datasets."""

from __future__ import annotations

import io
import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np

from hullx.data.dataset import Dataset, Split
from hullx.errors import DataError
from hullx.extras import require

# TFDS names: name, optional /config, optional :version.
NAME = re.compile(r"[a-z]\w*(/[\w.-]+)?(:\d+\.\d+\.\d+)?", re.ASCII)
# How sets are called in print, where that differs from their TFDS name.
TITLES = {
    "cifar10": "CIFAR-10",
    "cifar100": "CIFAR-100",
    "emnist": "EMNIST",
    "fashion_mnist": "Fashion-MNIST",
    "kmnist": "Kuzushiji-MNIST",
    "mnist": "MNIST",
    "svhn_cropped": "SVHN",
}
# Part of TFDS's message about sets that are in another format than array_record.
OTHER_FORMAT = "File format is already set"
# Records decoded at once, which limits memory for their bytes.
CHUNK = 4096


def read(name: str, data_dir: str | Path | None) -> Dataset:
    """The train and test splits of a prepared set, uint8.

    Args:
        name: TFDS name, optionally with /config and :version.
        data_dir: folder of prepared sets; None for TFDS's default.

    Raises:
        DataError: the set is unknown, not prepared, damaged, not in array_record format, or lacks labelled images of one size.
        PackageError: tensorflow-datasets or Pillow is not installed.
    """
    builder = _builder(name, data_dir)
    folder = Path(os.fspath(builder.data_dir))
    remedy = f"prepare it with: python -m hullx.data prepare {name}" + (f" --data-dir {data_dir}" if data_dir else "")
    if not builder.info.splits:
        raise DataError(f"data set {name!r} is not prepared in {folder}: {remedy}")
    for part in ("train", "test"):
        if part not in builder.info.splits:
            raise DataError(f"data set {name!r} in {folder} has no {part} split, only {', '.join(builder.info.splits)}")
    features: Any = builder.info.features
    if "image" not in features or "label" not in features:
        raise DataError(f"data set {name!r} has features {list(features)}, but image and label are needed")
    title = TITLES.get(name, name) + " (JPEG copy)" * _is_jpeg(folder)
    classes = tuple(getattr(features["label"], "names", None) or map(str, range(features["label"].num_classes)))
    try:
        train, test = (_split(builder, part) for part in ("train", "test"))
    except DataError:
        raise
    except (RuntimeError, OSError, ValueError, IndexError) as error:  # by array_record and Pillow
        reason = _first_line(error)
        raise DataError(
            f"data set {name!r} has missing or damaged records ({reason}): delete {folder}, then {remedy}"
        ) from error
    return Dataset(title, train, test, classes)


def prepare(name: str, data_dir: str | Path | None) -> Path:
    """Download and prepare a set in array_record format; return its folder.

    Args:
        name, data_dir: as for `read`.

    Raises:
        DataError: the set is unknown, or TensorFlow is not installed.
        PackageError: tensorflow-datasets or Pillow is not installed.
    """
    builder = _builder(name, data_dir)
    try:
        builder.download_and_prepare(file_format="array_record")
    except ImportError as error:
        raise DataError(f"preparing needs TensorFlow ({error}): pip install 'hullx[prepare]'") from error
    return Path(os.fspath(builder.data_dir))


def _builder(name: str, data_dir: str | Path | None):
    choice = "use digits, npz:PATH, or a name from tensorflow.org/datasets"
    if not NAME.fullmatch(name):
        raise DataError(f"unknown data set {name!r}: {choice}")
    require(f"data set {name!r}", "tensorflow_datasets", "PIL")
    import tensorflow_datasets as tfds

    try:
        return tfds.builder(name, data_dir=data_dir, file_format="array_record")
    except tfds.core.DatasetNotFoundError as error:
        raise DataError(f"unknown data set {name!r}: {choice}") from error
    except (
        Exception
    ) as error:  # unknown config or version, invalid folder, damaged metadata: TFDS has no common class for these
        if OTHER_FORMAT in str(error):
            said = f"data set {name!r} is prepared in a format that only TensorFlow reads"
            again = f"python -m hullx.data prepare {name} --data-dir OTHER_FOLDER"
            raise DataError(f"{said}: prepare it once more, in another folder, with: {again}") from error
        raise DataError(f"data set {name!r} cannot be opened ({_first_line(error)}): {choice}") from error


def _first_line(error: Exception) -> str:
    """What an error says, without the arguments that TFDS puts before it."""
    return str(error).strip().rpartition('}": ')[2].partition("\n")[0]


def _is_jpeg(folder: Path) -> bool:
    """Whether the images on disk are JPEG, according to the folder's metadata."""
    features = json.loads((folder / "features.json").read_text())["featuresDict"]["features"]
    return features["image"]["image"].get("encodingFormat") == "jpeg"


def _split(builder: Any, part: str) -> Split:
    import tensorflow_datasets as tfds
    from PIL import Image

    # TFDS's decoding takes ten times as long as reading the bytes and decoding with Pillow.
    source = builder.as_data_source(part, decoders={"image": tfds.decode.SkipDecoding()})
    count = len(source)
    images, labels = None, np.empty(count, np.int32)
    for start in range(0, count, CHUNK):
        for i, record in enumerate(source.__getitems__(list(range(start, min(start + CHUNK, count)))), start):
            image = np.asarray(Image.open(io.BytesIO(record["image"])))
            image = image[..., None] if image.ndim == 2 else image
            if images is None:
                images = np.empty((count, *image.shape), np.uint8)
            if image.shape != images.shape[1:]:
                raise DataError(
                    f"images of {builder.name} differ in size ({image.shape}, {images.shape[1:]}): resize them first"
                )
            images[i], labels[i] = image, record["label"]
    if images is None:
        raise DataError(f"the {part} split of {builder.name} is empty: prepare it again")
    return Split(images, labels)
