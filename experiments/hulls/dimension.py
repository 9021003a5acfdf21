"""At which dimension do test images fall outside the hull of the training images?

Four ways to lower the dimension: the central pixels, the image smoothed and sampled on a coarser grid, principal components
(Balestriero, Pesenti and LeCun 2021, arXiv 2110.09485, figures 3 and 4), and the last hidden layer of a CNN trained separately
for each dimension. Claim: for each way, almost no test image is inside beyond some tens of dimensions.

Shares for the CNN are those of a public repository, github.com/SMHendryx/learning-in-high-dimensions-always-amounts-to-
extrapolation, not of that paper: 60,000 training and 10,000 test images, one network for each dimension, 10 epochs of Adadelta
(rate 1, × 0.7 an epoch, batches of 64). `cpu` trains for one epoch, so its verdicts concern that shorter training.

Fixed before the run: a share is reproduced if the odds of being inside differ by less than a factor of `FACTOR`, by the 95%
interval of the log odds ratio over test images (with ½ added to each count). The published log odds fall by at least 0.4 =
log 1.5 for each dimension from 4 to 30, so this factor is at most one dimension. At 0% or 100% counts are too small to tell.
The interval leaves out that other networks would give other shares; for several networks it is over images, with means over
networks.

    python -m experiments.dimension                         digits, seconds, no download
    python -m experiments.dimension cpu                     MNIST, 60,000 × 10,000, 1 epoch: 25 minutes
    python -m experiments.dimension paper                   10 epochs, 3 seeds; and CIFAR-10 without the CNN

The local intrinsic dimension of the data (by likelihood and by moments, from 20 neighbours) is recorded for comparison.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import jax
import numpy as np
import optax

import hullx
from hullx import runs, spaces
from hullx.data import Dataset, Sample, Split
from hullx.data.preprocessing import standardised
from hullx.geometry import dimension_by_likelihood, dimension_by_moments, neighbours
from hullx.models import CNN
from hullx.runs import plotting
from hullx.training import Fit, FitConfig, fit
from hullx.types import decided

LECUN, HENDRYX = "arXiv 2110.09485", "repository of S. M. Hendryx"
CROP, SUBSAMPLE, COMPONENTS, EMBEDDING = "centre crop", "smoothed and sampled", "principal components", "embedding of a CNN"
PUBLISHED = {2: 1.0, 4: 0.9964, 6: 0.9854, 8: 0.9401, 10: 0.8377, 20: 0.0888, 30: 0.0004, 40: 0.0}
PUBLISHED_DATA, PUBLISHED_IMAGES = "MNIST", 10_000
FACTOR, NONE_INSIDE, ALL_INSIDE = 1.5, 0.005, 0.99
INSIDE, NEIGHBOURS = "share inside", 20


@dataclass(frozen=True)
class Config(runs.Config):
    """Settings of the experiment.

    Attributes:
        data: data sets, as in hullx.data.Sample.
        sides: side lengths of cropped and of subsampled images, in pixels.
        components: numbers of principal components.
        embeddings: dimensions of the CNN's last hidden layer; used on the first data set only.
        epochs: epochs of training.
        seeds: number of networks for each dimension.
    """

    data: tuple[Sample, ...] = (Sample("digits"),)
    sides: tuple[int, ...] = (2, 4)
    components: tuple[int, ...] = (4, 16)
    embeddings: tuple[int, ...] = (4,)
    epochs: int = 2
    seeds: int = 1


SIZES: dict[str, Any] = {"sides": (1, 2, 3, 4, 5, 6, 7), "components": tuple(PUBLISHED)}
PRESETS = {
    "smoke": Config(sides=(4,), components=(16,), embeddings=(16,)),
    "cpu": Config(data=(Sample("mnist"),), **SIZES, embeddings=tuple(PUBLISHED), epochs=1),
    "paper": Config(
        data=(Sample("mnist"), Sample("cifar10")), **SIZES, embeddings=(*PUBLISHED, 50, 100, 128), epochs=10, seeds=3
    ),
}


def measure(config: Config, run: runs.Run[Config]) -> None:
    """Measure the share of test images inside, by way and dimension."""
    for i, sample in enumerate(config.data):
        data = sample.load(seed=config.seed, data_dir=config.data_dir)
        pixels = spaces.Pixels(data.train.images.shape[1:])
        near = run.cached(f"{data.title} neighbours", neighbours, data.test.rows[:1000], data.train.rows, NEIGHBOURS)
        for name, found in (("likelihood", dimension_by_likelihood), ("moments", dimension_by_moments)):
            run.record(f"local dimension by {name}", found(near.distance), data=data.title, statistic="median")
        for side in config.sides:
            record_space(config, run, data, CROP, [spaces.Crop(side)])
            record_space(config, run, data, SUBSAMPLE, [spaces.SmoothSubsample(side)])
        most = spaces.pca(pixels, data.train.images, max(config.components))
        for k in config.components:
            record_space(config, run, data, COMPONENTS, [spaces.components(most, k)])
        for k in config.embeddings if not i else ():
            embed(config, run, data, k)


def record_space(config: Config, run: runs.Run[Config], data: Dataset, way: str, maps: list[spaces.Space]) -> None:
    """Record the share inside a space, or over several spaces of one kind."""
    results = []
    for i, space in enumerate(maps):
        train, test = (spaces.rows(space, split.images) for split in (data.train, data.test))
        name = f"{data.title}, {way}, {test.shape[1]}, {i}"
        results.append(hullx.sweep(test, train, rtol=config.rtol, resume=run.resume_dir(name), progress=name))
    distance, status = (np.array([getattr(each, field) for each in results]) for field in ("distance", "status"))
    inside, undecided = status == hullx.Status.INSIDE, ~np.asarray(decided(status))
    about: dict[str, Any] = {"data": data.title, "group": f"{way}, {results[0].point.shape[1]}"}
    # One value for each image: the mean over networks.
    run.record(INSIDE, inside[0] if len(maps) == 1 else inside.mean(0), **about, unit="share")
    run.record("undecided", undecided.any(0), **about, statistic="count")
    run.record("distance", np.where(inside, 0.0, distance).mean(0), **about)


def embed(config: Config, run: runs.Run[Config], data: Dataset, k: int) -> None:
    """Train CNNs with an embedding of k dimensions, and record the share inside it."""
    train, test = (Split(standardised(part.images, data.train.images), part.labels) for part in data[1:3])
    seen, model = data._replace(train=train, test=test), CNN(len(data.classes), embedding=k, linear=True)
    fitted = [train_network(config, run, seen, model, seed) for seed in range(config.seeds)]
    record_space(config, run, seen, EMBEDDING, [spaces.Features(model, each.state.variables, "embedding") for each in fitted])
    accuracy = np.array([each.history.test_accuracy[-1] for each in fitted])
    run.record("test accuracy", accuracy, data=data.title, group=f"{EMBEDDING}, {k}", unit="share")


def train_network(config: Config, run: runs.Run[Config], data: Dataset, model: CNN, seed: int) -> Fit:
    """Train a network as in the published run."""
    name = f"CNN, {model.embedding} dimensions, seed {seed}"
    keys = jax.random.fold_in(jax.random.key(config.seed), seed)
    steps, part = len(data.train.labels) // 64, run.resume_dir(name)
    return fit(
        keys,
        model,
        adadelta(steps),
        data.train,
        FitConfig(epochs=config.epochs, batch=64, checkpoint=part, title=name),
        test=data.test,
    )


@cache
def adadelta(steps: int) -> optax.GradientTransformation:
    """Adadelta with PyTorch's settings, and a rate multiplied by 0.7 each epoch."""
    return optax.adadelta(optax.exponential_decay(1.0, steps, 0.7, staircase=True), rho=0.9, eps=1e-6)


