"""Spaces against PyWavelets, scikit-learn, SciPy and NumPy; and that hulls are the same where distances are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import pywt
import scipy
from jax.test_util import check_grads
from sklearn.decomposition import PCA

import hullx
from hullx import spaces
from hullx.data import load
from hullx.errors import ArgumentError, ArgumentTypeError, StorageError
from hullx.models import CNN, MLP, ResNet
from hullx.spaces import Crop, Features, Pixels, SmoothSubsample, Wavelets
from hullx.spaces.space import batches

pytestmark = pytest.mark.unoptimised

DIGITS = load("digits")
SHAPE = 8, 8, 1
MODEL = MLP(classes=10, depth=2, width=16)
VARIABLES = MODEL.init(jax.random.key(0), DIGITS.test.images[:1])


@pytest.mark.filterwarnings("ignore:Level value")
@pytest.mark.parametrize("size", [(28, 28), (32, 32), (7, 9), (5, 12), (1, 3)])
@pytest.mark.parametrize("wavelet", ["haar", "db2", "db4", "bior2.2"])
def test_wavelet_transforms_are_pywavelets(size: tuple[int, int], wavelet: str, rng: np.random.Generator, x64: None) -> None:
    images = rng.standard_normal((2, *size, 3))
    ours = spaces.wavedec2(images, wavelet, 2)
    theirs = pywt.wavedec2(images, wavelet, "periodization", 2, axes=(1, 2))
    for mine, other in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(mine, other, atol=1e-12)
    back = spaces.waverec2(ours, wavelet, size)
    np.testing.assert_allclose(
        back, pywt.waverec2(theirs, wavelet, "periodization", (1, 2))[:, : size[0], : size[1]], atol=1e-12
    )
    np.testing.assert_allclose(back, images, atol=1e-12)


@pytest.mark.thorough
@pytest.mark.filterwarnings("ignore:Level value")
@pytest.mark.parametrize("wavelet", ["haar", "db2", "db4"])
def test_a_wavelet_space_is_orthonormal_and_in_mallat_s_layout(wavelet: str, rng: np.random.Generator, x64: None) -> None:
    images = rng.standard_normal((3, 8, 12, 2))
    space = Wavelets((8, 12, 2), wavelet)
    assert space.depth == 2
    found = space(images)
    decomposed = pywt.wavedec2(images, wavelet, "periodization", 2, axes=(1, 2))
    layout, _ = pywt.coeffs_to_array(decomposed, axes=(1, 2))
    np.testing.assert_allclose(found.reshape(images.shape), layout, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), np.linalg.norm(images.reshape(3, -1), axis=1), rtol=1e-13)
    np.testing.assert_allclose(space.inverse(found), images, atol=1e-12)
    # The transpose of an orthonormal map is its inverse.
    gradient = jax.grad(lambda each: (space(each) * found).sum())(jnp.asarray(images))
    np.testing.assert_allclose(gradient, images, atol=1e-12)
    check_grads(lambda each: jnp.sin(space(each)), (images[:1],), order=2, modes=("fwd", "rev"))


@pytest.mark.thorough
@pytest.mark.parametrize("wavelet", ["haar", "db2"])
def test_all_coefficients_leave_hull_distances_as_they_are(wavelet: str) -> None:
    """And a gradient passes through both: it is that of the pixels' distance."""
    test, train = DIGITS.test.images[:60], DIGITS.train.images
    space, pixels = Wavelets(SHAPE, wavelet), Pixels(SHAPE)
    found, expected = (
        hullx.sweep(*(spaces.rows(each, images) for images in (test, train)), progress=False) for each in (space, pixels)
    )
    assert found.decided.all()
    np.testing.assert_allclose(found.distance, expected.distance, rtol=1e-6)
    points = space(train[:1024])
    slope = jax.grad(lambda image: hullx.distance(space(image[None])[0], points))(jnp.asarray(test[0]))
    direct = jax.grad(hullx.distance)(jnp.asarray(test[0].ravel()), jnp.asarray(pixels(train[:1024])))
    np.testing.assert_allclose(slope.ravel(), direct, atol=2e-5)


