"""How far are test images from their flip points, and does this depend on the hull of the training set?

The flip point of an image (Yousefzadeh and O'Leary 2019, arXiv 1903.08789) is the nearest point between two classes, where its
two largest logits are equal. Is it nearer than the hull? Do images far from the hull have near flip points? Does the softmax
margin predict the distance (that paper: it need not)? Is the way to it the way out of the hull, or along the face onto which
the image projects?

    python -m experiments.flip_points                       digits, an MLP, seconds, no download
    python -m experiments.flip_points cpu                   MNIST, 10,000 × 300, a LeNet: minutes
    python -m experiments.flip_points cifar10               CIFAR-10, 50,000 × 60, a CNN: minutes and training
    python -m experiments.flip_points paper                 MNIST in full

Flip points lie within [0, 1]. They count if the gap of the two logits is at most 1e-4 of the logits' range. The control is a
random change of the same length within [0, 1], image by image: the shares of squared length along the residual (the way out)
and along the face are compared with the control's, in pairs. Fixed before the run: correlations are Spearman's, with 95%
intervals. Flip points are nearer than the hull if the median ratio is below 1. Wrong images are nearer to their flip points if
the difference of means is below 0; fewer than ten wrong images settle nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import hullx
from experiments.shared.controls import random_change
from hullx import probes, runs
from hullx.data import Sample
from hullx.probes.attacks import Budget, deepfool, smallest_budget
from hullx.runs import pictures, plotting

from . import attack_setup
from .attack_setup import CIFAR, project_images, train_network
from .recipes import NETWORKS

FLIPS, SOURCE = "arXiv 1903.08789", "arXiv 2203.10366"
RATIO, SHOWN = "flip distance ÷ distance to the hull", 6
OUT, FACE = "share of squared length along the way out", "share of squared length along the face"


@dataclass(frozen=True)
class Config(attack_setup.Config):
    """Settings of the experiment.

    Attributes:
        classes: number of classes whose flip points are searched: an image's own, and the most likely others.
        attacked: number of images for which APGD also searches the nearest flip.
    """

    classes: int = 4
    attacked: int = 30


PRESETS = {
    "smoke": Config(data=Sample("digits:1437:60"), classes=3, attacked=10),
    "cpu": Config(data=Sample("mnist:10000:300"), network="lenet", epochs=10, classes=5, attacked=50),
    "cifar10": Config(data=Sample("cifar10:50000:60"), classes=4, attacked=30, **CIFAR),
    "paper": Config(data=Sample("mnist"), network="lenet", epochs=20, classes=10, attacked=1000),
}


def measure(config: Config, run: runs.Run[Config]) -> None:
    """Find the test images' flip points, and compare with their distances to the hull."""
    runs.known("--network", [config.network], NETWORKS)
    data = config.data.load(seed=config.seed, data_dir=config.data_dir)
    network = train_network(config, run, data)
    apply, variables, images = network.model.apply, network.variables, jnp.asarray(data.test.images)
    logits: Any = apply(variables, images)
    scores, labels = np.sort(np.asarray(jax.nn.softmax(logits))), jnp.asarray(data.test.labels)
    softmax, right = scores[:, -1] - scores[:, -2], np.asarray(logits.argmax(-1) == labels)
    starts: dict[str, Any] = {"towards": data.train.images, "key": jax.random.key(config.seed)}
    found = run.cached("flip points", lambda: probes.flip_points(apply, variables, images, classes=config.classes, **starts))
    hull = project_images(config, run, data, data.test.images, "test images")
    fooled = run.cached("DeepFool", lambda: deepfool(apply, variables, images, logits.argmax(-1)))
    few = slice(config.attacked)
    largest = Budget("l2", 2 * float(np.max(found.distance[found.verified], initial=1e-3)))
    given = apply, variables, images[few], logits.argmax(-1)[few], jax.random.key(config.seed)
    nearest = run.cached("APGD", lambda: smallest_budget(*given, largest=largest))
    verified, rows = np.asarray(found.verified), data.test.rows
    moved = np.asarray(found.points).reshape(rows.shape) - rows
    after = project_images(config, run, data, np.asarray(found.points), "flip points' distances")

    about: dict[str, Any] = {"data": data.title, "group": f"{config.network}, test images"}
    run.record("accuracy", right, **about)
    run.record("share verified", verified, **about)
    run.record("share no farther than DeepFool's", no_farther(found, fooled, slice(None)), **about)
    run.record("share no farther than APGD's", no_farther(found, nearest, few), **about)
    run.record("flip distance", found.distance[verified], **about)
    run.record(RATIO, (found.distance / np.maximum(hull.distance, 1e-30))[verified], **about, statistic="median")
    run.record("undecided", ~(hull.decided & after.decided), **about, statistic="count")
    run.record("distance to the hull − before", (after.distance - hull.distance)[verified], **about)
    way, face, size = (each[verified] for each in length_shares(moved, rows, hull, data.train.rows))
    changed = random_change(runs.generator(config.seed, "random"), rows[verified], np.linalg.norm(moved[verified], axis=1))
    mine = type(hull)(*(np.asarray(field)[verified] for field in hull))
    random = length_shares(changed - rows[verified], rows[verified], mine, data.train.rows)
    for name, share, chance in ((OUT, way, random[0]), (FACE, face, random[1])):
        run.record(name, share, **about, unit="share")
        run.record(f"{name}, random", chance, **about, unit="share")
        run.record(f"{name}, more than random", runs.difference_interval(share, chance, paired=True), **about, unit="%")
    run.record("dimension of the face", size, **about)
    for name, values in (("the distance to the hull", hull.distance), ("the softmax margin", softmax)):
        run.record(f"correlation with {name}", runs.rank_correlation(found.distance[verified], values[verified]), **about)
    wrong, others = (found.distance[verified & which] for which in (~right, right))
    run.record("wrong images' − right ones'", runs.difference_interval(wrong, others, paired=False), **about)
    columns = {"flip": found.distance, "hull": hull.distance, "softmax": softmax, "right": right, "verified": verified}
    run.table("images", columns)
    shown = np.argsort(found.distance)[np.linspace(0, verified.sum() - 1, SHOWN).astype(int)]
    names, point = np.array(data.classes), np.asarray(found.points)[shown]
    called = [f"{a} or {b}" for a, b in zip(names[found.called[shown]], names[found.other[shown]], strict=True)]
    run.arrays("shown", image=data.test.images[shown], point=point, label=np.array(called), distance=found.distance[shown])


