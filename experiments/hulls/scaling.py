"""How does the distance to the hull fall with the number of training images, and how many real images is augmentation worth?

The test images are fixed. Training images are shuffled once and cut into disjoint sets, so intervals over sets are over
independent draws. Each set has nested subsets of n images. Sets of more than a tenth of the training images are fewer than ten:
their distances are shown, but settle no claim. The distance at n is the mean over the test images. The local exponent between
two n is Δ log distance / Δ log n.

Two predictions by the spectrum of the data, each from fresh samples and fresh queries in every set:
Gaussian samples with the mean and covariance of all training images, and Gaussian samples of each class with its own.
The first has a closed form (`gaussian_distance`, Gordon's comparison), which needs only the eigenvalues and n.

Augmentation adds copies of n images: shifts by one pixel in 8 directions, mirror images, or, as a control, 8 random changes
that are as long as the shifts. Its price is the number of real images at equal mean distance, divided by n. It is interpolated
between the nested subsets of the same set, linearly in logarithms, and extrapolated with the last local exponent.

Fixed before the run, after a pilot with one set of MNIST (shifts of 1,000 images: 9,000 images worth 3,800; exponents −0.11 at
n = 300 to −0.08 at 60,000, and −0.06 to −0.04 for Gaussian samples; the closed form within 1% of these; nothing by class):
- The decay slows down: the last local exponent is above the first.
- The closed form predicts Gaussian samples if the ratio of distances is within `ACCURATE` of 1 at each n.
- A spectrum predicts the images' exponent, from the first to the last n with ten sets, if the difference is within `NEAR`. In
  the pilot neighbouring local exponents differ by as much.
- On MNIST the price of shifts of 1,000 images is 3.8, within a factor of `CLOSE`. Elsewhere shifts are worth less than as many
  real images. They are worth more than random changes.

    python -m experiments.scaling                           digits, seconds, no download
    python -m experiments.scaling cpu                       MNIST, 300 to 50,000 × 300 images: 1 to 10 minutes
    python -m experiments.scaling paper                     MNIST and CIFAR-10, 1,000 test images
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

import hullx
from hullx import runs
from hullx.data import Dataset, Sample, Split
from hullx.geometry import neighbours
from hullx.runs import plotting
from hullx.runs.progress import progress

from .comparison_points import AUGMENTED, COPIES, RANDOM, SHIFTS, Gaussian, augmented, gaussian_by_class, gaussian_of
from .gaussian_distance import expected_distance
from .power_laws import exponents, prices

GROUPS = IMAGES, GAUSSIAN, CLASSES = "test images", "Gaussian samples", "Gaussian samples by class"
CLOSED_FORM, NEAREST, UNDECIDED = "closed form", "nearest image", "undecided"
ACCURATE, NEAR, CLOSE = 0.02, 0.01, 1.2
PILOT_DATA, PILOT_BASE, PILOT_PRICE = "MNIST", 1000, 3.8


@dataclass(frozen=True)
class Config(runs.Config):
    """Settings of the experiment.

    Attributes:
        data: data sets, as in hullx.data.Sample.
        sets: number of disjoint sets of training images.
        counts: numbers n of images that span the hull, in ascending order.
        bases: numbers of images to augment.
        samples: number of Gaussian queries for each set.
    """

    data: tuple[Sample, ...] = (Sample("digits:1437:100"),)
    sets: int = 10
    counts: tuple[int, ...] = (36, 72, 140, 700)
    bases: tuple[int, ...] = (36,)
    samples: int = 100


LARGE = Sample("mnist:60000:1000"), Sample("cifar10:50000:1000")
CPU = Config(data=(Sample("mnist:60000:300"),), counts=(300, 1000, 2500, 5000, 25_000, 50_000), bases=(300, 1000), rtol=1e-4)
PRESETS = {"smoke": Config(samples=30), "cpu": CPU, "paper": replace(CPU, data=LARGE, samples=1000)}


def measure(config: Config, run: runs.Run[Config]) -> None:
    """Measure mean distances of test images and Gaussian samples in each set, and price augmentations."""
    for sample in config.data:
        data = sample.load(seed=config.seed, data_dir=config.data_dir)
        title, train = data.title, data.train
        order = runs.generator(config.seed, sample, "order").permutation(len(train.labels))
        counts = [n for n in config.counts if n * config.sets <= len(order)]
        gaussian, found = gaussian_of(train.rows), list[dict[str, np.ndarray]]()
        with progress(title, config.sets, "sets") as report:
            for i, chosen in enumerate(np.array_split(order, config.sets)):
                rng, name = runs.generator(config.seed, sample, "set", str(i)), f"{title}, set {i}"
                found.append(run.cached(name, measure_set, config, rng, data, train.take(chosen), gaussian, counts))
                report(i + 1)
        distances = {name: np.array([each[name] for each in found]) for name in found[0]}
        undecided, queries = distances.pop(UNDECIDED).sum(0).tolist()
        run.record(UNDECIDED, runs.Estimate(undecided, np.nan, np.nan, queries, "count"), data=title)
        run.arrays(f"{title} distances", counts=np.array(counts), **{runs.slug(name): each for name, each in distances.items()})
        record_counts(run, title, counts, distances, gaussian.variances)
        for n in config.counts[len(counts) :]:
            starts, about = range(0, len(order) - n + 1, n), dict[str, Any](data=title, group=f"n = {n:,}")
            parts = [train.rows[order[start : start + n]] for start in starts]
            swept = [hullx.sweep(data.test.rows, part, rtol=config.rtol, progress=f"{title}, n = {n}") for part in parts]
            run.record(f"distance, {IMAGES}", [each.distance.mean() for each in swept], **about)
            run.record(f"distance, {CLOSED_FORM}", expected_distance(gaussian.variances, n), **about)
            run.record("sets", len(parts), **about)
            run.record(UNDECIDED, ~np.concatenate([each.decided for each in swept]), statistic="count", **about)


def measure_set(
    config: Config, rng: np.random.Generator, data: Dataset, mine: Split, gaussian: Gaussian, counts: list[int]
) -> dict[str, np.ndarray]:
    """Mean distances for one set of training images, by n; and of its first images with augmentations."""
    test, swept = data.test.rows, list[hullx.Projection]()

    def distance(queries: np.ndarray, points: np.ndarray) -> float:
        swept.append(hullx.sweep(queries, points, rtol=config.rtol, progress=False))
        return float(swept[-1].distance.mean())

    found = {IMAGES: [distance(test, mine.rows[:n]) for n in counts]}
    found[NEAREST] = [neighbours(test, mine.rows[:n]).distance.mean() for n in counts]
    for name, draw in ((GAUSSIAN, gaussian.sample), (CLASSES, partial(gaussian_by_class, train=data.train))):
        queries, points = np.split(draw(rng, count=config.samples + counts[-1]), [config.samples])
        found[name] = [distance(queries, points[:n]) for n in counts]
    for kind in AUGMENTED:
        found[kind] = [distance(test, augmented(rng, mine.images[:base], kind)) for base in config.bases]
    decided = np.concatenate([each.decided for each in swept])
    return {name: np.array(values) for name, values in found.items()} | {UNDECIDED: np.array([(~decided).sum(), len(decided)])}


def record_counts(
    run: runs.Run[Config], title: str, counts: list[int], distances: dict[str, np.ndarray], variances: np.ndarray
) -> None:
    """Record distances, local exponents and prices over sets, and the closed form."""
    curves = IMAGES, GAUSSIAN, CLASSES, NEAREST
    for k, n in enumerate(counts):
        about: dict[str, Any] = {"data": title, "group": f"n = {n:,}"}
        for name in curves:
            run.record(f"distance, {name}", distances[name][:, k], **about)
        run.record(f"distance, {CLOSED_FORM}", expected_distance(variances, n), **about)
        run.record("sets", len(distances[IMAGES]), **about)
    for k, (first, second) in enumerate(pairwise(counts)):
        for name in curves:
            local = exponents(counts, distances[name])[:, k]
            run.record(f"exponent, {name}", local, data=title, group=f"n = {first:,} to {second:,}")
    for kind in AUGMENTED:
        for base, price in zip(
            run.config.bases, prices(counts, run.config.bases, distances[IMAGES], distances[kind]), strict=True
        ):
            run.record("price", price, data=title, group=f"{kind} of {base:,}")
            run.record("points for each image", COPIES[kind], data=title, group=f"{kind} of {base:,}")


def claims(results: runs.Results) -> Iterator[runs.Claim]:
    """Slower decay; the closed form; exponents by spectra; prices of augmentations."""
    for data, sample in zip(results.names("data"), map(Sample, results.config["data"]), strict=True):
        found, sets = results.arrays(f"{data} distances"), results.config["sets"]
        counts, bases = found["counts"], results.config["bases"]
        about: dict[str, Any] = {"data": data, "images": sample.test_size or 0, "sets": sets}
        local = exponents(counts, found[runs.slug(IMAGES)])
        slower = runs.difference_interval(local[:, -1], local[:, 0], paired=True)
        name, note = "the decay slows down as n grows", f"last local exponent − first, n = {counts[0]:,} to {counts[-1]:,}"
        yield runs.Claim.of(slower, name, "pilot", "above 0", runs.above(slower, 0), **about, note=note)

        exact = [results.estimate(f"distance, {CLOSED_FORM}", data=data, group=f"n = {n:,}").value for n in counts]
        errors = [runs.mean_interval(column) for column in (found[runs.slug(GAUSSIAN)] / exact - 1).T]
        worst, verdict = max(errors, key=lambda each: abs(each.value)), runs.both(*(within(each, ACCURATE) for each in errors))
        name, note = "the closed form gives the distances of Gaussian samples", "largest error over all n"
        more = about | {"images": results.config["samples"] * sets, "unit": "%", "note": note}
        yield runs.Claim.of(worst, name, "Gordon's comparison", f"within ±{ACCURATE:.0%}", verdict, **more)

        ends = counts[[0, -1]]
        ours, *others = (exponents(ends, found[runs.slug(each)][:, [0, -1]])[:, 0] for each in GROUPS)
        for other, words in zip(others, ("one covariance predicts", "covariances by class predict"), strict=True):
            apart, name = runs.difference_interval(other, ours, paired=True), f"{words} the images' exponent"
            note = f"{other.mean():.3f} against {ours.mean():.3f}"
            yield runs.Claim.of(apart, name, "spectrum", f"within ±{NEAR}", within(apart, NEAR), **about, note=note)

        for k, base in enumerate(bases):
            by_kind = {kind: prices(counts, bases, found[runs.slug(IMAGES)], found[runs.slug(kind)])[k] for kind in AUGMENTED}
            price, least, most = runs.mean_interval(by_kind[SHIFTS]), PILOT_PRICE / CLOSE, PILOT_PRICE * CLOSE
            if (plotting.data_name(data), base) == (PILOT_DATA, PILOT_BASE):
                name, verdict = (
                    f"{base:,} images and their shifts are worth {PILOT_PRICE} times as many",
                    runs.within(price, least, most),
                )
                yield runs.Claim.of(price, name, "pilot", f"{least:.2g} to {most:.2g}", verdict, **about)
            else:
                name = f"{base:,} images and their shifts are worth less than as many real images"
                verdict, expected = runs.below(price, COPIES[SHIFTS]), f"below {COPIES[SHIFTS]}"
                yield runs.Claim.of(price, name, "diversity", expected, verdict, **about)
            more = runs.difference_interval(by_kind[SHIFTS], by_kind[RANDOM], paired=True)
            name, note = f"shifts of {base:,} images are worth more than random changes of their length", "difference of prices"
            yield runs.Claim.of(more, name, "control", "above 0", runs.above(more, 0), **about, note=note)


def within(estimate: runs.Estimate, tolerance: float) -> str:
    """Whether a difference is within a tolerance."""
    return runs.within(estimate, -tolerance, tolerance)


def figures(results: runs.Results) -> plotting.Figures:
    """Distances and local exponents by n; prices of augmentations."""
    titles = results.names("data")
    title = "Distance to the hull of n training images, and local exponents; 95% intervals over disjoint sets"
    drawn, axes = plotting.figure(2, len(titles), size=(1.5 + 4 * len(titles), 6.5), title=title)
    for (above, below), data in zip(axes.T, titles, strict=True):
        counts, every = results.arrays(f"{data} distances")["counts"], np.array(results.config["counts"])
        steps = [f"n = {first:,} to {second:,}" for first, second in pairwise(counts)]
        for name, colour in plotting.colours(GROUPS).items():
            ns = every if name == IMAGES else counts
            places = (
                (above, "distance", ns, [f"n = {n:,}" for n in ns]),
                (below, "exponent", np.sqrt(counts[1:] * counts[:-1]), steps),
            )
            for place, word, x, groups in places:
                found = [results.estimate(f"{word}, {name}", data=data, group=group)[:3] for group in groups]
                value, low, high = np.array(found).T
                look: dict[str, Any] = {"color": colour, "fmt": "o-", "markersize": 4, "capsize": 2}
                place.errorbar(x, value, np.nan_to_num([value - low, high - value]), label=name, **look)
        exact = [results.estimate(f"distance, {CLOSED_FORM}", data=data, group=f"n = {n:,}").value for n in every]
        above.plot(every, exact, "k--", linewidth=1, label=f"{CLOSED_FORM}, Gaussian samples")
        below.plot(np.sqrt(every[1:] * every[:-1]), exponents(every, np.array([exact]))[0], "k--", linewidth=1)
        above.set(yscale="log", ylabel="mean distance", title=plotting.data_name(data))
        above.yaxis.set_minor_formatter("{x:g}")
        above.yaxis.set_major_formatter("{x:g}")
        below.set(ylabel="local exponent", xlabel="n, images that span the hull", ylim=(None, 0))
        for place in (above, below):
            place.set(xscale="log", xlim=(every[0] / 1.3, every[-1] * 1.3))
            plotting.plain_ticks(place)
    drawn.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    yield "distances", drawn

    title = "Augmentation priced in real images, with 95% intervals; dashed: points ÷ images"
    drawn, axes = plotting.figure(1, len(titles), size=(1 + 4 * len(titles), 3.2), title=title)
    for place, data in zip(axes[0], titles, strict=True):
        shown = {name: results.estimate("price", data=data, group=name) for name in results.names("group", quantity="price")}
        plotting.intervals(place, shown, "price: real images at equal distance ÷ images")
        for i, name in enumerate(shown):
            place.plot([COPIES[name.partition(" of ")[0]]] * 2, [i - 0.4, i + 0.4], "k--", linewidth=1)
        place.set(title=plotting.data_name(data), xlim=(0, None))
    yield "prices", drawn


experiment = runs.Experiment(Config, PRESETS, measure, claims, figures)
if __name__ == "__main__":
    experiment.main()
