"""Minimizers without gradients, and descent that stops: what is returned is what was asked for."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from experiments import pattern_search, stopped_descent
from experiments.shared.guess_and_check import Found, guess
from hullx.data import Split
from hullx.models import MLP, LeNet
from hullx.probes import logits

pytestmark = pytest.mark.unoptimised
MODEL = MLP(2, depth=1, width=4)


def scale(params) -> jax.Array:
    return 2 + jnp.abs(params["head"]["bias"][0])


@pytest.fixture
def train(rng: np.random.Generator) -> Split:
    return Split(rng.standard_normal((5, 2, 2, 1)).astype(np.float32), np.array([0, 1, 1, 0, 1], np.int32))


def losses(found: Found, train: Split) -> np.ndarray:
    """Of each network, by Optax, one at a time; that it is right is seen on the way."""
    values = []
    for k in range(len(found.loss)):
        one = jax.tree.map(lambda leaf: jnp.asarray(leaf[k]), found.variables)  # noqa: B023 (called in this round only)
        said = np.asarray(MODEL.apply(one, train.images))
        np.testing.assert_array_equal(said.argmax(1), train.labels)
        entropy = optax.softmax_cross_entropy_with_integer_labels(jnp.asarray(said) / scale(one["params"]), train.labels)
        values.append(float(entropy.mean()))
    return np.array(values)


def test_guesses_are_right_and_in_their_range(train: Split) -> None:
    edges = 0.5, 0.6, 0.65, 0.7
    found = guess(jax.random.key(0), MODEL, train, edges, wanted=3, budget=4096, scale=scale, at_once=64)
    np.testing.assert_allclose(found.loss, losses(found, train), rtol=1e-5)
    counts = np.histogram(found.loss, edges)[0]
    assert counts.max() == 3
    assert counts.sum() == len(found.loss)
    assert found.tried % 64 == 0
    # Asked for one each it finds the first of the same, and stops as soon as there is one in each range.
    fewer = guess(jax.random.key(0), MODEL, train, edges, wanted=1, budget=4096, scale=scale, at_once=64)
    assert set(fewer.loss) <= set(found.loss)
    assert fewer.tried <= found.tried


def test_as_many_guesses_succeed_as_the_law_says(train: Split) -> None:
    """None is lost on the way: of 2,048 as many are right as of others that are drawn and judged one by one."""
    few = train.take(np.arange(3))
    found = guess(jax.random.key(1), MODEL, few, (0, np.inf), wanted=2048, budget=2048, scale=scale, at_once=128)
    rng, images = np.random.default_rng(1), few.images.reshape(3, 4)
    right = 0
    for _ in range(20_000):
        hidden, bias, head, offset = (rng.uniform(-1, 1, shape) for shape in ((4, 4), 4, (4, 2), 2))
        right += bool(((np.maximum(images @ hidden + bias, 0) @ head + offset).argmax(1) == few.labels).all())
    share, error = right / 20_000, np.sqrt(right) / 20_000
    assert abs(len(found.loss) / found.tried - share) < 4 * (error + np.sqrt(share / 2048))
    assert right > 100


def test_none_is_found_where_there_is_none(train: Split) -> None:
    """The same image with both labels."""
    doubled = Split(np.repeat(train.images[:1], 2, axis=0), np.array([0, 1], np.int32))
    found = guess(jax.random.key(0), MODEL, doubled, (0, 10), wanted=1, budget=128, scale=scale, at_once=64)
    assert (len(found.loss), found.tried) == (0, 128)
    assert found.variables["params"]["head"]["kernel"].shape == (0, 4, 2)
    short = {
        stopped_descent.stopped_descent: stopped_descent.StoppedDescent(steps=5),
        pattern_search.pattern_search: pattern_search.PatternSearch(steps=5),
    }
    for search, settings in short.items():
        found = search(jax.random.key(0), MODEL, doubled, members=2, high=1.0, scale=scale, settings=settings)
        assert len(found.loss) == 0


def test_descent_and_search_stop_below_the_loss(train: Split) -> None:
    descent = stopped_descent.StoppedDescent(rate=0.1, batch=2, steps=400)
    descended = stopped_descent.stopped_descent(
        jax.random.key(0), MODEL, train, members=16, high=0.6, scale=scale, settings=descent
    )
    search = pattern_search.PatternSearch(steps=100, at_once=16)
    searched = pattern_search.pattern_search(jax.random.key(0), MODEL, train, members=4, high=0.6, scale=scale, settings=search)
    for found, members in ((descended, 16), (searched, 4)):
        assert found.tried == members
        assert len(found.loss) > members / 2
        np.testing.assert_allclose(found.loss, losses(found, train), rtol=1e-5)
        assert (found.loss <= 0.6).all()
    # Descent stops as soon as it is there; a move of pattern search may go far below.
    assert descended.loss.min() > 0.3


@pytest.mark.thorough
def test_lenet_is_flax_s_convolutions(rng: np.random.Generator) -> None:
    model, images = LeNet(3, width=0.5, hidden=(20,)), jnp.asarray(rng.standard_normal((2, 28, 28, 1)), jnp.float32)
    members = jax.vmap(lambda key: model.init(key, images))(jax.random.split(jax.random.key(0), 2))
    found = logits({"params": members["params"]}, images, model=model)
    for k in range(2):
        layers = jax.tree.map(lambda leaf: leaf[k], members["params"])  # noqa: B023 (called in this round only)
        values = images
        for name in ("convolve_1", "convolve_2"):
            kernel, bias = layers[name]["kernel"], layers[name]["bias"]
            values = jax.lax.conv_general_dilated(values, kernel, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))
            values = jax.lax.reduce_window(
                jax.nn.relu(values + bias), -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID"
            )
        values = jax.nn.relu(values.reshape(2, -1) @ layers["dense_1"]["kernel"] + layers["dense_1"]["bias"])
        expected = values @ layers["head"]["kernel"] + layers["head"]["bias"]
        np.testing.assert_allclose(found[k], expected, rtol=1e-4, atol=1e-5)