def no_farther(found: probes.FlipPoints, others: Any, some: slice) -> np.ndarray:
    """Whether flip points are no farther than the attack's points, up to rounding, if both found one."""
    both = found.verified[some] & np.asarray(others.success)
    return found.distance[some][both] <= np.asarray(others.distance)[both] * (1 + 1e-5)


def length_shares(moved: np.ndarray, rows: np.ndarray, hull: hullx.Projection, points: np.ndarray) -> tuple[np.ndarray, ...]:
    """The shares of squared length along the residual and along the face; and the face's dimension."""
    out = rows - hull.point
    length = np.maximum((moved**2).sum(1), 1e-30)
    way = (moved * out).sum(1) ** 2 / (length * np.maximum((out**2).sum(1), 1e-30))
    face, size = np.zeros(len(rows)), (hull.weights > 0).sum(1) - 1
    for i, (support, weights) in enumerate(zip(hull.support, hull.weights, strict=True)):
        members = points[support[weights > 0]].astype(np.float64)
        basis = np.linalg.qr((members[1:] - members[0]).T)[0] if len(members) > 1 else np.zeros((rows.shape[1], 0))
        face[i] = ((moved[i] @ basis) ** 2).sum() / length[i]
    return way, face, size


def claims(results: runs.Results) -> Iterator[runs.Claim]:
    """Whether flip points are near, and what predicts their distance."""
    (data,), (group,) = results.names("data"), results.names("group")
    ratio, wrong = (results.estimate(name) for name in (RATIO, "wrong images' − right ones'"))
    about: dict[str, Any] = {"data": data, "group": group, "networks": 1, "images": ratio.n}
    yield runs.Claim.of(ratio, "flip points are nearer than the hull", SOURCE, "median below 1", runs.below(ratio, 1), **about)
    far, sure = (results.estimate(f"correlation with {each}") for each in ("the distance to the hull", "the softmax margin"))
    name, verdict = "images farther from the hull have nearer flip points", runs.below(far, 0)
    yield runs.Claim.of(far, name, SOURCE, "below 0", verdict, **about)
    name, verdict = "the softmax margin predicts the flip distance", runs.above(sure, 0)
    yield runs.Claim.of(sure, name, FLIPS, "above 0", verdict, **about)
    for quantity, where in ((OUT, "out of the hull"), (FACE, "along the face")):
        more = results.estimate(f"{quantity}, more than random")
        name = f"flip points lie more {where} than random changes of the same length"
        yield runs.Claim.of(more, name, SOURCE, "more than 0", runs.above(more, 0), **about)
    name, verdict = "wrongly classified images are nearer to their flip points", runs.below(wrong, 0)
    yield runs.Claim.of(wrong, name, FLIPS, "below 0", verdict, **{**about, "images": wrong.n})


