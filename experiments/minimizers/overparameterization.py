"""How does model size change what networks learn inside and outside the hull of their training set?

Claims: test error has a second descent (Belkin et al. 2019). For random features with minimum norm it peaks where there are as
many features as training images; beyond, the norm of the weights falls. For networks under label noise (Nakkiran et al. 2019)
it peaks where they begin to fit all labels. And over-parameterization is needed to control what is learned outside the hull
(arXiv 2203.10447).

    python -m experiments.overparameterization              digits, seconds
    python -m experiments.overparameterization cpu          MNIST, 1,000 training images, 20 seeds a size, minutes
    python -m experiments.overparameterization paper        MNIST, 5,000 training images, 20 seeds

Models: random rectified features with linear heads, by least squares in closed form; and networks with one hidden layer. A
fifth of the networks' training labels are random. Networks train until all labels are fitted, which may stop them before a
peak, or for all `epochs`. Belkin et al. minimise the squared loss and start larger networks from the weights of smaller ones;
here the loss is cross entropy, and each network starts from random weights. Size is the number of trained parameters divided
by the number of equations, training images times classes. Seeds draw features and initial weights, not data.

Fixed before the run: a network's threshold is the smallest size at which half the seeds fit every label. The size of least
error up to the threshold is chosen on half the seeds, and the rise is measured on the others. Disagreement at a point is the
share of pairs of seeds that disagree there. Inside means mixtures of five training images, outside means test images. Mixtures
of several classes lie far from all images, so agreement at mixtures of one class and of neighbours is shown beside them.

Mediation, fixed before the run (`experiments.mediation`): does disagreement carry the effect of width on test error, from the
threshold to the widest networks, trained for all epochs? Units are seeds. The mediator is a network's disagreement with others
of its width, outside or inside; errors are those on other test images. It carries the effect if the interval of the indirect
effect excludes 0. The distance of test images to the hull, or to the nearest training image, does not depend on the width, so
neither can carry its effect.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from hullx import runs
from hullx.data import Sample
from hullx.data.corruptions import relabelled
from hullx.runs import plotting
from hullx.runs.statistics import Estimate

from . import evaluation_setup, places
from .evaluation_setup import evidence, prepare
from .mediation import mediation
from .model_sizes import QUANTITIES, networks, random_features

FEATURES, NETWORKS, LONGER = "random features, minimum norm", "networks, until they fit", "networks, for all epochs"
BELKIN, NAKKIRAN, OUTSIDE = "Belkin et al. 2019", "Nakkiran et al. 2019", "arXiv 2203.10447"
NOISE, NEAR, FIVE = 0.2, (0.9, 1.1), 5.0
SHOWN = MIXED, ONE_CLASS, NEIGHBOURS, SURFACE, TESTED, *TWICE = (
    "mixtures of 5",
    places.ONE_CLASS,
    places.NEIGHBOURS,
    places.SURFACE,
    *places.OUTSIDE,
)


@dataclass(frozen=True)
class Config(evaluation_setup.Config):
    """Settings of the experiment.

    Attributes:
        features: numbers of random features, in multiples of the number of training images.
        widths: widths of the networks' hidden layer.
        seeds: number of seeds at each size.
        epochs: largest number of epochs for the networks.
    """

    features: tuple[float, ...] = (0.3, 0.6, 0.9, 1.0, 1.1, 2.0, 5.0)
    widths: tuple[int, ...] = (4, 64)
    seeds: int = 4
    epochs: int = 100


SIZES = 0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 1.0, 1.05, 1.1, 1.25, 1.5, 2.0, 3.0
CPU = Config(data=Sample("mnist:1000:3000"), points=1000, queries=300, features=SIZES, seeds=20, epochs=300)
PRESETS = {
    "smoke": Config(queries=30, features=(0.3, 1.0, 5.0), seeds=2),
    "cpu": replace(CPU, widths=(1, 2, 4, 6, 8, 10, 12, 16, 32, 128)),
    "paper": replace(CPU, data=Sample("mnist:5000"), points=5000, queries=1000, widths=tuple(2**k for k in range(11))),
}


def measure(config: Config, run: runs.Run[Config]) -> None:
    """Measure errors and norms by size and seed, and the agreement of each size's seeds."""
    setup, rows, shares = prepare(config, run), list[tuple[Any, ...]](), list[tuple[Any, ...]]()
    rng, labels = runs.generator(config.seed, "labels"), setup.train.labels
    noisy = setup._replace(train=setup.train._replace(labels=relabelled(rng, labels, setup.classes, NOISE)))
    train = partial(networks, noisy, run=run, epochs=config.epochs)
    kinds = {FEATURES: partial(random_features, setup), NETWORKS: partial(train, until=1.0), LONGER: partial(train, until=None)}
    for kind, find in kinds.items():
        sizes = config.features if kind == FEATURES else config.widths
        found = [run.cached(f"{kind} {size:g}", find, size, config.seeds, config.seed) for size in sizes]
        relative, numbers, agreement, apart = (np.array([each[k] for each in found]) for k in range(4))
        names = np.array(list(setup.places))
        run.arrays(kind, size=relative, numbers=numbers, agreement=agreement, disagreement=apart, places=names)
        for size, values, agreeing in zip(relative, numbers, agreement, strict=True):
            record = partial(run.record, data=setup.title, group=f"{kind}, size {size:.3g}")
            for (quantity, unit), each in zip(QUANTITIES.items(), values, strict=True):
                record(quantity, each, unit=unit)
            record("failed", ~np.isfinite(values[0]), statistic="count")
            rows.append((kind, size, *np.nanmean(values, axis=1)))
            for place in SHOWN:
                mine = agreeing[list(setup.places).index(place)]
                record(f"share agreeing, {place}", mine, unit="share")
                shares.append((kind, size, place, mine.mean()))
    run.tabulate("sizes", ("kind", "size", *QUANTITIES), rows)
    run.tabulate("agreement", ("kind", "size", "place", "agreement"), shares)


