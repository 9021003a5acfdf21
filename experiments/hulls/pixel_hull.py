"""Are the test images of a data set outside the convex hull of its training images, and how far?

Claim (R. Yousefzadeh, arXiv 2101.09849 and 2203.10366): all test images are outside, so classifying them is extrapolation.
Every distance here has a certified bracket: a separating hyperplane proves "outside".

    python -m experiments.pixel_hull                        digits, seconds, no download
    python -m experiments.pixel_hull cpu                    MNIST, 60,000 × 2,000, and CIFAR-10, 50,000 × 500, minutes
    python -m experiments.pixel_hull paper                  MNIST and CIFAR-10 in full, 13 minutes on 2 CPU cores
    python -m experiments.pixel_hull paper --data svhn_cropped

Controls: held-out training images against the other training images (do test images differ from them?), and Gaussian samples
with the data's mean and covariance against equally many others (does dimension alone explain it?).

The source adds "by a considerable margin", but defines none; Gaussian samples are as far. So distances stand beside the mean
pairwise distance and the distance to the nearest training image, without a verdict. "All" is `hullx.runs.claims.ALL`: no
exception in the sample, and by the exact binomial interval at least 95% of its population.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

import hullx
from hullx import probes, runs
from hullx.data import Dataset, Sample, gaussian_like
from hullx.geometry import extent, neighbours
from hullx.runs import pictures, plotting

SOURCE = "arXiv 2101.09849"
GROUPS = TEST, HELD_OUT, GAUSSIAN = "test images", "held-out training images", "Gaussian samples"
HULL, NEAREST, CLASSIFIER = "training images", "nearest points of test images", "class of the nearest hull"
UNIT = "distance ÷ mean pairwise distance of training images"


@dataclass(frozen=True)
class Config(runs.Config):
    """Settings of the experiment.

    Attributes:
        data: data sets, as in hullx.data.Sample: digits, mnist, mnist:5000, mnist:60000:2000, npz:PATH.
        controls: number of queries in each control.
        classified: number of test images for the nearest-class-hull classifier.
    """

    data: tuple[Sample, ...] = (Sample("digits"),)
    controls: int = 150
    classified: int = 360


PRESETS = {
    "smoke": Config(),
    "cpu": Config(data=(Sample("mnist:60000:2000"), Sample("cifar10:50000:500")), controls=500, classified=500),
    "paper": Config(data=(Sample("mnist"), Sample("cifar10")), controls=1000, classified=1000),
}


def measure(config: Config, run: runs.Run[Config]) -> None:
    """Measure the distances of the test images and of the controls."""
    for sample in config.data:
        data = sample.load(seed=config.seed, data_dir=config.data_dir)
        title, train, test = data.title, data.train.rows, data.test.rows
        random = partial(runs.generator, config.seed, sample)

        def sweep(name: str, queries: np.ndarray, points: np.ndarray) -> hullx.Projection:
            name = f"{data.title}, {name}"  # noqa: B023 (called in this round only)
            return hullx.sweep(queries, points, rtol=config.rtol, resume=run.resume_dir(name), progress=name)

        size = run.cached(f"{title} extent", extent, random("extent"), train)
        record = partial(run.record, data=title, group=HULL)
        record("images", len(train))
        record("largest distance found", size.diameter)
        mean, half = size.pairwise_mean, 1.96 * size.pairwise_error
        record("mean pairwise distance", mean, interval=(mean - half, mean + half))

        # Controls: some training images against all others; equally many Gaussian points with the same mean and covariance.
        chosen = random("controls").permutation(len(train))[: config.controls]
        gaussian = gaussian_like(random("gaussian"), train, len(train) + len(chosen))
        queries = dict(zip(GROUPS, (test, train[chosen], gaussian[: len(chosen)]), strict=True))
        hulls = dict(zip(GROUPS, (train, np.delete(train, chosen, axis=0), gaussian[len(chosen) :]), strict=True))
        found = {group: sweep(group, queries[group], hulls[group]) for group in GROUPS}
        for group, result in found.items():
            run.distances(result, data=title, group=group)
            record = partial(run.record, data=title, group=group)
            record("÷ mean pairwise distance", result.distance / size.pairwise_mean)
            record("÷ largest distance", result.distance / size.diameter)
            numbers = {"distance": result.distance, "lower": result.lower, "iterations": result.iterations}
            run.table(f"{title} {group}", numbers | {"status": [hullx.Status(code).name for code in result.status]})
        nearest = run.cached(f"{title} nearest images", neighbours, test, train).distance[:, 0]
        record_mixtures(run, data, found[TEST], nearest)
        record_classifier(config, run, data, random("classifier"), sweep)


def record_mixtures(run: runs.Run[Config], data: Dataset, result: hullx.Projection, nearest: np.ndarray) -> None:
    """Record which training images the nearest points mix: one row per image, and examples for the figures."""
    names, record = np.array(data.classes), partial(run.record, data=data.title, group=NEAREST)
    own = (result.weights * (data.train.labels[result.support] == data.test.labels[:, None])).sum(1)
    width = (result.distance - result.lower) / np.maximum(result.distance, 1e-300)
    record("÷ distance to the nearest image", result.distance / np.maximum(nearest, 1e-30))
    record("images mixed", result.support_size)
    record("at most", result.support_size, statistic="max")
    record("share of own class", own, unit="share")
    record("widest relative bracket", width[result.outside].max(initial=0))
    columns = {"label": names[data.test.labels], "nearest_image": nearest, "support_size": result.support_size}
    run.table(f"{data.title} {NEAREST}", columns | {"own_class_weight": own})
    rows = list[tuple[Any, ...]]()
    for k in np.unique(data.test.labels):
        mine = np.flatnonzero(data.test.labels == k)
        rows.append((names[k], len(mine), *runs.mean_interval(result.distance[mine])[:3], own[mine].mean()))
    run.tabulate(f"{data.title} classes", ("class", "images", "distance", "low", "high", "share_of_own_class"), rows)

    # Pixels for the figures: six test images from the nearest to the farthest, and the first images of each mixture.
    chosen = np.argsort(result.distance)[np.linspace(0, len(own) - 1, 6).astype(int)]
    support, weights = result.support[chosen, :8], result.weights[chosen, :8]
    image = data.test.images[chosen]
    shown = {"image": image, "label": names[data.test.labels[chosen]], "projection": result.point[chosen].reshape(image.shape)}
    shown |= {"support_image": data.train.images[support], "support_label": names[data.train.labels[support]]}
    run.arrays(f"{data.title} examples", **shown, weights=weights, distance=result.distance[chosen])


def record_classifier(config: Config, run: runs.Run[Config], data: Dataset, rng: np.random.Generator, sweep) -> None:
    """Record the accuracy of predicting the class whose hull is nearest."""
    chosen = rng.permutation(len(data.test.labels))[: config.classified]
    queries, present = data.test.rows[chosen], np.unique(data.train.labels)
    hulls = [data.train.rows[data.train.labels == k] for k in present]
    nearest = probes.nearest_hull([sweep(f"hull of class {k}", queries, hull) for k, hull in zip(present, hulls, strict=True)])
    run.record("accuracy", present[nearest.which] == data.test.labels[chosen], data=data.title, group=CLASSIFIER)
    run.record("undecided", ~nearest.proved, data=data.title, group=CLASSIFIER, statistic="count")


def claims(results: runs.Results) -> Iterator[runs.Claim]:
    """Outside, and the two controls."""
    for data in results.names("data"):
        share = {group: results.estimate("share outside", data=data, group=group) for group in GROUPS}
        for name, group in (
            ("test images are outside the hull", TEST),
            ("training images are outside the hull of the others", HELD_OUT),
            ("dimension and covariance alone put a sample outside", GAUSSIAN),
        ):
            undecided, _ = results.total("undecided", data=data, group=group)
            verdict = runs.all_of(share[group], undecided=undecided)
            about = {"data": data, "group": group, "unit": "%", "images": share[group].n}
            yield runs.Claim.of(share[group], name, SOURCE if group == TEST else "control", "all", verdict, **about)


def figures(results: runs.Results) -> plotting.Figures:
    """Distances by group and by class; images, nearest points and differences; the images that nearest points mix."""
    for data in results.names("data"):
        count, pairwise = (results.estimate(name, data=data, group=HULL).value for name in ("images", "mean pairwise distance"))
        tables = {group: results.table(f"{data} {group}") for group in GROUPS}
        short, title = (
            plotting.data_name(data),
            f"{plotting.data_name(data)}: distance to the hull of {count:,.0f} training images",
        )
        drawn, axes = plotting.figure(1, 2, size=(10, 4.6), title=title)
        relative = {group: table["distance"] / pairwise for group, table in tables.items()}
        plotting.histograms(axes[0, 0], relative, UNIT, "share of queries")
        label = results.table(f"{data} {NEAREST}")["label"].astype(str)
        plotting.boxes(axes[0, 1], {name: relative[TEST][label == name] for name in np.unique(label)})
        axes[0, 1].tick_params(axis="x", rotation=45 if max(map(len, label)) > 3 else 0)
        axes[0, 1].set(xlabel="class of the test image", ylabel=UNIT, ylim=(0, None), title=f"test images\n{plotting.BOXES}")
        yield f"{short} distances", drawn
        examples = results.arrays(f"{data} examples")
        title = f"{short}: six test images, from the nearest to the hull (left) to the farthest (right)"
        yield f"{short} projections", pictures.compared(title, examples)
        title = f"{short}: test images, and the training images that their nearest points mix"
        yield f"{short} supports", pictures.mixed(title, {name: values[[0, 3, 5]] for name, values in examples.items()})


experiment = runs.Experiment(Config, PRESETS, measure, claims, figures)
if __name__ == "__main__":
    experiment.main()
