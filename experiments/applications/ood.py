"""Is hull distance a good score of unfamiliar (out-of-distribution) images, beside the scores in use?

Hull distance is measured in pixels, in the last hidden layer, and there with features of unit length. The others
(`ood_scores`): distance to the k-th neighbour in the same three spaces (Sun et al. 2022: unit length, k = 50), Mahalanobis (Lee
et al. 2018), maximum softmax (Hendrycks and Gimpel 2017), energy (Liu et al. 2020) and ViM (Wang et al. 2022). All use familiar
training images alone; nothing is tuned. k = 1 is added, because the hull distance is at most that to the nearest image.

    python -m experiments.ood                               digits, 3 MLPs, seconds, no download
    python -m experiments.ood cpu                           MNIST, 10,000 images, 10 LeNets; CIFAR-10: minutes
    python -m experiments.ood paper                         MNIST in full, 20 LeNets; CIFAR-10

Half of the test images are the familiar ones. The other half is the source of unfamiliar ones, of equal number in each set:
uniform noise, added noise, blurred, rotated by 90°, shuffled pixels, and mixtures (means of two images of different classes).
Test images of other data sets are added in grey, at equal size (`unfamiliar_images`).

AUROC is scikit-learn's. FPR is the share of unfamiliar images that pass when 95% of the familiar ones are accepted: familiar is
the positive class. Numbers are means over networks. Intervals resample networks, familiar and unfamiliar images, the same for
all scores (`detection_rates`). Independent units are images for scores in pixels, networks for others.

Fixed before the run on MNIST; digits were the pilot. A difference is AUROC of hull distance − AUROC of another score, on
average over all sets but mixtures. Hull distance is as good as the other score if the difference is above −`MARGIN`. In each
space it is compared with neighbours; in the last hidden layer also with Mahalanobis, maximum softmax, energy and ViM. Mixtures
are a control: they lie between images, so hull distance in pixels should miss them, with an AUROC below 0.5. Differences on
single sets have no verdict.

"ms per query" is the time of a second call for the familiar images, k-NN by scikit-learn (brute force): for information.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

import hullx
from experiments.shared.networks import NETWORKS, adam
from hullx import probes, runs, spaces
from hullx.data import Sample
from hullx.errors import ArgumentError
from hullx.runs import pictures, plotting
from hullx.training import FitConfig, fit
from hullx.training.config import Ensemble

from . import detection_rates, ood_scores
from .ood_scores import ENERGY, MAHALANOBIS, SOFTMAX, VIM
from .unfamiliar_images import MIXED, changed, others

BATCH, RATE, MARGIN = 64, 2e-3, 0.01
SPACES = PIXELS, FEATURES, UNIT = "pixels", "features", "unit features"
SOURCES = {
    MAHALANOBIS: "Lee et al. 2018",
    SOFTMAX: "Hendrycks and Gimpel 2017",
    ENERGY: "Liu et al. 2020",
    VIM: "Wang et al. 2022",
}
NEIGHBOURS, GEOMETRY = "Sun et al. 2022", "convexity"
FAMILIAR, AVERAGE, UNDECIDED = "familiar", "mean without mixtures", "undecided"
AUROC, FPR, GAIN = "AUROC", "FPR at 95% TPR", "AUROC of hull − other"


@dataclass(frozen=True)
class Config(runs.Config):
    """Settings of the experiment.

    Attributes:
        data: the familiar data set, as in hullx.data.Sample.
        others: other data sets, whose test images are unfamiliar.
        network: a name among mlp, lenet, cnn, resnet.
        networks: number of networks.
        epochs: epochs of training.
        neighbours: numbers k of neighbours.
    """

    data: Sample = Sample("digits:1437:160")
    others: tuple[Sample, ...] = ()
    network: str = "mlp"
    networks: int = 10
    epochs: int = 10
    neighbours: tuple[int, ...] = (1, 50)


GREY = (Sample("cifar10:1"),)
PRESETS = {
    "smoke": Config(data=Sample("digits:300:100"), networks=3),
    "cpu": Config(data=Sample("mnist:10000:1000"), others=GREY, network="lenet", epochs=5),
    "paper": Config(data=Sample("mnist"), others=GREY, network="lenet", networks=20, epochs=20),
}


def hull_name(space: str) -> str:
    """The name of hull distance in a space."""
    return f"hull, {space}"


def near_name(k: int, space: str) -> str:
    """The name of the distance to the k-th neighbour in a space."""
    return f"{k}-NN, {space}"


def pairs(neighbours: tuple[int, ...]) -> Iterator[tuple[str, str, str]]:
    """Each comparison: hull distance, the other score, and the other's source."""
    for space in SPACES:
        yield from ((hull_name(space), near_name(k, space), NEIGHBOURS) for k in neighbours)
    yield from ((hull_name(FEATURES), other, source) for other, source in SOURCES.items())