def claims(results: runs.Results) -> Iterator[runs.Claim]:
    """The peak and the norm of random features; the second descent of networks; agreement of seeds by size; mediation."""
    sets, count = {kind: results.arrays(kind) for kind in (FEATURES, NETWORKS, LONGER)}, results.config["seeds"]
    _, _, squared, norm = sets[FEATURES]["numbers"].swapaxes(0, 1)
    every, queries = evidence(results, count), evidence(results, count, errors=False)["images"]
    tests = every["images"] - queries
    about = every | {"networks": count * len(squared), "images": tests}
    two = every | {"networks": 2 * count, "images": tests}  # for comparisons of two sizes
    peak, seeds = squared.argmax(0), np.arange(squared.shape[1])
    where, name = runs.mean_interval(sets[FEATURES]["size"][peak]), "random features: error peaks at size 1"
    yield runs.Claim.of(where, name, BELKIN, "size in 0.9–1.1", runs.within(where, *NEAR), **about)
    ratios = [squared[k, seed] / squared[k:, seed].min() for k, seed in zip(peak, seeds, strict=True)]
    logs = runs.mean_interval(np.log(ratios))  # geometric mean: the ratios span three magnitudes
    value, low, end = np.exp(logs[:3]).tolist()
    high = Estimate(value, low, end, logs.n)
    expected = f"more than {FIVE:g} × the lowest error beyond (geometric mean)"
    yield runs.Claim.of(high, "random features: the peak is high", BELKIN, expected, runs.above(high, FIVE), **about)
    less = runs.mean_interval(norm[-1] / norm[peak, seeds])
    yield runs.Claim.of(
        less,
        "random features: the norm falls beyond the peak",
        BELKIN,
        "at the largest size ÷ at the peak < 1",
        runs.below(less, 1),
        **two | {"images": 0},
    )
    thresholds = {FEATURES: int(np.median(peak))}
    for kind in (NETWORKS, LONGER):
        wrong, errors, *_ = sets[kind]["numbers"].swapaxes(0, 1)
        fitted, sizes = (wrong == 0).mean(1) >= 0.5, sets[kind]["size"]
        if not fitted.any():
            note = f"lowest training error {np.nanmin(wrong):.1%}"
            name, expected = f"{kind}: some fit every label", "half the seeds of a size"
            yield runs.Claim(name, NAKKIRAN, expected, None, None, runs.UNSETTLED, note=note, data=every["data"])
            continue
        thresholds[kind] = threshold = int(fitted.argmax())
        least = int(errors[: threshold + 1, ::2].mean(1).argmin())
        rise = runs.difference_interval(errors[threshold, 1::2], errors[least, 1::2], paired=True)
        fall = runs.difference_interval(errors[threshold], errors[-1], paired=True)
        note = f"from size {sizes[least]:.2g} to the threshold, size {sizes[threshold]:.2g}"
        name = f"{kind}: error rises up to the threshold"
        half = two | {"networks": 2 * rise.n, "seeds": rise.n}
        yield runs.Claim.of(rise, name, NAKKIRAN, "more than 0", runs.above(rise, 0), note=note, unit="%", **half)
        name = f"{kind}: error falls beyond the threshold"
        yield runs.Claim.of(fall, name, NAKKIRAN, "more than 0", runs.above(fall, 0), unit="%", **two)
    for kind, first in thresholds.items():
        agreement, names = sets[kind]["agreement"], list(sets[kind]["places"])
        inside, outside = (agreement[-1, k] - agreement[first, k] for k in map(names.index, (MIXED, TESTED)))
        at_points = two | {"images": queries}
        gain, more = runs.mean_interval(outside), runs.difference_interval(outside, inside, paired=False)
        name = f"{kind}: seeds agree more outside beyond the threshold"
        yield runs.Claim.of(gain, name, OUTSIDE, "more than 0", runs.above(gain, 0), unit="%", **at_points)
        name = f"{kind}: agreement grows more outside than inside"
        yield runs.Claim.of(more, name, OUTSIDE, "more than 0", runs.above(more, 0), unit="%", **at_points)
    if LONGER in thresholds and thresholds[LONGER] < len(sets[LONGER]["size"]) - 1:
        yield from mediated(sets[LONGER], thresholds[LONGER], every | {"networks": 2 * count})


