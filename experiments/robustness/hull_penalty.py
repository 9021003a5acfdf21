"""Can differentiating through hull distances train a network to keep its features in a hull?

A Flax network learns to classify the digits. Its penalty is the mean distance of its features to the hull of other training
images' features, so the gradient reaches both queries and points. Features have zero mean and unit variance and cannot shrink
into a hull. Claim: the penalty moves the features of test images towards the hull of the training images' features (by half or
more), at equal accuracy (at most one percent less). Networks with and without the penalty are paired and begin with the same
weights.

    python -m experiments.hull_penalty                      2 pairs, 13 seconds, mostly compilation
    python -m experiments.hull_penalty cpu                  10 pairs, an hour
    python -m experiments.hull_penalty paper                30 pairs
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

import hullx
from hullx import runs
from hullx.data import Dataset, Sample
from hullx.runs import plotting
from hullx.runs.progress import progress

GROUPS = WITHOUT, WITH = "without penalty", "with penalty"
FEATURES, BATCH, QUERIES = 16, 160, 16
# Largest loss of equal accuracy.
LOSS = 0.01


@dataclass(frozen=True)
class Config(runs.Config):
    """Settings of the experiment.

    Attributes:
        data: a data set of few pixels, as in hullx.data.Sample.
        networks: number of networks with the penalty, and of those without it.
        penalty: the penalty's factor in the loss.
        steps: steps of training.
    """

    data: Sample = Sample("digits")
    networks: int = 4
    penalty: float = 0.3
    steps: int = 300


PRESETS = {
    "smoke": Config(networks=2, steps=60),
    "cpu": Config(networks=10, steps=1000),
    "paper": Config(networks=30, steps=1000),
}


class Classifier(nn.Module):
    """A network with a hidden layer, normalised features and a linear head."""

    classes: int

    @nn.compact
    def __call__(self, images: jax.Array) -> tuple[jax.Array, jax.Array]:
        hidden = nn.relu(nn.Dense(64)(images))
        features = nn.LayerNorm(use_bias=False, use_scale=False)(nn.Dense(FEATURES)(hidden))
        return features, nn.Dense(self.classes)(features)


def measure(config: Config, run: runs.Run[Config]) -> None:
    """Train all networks in one program, then measure the hull distances of their test features."""
    data = config.data.load(seed=config.seed, data_dir=config.data_dir)
    found = run.cached("networks", train_networks, config, data)
    columns = {f"{group} {what}": [] for group in GROUPS for what in ("accuracy", "distance", "inside")}
    for i, group in enumerate(GROUPS):
        mine, undecided = slice(i * config.networks, (i + 1) * config.networks), 0
        for j in range(mine.start, mine.stop):
            result = hullx.sweep(found["test"][j], found["train"][j], rtol=config.rtol, progress=f"{group}, network {j + 1}")
            columns[f"{group} accuracy"].append((found["logits"][j].argmax(1) == data.test.labels).mean())
            columns[f"{group} distance"].append(result.distance.mean())
            columns[f"{group} inside"].append((result.status == hullx.Status.INSIDE).mean())
            undecided += int((~result.decided).sum())
        run.record("test accuracy", columns[f"{group} accuracy"], data=data.title, group=group, unit="share")
        run.record("distance of test features", columns[f"{group} distance"], data=data.title, group=group)
        run.record("share inside", columns[f"{group} inside"], data=data.title, group=group, unit="share")
        counted = runs.Estimate(undecided, np.nan, np.nan, config.networks * len(data.test.labels), "count")
        run.record("undecided", counted, data=data.title, group=group)
        failed = np.array([not np.isfinite(logits).all() for logits in found["logits"][mine]])
        run.record("failed", failed, data=data.title, group=group, statistic="count")
    run.table("networks", columns)


def train_networks(config: Config, data: Dataset) -> dict[str, np.ndarray]:
    """Features of training and test images, and test logits, of all networks: those without the penalty first."""
    images, labels = jnp.asarray(data.train.rows), jnp.asarray(data.train.labels)
    model, optimizer = Classifier(len(data.classes)), optax.adam(3e-3)

    def loss(parameters: Any, factor: jax.Array, key: jax.Array) -> jax.Array:
        chosen = jax.random.choice(key, len(images), (BATCH,), replace=False)
        features, logits = cast(tuple[jax.Array, jax.Array], model.apply(parameters, images[chosen]))
        entropy = optax.softmax_cross_entropy_with_integer_labels(logits, labels[chosen]).mean()
        # Part of the batch against the hull of the rest.
        return entropy + factor * hullx.distance(features[:QUERIES], features[QUERIES:]).mean()

    def train(key: jax.Array, factor: jax.Array) -> Any:
        first, rest = jax.random.split(key)
        parameters = model.init(first, images[:1])

        def step(carry: tuple[Any, Any], key: jax.Array) -> tuple[tuple[Any, Any], None]:
            parameters, state = carry
            updates, state = optimizer.update(jax.grad(loss)(parameters, factor, key), state)
            return (optax.apply_updates(parameters, updates), state), None

        keys = jax.random.split(rest, config.steps)
        return jax.lax.scan(step, (parameters, optimizer.init(parameters)), keys)[0][0]

    keys = jax.random.split(jax.random.key(config.seed), config.networks)
    factors = jnp.repeat(jnp.array([0.0, config.penalty]), config.networks)
    with progress("networks", 1, "programs") as report:
        parameters = jax.block_until_ready(jax.jit(jax.vmap(train))(jnp.concatenate([keys, keys]), factors))
        report(1)
    apply = jax.jit(jax.vmap(model.apply, (0, None)))
    (hulls, _), (features, logits) = apply(parameters, images), apply(parameters, jnp.asarray(data.test.rows))
    return {name: np.asarray(values) for name, values in {"train": hulls, "test": features, "logits": logits}.items()}


def claims(results: runs.Results) -> Iterator[runs.Claim]:
    """Test features are nearer to the hull, at equal accuracy."""
    table, data = results.table("networks"), results.rows[0].data
    near, far = (table[f"{group} distance"] for group in (WITH, WITHOUT))
    ratio = runs.mean_interval(near / far)
    images = results.total("undecided")[1] // (2 * ratio.n)
    about: dict[str, Any] = {"data": data, "networks": 2 * ratio.n, "images": images, "seeds": ratio.n}
    verdict = runs.below(ratio, 0.5)
    yield runs.Claim.of(ratio, "test features are nearer to the hull", "here", "by half or more", verdict, **about)
    right = runs.difference_interval(table[f"{WITH} accuracy"], table[f"{WITHOUT} accuracy"], paired=True)
    name, expected, note = "test accuracy is equal", f"−{LOSS:.0%} or more", "difference of accuracy"
    yield runs.Claim.of(right, name, "here", expected, runs.above(right, -LOSS), note=note, unit="%", **about)


def figures(results: runs.Results) -> plotting.Figures:
    """One line per pair of networks: distance and accuracy without and with the penalty."""
    table = results.table("networks")
    title = f"{results.rows[0].data}: pairs of networks with the same initial weights, without and with a hull penalty"
    drawn, axes = plotting.figure(1, 2, size=(8, 3.6), title=title)
    labels = {"distance": "mean distance of test features to the hull", "accuracy": "test accuracy"}
    for place, (quantity, label) in zip(axes[0], labels.items(), strict=True):
        place.plot(GROUPS, [table[f"{group} {quantity}"] for group in GROUPS], color=plotting.COLOURS[0], marker="o", alpha=0.6)
        place.set(ylabel=label, xlim=(-0.3, 1.3))
    axes[0, 0].set_ylim(0, None)
    yield "pairs", drawn


experiment = runs.Experiment(Config, PRESETS, measure, claims, figures)
if __name__ == "__main__":
    experiment.main()
