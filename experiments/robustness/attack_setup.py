"""Networks for attacks, and projections onto the hull of their training set: shared by the experiments on robustness."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

import hullx
from experiments.shared.networks import NETWORKS, adam
from hullx import runs
from hullx.data import Dataset, Sample, Split
from hullx.probes.attacks import PGD, Budget, pgd
from hullx.training import FitConfig, fit

PLAIN, ADVERSARIAL, NOISE = "plain", "adversarial", "noise"
TRAININGS = PLAIN, ADVERSARIAL, NOISE
RATE, BATCH = 1e-3, 128
ASCENT = 7  # steps of the attack in training, of 2.5 ε / 7 each


@dataclass(frozen=True)
class Config(runs.Config):
    """Settings of experiments on attacks.

    Attributes:
        data: a data set, as in hullx.data.Sample; its training images are learned and span the hull.
        network: mlp, lenet, or another of `experiments.shared.networks`.
        epochs: epochs of training; the first half of adversarial training uses half of epsilon.
        epsilon: L∞ radius of the perturbations in training, for pixels in [0, 1].
    """

    data: Sample = Sample("digits:1437:120")
    network: str = "mlp"
    epochs: int = 20
    epsilon: float = 0.1


@dataclass(frozen=True)
class Ascent:
    """Projected gradient ascent as the adversary in training (Madry et al. 2018)."""

    model: nn.Module
    epsilon: float

    def __call__(self, variables: Any, images: jax.Array, labels: jax.Array, key: jax.Array) -> jax.Array:
        """Return the perturbed images."""
        budget, settings = Budget("linf", self.epsilon), PGD(ASCENT, early_stop=False)
        return pgd(self.model.apply, variables, images, labels, key, budget=budget, settings=settings).images


@dataclass(frozen=True)
class Noise:
    """Random perturbations of the same size: each pixel moves up or down by ε."""

    epsilon: float

    def __call__(self, variables: Any, images: jax.Array, labels: jax.Array, key: jax.Array) -> jax.Array:
        """Return the perturbed images."""
        return jnp.clip(images + self.epsilon * jax.random.rademacher(key, images.shape, images.dtype), 0, 1)


class Network(NamedTuple):
    """A trained network; `model.apply` evaluates it on images in [0, 1]."""

    model: nn.Module
    variables: Any
    last: str  # hidden layer


def train_network(config: Config, run: runs.Run[Any], data: Dataset, training: str) -> Network:
    """Train a network on plain images, against an adversary, or with noise."""
    make, last = NETWORKS[config.network]
    model, start, half = make(len(data.classes)), None, config.epochs // 2
    stages: list[tuple[int, Any]] = [(config.epochs, Noise(config.epsilon) if training == NOISE else None)]
    if training == ADVERSARIAL:  # with all of ε from the start a network may learn nothing
        stages = [(half, Ascent(model, config.epsilon / 2)), (config.epochs - half, Ascent(model, config.epsilon))]
    for i, (epochs, adversary) in enumerate(stages):
        name = f"{training} training, part {i + 1}"
        settings = FitConfig(epochs, BATCH, adversary=adversary, checkpoint=run.resume_dir(name), title=name)
        key = jax.random.key(config.seed + i)
        start = fit(key, model, adam(RATE), data.train, settings, test=data.test, start=start).state.variables
    return Network(model, start, last)


def correctly_classified(network: Network, split: Split) -> Split:
    """The images that a network classifies correctly; only these can be attacked."""
    logits: Any = network.model.apply(network.variables, jnp.asarray(split.images))
    return split.take(np.flatnonzero(np.asarray(logits.argmax(-1)) == split.labels))


def project_images(config: Config, run: runs.Run[Any], data: Dataset, images: np.ndarray, name: str) -> hullx.Projection:
    """Project images onto the hull of the training images."""
    rows = np.ascontiguousarray(np.asarray(images, np.float32).reshape(len(images), -1))
    return hullx.sweep(rows, data.train.rows, rtol=config.rtol, resume=run.resume_dir(name), progress=name)
