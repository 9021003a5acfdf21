"""Errors, norms and agreement of models of one size: random features in closed form, and networks with one hidden layer."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from hullx import probes, runs
from hullx.models import MLP, RandomFeatures, representations
from hullx.training import FitConfig, fit

from .evaluation_setup import EvaluationSetup
from .least_squares import decompose, minimum_norm

RATE = 1e-3  # learning rate of Adam
# The measured numbers, and their units.
QUANTITIES = {"training error": "share", "test error": "share", "squared test error": "", "norm": ""}


class Found(NamedTuple):
    """Measurements of models of one size with different seeds.

    - size: trained parameters ÷ (training images · classes).
    - numbers: (quantities, seeds), NaN for models that diverged; the norm is that of the trained parameters.
    - agreement: (places, points), the share of pairs of models that agree.
    - disagreement: (places, seeds), the share of points at which a model disagrees with another, averaged over the others.
    """

    size: float
    numbers: np.ndarray
    agreement: np.ndarray
    disagreement: np.ndarray


def random_features(setup: EvaluationSetup, ratio: float, seeds: int, seed: int) -> Found:
    """Linear heads of minimum norm on random rectified features.

    Args:
        ratio: features ÷ training images.
        seeds: number of models.
        seed: seed of all random draws.
    """
    model, train = RandomFeatures(setup.classes, round(ratio * len(setup.train.labels))), setup.train
    targets, zeros, members = np.eye(setup.classes)[train.labels], jnp.zeros(setup.classes), list[Any]()
    for key in jax.random.split(jax.random.key(seed), seeds):
        fixed = model.init(key, jnp.asarray(train.images[:1]))["fixed"]
        drawn = {"fixed": fixed, "params": {"head": {"kernel": jnp.zeros((model.features, setup.classes)), "bias": zeros}}}
        values = np.asarray(representations(model, drawn, jnp.asarray(train.images))["features"])
        drawn["params"]["head"]["kernel"] = jnp.float32(minimum_norm(decompose(values), targets))
        members.append(drawn)
    variables = jax.tree.map(lambda *leaves: jnp.stack(leaves), *members)
    outputs = probes.logits(variables, jnp.asarray(setup.test.images), model=model)
    return _measure(setup, model, variables, np.asarray(outputs, np.float64), ratio)


def networks(
    setup: EvaluationSetup, width: int, seeds: int, seed: int, *, run: runs.Run[Any], epochs: int, until: float | None
) -> Found:
    """Networks with one hidden layer, trained by Adam; squared errors are those of softmax.

    Args:
        width: width of the hidden layer.
        seeds: number of models.
        seed: seed of all random draws.
        run: stores checkpoints.
        epochs: largest number of epochs.
        until: share of labels that all networks must fit for training to stop; None to train for all epochs.
    """
    stop = "until they fit" if until is not None else "for all epochs"
    model, title = MLP(setup.classes, depth=1, width=width), f"networks of width {width}, {stop}"
    keys, optimizer = jax.random.split(jax.random.key(seed), seeds), optax.adam(RATE)
    settings = FitConfig(epochs, batch=64, until=until, checkpoint=run.resume_dir(title), title=title)
    variables = fit(keys, model, optimizer, setup.train, settings).state.variables
    parameters = sum(leaf[0].size for leaf in jax.tree.leaves(variables["params"]))
    outputs = jax.nn.softmax(probes.logits(variables, jnp.asarray(setup.test.images), model=model))
    size = parameters / (len(setup.train.labels) * setup.classes)
    return _measure(setup, model, variables, np.asarray(outputs, np.float64), size)


def _measure(setup: EvaluationSetup, model: Any, variables: Any, outputs: np.ndarray, size: float) -> Found:
    wrong = (setup.labels(model, variables, setup.train.rows) != setup.train.labels).mean(1)
    squared = ((outputs - np.eye(setup.classes)[setup.test.labels]) ** 2).sum(-1).mean(1)
    squares = [
        (np.asarray(leaf, np.float64) ** 2).reshape(len(leaf), -1).sum(1) for leaf in jax.tree.leaves(variables["params"])
    ]
    norm = np.sqrt(np.sum(squares, axis=0))
    numbers = np.stack([wrong, (outputs.argmax(-1) != setup.test.labels).mean(1), squared, norm])
    predicted = setup.predicted(model, variables)
    agreement = np.stack([probes.pairwise(each, setup.classes) for each in predicted])
    disagreement = np.stack([1 - probes.with_others(each) for each in predicted])
    return Found(size, np.where(np.isfinite(norm), numbers, np.nan), agreement, disagreement)