def test_coefficients_are_chosen_as_pivoted_qr_chooses_them() -> None:
    """Of all training images at once, by SciPy; also where they come in parts."""
    space, train = Wavelets(SHAPE, "haar"), DIGITS.train.images
    order = spaces.pivots(space, train)
    matrix = spaces.rows(space, train).astype(np.float64)
    expected = scipy.linalg.qr(matrix, mode="r", pivoting=True)[-1]
    rank = np.linalg.matrix_rank(matrix)
    np.testing.assert_array_equal(order[:rank], expected[:rank])
    np.testing.assert_array_equal(spaces.pivots(space, [train[:500], train[500:]])[:rank], expected[:rank])
    some = spaces.selected(space, order, 20)
    np.testing.assert_array_equal(some(train), np.asarray(space(train))[:, order[:20]])
    # The way back has the chosen coordinates, and no others.
    again = spaces.rows(space, some.inverse(some(train[:5])))
    np.testing.assert_allclose(again[:, order[:20]], some(train[:5]), atol=1e-6)
    np.testing.assert_allclose(np.delete(again, order[:20], axis=1), 0, atol=1e-6)


@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_principal_components_are_scikit_learn_s(offset: float) -> None:
    train, test = (split.images + np.float32(offset) for split in (DIGITS.train, DIGITS.test))
    found, expected = spaces.pca(Pixels(SHAPE), train, 12), PCA(12).fit(DIGITS.train.rows.astype(np.float64))
    scale = 1e-6 * max(offset, 1)
    np.testing.assert_allclose(spaces.rows(found, test), expected.transform(DIGITS.test.rows), atol=50 * scale)
    n = len(train)
    np.testing.assert_allclose(found.variance, expected.explained_variance_ * (n - 1) / n, rtol=50 * scale)
    back = expected.inverse_transform(expected.transform(DIGITS.test.rows)).reshape(test.shape) + offset
    np.testing.assert_allclose(found.inverse(found(test)), back, atol=50 * scale)
    fewer = spaces.components(found, 5)
    np.testing.assert_array_equal(fewer(test).shape, (360, 5))
    np.testing.assert_array_equal(fewer.basis, found.basis[:, :5])


def test_components_of_wavelets_are_those_of_pixels() -> None:
    """An orthonormal map changes no principal coordinate but its sign."""
    ones, others = (spaces.pca(space, DIGITS.train.images, 6) for space in (Pixels(SHAPE), Wavelets(SHAPE, "db2")))
    mine, other = (np.abs(spaces.rows(each, DIGITS.test.images)) for each in (ones, others))
    np.testing.assert_allclose(mine, other, atol=1e-4)


def test_smaller_images() -> None:
    images = DIGITS.test.images
    np.testing.assert_array_equal(Crop(4)(images), images[:, 2:6, 2:6].reshape(360, 16))
    np.testing.assert_allclose(SmoothSubsample(8)(images), images.reshape(360, 64), atol=1e-6)
    # Weights sum to 1, and what is smooth stays as it is: a ramp is sampled at the centres of its new pixels.
    ramp = np.broadcast_to(np.arange(8.0, dtype=np.float32)[:, None, None], SHAPE)[None]
    half = np.asarray(SmoothSubsample(4)(ramp)).reshape(4, 4)
    np.testing.assert_allclose(half[1:3], np.repeat([[2.5], [4.5]], 4, 1), rtol=1e-6)
    np.testing.assert_allclose(SmoothSubsample(3)(np.full_like(images[:2], 0.7)), 0.7, rtol=1e-6)


class Foreign(nn.Module):
    """A network that sows nothing."""

    @nn.compact
    def __call__(self, images: Any) -> Any:
        values = nn.relu(nn.Dense(7)(images.reshape(len(images), -1)))
        return nn.Dense(3)(values)