def dimension_of(group: str) -> int:
    """The dimension in a group's name."""
    return int(group.rpartition(" ")[2])


def claims(results: runs.Results) -> Iterator[runs.Claim]:
    """For each way: all images inside in the lowest dimension, none in the highest; and the published shares."""
    for data in results.names("data"):
        for way in (CROP, SUBSAMPLE, COMPONENTS, EMBEDDING):
            groups = [name for name in results.names("group", data=data, quantity=INSIDE) if name.startswith(f"{way}, ")]
            shares = {group: results.estimate(INSIDE, data=data, group=group) for group in groups}
            about: dict[str, Any] = {"data": data, "unit": "%"}
            if way == EMBEDDING:
                about |= {"seeds": results.config["seeds"], "networks": results.config["seeds"]}
            if groups:
                (first, few), *_, (last, many) = (*shares.items(), *shares.items())
                about["images"] = few.n
                name, verdict, expected = f"{first}: inside", runs.above(few, ALL_INSIDE), f"more than {ALL_INSIDE:.0%}"
                yield runs.Claim.of(few, name, LECUN, expected, verdict, group=first, **about)
                name, verdict, expected = (
                    f"{last}: outside",
                    runs.below(many, NONE_INSIDE),
                    f"less than {NONE_INSIDE:.1%} inside",
                )
                yield runs.Claim.of(many, name, LECUN, expected, verdict, group=last, **about)
            for group, share in shares.items() if way == EMBEDDING and data == PUBLISHED_DATA else ():
                if (published := PUBLISHED.get(dimension_of(group))) is not None:
                    odds = odds_ratio(share, published, PUBLISHED_IMAGES)
                    verdict, name = runs.within(odds, 1 / FACTOR, FACTOR), f"{group}: odds of being inside ÷ published odds"
                    note, expected = f"{share.value:.2%} against {published:.2%}", f"{1 / FACTOR:.2f} to {FACTOR}"
                    yield runs.Claim.of(odds, name, HENDRYX, expected, verdict, group=group, **about | {"unit": ""}, note=note)


