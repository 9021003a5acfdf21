"""Training: one step against Optax by hand, one network against an ensemble, one device against eight."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from hullx.data import CropFlip, Dataset, Split, load
from hullx.errors import DivergedError
from hullx.models import CNN, MLP, RandomFeatures, ResNet
from hullx.runs import folder as record
from hullx.training import Ensemble, FitConfig, fit
from hullx.training.steps import Data, EpochConfig, epoch, evaluate, init_state, train_step

pytestmark = pytest.mark.unoptimised

MODEL, OPTIMIZER = MLP(10, width=16), optax.adam(3e-3)
KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def data() -> Dataset:
    return load("digits")


@pytest.fixture(scope="module")
def few(data: Dataset) -> Split:
    return data.train.take(np.arange(200))


def leaves_equal(a: Any, b: Any) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))


@pytest.mark.thorough
def test_a_step_is_optax_s(few: Split) -> None:
    state = init_state(KEY, MODEL, OPTIMIZER, few.images)
    params = state.variables["params"]

    def loss(params: Any) -> jax.Array:
        logits: Any = MODEL.apply({"params": params}, few.images)
        return -jax.nn.log_softmax(logits)[jnp.arange(200), few.labels].mean()

    updates, _ = OPTIMIZER.update(jax.grad(loss)(params), OPTIMIZER.init(params), params)
    following, metrics = train_step(state, few.images, few.labels, 0.5, model=MODEL, optimizer=OPTIMIZER)
    expected = jax.tree.map(lambda p, u: p + 0.5 * u, params, updates)
    for a, b in zip(jax.tree.leaves(following.variables["params"]), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(metrics.loss, loss(params), rtol=1e-6)
    logits: Any = MODEL.apply({"params": params}, few.images)
    np.testing.assert_allclose(metrics.accuracy, (np.asarray(logits).argmax(1) == few.labels).mean(), rtol=1e-6)
    assert following.step == 1


def test_an_epoch_sees_each_image_once(few: Split) -> None:
    """With one class a position, and rate 0, the batches' losses add up to the whole split's."""
    state = init_state(KEY, MODEL, OPTIMIZER, few.images)
    whole = evaluate(state.variables, Data(jnp.asarray(few.images), jnp.asarray(few.labels)), model=MODEL)
    split = Data(jnp.asarray(few.images), jnp.asarray(few.labels))
    config = EpochConfig(MODEL, OPTIMIZER, batch=20)
    state, first = epoch(state, split, 0.0, config=config)
    _, second = epoch(state, split, 0.0, config=config)
    for metrics in (first, second):
        np.testing.assert_allclose(metrics.loss.mean(), whole.loss, rtol=1e-5)
        np.testing.assert_allclose(metrics.accuracy.mean(), whole.accuracy, rtol=1e-5)
    assert np.abs(first.loss - second.loss).max() > 1e-4  # in another order


def test_evaluation_counts_every_image_once(data: Dataset) -> None:
    """Also those in the last part, which is not full."""
    variables = init_state(KEY, MODEL, OPTIMIZER, data.train.images).variables
    logits: Any = MODEL.apply(variables, data.train.images)
    found = evaluate(variables, Data(jnp.asarray(data.train.images), jnp.asarray(data.train.labels)), model=MODEL)
    np.testing.assert_allclose(found.accuracy, (np.asarray(logits).argmax(1) == data.train.labels).mean(), rtol=1e-6)
    entropy = -jax.nn.log_softmax(logits)[jnp.arange(len(logits)), data.train.labels].mean()
    np.testing.assert_allclose(found.loss, entropy, rtol=1e-5)


def test_mlp_learns_the_digits(data: Dataset) -> None:
    fitted = fit(KEY, MLP(10), OPTIMIZER, data.train, FitConfig(epochs=40, batch=64, title=None), test=data.test)
    assert fitted.history.test_accuracy[-1] >= 0.97
    assert fitted.history.loss.shape == (40, 22)
    assert np.isnan(fitted.history.train_accuracy).all()


def test_rows_of_a_table_train_as_images_do(few: Split) -> None:
    config = FitConfig(epochs=2, batch=50, title=None)
    expected = fit(KEY, MODEL, OPTIMIZER, few, config, test=few)
    found = fit(KEY, MODEL, OPTIMIZER, (few.rows.astype(float), few.labels.tolist()), config, test=(few.rows, few.labels))
    np.testing.assert_array_equal(found.history.loss, expected.history.loss)
    np.testing.assert_array_equal(found.history.test_accuracy, expected.history.test_accuracy)


def test_early_stop(data: Dataset) -> None:
    fitted = fit(KEY, MLP(10), OPTIMIZER, data.train, FitConfig(epochs=100, until=0.99, title=None))
    accuracies = fitted.history.train_accuracy
    assert len(accuracies) < 100
    assert accuracies[-1] >= 0.99
    assert (accuracies[:-1] < 0.99).all()


@pytest.mark.parametrize("share", [True, False])
def test_members_train_as_they_would_alone(few: Split, share: bool) -> None:
    keys, rates = jax.random.split(KEY, 3), np.array([1.0, 0.5, 2.0], np.float32)
    labels = np.stack([few.labels, (few.labels + 1) % 10, few.labels])
    common: Any = {"epochs": 3, "batch": 50, "title": None}
    together = fit(
        keys,
        MODEL,
        OPTIMIZER,
        few._replace(labels=labels),
        FitConfig(ensemble=Ensemble(rate=rates, share_batches=share), **common),
    )
    assert together.history.loss.shape == (3, 4, 3)
    # Alone, the first member sees the same batches either way; the others do where each has its own.
    for i in (0,) if share else range(3):
        alone = fit(
            keys[i],
            MODEL,
            OPTIMIZER,
            few._replace(labels=labels[i]),
            FitConfig(ensemble=Ensemble(rate=float(rates[i])), **common),
        )
        np.testing.assert_allclose(together.history.loss[..., i], alone.history.loss, rtol=1e-4)
        for a, b in zip(jax.tree.leaves(alone.state.variables), jax.tree.leaves(together.state.variables), strict=True):
            np.testing.assert_allclose(b[i], a, rtol=1e-3, atol=1e-5)
    # Members differ by key, rate and labels.
    assert len({float(value) for value in together.history.loss[-1, -1]}) == 3


def test_initial_scale(few: Split) -> None:
    small, large = fit(
        jax.random.split(KEY, 2),
        MODEL,
        optax.sgd(0.0),
        few,
        FitConfig(epochs=1, ensemble=Ensemble(scale=np.array([1.0, 3.0])), title=None),
    ).state.variables["params"]["dense_1"]["kernel"]
    expected = [init_state(key, MODEL, OPTIMIZER, few.images, 1.0) for key in jax.random.split(KEY, 2)]
    np.testing.assert_allclose(small, expected[0].variables["params"]["dense_1"]["kernel"], rtol=1e-6)
    np.testing.assert_allclose(large, 3 * expected[1].variables["params"]["dense_1"]["kernel"], rtol=1e-6)


def test_divergence_names_step_and_metric(few: Split) -> None:
    with pytest.raises(DivergedError, match=r"loss is (nan|inf) at step [2-9] \(epoch 1\): lower the learning rate"):
        fit(KEY, MLP(10, activation="relu"), optax.sgd(1e20), few, FitConfig(epochs=2, batch=10, title=None))


def test_a_diverged_member_does_not_stop_the_others(few: Split) -> None:
    rates = np.array([1e20, 0.1], np.float32)
    fitted = fit(
        jax.random.split(KEY, 2),
        MODEL,
        optax.sgd(1.0),
        few,
        FitConfig(epochs=40, batch=20, ensemble=Ensemble(rate=rates), until=0.5, title=None),
    )
    assert not np.isfinite(fitted.history.loss[-1, -1, 0])
    assert np.isfinite(fitted.history.loss[..., 1]).all()
    assert fitted.history.train_accuracy[-1, 1] >= 0.5


class Watch(nn.Module):
    """Logits from the whole batch's mean, to see what a network is shown."""

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool = False) -> jax.Array:
        return nn.Dense(10)(nn.BatchNorm(use_running_average=not train)(images.reshape(len(images), -1)))