def measure(config: Config, run: runs.Run[Config]) -> None:
    """Score familiar and unfamiliar images in pixels and by each network, and record detection rates."""
    runs.known("--network", (config.network,), NETWORKS)
    if config.networks < 2:
        raise ArgumentError(f"--networks: got {config.networks}, expected 2 or more, as intervals resample them")
    data = config.data.load(seed=config.seed, data_dir=config.data_dir)
    half = len(data.test.labels) // 2
    order, train = runs.generator(config.seed, "halves").permutation(len(data.test.labels)), data.train
    familiar, source = data.test.take(order[:half]), data.test.take(order[half : 2 * half])
    sets = {FAMILIAR: familiar.images} | others(config, config.others, familiar.images)
    sets |= changed(runs.generator(config.seed, "changes"), source)
    images = np.concatenate(list(sets.values()))

    def placed(space: str, queries: np.ndarray, points: np.ndarray, title: str) -> dict[str, np.ndarray]:
        return run.cached(title, score_in_space, config, space, queries, points, title)

    own = placed(PIXELS, images.reshape(len(images), -1), train.rows, PIXELS)
    scores, right = {name: [each] for name, each in own.items()}, list[np.ndarray]()
    model, last = NETWORKS[config.network].make(len(data.classes)), NETWORKS[config.network].last
    keys, own_batches = jax.random.split(jax.random.key(config.seed), config.networks), Ensemble(share_batches=False)
    about: dict[str, Any] = {"checkpoint": run.resume_dir("networks"), "title": f"{data.title}, networks"}
    settings = FitConfig(config.epochs, BATCH, ensemble=own_batches, **about)
    fitted: Any = fit(keys, model, adam(RATE), train, settings).state.variables
    for i in range(config.networks):
        variables = jax.tree.map(lambda each: each[i], fitted)  # noqa: B023
        space, head = spaces.Features(model, variables, last), probes.head_of(variables)
        queries, points = (spaces.rows(space, each) for each in (images, train.images))
        right.append(probes.predicted_class(head, queries[:half]) == familiar.labels)
        found = placed(FEATURES, queries, points, title := f"network {i + 1}")
        found |= placed(UNIT, *map(ood_scores.unit_length, (queries, points)), title=f"{title}, unit length")
        found |= ood_scores.network_scores(queries, points, train.labels, head)
        for name, each in found.items():
            scores.setdefault(name, []).append(each)
        if i == 0:
            record_times(run, data.title, {PIXELS: (familiar.rows, train.rows), FEATURES: (queries[:half], points)})
    run.record("share outside in pixels", own[hull_name(PIXELS)][:half] > 0, data=data.title, group=FAMILIAR)
    run.record("accuracy", runs.two_way_interval(np.array(right)), data=data.title, group=FAMILIAR)
    for space in SPACES:
        undecided = np.concatenate(scores.pop(f"{UNDECIDED}, {space}"))
        run.record(UNDECIDED, undecided, data=data.title, group=hull_name(space), statistic="count")
    by_set = {name: np.array(each).reshape(len(each), len(sets), half) for name, each in scores.items()}
    record_rates(run, data.title, list(sets), by_set)
    run.arrays("images", **{runs.slug(name): each[:5] for name, each in sets.items()})


def score_in_space(config: Config, space: str, queries: np.ndarray, points: np.ndarray, title: str) -> dict[str, np.ndarray]:
    """Hull distance, 0 unless proved outside, and distances to neighbours, in one space."""
    near = ood_scores.neighbour_distances(queries, points, config.neighbours)
    found = hullx.sweep(queries, points, rtol=config.rtol, progress=f"hull, {title}")
    own = {hull_name(space): np.where(found.outside, found.distance, 0.0), f"{UNDECIDED}, {space}": ~np.asarray(found.decided)}
    return own | {near_name(k, space): each for k, each in near.items()}


def record_times(run: runs.Run[Config], data: str, spaces_: dict[str, tuple[np.ndarray, np.ndarray]]) -> None:
    """Record milliseconds per query of hull distance and of neighbours."""
    k = max(run.config.neighbours)
    for space, (queries, points) in spaces_.items():
        calls = {
            "hull": lambda: hullx.sweep(queries, points, rtol=run.config.rtol, progress=False),  # noqa: B023
            f"{k}-NN": lambda: ood_scores.neighbour_distances(queries, points, (k,)),  # noqa: B023
        }
        for name, call in calls.items():
            call()
            began = time.perf_counter()
            call()
            seconds = time.perf_counter() - began
            run.record(f"ms per query, {name}", 1000 * seconds / len(queries), data=data, group=space)


