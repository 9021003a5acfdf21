"""Can over-parameterized networks fit anything, and where are the test images relative to the hull?

Claim (Zhang et al. 2017, "Understanding deep learning requires rethinking generalization"): the same networks fit true labels,
partly corrupted and random labels, shuffled and random pixels, and Gaussian noise. There, Inception is tested on all of these;
the MLPs are tested on true and random labels, where the one with one hidden layer reaches 99.34%.
Added here: the distance of the test images to the hull of the training images for each kind of pixels. Labels do not enter
that distance, so it is the same where networks reach their best test accuracy and where it is at chance.

    python -m experiments.memorization                      300 digits, seconds, no download
    python -m experiments.memorization cpu                  CIFAR-10, 5,000 images, minutes
    python -m experiments.memorization paper                CIFAR-10 in full, and a small AlexNet; hours on a CPU
    python -m experiments.memorization paper --models "mlp 3×512" --conditions "true labels" "random labels" --seeds 1

As published: 28 × 28 centre crop, images whitened, SGD with momentum 0.9, learning rate × 0.95 an epoch, no augmentation, no
weight decay. Examples show that networks *can* fit: the verdict concerns the trained networks, and holds in part at 99% right.
A test accuracy is as published if its interval is within two points.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

import flax.linen as nn
import jax
import numpy as np
import optax

import hullx
from hullx import runs
from hullx.data import Dataset, Sample, Split, centre_crop, corrupted, whitened
from hullx.data.corruptions import CONDITIONS, LABEL_CONDITIONS, RANDOM, TRUE
from hullx.models import MLP, SmallAlexNet
from hullx.runs import plotting
from hullx.training import FitConfig, fit

# Table 1 of Zhang et al., CIFAR-10 without augmentation or weight decay: test accuracy.
PUBLISHED = {
    "mlp 1×512": {TRUE: 0.5051, RANDOM: 0.1061},
    "mlp 3×512": {TRUE: 0.5239, RANDOM: 0.1048},
    "small alexnet": {TRUE: 0.7607, RANDOM: 0.0986},
}
# Initial learning rates: 0.01 for the MLPs, 0.1 for the others (Zhang et al., section A).
MODELS: dict[str, tuple[type[nn.Module], dict[str, int], float]] = {
    "mlp 1×512": (MLP, {"depth": 1, "width": 512}, 0.01),
    "mlp 3×512": (MLP, {"depth": 3, "width": 512}, 0.01),
    "small alexnet": (SmallAlexNet, {}, 0.1),
}
CURVES = "model", "condition", "step", "loss", "train", "test"
SOURCE, NEARLY, CLOSE = "Zhang et al. 2017", 0.99, 0.02
UNCHANGED, AS_THEY_ARE, ALIKE = "unchanged pixels", "test images as they are", "test images corrupted alike"


@dataclass(frozen=True)
class Config(runs.Config):
    """Settings of the experiment.

    Attributes:
        data: a data set, as in hullx.data.Sample: digits, cifar10, cifar10:5000, npz:PATH.
        models: any of "mlp 1×512", "mlp 3×512", "small alexnet".
        conditions: any of hullx.data.CONDITIONS.
        share: share of labels replaced under "partly corrupted labels".
        crop: side of the central crop; None for whole images.
        epochs: largest number of epochs; training stops when each network fits all training images.
        batch: images per step.
        decay: factor on the learning rate per epoch.
        seeds: number of networks of each kind on each condition.
        projected: number of test images whose hull distance is measured.
    """

    data: Sample = Sample("digits:300")
    models: tuple[str, ...] = ("mlp 1×512",)
    conditions: tuple[str, ...] = CONDITIONS
    share: float = 0.5
    crop: int | None = None
    epochs: int = 400
    batch: int = 16
    decay: float = 0.995
    seeds: int = 3
    projected: int = 360


CIFAR = Config(
    data=Sample("cifar10"), models=tuple(MODELS)[:2], crop=28, epochs=300, batch=128, decay=0.95, seeds=1, projected=1000
)
PRESETS = {
    "smoke": Config(),
    "cpu": replace(CIFAR, data=Sample("cifar10:5000"), batch=32, decay=0.98, epochs=150, projected=300),
    "paper": replace(CIFAR, models=tuple(MODELS), seeds=3),
}


def measure(config: Config, run: runs.Run[Config]) -> None:
    """Train each model on each condition, then measure the hull distances."""
    runs.known("--models", config.models, MODELS)
    runs.known("--conditions", config.conditions, CONDITIONS)
    data = config.data.load(seed=config.seed, data_dir=config.data_dir)
    if config.crop is not None:
        train, test = (np.ascontiguousarray(centre_crop(split.images, config.crop)) for split in (data.train, data.test))
        data = data._replace(train=data.train._replace(images=train), test=data.test._replace(images=test))
    # One generator per condition, so that a condition does not depend on the others.
    generators = {name: runs.generator(config.seed, "condition", name) for name in config.conditions}
    sets = {name: corrupted(random, data, name, share=config.share) for name, random in generators.items()}
    curves = []
    for model in config.models:
        module, fields, rate = MODELS[model]
        network = module(len(data.classes), **fields)
        schedule = optax.exponential_decay(rate, len(data.train.images) // config.batch, config.decay, staircase=True)
        optimizer = optax.sgd(schedule, momentum=0.9)  # one for all conditions: another object would compile again
        for condition, changed in sets.items():
            history = train_network(config, run, network, optimizer, changed, f"{model}, {condition}")
            means = (each.mean(-1) for each in (history.loss.mean(1), history.train_accuracy, history.test_accuracy))
            steps = history.loss.shape[1] * np.arange(1, len(history.loss) + 1)
            curves += [(model, condition, *row) for row in zip(steps, *means, strict=True)]
            run.tabulate("curves", CURVES, curves)
    distances, pixels = {}, {UNCHANGED: data} | {name: sets[name] for name in sets if name not in LABEL_CONDITIONS}
    for name, changed in pixels.items():
        for way, split in {AS_THEY_ARE: data.test, ALIKE: changed.test}.items():
            if changed is data and way == ALIKE:
                continue  # the same images
            title, points, part = f"{name}, {way}", changed.train.rows, split.rows[: config.projected]
            result = hullx.sweep(part, points, rtol=config.rtol, resume=run.resume_dir(title), progress=title)
            distances[runs.slug(title)] = result.distance
            run.distances(result, data=data.title, group=title)
    run.arrays("distances", **distances)


def train_network(config: Config, run: runs.Run[Config], network: nn.Module, optimizer, data: Dataset, title: str):
    """Train all seeds' networks on one condition in one program; return their history."""
    keys = jax.random.split(jax.random.key(config.seed), config.seeds)
    train, test = (Split(whitened(split.images), split.labels) for split in (data.train, data.test))
    settings = FitConfig(config.epochs, config.batch, until=1.0, checkpoint=run.resume_dir(title), title=title)
    metric = partial(run.metric, group=title)
    history = fit(keys, network, optimizer, train, settings, test=test, on_epoch=lambda numbers: metric(**numbers)).history
    record = partial(run.record, data=data.title, group=title)
    record("epochs", len(history.loss))
    record("training accuracy", history.train_accuracy[-1], unit="share")
    record("least training accuracy", history.train_accuracy[-1], statistic="min", unit="share")
    record("test accuracy", history.test_accuracy[-1], unit="share")
    record("failed", ~np.isfinite(history.loss[-1, -1]), statistic="count")
    return history