@pytest.mark.parametrize(
    "model",
    [
        CNN(10, embedding=8),
        pytest.param(ResNet(10, blocks=1), marks=pytest.mark.slow),
        RandomFeatures(10, features=30),
        Watch(),
    ],
    ids=repr,
)
def test_models_with_dropout_statistics_and_fixed_weights_train(few: Split, model: nn.Module) -> None:
    fitted = fit(KEY, model, optax.adam(1e-2), few, FitConfig(epochs=4, batch=40, augment=CropFlip(1, flip=False), title=None))
    assert fitted.history.loss[-1].mean() < fitted.history.loss[0, 0]
    before = init_state(KEY, model, OPTIMIZER, few.images).variables
    for name in set(before) - {"params"}:
        assert leaves_equal(fitted.state.variables[name], before[name]) == (name == "fixed")


def test_augmentation_is_what_the_network_sees(few: Split) -> None:
    runs = [fit(KEY, MODEL, OPTIMIZER, few, FitConfig(epochs=1, batch=50, augment=how, title=None)) for how in (None, _dark)]
    blank = few._replace(images=np.zeros_like(few.images))
    expected = fit(KEY, MODEL, OPTIMIZER, blank, FitConfig(epochs=1, batch=50, title=None))
    np.testing.assert_array_equal(runs[1].history.loss, expected.history.loss)
    assert not np.array_equal(runs[0].history.loss, expected.history.loss)