def record_rates(run: runs.Run[Config], data: str, sets: list[str], scores: dict[str, np.ndarray]) -> None:
    """Record AUROC and FPR of each score and set, and differences of AUROC; scores are (networks, sets, images)."""
    config, images = run.config, next(iter(scores.values())).shape[-1]
    draws = detection_rates.draw(runs.generator(config.seed, "draws"), config.networks, images)
    found = dict[str, dict[str, detection_rates.Rates]]()
    for name, each in scores.items():
        of = {kind: detection_rates.rates(each[:, 0], each[:, i], draws) for i, kind in enumerate(sets) if i}
        average = detection_rates.mean([mine for kind, mine in of.items() if kind != MIXED])
        found[name] = {AVERAGE: average, **of}
        for kind, mine in found[name].items():
            about: dict[str, Any] = {"data": data, "group": f"{name}, {kind}"}
            run.record(AUROC, detection_rates.estimate(mine.auroc, mine.n), **about)
            run.record(FPR, detection_rates.estimate(mine.fpr, mine.n), **about)
    rows = list[tuple[Any, ...]]()
    for hull, other, _ in pairs(config.neighbours):
        apart = {kind: detection_rates.difference(found[hull][kind], found[other][kind]) for kind in found[hull]}
        run.record(GAIN, apart[AVERAGE], data=data, group=f"{hull} − {other}")
        rows += [(hull, other, kind, *each[:3]) for kind, each in apart.items()]
    run.tabulate("differences", ("hull", "other", "set", GAIN, "low", "high"), rows)


def claims(results: runs.Results) -> Iterator[runs.Claim]:
    """Whether hull distance is as good as each other score, and whether it misses mixtures."""
    (data,), networks = results.names("data"), results.config["networks"]
    area, group = results.estimate(AUROC, group=f"{hull_name(PIXELS)}, {MIXED}"), hull_name(PIXELS)
    images = 2 * area.n  # familiar ones, and the sources of unfamiliar ones
    for hull, other, source in pairs(tuple(results.config["neighbours"])):
        apart = results.estimate(GAIN, group=f"{hull} − {other}")
        more: dict[str, Any] = {"data": data, "group": hull, "images": images}
        more |= {"networks": 0 if hull == hull_name(PIXELS) else networks, "note": "difference of AUROC, mean over sets"}
        name, verdict = f"{hull}: as good a score as {other}", runs.above(apart, -MARGIN)
        yield runs.Claim.of(apart, name, source, f"above −{MARGIN:.0%}", verdict, **more)
    name, about = f"{group}: misses mixtures of two images", {"data": data, "group": group, "images": images}
    yield runs.Claim.of(area, name, GEOMETRY, "AUROC below 50%", runs.below(area, 0.5), **about)


def figures(results: runs.Results) -> plotting.Figures:
    """AUROC of each score by set; images of each set."""
    (data,) = results.names("data")
    groups, short, shown = results.names("group", quantity=AUROC), plotting.data_name(data), results.arrays("images")
    scores = [group.removesuffix(f", {AVERAGE}") for group in groups if group.endswith(AVERAGE)]
    kinds = [group.removeprefix(f"{scores[0]}, ") for group in groups if group.startswith(scores[0])]
    title = f"{short}: AUROC of each score by kind of unfamiliar images, with 95% intervals (dashed: chance)"
    drawn, axes = plotting.figure(2, 4, size=(12, 2.2 + 0.4 * len(scores)), title=title)
    nothing = runs.Estimate(np.nan, np.nan, np.nan, 0)
    for place, kind in zip(axes.flat, kinds, strict=False):
        found = {name: results.estimate(AUROC, group=f"{name}, {kind}") for name in scores}
        for hull, colour in zip((True, False), plotting.COLOURS, strict=False):
            mine = {name: each if name.startswith("hull") is hull else nothing for name, each in found.items()}
            plotting.intervals(place, mine, "", color=colour, label="hull distance" if hull else "other scores")
        place.axvline(0.5, color="0.7", linewidth=1, linestyle="--", zorder=0)
        place.set(title=kind, xlim=(-0.02, 1.02), xlabel=AUROC)
    for place in axes[:, 1:].flat:
        place.set_yticklabels([])
    for place in axes.flat[len(kinds) :]:
        place.set_axis_off()
    drawn.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    yield "auroc", drawn
    drawn, axes = plotting.figure(len(shown), 5, size=(6, 1.1 * len(shown)), title=f"{short}: familiar and unfamiliar images")
    for row, kind in zip(axes, [FAMILIAR, *[each for each in kinds if each != AVERAGE]], strict=True):
        pictures.pictures(row, shown[runs.slug(kind)], [""] * 5)
        row[0].set_ylabel(kind, rotation=0, ha="right", va="center")
    yield "images", drawn


experiment = runs.Experiment(Config, PRESETS, measure, claims, figures)
if __name__ == "__main__":
    experiment.main()
