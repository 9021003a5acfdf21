"""Training against an adversary: each step sees the images that it makes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from hullx.data import Split, load
from hullx.errors import CheckpointError
from hullx.models import MLP
from hullx.training import FitConfig, fit
from hullx.training.steps import init_state, train_step

pytestmark = pytest.mark.unoptimised

MODEL, OPTIMIZER = MLP(10, depth=1, width=32), optax.adam(1e-2)


def ascent(variables: Any, images: jax.Array, labels: jax.Array, key: jax.Array) -> jax.Array:
    """One step of gradient ascent, as FGSM."""

    def loss(images: jax.Array) -> jax.Array:
        logits: Any = MODEL.apply(variables, images)
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).sum()

    return jnp.clip(images + 0.1 * jnp.sign(jax.grad(loss)(images)), 0, 1)


@pytest.fixture(scope="module")
def few() -> Split:
    return load("digits").train.take(np.arange(160))


@pytest.mark.thorough
def test_a_step_is_one_on_the_changed_images(few: Split) -> None:
    images, labels = jnp.asarray(few.images[:32]), jnp.asarray(few.labels[:32])
    state = init_state(jax.random.key(0), MODEL, OPTIMIZER, images)
    changed = ascent(state.variables, images, labels, state.key)
    found, metrics = train_step(state, images, labels, model=MODEL, optimizer=OPTIMIZER, adversary=ascent)
    expected, others = train_step(state, changed, labels, model=MODEL, optimizer=OPTIMIZER)
    for mine, theirs in zip(jax.tree.leaves(found.variables), jax.tree.leaves(expected.variables), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-6, atol=1e-7)
    assert metrics.loss == others.loss


KEY = jax.random.key(0)


@pytest.mark.parametrize("key", [KEY, pytest.param(jax.random.split(KEY, 2), marks=pytest.mark.slow)], ids=["one", "ensemble"])
def test_trained_against_it_networks_resist_it(few: Split, key: jax.Array) -> None:
    settings: dict[str, Any] = {"epochs": 40, "batch": 32, "title": None}
    plain, hard = (
        fit(key, MODEL, OPTIMIZER, few, FitConfig(adversary=each, **settings)).state.variables for each in (None, ascent)
    )

    def accuracy(variables: Any) -> np.ndarray:
        def one(variables: Any) -> jax.Array:
            images = ascent(variables, jnp.asarray(few.images), jnp.asarray(few.labels), key)
            logits: Any = MODEL.apply(variables, images)
            return (logits.argmax(1) == few.labels).mean()

        return np.asarray(jax.vmap(one)(variables) if key.ndim else one(variables))

    assert (accuracy(hard) > accuracy(plain) + 0.05).all()


def test_a_checkpoint_knows_its_adversary(few: Split, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"epochs": 1, "batch": 32, "title": None, "checkpoint": tmp_path / "run"}
    fit(jax.random.key(0), MODEL, OPTIMIZER, few, FitConfig(adversary=ascent, **settings))
    fit(jax.random.key(0), MODEL, OPTIMIZER, few, FitConfig(adversary=ascent, **settings))
    with pytest.raises(CheckpointError, match="results of other adversary"):
        fit(jax.random.key(0), MODEL, OPTIMIZER, few, FitConfig(**settings))
