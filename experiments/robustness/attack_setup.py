"""Networks for attacks, and projections onto the hull of their training set: shared by the experiments on robustness."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

import hullx
from experiments.shared.networks import adam
from hullx import probes, runs
from hullx.data import Dataset, Sample, Split
from hullx.probes.attacks import PGD, Budget, pgd
from hullx.runs import plotting
from hullx.training import FitConfig, fit

from .recipes import BATCH, NETWORKS, RATE, RECIPES

PLAIN, ADVERSARIAL, NOISE = "plain", "adversarial", "noise"
TRAININGS = PLAIN, ADVERSARIAL, NOISE
ASCENT = 7  # steps of the attack in training, of 2.5 ε / 7 each


@dataclass(frozen=True)
class Config(runs.Config):
    """Settings of experiments on attacks.

    Attributes:
        data: a data set, as in hullx.data.Sample; its training images are learned and span the hull.
        network: mlp, lenet, or another of `recipes.NETWORKS`.
        epochs: epochs of training; the first half of adversarial training uses half of epsilon.
        epsilon: L∞ radius of the perturbations in training, for pixels in [0, 1].
        trained: folder of plainly trained networks; a later experiment with the same settings loads them from there.
    """

    data: Sample = Sample("digits:1437:120")
    network: str = "mlp"
    epochs: int = 20
    epsilon: float = 0.1
    trained: Path | None = None


# The networks that all experiments on CIFAR-10 share.
CIFAR: dict[str, Any] = {"network": "batch_norm_cnn", "epochs": 5, "trained": Path("runs/networks")}


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


def train_networks(config: Config, run: runs.Run[Any], data: Dataset, count: int) -> tuple[nn.Module, Any]:
    """Train networks on plain images; return their model, and variables with an axis of networks."""
    model, recipe = NETWORKS[config.network].make(len(data.classes)), RECIPES[config.network]
    keys = jax.vmap(lambda i: jax.random.fold_in(jax.random.key(config.seed), i))(jnp.arange(count))
    optimizer = recipe.optimizer(config.epochs * max(len(data.train.labels) // BATCH, 1))

    def train(key: jax.Array, name: str) -> Any:
        folder = run.resume_dir(name) if config.trained is None else config.trained / runs.slug(f"{described} {name}")
        settings = FitConfig(config.epochs, BATCH, augment=recipe.augment, checkpoint=folder, title=name)
        return fit(key, model, optimizer, data.train, settings).state.variables

    described = f"{config.network}, {plotting.data_name(data.title)}, {len(data.train.labels)} images, {config.epochs} epochs"
    if recipe.together:
        return model, train(keys, f"{count} networks, seed {config.seed}")
    each = [train(key, f"network {i + 1}, seed {config.seed}") for i, key in enumerate(keys)]
    return model, jax.tree.map(lambda *leaves: jnp.stack(leaves), *each)


def train_network(config: Config, run: runs.Run[Any], data: Dataset, training: str = PLAIN) -> Network:
    """Train one network on plain images, against an adversary, or with noise."""
    make, last = NETWORKS[config.network]
    if training == PLAIN:
        model, variables = train_networks(config, run, data, 1)
        return Network(model, jax.tree.map(lambda leaf: leaf[0], variables), last)
    model, start, half = make(len(data.classes)), None, config.epochs // 2
    stages: list[tuple[int, Any]] = [(config.epochs, Noise(config.epsilon))]
    if training == ADVERSARIAL:  # with all of ε from the start a network may learn nothing
        stages = [(half, Ascent(model, config.epsilon / 2)), (config.epochs - half, Ascent(model, config.epsilon))]
    for i, (epochs, adversary) in enumerate(stages):
        name = f"{training} training, part {i + 1}"
        settings = FitConfig(epochs, BATCH, adversary=adversary, checkpoint=run.resume_dir(name), title=name)
        start = fit(jax.random.key(config.seed + i), model, adam(RATE), data.train, settings, start=start).state.variables
    return Network(model, start, last)


def correctly_classified(network: Network, split: Split) -> Split:
    """The images that a network classifies correctly; only these can be attacked."""
    given: dict[str, Any] = {"model": network.model, "members": False}
    logits = probes.logits(network.variables, jnp.asarray(split.images), **given)
    return split.take(np.flatnonzero(np.asarray(logits.argmax(-1)) == split.labels))


def project_images(config: Config, run: runs.Run[Any], data: Dataset, images: np.ndarray, name: str) -> hullx.Projection:
    """Project images onto the hull of the training images."""
    rows = np.ascontiguousarray(np.asarray(images, np.float32).reshape(len(images), -1))
    return hullx.sweep(rows, data.train.rows, rtol=config.rtol, resume=run.resume_dir(name), progress=name)
