"""Are test images inside the hull once features are reduced to few dimensions, and does membership predict accuracy?

An autoencoder, with a bottleneck of 2 to 16 numbers, encodes the last hidden layer of a trained network. It is the better, on
the training images, of two random starts. The hull is that of the training images' codes. Claims (L. Bonnasse-Gahot 2022, arXiv
2207.08648): most test images are inside, so networks interpolate; nearness to the training set predicts accuracy, membership in
the hull does not.

    python -m experiments.intrinsic                         digits, 3 MLPs, under 20 seconds
    python -m experiments.intrinsic cpu                     MNIST, 10,000 × 2,000, 12 LeNets, ten minutes
    python -m experiments.intrinsic paper                   MNIST in full, 20 CNNs

Expected on the digits: 99% inside with 2 numbers and 90% with 4; nearness predicts errors with an AUROC of 0.7, membership
does not.

Each seed draws a network and its autoencoders. Measurements are one value per seed, and intervals are over seeds. Each feature
is standardised by its mean and deviation over the training images.

Fixed before the run: the AUROC measures how well a score predicts errors. It is the probability that a wrongly classified
image scores higher than a correctly classified one; ties count one half. (A rank correlation with errors shrinks as errors
become rare, and networks differ in accuracy.) Scores are the distance to the nearest training code; membership, 0 inside and 1
outside; the distance to the hull, 0 inside; and, as a baseline without codes, 1 − the network's largest softmax output. "Most"
is more than half of the images. "Better" is a difference of AUROC above 0 in pairs of the same seed, at each bottleneck. A seed
counts if its network makes at least 5 errors and images lie on both sides of the hull. If no image is outside, membership
cannot be judged. A seed whose autoencoder loses more than half of the features' variance has degenerate codes and does not
count for that bottleneck.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np
from matplotlib.axes import Axes
from scipy.spatial import ConvexHull
from scipy.special import softmax
from sklearn.metrics import roc_auc_score

import hullx
from experiments.shared.networks import NETWORKS, adam
from hullx import probes, runs
from hullx.data import Sample
from hullx.geometry import neighbours
from hullx.runs import plotting
from hullx.training import FitConfig, fit

from .autoencoder_codes import codes, features

SOURCE = "arXiv 2207.08648"
SCORES = "AUROC, nearest code", "AUROC, membership", "AUROC, hull distance", "AUROC, 1 − largest softmax"
NEAREST, MEMBER, HULL, SOFTMAX = SCORES
INSIDE, LOST, RIGHT = "share inside", "share of variance lost", ("accuracy inside", "accuracy outside")
FEWEST, DEGENERATE = 5, 0.5  # errors of a network, for a meaningful AUROC; lost variance of degenerate codes


@dataclass(frozen=True)
class Config(runs.Config):
    """Settings of the experiment.

    Attributes:
        data: a data set, as in hullx.data.Sample.
        network: mlp, cnn, or another of `experiments.shared.networks`.
        seeds: number of networks, and of autoencoders for each bottleneck.
        epochs: epochs of the networks' training.
        bottlenecks: dimensions of the codes.
        steps: steps of an autoencoder's training.
    """

    data: Sample = Sample("digits")
    network: str = "mlp"
    seeds: int = 3
    epochs: int = 20
    bottlenecks: tuple[int, ...] = (2, 4)
    steps: int = 1000


CPU = Config(data=Sample("mnist:10000:2000"), network="lenet", seeds=12, epochs=4, bottlenecks=(2, 4, 8, 16), steps=2000)
FULL = replace(CPU, data=Sample("mnist"), network="cnn", seeds=20, epochs=10, bottlenecks=(2, 3, 4, 6, 8, 12, 16), steps=20_000)
PRESETS = {"smoke": Config(bottlenecks=(2,)), "cpu": CPU, "paper": FULL}


def measure(config: Config, run: runs.Run[Config]) -> None:
    """Train networks and autoencoders, and project the test codes for each bottleneck."""
    runs.known("--network", [config.network], NETWORKS)
    data, tables = config.data.load(seed=config.seed, data_dir=config.data_dir), list[dict[str, np.ndarray]]()
    kind, layer = NETWORKS[config.network]
    model, keys = kind(len(data.classes)), jax.random.split(jax.random.key(config.seed), config.seeds)
    settings = FitConfig(config.epochs, checkpoint=run.resume_dir("networks"), title="networks")
    variables = fit(keys, model, adam(1e-3), data.train, settings).state.variables
    train = run.cached("training features", features, model, variables, data.train.images, layer)
    test = run.cached("test features", features, model, variables, data.test.images, layer)
    logits = np.asarray(probes.logits(variables, data.test.images, model=model), np.float64)
    wrong, unsure = logits.argmax(-1) != data.test.labels, 1 - softmax(logits, axis=-1).max(-1)
    run.record("accuracy", 1 - wrong.mean(1), data=data.title, group="networks", unit="share")
    for k in config.bottlenecks:
        group = f"bottleneck {k}"
        coded = run.cached(f"codes {k}", codes, train, test, k, config.steps, config.seed)
        pairs, found, near = list(zip(coded.test, coded.train, strict=True)), list[hullx.Projection](), list[np.ndarray]()
        for seed, pair in enumerate(pairs):
            name = f"{group}, seed {seed}"
            found.append(hullx.sweep(*pair, rtol=config.rtol, resume=run.resume_dir(name), progress=name))
            near.append(neighbours(*pair).distance[:, 0])
        outside, decided = np.array([each.outside for each in found]), np.array([each.decided for each in found])
        inside, hull = decided & ~outside, np.where(outside, [each.distance for each in found], 0.0)
        kept, columns = coded.lost <= DEGENERATE, {INSIDE: inside.mean(1), LOST: coded.lost}
        for name, side in zip(RIGHT, (inside, outside), strict=True):
            of_seeds = zip(wrong, side, strict=True)
            columns[name] = np.array([1 - bad[some].mean() if some.any() else np.nan for bad, some in of_seeds])
        for name, score in zip(SCORES, (np.array(near), outside, hull, unsure), strict=True):
            columns[name] = np.array([auroc(*each) for each in zip(wrong, outside, score, strict=True)])
        for quantity, values in columns.items():
            unit = "" if quantity in SCORES else "share"
            shown = values if quantity == LOST else np.where(kept, values, np.nan)
            run.record(quantity, shown, data=data.title, group=group, unit=unit)
        run.record("degenerate", ~kept, data=data.title, group=group, statistic="count")
        run.record("undecided", ~decided, data=data.title, group=group, statistic="count")
        first = {"bottleneck": np.full(config.seeds, k), "seed": np.arange(config.seeds), "errors": wrong.sum(1)}
        tables.append(first | columns)
        one = {"train": coded.train[coded.lost.argmin()], "test": coded.test[coded.lost.argmin()]}
        run.arrays(
            group, **one, seed=np.array(coded.lost.argmin()), wrong=wrong, outside=outside, hull=hull, nearest=np.array(near)
        )
    run.arrays("softmax", unsure=unsure)
    run.table("seeds", {name: np.concatenate([table[name] for table in tables]) for name in tables[0]})


def auroc(wrong: np.ndarray, outside: np.ndarray, score: np.ndarray) -> float:
    """The AUROC of a score for predicting errors; NaN for a seed that does not count."""
    counts = FEWEST <= wrong.sum() < len(wrong) and 0 < outside.sum() < len(outside)
    return float(roc_auc_score(wrong, score)) if counts else np.nan


def claims(results: runs.Results) -> Iterator[runs.Claim]:
    """For each bottleneck: most are inside; those outside are right less often; nearness predicts errors better than others."""
    table, (data, *_) = results.table("seeds"), results.names("data")
    seeds = results.config["seeds"]
    images = results.total("undecided")[1] // seeds // len(results.config["bottlenecks"])
    for k in results.config["bottlenecks"]:
        kept = (table["bottleneck"] == k) & (table[LOST] <= DEGENERATE)
        about: dict[str, Any] = {"data": data, "group": f"bottleneck {k}", "images": images}

        def counted(estimate: runs.Estimate, why: str) -> dict[str, Any]:
            note = "" if estimate.n == seeds else f"{seeds - estimate.n} of {seeds} seeds {why}"
            return about | {"networks": estimate.n, "seeds": estimate.n, "note": note}  # noqa: B023 (called in this round only)

        inside = results.estimate(INSIDE, data=data, group=f"bottleneck {k}")
        name, more = f"bottleneck {k}: most test images are inside the hull", counted(inside, "have degenerate codes")
        yield runs.Claim.of(inside, name, SOURCE, "more than half", runs.above(inside, 0.5), **more, unit="%")
        both = kept & ~np.isnan(table[RIGHT[0]]) & ~np.isnan(table[RIGHT[1]])
        gain = runs.difference_interval(*(table[side][both] for side in RIGHT), paired=True)
        name, more = f"bottleneck {k}: networks are right more often inside than outside", counted(gain, "have one side only")
        yield runs.Claim.of(gain, name, "interpolation", "above 0", runs.above(gain, 0), **more, unit="%")
        chosen = kept & ~np.isnan(table[NEAREST])
        for other, words in ((MEMBER, "membership"), (HULL, "distance to the hull"), (SOFTMAX, "the softmax output")):
            gain = runs.difference_interval(table[NEAREST][chosen], table[other][chosen], paired=True)
            name, expected = f"bottleneck {k}: nearness predicts errors better than {words}", "AUROC higher by more than 0"
            source = "baseline" if other == SOFTMAX else SOURCE
            more = counted(gain, "err too rarely, have one side only or degenerate codes")
            yield runs.Claim.of(gain, name, source, expected, runs.above(gain, 0), **more)


def figures(results: runs.Results) -> plotting.Figures:
    """Shares inside, accuracies and predictions by bottleneck; the plane of codes if one bottleneck is 2."""
    (data, *_), ks = results.names("data"), results.config["bottlenecks"]
    short, about = plotting.data_name(data), f"means and 95% intervals over {results.config['seeds']} networks"
    title = f"{short}: test images and the hull of the training codes; {about}"
    drawn, axes = plotting.figure(1, 2, size=(9, 4), title=title)
    for place, names, label in zip(axes[0], ((INSIDE, LOST), RIGHT), ("share", "accuracy"), strict=True):
        by_bottleneck(place, results, data, names, label)
    yield "inside", drawn
    drawn, axes = plotting.figure(size=(6.5, 4.4), title=f"{short}: how well scores predict the networks' errors; {about}")
    by_bottleneck(axes[0, 0], results, data, SCORES, "AUROC (grey line: chance, 0.5)")
    axes[0, 0].axhline(0.5, color="0.7", linewidth=1, zorder=0)
    yield "prediction", drawn
    if 2 in ks:
        found = results.arrays("bottleneck 2")
        title = f"{short}: codes of two numbers and the hull of the training codes, one network"
        drawn, axes = plotting.figure(size=(6.5, 5.5), title=title)
        axes[0, 0].plot(*found["train"].T, ".", color="0.8", markersize=2, label="training images")
        axes[0, 0].fill(*found["train"][ConvexHull(found["train"]).vertices].T, fill=False, edgecolor="0.5")
        for (wrong, name), colour in zip(((False, "right"), (True, "wrong")), plotting.COLOURS, strict=False):
            mine = found["test"][found["wrong"][found["seed"]] == wrong]
            axes[0, 0].plot(*mine.T, "x" if wrong else ".", color=colour, markersize=5, label=f"test images, network {name}")
        axes[0, 0].set(xlabel="first number", ylabel="second number")
        axes[0, 0].legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3)
        yield "codes", drawn


def by_bottleneck(axes: Axes, results: runs.Results, data: str, quantities: Sequence[str], label: str) -> None:
    """Draw a line per quantity with its intervals, offset so that they do not overlap."""
    ks = results.config["bottlenecks"]
    for i, (name, colour) in enumerate(plotting.colours(quantities).items()):
        value, low, high = np.array([results.estimate(name, data=data, group=f"bottleneck {k}")[:3] for k in ks]).T
        places, bars = np.arange(len(ks)) + 0.05 * i, np.nan_to_num([value - low, high - value])
        axes.errorbar(places, value, bars, color=colour, label=name, marker="o", markersize=4, capsize=2)
    axes.set_xticks(np.arange(len(ks)), [str(k) for k in ks])
    axes.set(xlabel="bottleneck: numbers in a code", ylabel=label)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1))


experiment = runs.Experiment(Config, PRESETS, measure, claims, figures)
if __name__ == "__main__":
    experiment.main()
