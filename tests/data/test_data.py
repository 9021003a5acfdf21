"""Loading: embedded digits, .npz files, TFDS sets where they are at hand, and what goes wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hullx.data import DataError, Sample, gaussian_like, load
from hullx.data import __main__ as prepare_command

TFDS_DIR = Path(os.environ.get("TFDS_DATA_DIR", Path.home() / "tensorflow_datasets"))


def prepared(name: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not (TFDS_DIR / name).is_dir(), reason=f"{name} is not prepared in {TFDS_DIR}")


def test_digits() -> None:
    data = load("digits")
    assert data.train.images.shape == (1437, 8, 8, 1)
    assert data.test.images.shape == (360, 8, 8, 1)
    assert data.train.images.dtype == np.float32
    assert (data.train.images.min(), data.train.images.max()) == (0, 1)
    assert data.classes == tuple("0123456789")
    counts = np.bincount(data.train.labels) / np.bincount(data.test.labels)
    assert (np.abs(counts - 4) < 0.2).all()  # stratified
    assert not {row.tobytes() for row in data.train.rows} & {row.tobytes() for row in data.test.rows}


def test_uint8() -> None:
    exact, coarse = load("digits").train.images, load("digits", dtype="uint8").train.images
    assert coarse.dtype == np.uint8
    assert np.abs(exact * 255 - coarse).max() <= 0.5


def test_subsets_are_deterministic_and_balanced() -> None:
    one, again, other = (load("digits", train_size=300, seed=seed).train for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.images, again.images)
    assert not np.array_equal(one.images, other.images)
    balanced = load("digits", train_size=300, test_size=50, balanced=True)
    np.testing.assert_array_equal(np.bincount(balanced.train.labels), 30)
    np.testing.assert_array_equal(np.bincount(balanced.test.labels), 5)
    smaller = load("digits", train_size=100, balanced=True).train
    assert {row.tobytes() for row in smaller.rows} < {row.tobytes() for row in balanced.train.rows}


@pytest.mark.parametrize(("size", "balanced"), [(0, False), (1438, False), (1437, True)])
def test_impossible_sizes_are_refused(size: int, balanced: bool) -> None:
    with pytest.raises(DataError, match=r"digits's train split has"):
        load("digits", train_size=size, balanced=balanced)


def test_npz(tmp_path: Path, rng: np.random.Generator) -> None:
    images = rng.integers(0, 256, (20, 4, 4, 3), np.uint8)
    labels = np.arange(20) % 5
    np.savez(tmp_path / "small.npz", x_train=images, y_train=labels, x_test=images[:5], y_test=labels[:5])
    data = load(f"npz:{tmp_path / 'small.npz'}")
    assert data.title == "small"
    assert len(data.classes) == 5
    np.testing.assert_array_equal(data.train.images, images / np.float32(255))
    np.testing.assert_array_equal(load(f"npz:{tmp_path / 'small.npz'}", dtype="uint8").train.images, images)


IMAGES, LABELS = np.zeros((4, 2, 2, 1)), np.arange(4)
BAD_ARRAYS = {
    "values out of range": ({"x_train": IMAGES + 7}, r"x_train has values outside \[0, 1\]: store uint8, or divide"),
    "NaN pixels": ({"x_test": IMAGES + np.nan}, "x_test holds NaN or infinity: drop or repair those images"),
    "whole numbers as pixels": (
        {"x_train": IMAGES.astype(int)},
        "x_train has dtype int64: store uint8 from 0",
    ),
    "no images": ({"x_test": IMAGES[:0], "y_test": LABELS[:0]}, r"x_test has shape \(0, 2, 2, 1\): store at least one"),
    "one row": ({"x_train": IMAGES.reshape(-1)}, r"x_train has shape \(16,\): store at least one image, as \(n, height"),
    "another shape": ({"x_test": np.zeros((4, 3, 2, 1))}, r"images of shape \(2, 2, 1\), x_test of \(3, 2, 1\): bring both"),
    "one-hot labels": ({"y_train": np.eye(4)}, r"y_train has shape \(4, 4\) for 4 images, .*: store y_train.argmax\(1\)"),
    "too few labels": (
        {"y_test": LABELS[:3]},
        r"y_test has shape \(3,\) for 4 images, expected \(4,\): store one integer",
    ),
    "fractional labels": ({"y_train": LABELS + 0.5}, "y_train holds labels such as 0.5, expected integers from 0"),
    "negative labels": ({"y_train": LABELS - 1}, "y_train holds labels such as -1, expected integers from 0"),
    "huge labels": (
        {"y_train": LABELS + 10**9},
        "y_train holds labels such as 1000000000, .*: number the classes",
    ),
    "NaN labels": ({"y_test": LABELS + np.nan}, "y_test holds labels such as nan"),
    "words as labels": ({"y_test": np.array(list("abcd"))}, "y_test has dtype <U1: store integers"),
    "objects": (
        {"y_test": np.array([1, "a", None, 2], object)},
        "cannot be read as an .npz file .*: check the path",
    ),
}


@pytest.mark.parametrize("name", BAD_ARRAYS)
def test_bad_arrays_are_named_with_file_and_remedy(name: str, tmp_path: Path) -> None:
    changes, message = BAD_ARRAYS[name]
    arrays = {"x_train": IMAGES, "y_train": LABELS, "x_test": IMAGES, "y_test": LABELS} | changes
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(DataError, match=message) as raised:
        load(f"npz:{tmp_path / 'bad.npz'}")
    assert str(tmp_path / "bad.npz") in str(raised.value)


def test_bad_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.npz"
    with pytest.raises(DataError, match=r"bad.npz cannot be read as an .npz file \(.*No such file.*\): check the path"):
        load(f"npz:{path}")
    np.savez(path, x_train=IMAGES, y_train=LABELS)
    with pytest.raises(DataError, match=r"lacks x_test, y_test: save it with numpy.savez"):
        load(f"npz:{path}")
    np.savez(path, x_train=IMAGES, y_train=LABELS, x_test=IMAGES, y_test=LABELS)
    whole = path.read_bytes()
    for damaged in (b"", b"no zip", whole[:200], whole[:-200], bytes(len(whole)), whole[:90] + b"!!!!" + whole[94:]):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=r"cannot be read as an .npz file"):
            load(f"npz:{path}")
    with path.open("wb") as file:
        np.save(file, IMAGES)
    with pytest.raises(DataError, match=r"holds one plain array: save four of them with numpy.savez"):
        load(f"npz:{path}")
    with pytest.raises(DataError, match="cannot be read"):
        load(f"npz:{tmp_path}")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        *(
            ({"name": name}, f"unknown data set {name!r}: use digits, npz:PATH, or")
            for name in ("my data", "", "../x", "Mnist!", "mnst")
        ),
        ({"name": "mnist/x"}, "data set 'mnist/x' cannot be opened|unknown data set 'mnist/x'"),
        ({"name": "mnist:9.9.9"}, "data set 'mnist:9.9.9'"),
        ({"name": 3}, "name: got int, expected a string such as 'digits'"),
        ({"dtype": "float64"}, "dtype: got 'float64', expected 'float32' for"),
        ({"train_size": 0.5}, "train_size: got 0.5, expected an integer"),
        ({"test_size": "all"}, "test_size: got 'all', expected an integer"),
        ({"train_size": True}, "train_size: got True, expected an integer"),
        ({"seed": -1}, "seed: got -1, expected an integer of at least 0"),
    ],
)
def test_arguments_that_make_no_sense(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        load(**{"name": "digits", **arguments})


@prepared("mnist")
def test_mnist_is_read_without_tensorflow() -> None:
    code = (
        "import sys; from hullx.data import load; data = load('mnist', test_size=100, balanced=True, dtype='uint8');"
        "print(data.train.images.shape, data.train.labels[:10].tolist(), data.train.images.sum(), 'tensorflow' in sys.modules)"
    )
    done = subprocess.run((sys.executable, "-c", code), capture_output=True, text=True, check=True)
    # The sum over MNIST's training pixels: its published mean is 0.1307 × 255 × 47,040,000 pixels.
    shape, rest = done.stdout.split(")")[0], done.stdout.split("] ")[1].split()
    assert shape == "(60000, 28, 28, 1"
    assert abs(int(rest[0]) / 47_040_000 / 255 - 0.1307) < 1e-4
    assert rest[1] == "False"


@pytest.mark.slow
@prepared("cifar10")
def test_a_lossy_copy_is_called_so() -> None:
    features = next((TFDS_DIR / "cifar10").glob("*/features.json")).read_text()
    data = load("cifar10", train_size=10, test_size=10)
    assert data.train.images.shape == (10, 32, 32, 3)
    assert data.classes[:2] == ("airplane", "automobile")
    assert data.title == ("CIFAR-10 (JPEG copy)" if '"jpeg"' in features else "CIFAR-10")


def as_tfrecord(folder: Path) -> None:
    info = json.loads((folder / "dataset_info.json").read_text())
    (folder / "dataset_info.json").write_text(json.dumps(info | {"fileFormat": "tfrecord"}))


def with_pointers(folder: Path) -> None:
    for part in ("train", "test"):
        (folder / f"mnist-{part}.array_record-00000-of-00001").write_text("version https://git-lfs.github.com/spec/v1\n")


def with_cut_metadata(folder: Path) -> None:
    (folder / "dataset_info.json").write_text("{")


@prepared("mnist")
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            as_tfrecord,
            "only TensorFlow reads: prepare it once more, in another folder, with: python -m hullx.data prepare mnist",
        ),
        (lambda folder: None, r"missing or damaged records \(open\(\) failed: No such file.*: delete .*, then prepare it with"),
        (with_pointers, "missing or damaged records .*64KB big"),
        (with_cut_metadata, r"cannot be opened \(Failed to load JSON"),
    ],
)
def test_damaged_sets_get_one_sentence(damage: Callable[[Path], None], message: str, tmp_path: Path) -> None:
    (source,) = (TFDS_DIR / "mnist").iterdir()
    folder = tmp_path / "mnist" / source.name
    folder.mkdir(parents=True)
    for file in source.glob("*.json"):
        (folder / file.name).write_bytes(file.read_bytes())
    damage(folder)
    with pytest.raises(DataError, match=message) as caught:
        load("mnist", data_dir=tmp_path)
    assert "\n" not in str(caught.value)


def test_unprepared_set_names_folder_and_command(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"'fashion_mnist' is not prepared in {tmp_path}.*hullx.data prepare fashion_mnist"):
        load("fashion_mnist", data_dir=tmp_path)


def test_prepare_refuses_unknown_names(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        prepare_command.main(["prepare", "mnst"])
    assert stopped.value.code == 2
    assert capsys.readouterr().err.startswith("error: unknown data set 'mnst'")


def test_gaussian_like_has_mean_and_covariance(rng: np.random.Generator) -> None:
    points = rng.normal(size=(500, 3)) @ np.array([[2.0, 0, 0], [1, 0.5, 0], [0, 0, 0]]) + 7
    sample = gaussian_like(rng, points, 200_000)
    np.testing.assert_allclose(sample.mean(0), points.mean(0), atol=0.03)
    np.testing.assert_allclose(np.cov(sample.T), np.cov(points.T), atol=0.06)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("digits", ("digits", None, None)),
        ("mnist:5000", ("mnist", 5000, None)),
        ("mnist:5000:1000", ("mnist", 5000, 1000)),
        ("npz:/a:b/c.npz", ("npz:/a:b/c.npz", None, None)),
        ("npz:C:/a.npz:30:20", ("npz:C:/a.npz", 30, 20)),
    ],
)
def test_one_notation_for_data_sets(text: str, parts: tuple) -> None:
    sample = Sample(text)
    assert (sample.name, sample.train_size, sample.test_size) == parts
    assert sample == text


def test_a_sample_is_drawn_as_load_draws_it() -> None:
    data, same = Sample("digits:100:20").load(seed=3), load("digits", train_size=100, test_size=20, seed=3)
    assert data.title == "digits, 100 training and 20 test images"
    np.testing.assert_array_equal(data.train.images, same.train.images)
    np.testing.assert_array_equal(data.test.labels, same.test.labels)
    with pytest.raises(DataError, match="choose a size from 1 to 1,437"):
        Sample("digits:0").load()