def claims(results: runs.Results) -> Iterator[runs.Claim]:
    """Whether each condition is fitted, and test accuracies as published."""
    (data,) = results.names("data")
    least = min(results.select(quantity="least training accuracy"), key=lambda row: row.value)
    verdict = runs.HOLDS if least.value == 1 else runs.IN_PART if least.value >= NEARLY else runs.FAILS
    seeds = results.config["seeds"]
    about = {"data": data, "unit": "%", "networks": seeds, "seeds": seeds}
    every = about | {"networks": results.total("failed")[1]}
    name, note = "every condition is fitted", "" if least.value == 1 else f"least: {least.group}"
    yield runs.Claim.of(least.estimate, name, SOURCE, "100% by every network", verdict, note=note, **every)
    for row in results.select(quantity="test accuracy") if data.startswith("CIFAR-10") and "," not in data else ():
        model, condition = row.group.split(", ")
        if published := PUBLISHED[model].get(condition):
            name, verdict = f"{row.group}: as published", runs.within(row.estimate, published - CLOSE, published + CLOSE)
            yield runs.Claim.of(row.estimate, name, SOURCE, f"{published:.2%}", verdict, **about)


def figures(results: runs.Results) -> plotting.Figures:
    """Learning curves of all conditions, as figure 1 of Zhang et al.; and hull distances by condition."""
    config, table = results.config, results.table("curves")
    data, models = plotting.data_name(results.rows[0].data), config["models"]
    title = f"{data}: networks fit true and corrupted data alike; they differ on test images"
    drawn, axes = plotting.figure(len(models), 2, size=(9, 1.6 + 2.6 * len(models)), title=title)
    for (left, right), model in zip(axes, models, strict=True):
        mine = {name: values[table["model"] == model] for name, values in table.items()}
        for place, quantity in ((left, "train"), (right, "test")):
            plotting.lines(place, mine, "step", quantity, by="condition", names=config["conditions"])
            place.set(ylabel=f"{quantity}ing accuracy".replace("testing", "test"), ylim=(0, 1.02), title=model)
        for place in (left, right):
            place.set_xlabel("step")
    drawn.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    yield "curves", drawn
    distances = {row.group: results.arrays("distances")[runs.slug(row.group)] for row in results.select(quantity="distance")}
    title = f"{data}: corrupted pixels move the hull of the training images; corrupted labels cannot"
    yield "distances", plotting.box_panels(title, {"": distances}, "distance to the hull (pixels in [0, 1])")


experiment = runs.Experiment(Config, PRESETS, measure, claims, figures)
if __name__ == "__main__":
    experiment.main()