def odds_ratio(share: runs.Estimate, other: float, n: int) -> runs.Estimate:
    """The ratio of a share's odds to those of another share of n, with ½ added to each count.

    Reference: Gart (1966), "Alternative analyses of contingency tables".
    """
    counts = np.array([share.value * share.n, (1 - other) * n, (1 - share.value) * share.n, other * n]) + 0.5
    log = float(np.log(counts[:2]).sum() - np.log(counts[2:]).sum())
    half = 1.96 * float(np.sqrt((1 / counts).sum()))
    return runs.Estimate(float(np.exp(log)), float(np.exp(log - half)), float(np.exp(log + half)), share.n)


def figures(results: runs.Results) -> plotting.Figures:
    """Share inside by dimension, one line per way, and the published shares."""
    sets = results.names("data")
    size, title = (1 + 5 * len(sets), 4), "Share of test images inside the hull of the training images, with 95% intervals"
    drawn, axes = plotting.figure(1, len(sets), size=size, title=title)
    for place, data in zip(axes[0], sets, strict=True):
        for way, colour in plotting.colours((CROP, SUBSAMPLE, COMPONENTS, EMBEDDING)).items():
            rows = [row for row in results.select(data=data, quantity=INSIDE) if row.group.startswith(f"{way}, ")]
            ends = np.abs(np.array([(row.low, row.high) for row in rows]).reshape(-1, 2).T - [row.value for row in rows])
            across, look = [dimension_of(row.group) for row in rows], {"color": colour, "marker": "o", "markersize": 3}
            place.errorbar(across, [row.value for row in rows], ends, label=way, capsize=2, **look)
        if data == PUBLISHED_DATA:
            place.plot(list(PUBLISHED), list(PUBLISHED.values()), "kx", label="CNN as published (one network, 10 epochs)")
        place.set(xscale="log", xlabel="dimensions", ylabel=INSIDE, title=plotting.data_name(data), ylim=(-0.02, 1.02))
        plotting.plain_ticks(place)
        place.legend()
    yield "share-inside", drawn


experiment = runs.Experiment(Config, PRESETS, measure, claims, figures)
if __name__ == "__main__":
    experiment.main()