def figures(results: runs.Results) -> plotting.Figures:
    """Flip distance against hull distance and softmax margin; images and their flip points."""
    (data,), table, shown = results.names("data"), results.table("images"), results.arrays("shown")
    title = f"{plotting.data_name(data)}: distances of test images to their flip points"
    drawn, axes = plotting.figure(1, 2, size=(9, 3.8), title=title)
    right, verified = (table[name].astype(str) == "True" for name in ("right", "verified"))
    table["unsure"] = np.maximum(1 - table["softmax"], 1e-8)
    labels = "distance to the hull", "1 − softmax margin (logarithmic; right: unsure)"
    for place, name, label in zip(axes[0], ("hull", "unsure"), labels, strict=True):
        for which, colour in zip((True, False), plotting.COLOURS, strict=False):
            mine, legend = verified & (right == which), "network right" if which else "network wrong"
            place.plot(table[name][mine], table["flip"][mine], "." if which else "x", color=colour, label=legend)
        place.set(xlabel=label, ylabel="distance to the flip point", ylim=(0, None))
    axes[0, 1].set_xscale("log")
    axes[0, 1].minorticks_off()
    top = axes[0, 0].get_ylim()[1]
    axes[0, 0].plot([0, top], [0, top], color="0.7", zorder=0, label="equal distances")
    axes[0, 0].set(xlim=(0, None), ylim=(0, top))
    drawn.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    yield "distances", drawn
    title = f"{plotting.data_name(data)}: test images and their flip points, from the smallest distance to the largest"
    drawn, axes = plotting.figure(3, SHOWN, size=(1.7 * SHOWN + 1, 5.4), title=title)
    labels = [f"{name}, {far:.2g}" for name, far in zip(shown["label"], shown["distance"], strict=True)]
    pictures.pictures(axes[0], shown["image"], labels)
    pictures.pictures(axes[1], shown["point"], [""] * SHOWN)
    pictures.differences(drawn, axes[2], list(shown["point"] - shown["image"]), "flip point − image")
    for row, word in zip(axes[:, 0], ("test image", "flip point", "difference"), strict=True):
        row.set_ylabel(word)
    yield "pictures", drawn


experiment = runs.Experiment(Config, PRESETS, measure, claims, figures)
if __name__ == "__main__":
    experiment.main()