def _dark(key: jax.Array, images: jax.Array) -> jax.Array:
    return 0 * images


def test_metrics_are_written_a_line_an_epoch(few: Split, tmp_path: Path) -> None:
    lines: list[dict] = []
    fit(KEY, MODEL, OPTIMIZER, few, FitConfig(epochs=2, title=None), test=few, on_epoch=lines.append)
    assert [(line["epoch"], line["step"]) for line in lines] == [(1, 1), (2, 2)]
    assert set(lines[0]) == {"epoch", "step", "loss", "accuracy", "test_loss", "test_accuracy"}
    run = record.Run(tmp_path, 0.0)
    run.metric(**lines[1])
    assert json.loads((tmp_path / "metrics.jsonl").read_text())["test_accuracy"] == lines[1]["test_accuracy"]


def test_progress_shows_loss_accuracy_speed_and_time(few: Split, capsys: pytest.CaptureFixture[str]) -> None:
    fit(KEY, MODEL, OPTIMIZER, few, FitConfig(epochs=2, batch=50), test=few)
    line = capsys.readouterr().err.splitlines()[-1]
    for word in ("training: 400/400 images", "epoch 2", "loss", "accuracy", "test", "/s", "done in"):
        assert word in line


@pytest.mark.parametrize(
    "optimizer",
    [optax.chain(optax.adam(1e-2), optax.contrib.reduce_on_plateau()), optax.lbfgs(), optax.polyak_sgd()],
    ids=["reduce_on_plateau", "lbfgs", "polyak_sgd"],
)
def test_optimizers_that_look_at_the_loss(few: Split, optimizer: optax.GradientTransformation, tmp_path: Path) -> None:
    config = FitConfig(epochs=2, batch=100, title=None, checkpoint=tmp_path)
    loss = fit(KEY, MODEL, optimizer, few, config).history.loss
    assert loss[-1, -1] < loss[0, 0]


MESHES = """
import jax, numpy as np, optax
from hullx.data import load
from hullx.models import MLP
from hullx.training import Ensemble, FitConfig, fit
train = load("digits").train.take(np.arange(256))
common = dict(epochs=2, batch=64, title=None)
for key, shape, axes in (
    (jax.random.key(0), (8,), ("data",)),
    (jax.random.split(jax.random.key(0), 4), (2, 4), ("data", "members")),
):
    one = fit(key, MLP(10), optax.adam(1e-3), train, FitConfig(**common))
    mesh = jax.make_mesh(shape, axes)
    many = fit(key, MLP(10), optax.adam(1e-3), train, FitConfig(mesh=mesh, **common))
    np.testing.assert_allclose(one.history.loss, many.history.loss, rtol=1e-4)
    again = fit(key, MLP(10), optax.adam(1e-3), train, FitConfig(mesh=mesh, **common))
    np.testing.assert_array_equal(again.history.loss, many.history.loss)
    assert len(many.state.step.sharding.device_set) == 8
print("passed")
"""


@pytest.mark.slow
def test_eight_devices_train_as_one() -> None:
    environment = os.environ | {"XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=8"}
    done = subprocess.run([sys.executable, "-c", MESHES], capture_output=True, text=True, env=environment)
    assert done.stdout.strip() == "passed", done.stderr
