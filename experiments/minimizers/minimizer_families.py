"""Families of minimizers of one training loss, by descent: shared by the experiments on minimizers.

A family is a set of networks trained in one way; all of its minimizers have every training image right. All families are
evaluated at the same points inside and outside the hull of the training images.
"""

from __future__ import annotations

from collections.abc import Sized
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import numpy as np
import optax

from hullx import runs
from hullx.data import CropFlip, Sample, Split
from hullx.data.corruptions import relabelled
from hullx.errors import ArgumentError, DivergedError
from hullx.training import Ensemble, FitConfig, fit, init_state

from . import evaluation_setup
from .evaluation_setup import EvaluationSetup

ADAM, SGD, MOMENTUM = "adam", "sgd", "momentum"
UNITS = 128  # in each of two hidden layers


@dataclass(frozen=True)
class Config(evaluation_setup.Config):
    """Settings of experiments on families.

    Attributes:
        families: names of ways to train.
        members: number of networks in each family.
        epochs: largest number of epochs.
    """

    families: tuple[str, ...] = ("Adam", "initial weights × 3", "poisoned, half as many")
    members: int = 3
    epochs: int = 300


@dataclass(frozen=True)
class Recipe:
    """A way to train a network.

    Attributes:
        optimizer: adam (with decoupled weight decay), sgd, or momentum (sgd with momentum 0.9).
        rate: learning rate.
        batch: images per step.
        decay: weight decay.
        shifted: whether training shifts images by up to a pixel.
        scale: factor on the initial weights.
        poison: wrongly labelled images to fit in addition, in multiples of the training set (Huang et al. 2020).
        poisoned_start: whether training begins at a network fitted to random labels (Liu et al. 2020).
    """

    optimizer: str = ADAM
    rate: float = 1e-3
    batch: int = 64
    decay: float = 0.0
    shifted: bool = False
    scale: float = 1.0
    poison: float = 0.0
    poisoned_start: bool = False


FAMILIES = {
    "Adam": Recipe(),
    "SGD": Recipe(SGD, 0.1),
    "SGD, small batches": Recipe(SGD, 0.1, batch=8),
    "momentum": Recipe(MOMENTUM, 0.05),
    "weight decay": Recipe(decay=1.0),
    "initial weights × 3": Recipe(scale=3.0),
    "poisoned start": Recipe(poisoned_start=True),
    "poisoned, 5%": Recipe(poison=0.05),
    "poisoned, 10%": Recipe(poison=0.1),
    "poisoned, 25%": Recipe(poison=0.25),
    "poisoned, half as many": Recipe(poison=0.5),
    "poisoned, as many": Recipe(poison=1.0),
    "poisoned, twice as many": Recipe(poison=2.0),
}
PRESETS = {
    "smoke": Config(families=("Adam", "poisoned, half as many")),
    "cpu": Config(data=Sample("mnist:3000:3000"), points=1000, queries=300, families=tuple(FAMILIES), members=12, epochs=400),
    "paper": Config(data=Sample("mnist:15000"), points=5000, queries=1000, families=tuple(FAMILIES), members=40, epochs=1000),
}


@cache  # families with the same settings share one object, and its compiled programs
def make_optimizer(name: str, rate: float, decay: float) -> optax.GradientTransformation:
    """The optimizer with this name, rate and weight decay."""
    if name == ADAM:
        return optax.adamw(rate, weight_decay=decay)
    momentum = 0.9 if name == MOMENTUM else None
    return optax.chain(optax.add_decayed_weights(decay), optax.sgd(rate, momentum))


@partial(jax.jit, static_argnames=("model", "optimizer"))
def initial_variables(
    keys: jax.Array, image: jax.Array, scale: float, *, model: nn.Module, optimizer: optax.GradientTransformation
) -> Any:
    """The initial variables of a family's members."""
    return jax.vmap(lambda key: init_state(key, model, optimizer, image, scale).variables)(keys)


class TrainedFamily(NamedTuple):
    """The members of a family.

    - variables, initial: final and initial variables of members without a training error, regardless of poison.
    - members: number of these members.
    """

    variables: Any
    initial: Any
    members: int


def train_family(run: runs.Run[Any], name: str, recipe: Recipe, model: nn.Module, setup: EvaluationSetup) -> TrainedFamily:
    """Train a family until all members fit all training images and poison, or for `epochs`; record it.

    Args:
        run: has settings with members, epochs and a seed, and stores checkpoints.
        name: with the seed, it determines all random choices.
    """
    config, train, m = run.config, setup.train, run.config.members
    rng, classes = runs.generator(config.seed, "family", name), setup.classes
    keys = jax.random.split(jax.random.key(rng.integers(2**31)), m)
    optimizer, poison = make_optimizer(recipe.optimizer, recipe.rate, recipe.decay), round(recipe.poison * len(train.images))
    if poison > (left := len(setup.pool.images)):
        raise ArgumentError(f"--points: {name!r} needs {poison:,} more images, but only {left:,} remain: lower it")
    spoiled = setup.pool.take(np.arange(poison))
    wrong = (spoiled.labels + rng.integers(1, classes, (m, len(spoiled.labels)))) % classes  # differs by member
    labels = np.concatenate([np.broadcast_to(train.labels, (m, len(train.labels))), wrong], 1).astype(np.int32)
    initial = initial_variables(keys, train.images[:1], recipe.scale, model=model, optimizer=optimizer)
    augment, start = CropFlip(padding=1, flip=False) if recipe.shifted else None, None
    settings = FitConfig(config.epochs, recipe.batch, augment, until=1.0, ensemble=Ensemble(scale=recipe.scale))
    right, epochs, variables = np.zeros(m, bool), config.epochs, initial
    try:
        if recipe.poisoned_start:
            random = np.stack([relabelled(rng, train.labels, classes, 1.0) for _ in range(m)])
            first, title = Split(train.images, random), f"{name}, random labels"
            first_settings = replace(settings, checkpoint=run.resume_dir(title), title=title)
            start = initial = fit(keys, model, optimizer, first, first_settings).state.variables
        every = Split(np.concatenate([train.images, spoiled.images]), labels)
        settings = replace(settings, checkpoint=run.resume_dir(name), title=name)
        found = fit(keys, model, optimizer, every, settings, start=start)
    except DivergedError:
        pass  # every member diverged: all count as failed
    else:
        variables, epochs = found.state.variables, len(found.history.loss)
        right = (setup.labels(model, variables, train.rows) == train.labels).all(1) & np.isfinite(found.history.loss[-1, -1])
    run.record("failed", ~right, data=setup.title, group=name, statistic="count")
    run.record("epochs", epochs, data=setup.title, group=name)
    variables, initial = (jax.tree.map(lambda leaf: leaf[right], each) for each in (variables, initial))
    return TrainedFamily(variables, initial, int(right.sum()))


def check_any(found: Sized) -> None:
    """Check that some family has minimizers to compare.

    Raises:
        ArgumentError: no family has any.
    """
    if not found:
        raise ArgumentError("no family has two networks without a training error: raise --epochs")