def test_features_are_what_the_network_computes() -> None:
    images = DIGITS.test.images
    assert spaces.layers(MODEL, VARIABLES, images) == {"hidden_1": (16,), "hidden_2": (16,), "logits": (10,)}
    hidden = spaces.rows(Features(MODEL, VARIABLES, "hidden_2"), images)
    head = VARIABLES["params"]["head"]
    logits: Any = MODEL.apply(VARIABLES, images)
    np.testing.assert_allclose(hidden @ head["kernel"] + head["bias"], logits, atol=1e-5)
    model = Foreign()
    variables = model.init(jax.random.key(0), images)
    assert spaces.layers(model, variables, images) == {"Dense_0": (7,), "Dense_1": (3,)}
    dense = variables["params"]["Dense_0"]
    expected = images.reshape(360, -1) @ dense["kernel"] + dense["bias"]
    np.testing.assert_allclose(spaces.rows(Features(model, variables, "Dense_0"), images), expected, atol=1e-5)


def test_layers_of_convolutional_networks() -> None:
    images = np.zeros((2, 28, 28, 1), np.float32)
    for model, layer, size in ((CNN(10, embedding=5), "conv_2", 24 * 24 * 64), (ResNet(10, blocks=1), "pooled", 64)):
        variables = jax.eval_shape(model.init, jax.random.key(0), images)
        found = jax.eval_shape(lambda given, model=model, layer=layer: Features(model, given, layer)(images), variables)
        assert found.shape == (2, size)


def test_an_embedding_without_its_positive_part_is_linear() -> None:
    images = DIGITS.test.images[:4]
    linear, positive = (CNN(10, embedding=6, linear=kind) for kind in (True, False))
    variables = linear.init(jax.random.key(0), images)
    values, others = (spaces.rows(Features(model, variables, "embedding"), images) for model in (linear, positive))
    assert (values < 0).any()
    np.testing.assert_array_equal(np.maximum(values, 0), others)


def test_rows_come_in_chunks_from_memory_disk_and_parts(tmp_path: Path) -> None:
    """All the same, whatever the size of a chunk; on disk as in memory."""
    space, images = Features(MODEL, VARIABLES, "hidden_1"), DIGITS.train.images
    expected = np.asarray(space(images))
    np.save(tmp_path / "images.npy", images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    mesh = jax.make_mesh((1,), ("data",))
    cases: tuple[tuple[Any, dict[str, Any]], ...] = (
        (images, {"batch": 100}),
        (mapped, {"batch": 256, "out": tmp_path / "rows.npy"}),
        ([images[:700], images[700:]], {}),
        (images[:1], {}),
        (images, {"mesh": mesh, "batch": 255}),
    )
    for given, more in cases:
        found = spaces.rows(space, given, **more)
        assert isinstance(found, np.memmap) == ("out" in more)
        np.testing.assert_allclose(found, expected[: len(found)], atol=1e-6)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images.npy", "rows.npy"]
    result = hullx.sweep(
        spaces.rows(space, DIGITS.test.images[:8]), np.load(tmp_path / "rows.npy", mmap_mode="r"), progress=False
    )
    assert result.decided.all()


def test_double_precision_stays() -> None:
    images = DIGITS.test.images.astype(np.float64)
    found = spaces.rows(Wavelets(SHAPE, "db2"), images)
    assert found.dtype == np.float64
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), np.linalg.norm(images.reshape(360, -1), axis=1), rtol=1e-13)


def test_constant_images_stay_finite() -> None:
    images = np.full((5, *SHAPE), 0.5, np.float32)
    for space in (Pixels(SHAPE), Wavelets(SHAPE), SmoothSubsample(3), spaces.pca(Pixels(SHAPE), images, 2)):
        assert np.isfinite(spaces.rows(space, images)).all()
    np.testing.assert_allclose(spaces.rows(Wavelets(SHAPE), images)[:, 1:], 0, atol=1e-6)
    assert spaces.pivots(Wavelets(SHAPE), images)[0] == 0


