"""Does gradient descent select the minimizers that generalize, or does the architecture make any minimizer generalize?

Claims: random guesses that make no training error generalize as well as trained networks of equal loss (Chiang et al. 2023,
"Loss landscapes are all you need"). Width helps because of gradient descent; depth hurts because of the architecture (Peleg
and Hein 2024, "Bias of stochastic gradient descent or the architecture").

    python -m experiments.guessing                          digits, one pair of classes, seconds
    python -m experiments.guessing cpu                      MNIST, 12 pairs of classes, up to 8 images, minutes
    python -m experiments.guessing paper                    MNIST, 50 pairs of classes, up to 32 images

LeNet of half width, two classes of MNIST drawn for each set, n training images, weights uniform in [−1, 1]. Guesses are
checked by the hundred. Stochastic gradient descent (rate 0.001, 2 images a step) and pattern search begin at such guesses.
They stop once they make no error and their loss is in its range. Losses are of logits divided by Π ‖W‖/3 over layers (Chiang
et al.). A second loss divides logits by an estimate of the network's Lipschitz constant (Peleg and Hein). For width and depth,
all networks without an error count at any loss.

Fixed before the run: two ways are equally good if their mean accuracies differ by at most two points, over the sets, numbers
of images and ranges of the loss in which both found networks: first the mean of each set, then over sets. Width helps, and
depth hurts, if the interval of the difference between widest and narrowest, or deepest and shallowest, lies beyond 0.
Intervals are over sets, at least five of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from experiments.shared.two_class_setup import standardise, two_classes
from hullx import runs
from hullx.data import Sample
from hullx.runs import plotting
from hullx.runs.progress import progress

from .find_minimizers import EDGES, GUESSED, LENET, SEARCHED, SHAPES, TRAINED, WAYS, networks
from .matching import match_pairs

CHIANG, PELEG, CLOSE = "Chiang et al. 2023", "Peleg and Hein 2024", 0.02
TESTED = 1000  # test images of a set
FEWEST = 5  # sets of an interval


@dataclass(frozen=True)
class Config(runs.Config):
    """Settings of the experiment.

    Attributes:
        data: a data set of grey images: 28 × 28, or 8 × 8, which are enlarged.
        sets: number of pairs of classes, each with its own training images.
        images: numbers of training images.
        shapes: further shapes in `find_minimizers.SHAPES`.
        compared: number of training images at which shapes are compared.
        wanted: number of networks in each range of the loss.
        budget: largest number of guesses for each number of images, and for each shape.
        members: number of gradient descents for each range; pattern search runs a quarter as many.
        steps: largest number of steps of both.
    """

    data: Sample = Sample("digits")
    sets: int = 1
    images: tuple[int, ...] = (4,)
    shapes: tuple[str, ...] = ()
    compared: int = 2
    wanted: int = 2
    budget: int = 1024
    members: int = 8
    steps: int = 50

    @property
    def jobs(self) -> list[tuple[int, str]]:
        """The number of images and the shape of each search in a set."""
        return [(n, LENET) for n in self.images] + [(self.compared, shape) for shape in self.shapes]


MNIST = Config(data=Sample("mnist"), sets=12, images=(2, 4, 8), shapes=tuple(SHAPES)[1:], compared=4, wanted=10)
PRESETS = {
    "smoke": Config(wanted=1, budget=512, members=4, steps=20),
    "cpu": replace(MNIST, budget=10_000, members=16, steps=200),
    "paper": replace(MNIST, sets=50, images=(2, 4, 8, 16, 32), compared=8, budget=20_000_000, members=256, steps=2000),
}


def measure(config: Config, run: runs.Run[Config]) -> None:
    """Find networks in each way for each set of images; each row of the table is a network."""
    data, rows, tried = config.data.load(seed=config.seed, data_dir=config.data_dir), list[Any](), dict[int, list[int]]()
    splits = [standardise(split, data.train.images) for split in (data.train, data.test)]
    runs.known("--shapes", config.shapes, SHAPES)
    tested = TESTED
    jobs = [(k, n, shape) for k in range(config.sets) for n, shape in config.jobs]
    with progress(data.title, len(jobs), "searches") as report:
        for done, (k, n, shape) in enumerate(jobs, 1):
            rng = runs.generator(config.seed, "set", str(k))
            pair = rng.choice(len(data.classes), 2, replace=False)
            train, test = (two_classes(split, pair, rng, size) for split, size in zip(splits, (n, TESTED), strict=True))
            tested = min(tested, len(test.labels))
            found, guesses = run.cached(f"set {k}, {n} images, {shape}", networks, config, k, shape, train, test)
            rows += [(k, n, shape, *row) for row in found]
            if shape == LENET:
                tried.setdefault(n, []).append(guesses)
            report(done)
    run.tabulate("models", ("set", "images", "shape", "way", "range", "loss", "lipschitz", "accuracy"), rows)
    run.record("test images of a set", tested, data=data.title)
    for way in WAYS:
        for n in config.images:
            record = partial(run.record, data=data.title, group=f"{way}, {n} images")
            mine = [row for row in rows if row[1:4] == (n, LENET, way)]
            record("networks", len(mine))
            record("test accuracy", np.array([row[-1] for row in mine], float), unit="share")
            if way == GUESSED:
                record("guesses", sum(tried[n]))
                filled = {(row[0], row[4]) for row in mine}
                cells = product(range(config.sets), range(1, len(EDGES)))
                record("failed", np.array([cell not in filled for cell in cells]), statistic="count")


class Difference(NamedTuple):
    """A mean difference over sets, without an interval for fewer than `FEWEST` sets; and the number of networks behind it."""

    measured: runs.Estimate
    networks: int


def differences(results: runs.Results) -> dict[str, Difference]:
    """Differences of mean accuracy: between ways at equal loss, for both normalisations; between shapes, by way."""
    table, config = results.table("models"), results.config
    mine = {way: table["way"] == way for way in WAYS}

    def mean(*masks: np.ndarray) -> float:
        chosen = np.logical_and.reduce(masks)
        return float(table["accuracy"][chosen].mean()) if chosen.any() else np.nan

    lenet, every, found = table["shape"] == LENET, range(config["sets"]), dict[str, Difference]()
    tasks = {k: [(table["set"] == k) & lenet & (table["images"] == n) for n in config["images"]] for k in every}

    def over_sets(of_set: dict[int, list[float]], networks: int) -> Difference:
        """The mean over sets of what each set has on average; sets without any are left out."""
        means = np.array([np.nanmean(each) for each in of_set.values() if np.isfinite(each).any()])
        measured = runs.mean_interval(means)
        return Difference(measured if measured.n >= FEWEST else measured._replace(low=np.nan, high=np.nan), networks)

    def compare(first: np.ndarray, second: np.ndarray, cells: dict[int, list[np.ndarray]]) -> Difference:
        """The mean accuracy of the first less that of the second, over the cells in which both found networks."""
        both = {k: [cell for cell in each if (cell & first).any() and (cell & second).any()] for k, each in cells.items()}
        networks = sum(int((cell & (first | second)).sum()) for each in both.values() for cell in each)
        gaps = {k: [mean(cell, first) - mean(cell, second) for cell in each] for k, each in both.items()}
        return over_sets(gaps, networks)

    ranges = {k: [task & (table["range"] == i) for task in tasks[k] for i in range(1, len(EDGES))] for k in every}
    for way in (TRAINED, SEARCHED):
        found[f"{way} − guessed, equal loss by norms"] = compare(mine[way], mine[GUESSED], ranges)
    matched, networks = {k: list[float]() for k in every}, 0
    for k in every:
        for task in tasks[k]:
            trained, guessed = (np.flatnonzero(task & mine[way]) for way in (TRAINED, GUESSED))
            if len(trained) and len(guessed):
                pairs = match_pairs(table["lipschitz"][trained][:, None], table["lipschitz"][guessed][:, None])
                first, second = table["accuracy"][trained[pairs.first]], table["accuracy"][guessed[pairs.second]]
                matched[k] += [float((first - second).mean())] if len(first) else []
                networks += 2 * len(first)
    found[f"{TRAINED} − guessed, equal loss by Lipschitz"] = over_sets(matched, networks)
    pairs = ("width", "twice as wide", "half as wide"), ("depth", "four hidden layers", "one hidden layer")
    for words, more, less in pairs if config["shapes"] else ():
        for way in (TRAINED, GUESSED):
            first, second = (mine[way] & (table["shape"] == shape) for shape in (more, less))
            cells = {k: [table["set"] == k] for k in every}
            found[f"{words}, {way}: {more} − {less}"] = compare(first, second, cells)
    return found


def claims(results: runs.Results) -> Iterator[runs.Claim]:
    """Chiang et al.'s equality under both normalisations, and Peleg and Hein's signs."""
    (data,), (images,) = results.names("data"), results.select(quantity="test images of a set")
    about = {"data": data, "unit": "%", "images": round(images.value)}
    for name, (gap, count) in differences(results).items():
        if not name.startswith(("width", "depth")):
            verdict, expected, source = runs.within(gap, -CLOSE, CLOSE), f"within ±{CLOSE:.0%}", CHIANG
        elif name.startswith("width"):
            verdict = runs.above(gap, 0) if TRAINED in name else runs.within(gap, -CLOSE, CLOSE)
            expected, source = "more than 0" if TRAINED in name else f"within ±{CLOSE:.0%}", PELEG
        else:
            verdict, expected, source = runs.below(gap, 0), "less than 0", PELEG
        yield runs.Claim.of(gap, name, source, expected, verdict, networks=count, sets=gap.n, **about)


def figures(results: runs.Results) -> plotting.Figures:
    """Mean accuracy by range of the loss; differences."""
    data, counts = plotting.data_name(results.names("data")[0]), results.config["images"]
    table, middles = results.table("models"), (np.array(EDGES[1:]) + EDGES[:-1]) / 2
    title = f"{data}, two classes: test accuracy of networks without training error (means over sets, 95% intervals)"
    drawn, axes = plotting.figure(1, len(counts), size=(3.2 * len(counts) + 1, 4), title=title)
    for place, n in zip(axes[0], counts, strict=True):
        for k, (way, colour) in enumerate(plotting.colours(WAYS).items()):
            mine = (table["images"] == n) & (table["shape"] == LENET) & (table["way"] == way)
            cells = [[mine & (table["range"] == i) & (table["set"] == j) for j in np.unique(table["set"])] for i in range(1, 8)]
            means = [np.array([table["accuracy"][cell].mean() for cell in each if cell.any()]) for each in cells]
            found = np.array([runs.mean_interval(each)[:3] if len(each) > 2 else (np.nan,) * 3 for each in means])
            bars = np.abs([found[:, 0] - found[:, 1], found[:, 2] - found[:, 0]])
            places = middles + 0.008 * (k - 1)
            place.errorbar(places, found[:, 0], bars, fmt="o", color=colour, markersize=4, label=way)
        place.set(ylim=(0.4, 1.02), xlim=(0.28, 0.67), xlabel="loss, normalised by norms", title=f"{n} training images")
    for place in axes[0, 1:]:
        place.set_yticklabels([])
    axes[0, 0].set_ylabel("test accuracy (share)")
    drawn.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    yield "accuracy", drawn
    title = f"{data}, two classes: accuracy differences between ways at equal loss and between shapes (arrows: cut)"
    drawn, axes = plotting.figure(size=(9, 3.4), title=title)
    found = {name: each.measured for name, each in differences(results).items()}
    plotting.intervals(axes[0, 0], found, "difference of mean test accuracy (share), 95% interval", limits=(-0.3, 0.3))
    yield "differences", drawn


experiment = runs.Experiment(Config, PRESETS, measure, claims, figures)
if __name__ == "__main__":
    experiment.main()
