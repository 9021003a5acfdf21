"""Networks: their sizes as published, their outputs by hand, their representations."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from hullx.models import ACTIVATIONS, CNN, MLP, Polynomial, RandomFeatures, ResNet, SmallAlexNet, representations

pytestmark = pytest.mark.unoptimised

MNIST, CIFAR, CROPPED = (28, 28, 1), (32, 32, 3), (28, 28, 3)


def drawn(shape: tuple[int, ...], count: int = 2) -> np.ndarray:
    return np.random.default_rng(0).random((count, *shape), dtype=np.float32)


# Zhang et al. (2017), table 1 (the AlexNet: table 4); PyTorch's MNIST example; He et al. (2016), table 6: 0.27M, 0.46M, 0.85M.
@pytest.mark.parametrize(
    ("model", "shape", "count"),
    [
        (MLP(10, depth=3, width=512), CROPPED, 1_735_178),
        (MLP(10, depth=1, width=512), CROPPED, 1_209_866),
        (SmallAlexNet(10), CROPPED, 1_387_786),
        (CNN(10), MNIST, 1_199_882),
        (ResNet(10, blocks=3), CIFAR, 269_722),
        (ResNet(10, blocks=5), CIFAR, 464_154),
        (ResNet(10, blocks=9), CIFAR, 853_018),
        (RandomFeatures(10, features=50), MNIST, 510),
        (Polynomial(3, degree=4), (1, 2, 1), 27),
    ],
    ids=repr,
)
def test_parameter_counts(model: nn.Module, shape: tuple[int, ...], count: int) -> None:
    variables = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, *shape)))
    assert sum(leaf.size for leaf in jax.tree.leaves(variables["params"])) == count


@pytest.mark.parametrize(
    ("model", "shape", "shapes"),
    [
        (MLP(10, depth=2, width=7), MNIST, {"hidden_1": (7,), "hidden_2": (7,), "logits": (10,)}),
        (CNN(5, embedding=6), MNIST, {"conv_1": (26, 26, 32), "conv_2": (24, 24, 64), "embedding": (6,), "logits": (5,)}),
        pytest.param(
            SmallAlexNet(10),
            CIFAR,
            {"conv_1": (16, 16, 64), "conv_2": (8, 8, 64), "hidden_1": (384,), "hidden_2": (192,)},
            marks=pytest.mark.slow,
        ),
        pytest.param(
            ResNet(4, width=2),
            CIFAR,
            {"stage_1": (32, 32, 32), "stage_3": (8, 8, 128), "pooled": (128,)},
            marks=pytest.mark.slow,
        ),
        (RandomFeatures(3, features=9), MNIST, {"features": (9,), "logits": (3,)}),
        (Polynomial(3, degree=2), (1, 2, 1), {"features": (5,), "logits": (3,)}),
    ],
    ids=repr,
)
def test_representations(model: nn.Module, shape: tuple[int, ...], shapes: dict) -> None:
    images = drawn(shape)
    variables = model.init(jax.random.key(0), 2 * images)  # of which nothing is to be seen
    found = representations(model, variables, images)
    assert {name: values.shape[1:] for name, values in found.items() if name in shapes} == shapes
    np.testing.assert_array_equal(found["logits"], model.apply(variables, images))


def test_mlp_by_hand() -> None:
    images = drawn((4, 4, 1))
    model = MLP(3, depth=1, width=5, activation="erf")
    params = model.init(jax.random.key(0), images)["params"]
    hidden = scipy.special.erf(images.reshape(2, -1) @ params["dense_1"]["kernel"] + params["dense_1"]["bias"])
    logits = hidden @ params["head"]["kernel"] + params["head"]["bias"]
    found: Any = model.apply({"params": params}, images)
    np.testing.assert_allclose(found, logits, rtol=1e-5, atol=1e-6)


def test_unknown_activation_names_those_there_are() -> None:
    with pytest.raises(ValueError, match=f"'sine' is unknown: choose one of {', '.join(ACTIVATIONS)}"):
        MLP(3, activation="sine").init(jax.random.key(0), drawn((4, 4, 1)))


def test_polynomial_fits_a_polynomial() -> None:
    places = np.linspace(-1, 1, 7, dtype=np.float32)
    model = Polynomial(1, degree=3)
    features = representations(model, model.init(jax.random.key(0), places[:, None, None, None]), places[:, None, None, None])
    np.testing.assert_allclose(features["features"], np.stack([places**k for k in range(4)], 1), rtol=1e-6)


def test_random_features_are_not_trained() -> None:
    model = RandomFeatures(3, features=9)
    variables: Any = model.init(jax.random.key(0), drawn(MNIST))
    assert set(variables["params"]) == {"head"}
    assert variables["fixed"]["weights"].shape == (784, 9)
    # Each feature has the variance of a pixel's mean square times that of the weights, which is one.
    rows = np.asarray(drawn(MNIST, 1)).reshape(1, -1)
    wide = RandomFeatures(3, features=4000, activation="tanh").init(jax.random.key(1), drawn(MNIST))["fixed"]["weights"]
    np.testing.assert_allclose((rows @ wide).std(), np.sqrt((rows**2).mean()), rtol=0.05)


def test_dropout_only_in_training() -> None:
    images, model = drawn(MNIST), CNN(10)
    variables = model.init(jax.random.key(0), images)
    still = model.apply(variables, images)
    np.testing.assert_array_equal(still, model.apply(variables, images))
    shaken = model.apply(variables, images, train=True, rngs={"dropout": jax.random.key(1)})
    assert np.abs(np.asarray(still) - np.asarray(shaken)).max() > 0


def test_resnet_blocks_begin_as_identities_of_the_shortcut() -> None:
    """The shortcut halves the size by taking every second pixel, and gives new channels zeros."""
    from hullx.models.resnet import shortcut

    values = drawn((8, 8, 16))
    smaller = np.asarray(shortcut(jnp.asarray(values), 32, (2, 2)))
    np.testing.assert_array_equal(smaller[..., 8:24], values[:, ::2, ::2])
    assert not smaller[..., :8].any()
    assert not smaller[..., 24:].any()


def test_local_response_by_hand() -> None:
    from hullx.models.cnn import local_response

    values = drawn((2, 2, 12))
    expected = np.empty_like(values)
    for channel in range(12):
        near = values[..., max(channel - 4, 0) : channel + 5]
        expected[..., channel] = values[..., channel] / (1 + 0.001 / 9 * (near**2).sum(-1)) ** 0.75
    np.testing.assert_allclose(local_response(jnp.asarray(values)), expected, rtol=1e-6)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    ("strides", "padding"),
    [
        ((2, 2), "SAME"),
        *(
            pytest.param(*each, marks=pytest.mark.slow)
            for each in (((1, 1), "SAME"), ((1, 1), "VALID"), ((2, 1), [(0, 2), (1, 1)]))
        ),
    ],
)
def test_convolution_is_jax_s_in_every_derivative(strides: tuple[int, int], padding: Any) -> None:
    from hullx.models.convolution import convolution

    rng = np.random.default_rng(0)
    images, kernel = rng.normal(size=(2, 7, 6, 3)), rng.normal(size=(3, 2, 3, 4))
    dots = rng.normal(size=images.shape), rng.normal(size=kernel.shape)

    def plain(images: Any, kernel: Any) -> Any:
        return jax.lax.conv_general_dilated(images, kernel, strides, padding, dimension_numbers=("NHWC", "HWIO", "NHWC"))

    def ours(images: Any, kernel: Any) -> Any:
        return convolution(images, kernel, strides, padding)

    def curved(function: Any) -> Any:
        return lambda images, kernel: (function(images, kernel) ** 3).sum()

    for transform in (
        lambda f: f(images, kernel),
        lambda f: jax.jvp(f, (images, kernel), dots),
        lambda f: jax.grad(curved(f), (0, 1))(images, kernel),
        lambda f: jax.jvp(jax.grad(curved(f), (0, 1)), (images, kernel), dots),
        lambda f: jax.grad(lambda x, k: sum((g**2).sum() for g in jax.grad(curved(f), (0, 1))(x, k)), (0, 1))(images, kernel),
        lambda f: jax.vmap(jax.grad(curved(f), (0, 1)))(np.stack([images] * 2), np.stack([kernel, 2 * kernel])),
    ):
        for a, b in zip(jax.tree.leaves(transform(ours)), jax.tree.leaves(transform(plain)), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10 * np.abs(b).max())


def test_other_convolutions_stay_jax_s() -> None:
    from hullx.models.convolution import Conv

    images = drawn((8, 8, 4))
    settings: Any
    for settings in ({"feature_group_count": 2}, {"kernel_dilation": 2}):
        variables = Conv(6, (3, 3), **settings).init(jax.random.key(0), images)
        ours, plain = (kind(6, (3, 3), **settings).apply(variables, images) for kind in (Conv, nn.Conv))
        np.testing.assert_allclose(np.asarray(ours), np.asarray(plain), rtol=1e-6)