IMAGES = DIGITS.test.images


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Crop(9)(IMAGES), "size must be from 1 to 8, not 9"),
        (lambda: SmoothSubsample(0)(IMAGES), "size must be from 1 to 8, not 0"),
        (lambda: Pixels((4, 4, 1))(IMAGES), r"images: got shape \(360, 8, 8, 1\), expected \(n, 4, 4, 1\)"),
        (lambda: Wavelets((28, 28, 1), "db2", 3), "levels: got 3 for images of 28 × 28, expected at most 2"),
        (lambda: Wavelets(SHAPE, "mexican"), "wavelet: got 'mexican', expected a discrete wavelet of PyWavelets"),
        (lambda: Wavelets(SHAPE, "bior2.2"), "expected an orthogonal wavelet"),
        (
            lambda: spaces.selected(Wavelets(SHAPE), np.arange(64), 65),
            "k: got 65, expected at most 64, the number of coefficients",
        ),
        (lambda: spaces.pca(Pixels(SHAPE), IMAGES, 65), "k: got 65 for 360 images of 64 dimensions, expected at most 64"),
        (lambda: spaces.pca(Pixels(SHAPE), IMAGES[:3], 4), "k: got 4 for 3 images"),
        (lambda: spaces.pca(Pixels(SHAPE), IMAGES * np.float32(1e25), 4), "mean squares up to .* too large for float32"),
        (lambda: spaces.rows(Features(MODEL, VARIABLES, "conv_1"), IMAGES), "expected one of hidden_1, hidden_2, logits"),
        (lambda: spaces.layers(CNN(10), VARIABLES, IMAGES), "variables: got .* give variables of one CNN"),
        (lambda: spaces.layers(MLP(10, depth=2, width=17), VARIABLES, IMAGES), r"shape \(16,\), expected \(17,\)"),
        (lambda: spaces.rows(Pixels(SHAPE), IMAGES[0]), "expected .*channels"),
        (lambda: spaces.rows(Pixels(SHAPE), IMAGES[:0]), "images: got none"),
        (lambda: spaces.rows(Pixels(SHAPE), IMAGES, batch=0), "batch: got 0"),
        (lambda: spaces.rows(Pixels(SHAPE), IMAGES, mesh=jax.make_mesh((1,), ("points",))), "expected one named 'data'"),
    ],
)
def test_what_cannot_be_mapped_is_said_in_one_sentence(call: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message) as caught:
        call()
    assert len(str(caught.value).splitlines()) == 1


def test_other_dtypes_and_files_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(ArgumentTypeError, match="images: got dtype uint8"):
        spaces.rows(Pixels(SHAPE), np.zeros((2, *SHAPE), np.uint8))
    with pytest.raises(StorageError, match=r"nowhere.rows.npy\.part cannot be written"):
        spaces.rows(Pixels(SHAPE), IMAGES, out=tmp_path / "nowhere" / "rows.npy")


def test_between_batches_the_callers_settings_hold() -> None:
    found = batches(Pixels((8, 8, 1)), load("digits").test.images.astype(np.float64), batch=100)
    with jax.enable_x64(False):
        assert next(found).dtype == np.float64
        assert not jax.config.jax_enable_x64  # pyright: ignore[reportAttributeAccessIssue]


def test_a_failure_leaves_no_unfinished_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*given: Any, **settings: Any) -> Any:
        yield np.zeros((2, 16), np.float32)
        raise KeyboardInterrupt

    monkeypatch.setattr("hullx.spaces.space.batches", interrupted)
    with pytest.raises(KeyboardInterrupt):
        spaces.rows(Pixels((4, 4, 1)), np.zeros((5, 4, 4, 1), np.float32), batch=2, out=tmp_path / "rows.npy")
    assert not list(tmp_path.iterdir())


def test_all_are_spaces() -> None:
    known = [Pixels(SHAPE), Crop(4), SmoothSubsample(4), Wavelets(SHAPE), Features(MODEL, VARIABLES, "hidden_1")]
    assert all(isinstance(space, spaces.Space) for space in known)
    assert [isinstance(space, spaces.Invertible) for space in known] == [True, False, False, True, False]
    # A pytree: jit takes it as an argument, and does not compile anew for other variables.
    jitted: Any = jax.jit(lambda space, images: space(images))
    for seed in (0, 1):
        jitted(Features(MODEL, MODEL.init(jax.random.key(seed), IMAGES[:1]), "hidden_1"), IMAGES)
    assert jitted._cache_size() == 1
