"""What is done to images and labels before training."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from hullx.data import CONDITIONS, CropFlip, Dataset, Split, centre_crop, corrupted, load, standardised, whitened


@pytest.fixture(scope="module")
def data() -> Dataset:
    rng = np.random.default_rng(3)
    train, test = (Split(rng.random((n, 6, 6, 3), dtype=np.float32), rng.integers(0, 10, n, np.int32)) for n in (4000, 500))
    return Dataset("random", train, test, tuple("0123456789"))


def changed(data: Dataset, condition: str, **settings) -> Dataset:
    return corrupted(np.random.default_rng(0), data, condition, **settings)


@pytest.mark.parametrize("condition", CONDITIONS)
def test_the_same_rng_gives_the_same_data(data: Dataset, condition: str) -> None:
    first, second = changed(data, condition), changed(data, condition)
    for part in ("train", "test"):
        for a, b in zip(getattr(first, part), getattr(second, part), strict=True):
            np.testing.assert_array_equal(a, b)
            assert a.dtype == b.dtype
    np.testing.assert_array_equal(first.test.labels, data.test.labels)
    assert first.train.images.dtype == np.float32


@pytest.mark.parametrize(("condition", "share"), [("partly corrupted labels", 0.3), ("random labels", 1.0)])
def test_labels_are_replaced_with_the_probability_asked_for(data: Dataset, condition: str, share: float) -> None:
    noisy = changed(data, condition, share=0.3)
    np.testing.assert_array_equal(noisy.train.images, data.train.images)
    # A label drawn uniformly is its own one time in ten.
    kept = (noisy.train.labels == data.train.labels).mean()
    assert abs(kept - (1 - 0.9 * share)) < 4 * np.sqrt(0.25 / 4000)


def test_shuffled_pixels_are_one_permutation(data: Dataset) -> None:
    mixed = changed(data, "shuffled pixels")
    before, after = (each.images.reshape(-1, 36, 3) for each in (data.train, mixed.train))
    order = [int(np.flatnonzero((before == after[:, i : i + 1]).all((0, 2)))[0]) for i in range(36)]
    assert sorted(order) == list(range(36))
    np.testing.assert_array_equal(data.test.images.reshape(-1, 36, 3)[:, order], mixed.test.images.reshape(-1, 36, 3))


def test_random_pixels_are_permuted_image_by_image(data: Dataset) -> None:
    mixed = changed(data, "random pixels")
    before, after = (each.images.reshape(-1, 36, 3) for each in (data.train, mixed.train))
    orders = [[int(np.flatnonzero((before[k] == pixel).all(1))[0]) for pixel in after[k]] for k in range(5)]
    assert all(sorted(order) == list(range(36)) for order in orders)
    assert orders[0] != orders[1]


def test_gaussian_has_the_data_s_mean_and_variance(data: Dataset) -> None:
    noise = changed(data, "gaussian")
    np.testing.assert_allclose(noise.train.images.mean(), data.train.images.mean(), atol=0.005)
    np.testing.assert_allclose(noise.train.images.std(), data.train.images.std(), atol=0.005)
    np.testing.assert_array_equal(noise.train.labels, data.train.labels)


def test_wrong_conditions(data: Dataset) -> None:
    with pytest.raises(ValueError, match="condition 'noise' is unknown: choose one of true labels, partly"):
        changed(data, "noise")
    with pytest.raises(ValueError, match="share must be a probability, from 0 to 1, not 2"):
        changed(data, "random labels", share=2)
    with pytest.raises(ValueError, match="gaussian needs images of float32, not uint8"):
        changed(load("digits", dtype="uint8"), "gaussian")


def test_centre_crop(data: Dataset) -> None:
    np.testing.assert_array_equal(centre_crop(data.train.images, 4), data.train.images[:, 1:5, 1:5])
    with pytest.raises(ValueError, match="images are 6 × 6, so size must be from 1 to 6, not 7"):
        centre_crop(data.train.images, 7)


def test_whitened_images(data: Dataset) -> None:
    rows = whitened(data.train.images).reshape(4000, -1)
    np.testing.assert_allclose(rows.mean(1), 0, atol=1e-5)
    np.testing.assert_allclose(rows.std(1), 1, rtol=1e-4)
    assert not whitened(np.ones((1, 4, 4, 1), np.float32)).any()


def test_standardised_channels(data: Dataset) -> None:
    train = standardised(data.train.images, data.train.images)
    np.testing.assert_allclose(train.mean((0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(train.std((0, 1, 2)), 1, rtol=1e-4)
    test = standardised(data.test.images, data.train.images)
    scale = (data.train.images.std((0, 1, 2)), data.train.images.mean((0, 1, 2)))
    np.testing.assert_allclose(test * scale[0] + scale[1], data.test.images, atol=1e-5)


def test_crops_are_windows_of_the_padded_image() -> None:
    images = np.random.default_rng(0).random((64, 5, 5, 2), dtype=np.float32)
    found = np.asarray(jax.jit(CropFlip(padding=2))(jax.random.key(0), images))
    padded = np.pad(images, ((0, 0), (2, 2), (2, 2), (0, 0)))
    seen = set()
    for image, source in zip(found, padded, strict=True):
        ways = [
            (top, left, flip)
            for top in range(5)
            for left in range(5)
            for flip in (1, -1)
            if np.array_equal(source[top : top + 5, left : left + 5][:, ::flip], image)
        ]
        assert ways
        seen.add(ways[0])
    assert {flip for _, _, flip in seen} == {1, -1}
    assert len({(top, left) for top, left, _ in seen}) > 10
    unflipped = CropFlip(padding=0, flip=False)
    np.testing.assert_array_equal(unflipped(jax.random.key(0), images), images)