def mediated(found: dict[str, np.ndarray], threshold: int, about: dict[str, Any]) -> Iterator[runs.Claim]:
    """Whether disagreement outside or inside carries the effect of width on test error."""
    ends, names = [threshold, -1], list(found["places"])
    errors, apart = found["numbers"][ends, 1], found["disagreement"][ends]
    finite = np.isfinite(errors).all(0)
    for words, place in (("outside", TESTED), ("inside", MIXED)):
        values = apart[:, names.index(place), finite].T
        effects = mediation(errors[:, finite].T, {words: values})
        indirect, note = effects.indirect[words], effects.note(words)
        name = f"{LONGER}: less disagreement {words} carries the effect of width on test error"
        yield runs.Claim.of(indirect, name, OUTSIDE, "less than 0", runs.below(indirect, 0), note=note, unit="%", **about)


def figures(results: runs.Results) -> plotting.Figures:
    """Errors and norms by size; agreement by size and place."""
    data, count = plotting.data_name(results.names("data")[0]), results.config["seeds"]
    sets = {kind: results.arrays(kind) for kind in (FEATURES, NETWORKS, LONGER)}

    def draw(axes: Axes, sizes: np.ndarray, values: np.ndarray, colour: str, label: str, line: str = "-") -> None:
        finite = [each[np.isfinite(each)] for each in values]
        bands = np.array([runs.mean_interval(each)[:3] for each in finite])
        axes.plot(sizes, bands[:, 0], line, color=colour, label=label)
        axes.fill_between(sizes, bands[:, 1], bands[:, 2], color=colour, alpha=0.2, linewidth=0)

    def finish(axes: Axes) -> None:
        axes.axvline(1, color="0.8", zorder=0)
        axes.set(xscale="log", xlabel="trained parameters ÷ equations")
        plotting.plain_ticks(axes)

    title = f"{data}: errors and norms by size; means over {count} seeds, with 95% intervals"
    drawn, axes = plotting.figure(2, 2, size=(10, 7), title=title)
    for (kind, found), colour in zip(sets.items(), plotting.colours(sets).values(), strict=True):
        column, words = axes[:, int(kind != FEATURES)], kind.partition(", ")[2]
        train, test, _, norm = found["numbers"].swapaxes(0, 1)
        draw(column[0], found["size"], test, colour, f"test, {words}")
        draw(column[0], found["size"], train, colour, f"training, {words}", "--")
        draw(column[1], found["size"], norm, colour, words)
    for column, kind in zip(axes.T, ("random features", "networks, 20% random labels"), strict=True):
        column[0].set(title=kind, ylabel="share of wrong labels", ylim=(-0.02, 1))
        column[1].set(ylabel="norm of the trained parameters", yscale="log")
        for place in column:
            finish(place)
        column[0].legend(loc="best")
    yield "sizes", drawn
    title = f"{data}: agreement of {count} seeds of one size, inside the hull, on its surface and outside (95% intervals)"
    drawn, axes = plotting.figure(1, len(sets), size=(12, 4.4), title=title)
    for place, (kind, found) in zip(axes[0], sets.items(), strict=True):
        for name, colour in plotting.colours(SHOWN).items():
            draw(place, found["size"], found["agreement"][:, list(found["places"]).index(name)], colour, name)
        place.set(title=kind, ylim=(0, 1.02))
        finish(place)
    axes[0, 0].set_ylabel("share of pairs of seeds that agree")
    drawn.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    yield "agreement", drawn


experiment = runs.Experiment(Config, PRESETS, measure, claims, figures)
if __name__ == "__main__":
    experiment.main()
