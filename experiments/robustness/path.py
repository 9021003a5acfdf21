"""How does a network's output change from a test image to its projection and on into the hull?

R. Yousefzadeh (arXiv 2203.10366): test images are outside the hull of the training set, so classifying them is extrapolation.
Then something may change on the way in: accuracy at the projection, the label, or the slope of the logits at the surface.

    python -m experiments.path                              digits, 3 MLPs, seconds, no download
    python -m experiments.path cpu                          MNIST, 60,000 × 1,000, 4 LeNets: minutes
    python -m experiments.path paper                        MNIST in full, 10 LeNets

A leg (`experiments.shared.bent_path`) goes from outside the hull to inside and turns at the surface. Points at coordinates s ≥
0 are outside, at a certified distance of s times the image's distance: 1 is the image, 0 its projection. Points at s < 0 are
inside, towards the mean of the class with the most weight in the projection. The margin is the logit of the true class minus
the largest other logit. Its bend is the change of its slope where a leg turns, divided by the sharpness of the turn. Legs turn
at the surface, or at placebos: halfway before it (the same turn) or as far behind it (to the mean of all images).

Fixed before the run: intervals treat networks and images as random. Accuracy at the projection equals accuracy at the
image if they differ by less than `SAME`. The surface matters if the bend there is larger in absolute value than at either
placebo, in pairs. Wrong images turn right more often than right ones wrong if the difference of the shares is above 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.shared.bent_path import (
    BentPath,
    before_surface,
    behind_surface,
    class_means,
    points_at,
    slope_change,
    through_surface,
)
from experiments.shared.networks import NETWORKS, adam
from hullx import probes, runs
from hullx.data import Dataset, Sample
from hullx.runs import plotting
from hullx.training import FitConfig, fit

from . import attack_setup
from .attack_setup import BATCH, RATE, project_images
from .crossings import crossings

SOURCE = "arXiv 2203.10366"
PLACES = tuple(np.round(np.linspace(1.5, -1, 26), 6).tolist())  # 1 and 0 are among them
WIDTH, HALF, SAME = 0.1, 0.5, 0.01
SURFACE, BEFORE, BEHIND = "at the surface", "before it", "behind it"
KEPT = "share with the image's label"


@dataclass(frozen=True)
class Config(attack_setup.Config):
    """Settings of the experiment.

    Attributes:
        networks: number of networks with different seeds.
    """

    networks: int = 3


PRESETS = {
    "smoke": Config(),
    "cpu": Config(data=Sample("mnist:60000:1000"), network="lenet", epochs=4, networks=4),
    "paper": Config(data=Sample("mnist"), network="lenet", epochs=20, networks=10),
}


def measure(config: Config, run: runs.Run[Config]) -> None:
    """Evaluate networks along the legs of the test images."""
    runs.known("--network", [config.network], NETWORKS)
    data = config.data.load(seed=config.seed, data_dir=config.data_dir)
    make, _ = NETWORKS[config.network]
    model, keys = make(len(data.classes)), jax.random.split(jax.random.key(config.seed), config.networks)
    settings = FitConfig(config.epochs, BATCH, checkpoint=run.resume_dir("networks"), title="networks")
    variables = fit(keys, model, adam(RATE), data.train, settings).state.variables
    found = project_images(config, run, data, data.test.images, "test images")
    outside = np.asarray(found.outside)
    run.record("undecided", ~found.decided, data=data.title, statistic="count")
    rows, labels = data.test.rows[outside], data.test.labels[outside]
    found = type(found)(*(np.asarray(field)[outside] for field in found))
    path = through_surface(rows, found, class_means(found, data.train.rows, data.train.labels))

    def logits(points: np.ndarray) -> np.ndarray:
        """Logits (networks, places, images, classes)."""
        images = jnp.asarray(points.reshape(-1, *data.test.images.shape[1:]), jnp.float32)
        found = np.asarray(probes.logits(variables, images, model=model))
        return found.reshape(len(found), *points.shape[:-1], -1)

    outputs = run.cached("logits", lambda: np.concatenate([logits(points_at(path, [place])) for place in PLACES], axis=1))
    right, above, first = outputs.argmax(-1) == labels, margins(outputs, labels), outputs[:, PLACES.index(1)].argmax(-1)
    for i, place in enumerate(PLACES):
        about: dict[str, Any] = {"data": data.title, "group": f"s = {place:g}"}
        run.record("accuracy", runs.two_way_interval(right[:, i]), **about)
        run.record("margin", runs.two_way_interval(above[:, i]), **about)
        run.record(KEPT, runs.two_way_interval(outputs[:, i].argmax(-1) == first), **about)
    image, surface = (right[:, PLACES.index(place)] for place in (1, 0))
    about = {"data": data.title, "group": "image → projection"}
    run.record("gain", runs.two_way_interval(surface.astype(float) - image), **about, unit="%")
    run.record("share wrong, then right", runs.two_way_interval(~image & surface), **about)
    run.record("share right, then wrong", runs.two_way_interval(image & ~surface), **about)
    record_bends(run, data, path, labels, logits)
    record_changes(run, data, path, rows, found, logits)


def margins(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The logit of the true class minus the largest other logit."""
    mine = np.arange(logits.shape[-1]) == labels[:, None]
    return np.where(mine, logits, 0).sum(-1) - np.where(mine, -np.inf, logits).max(-1)


def record_bends(run: runs.Run[Config], data: Dataset, path: BentPath, labels: np.ndarray, logits: Any) -> None:
    """Record the absolute change of the margin's slope where legs turn."""
    others = np.broadcast_to(data.train.rows.mean(0, dtype=np.float64), path.turn.shape)
    legs = {SURFACE: path, BEFORE: before_surface(path, HALF), BEHIND: behind_surface(path, -HALF, others)}
    places, sizes = (WIDTH, 0.0, -WIDTH), dict[str, np.ndarray]()
    for name, leg in legs.items():
        sharpness = np.linalg.norm(leg.before + leg.behind, axis=1)
        change = slope_change(margins(logits(points_at(leg, places)), labels), places, 0.0, WIDTH)
        sizes[name] = np.abs(change) / np.maximum(sharpness, 1e-12)
        run.record("size of the bend", runs.two_way_interval(sizes[name]), data=data.title, group=name)
    for name in (BEFORE, BEHIND):
        more = runs.two_way_interval(sizes[SURFACE] - sizes[name])
        run.record("larger at the surface by", more, data=data.title, group=f"than {name}")
    run.arrays("bends", **{runs.slug(name): each for name, each in sizes.items()})


def record_changes(run: runs.Run[Config], data: Dataset, path: BentPath, rows: np.ndarray, found: Any, logits: Any) -> None:
    """Record the label changes of the first network between image and projection, and their relation to the distance."""
    met = crossings(lambda points: logits(points)[0].argmax(-1), rows.astype(np.float64), path.turn)
    count = np.bincount(met.segment, minlength=len(rows))
    about: dict[str, Any] = {"data": data.title, "group": "image → projection"}
    run.record("changes of label", count, **about)
    run.record("rank correlation with the distance", runs.rank_correlation(found.distance, count), **about)
    run.arrays("changes", place=1 - met.place, count=count, distance=found.distance)


def claims(results: runs.Results) -> Iterator[runs.Claim]:
    """Accuracy at the projection, changes of correctness, and the surface."""
    (data,), networks = results.names("data"), results.config["networks"]
    about: dict[str, Any] = {"data": data, "seeds": networks}
    gain, unit = results.estimate("gain"), {"unit": "%"}
    statement, verdict = "projections are classified correctly as often as images", runs.within(gain, -SAME, SAME)
    yield runs.Claim.of(gain, statement, SOURCE, f"within {SAME:.0%}", verdict, **unit, **about)
    statement, verdict = "more wrong images turn right than right images turn wrong", runs.above(gain, 0)
    yield runs.Claim.of(gain, statement, SOURCE, "more than 0", verdict, **unit, **about)
    for name in (BEFORE, BEHIND):
        more = results.estimate("larger at the surface by", group=f"than {name}")
        size = results.estimate("size of the bend", group=name).value
        statement, note = f"the margin bends more at the surface than {name}", f"bend {name}: {size:.3g}"
        yield runs.Claim.of(more, statement, SOURCE, "more than 0", runs.above(more, 0), note=note, **about)


def figures(results: runs.Results) -> plotting.Figures:
    """Accuracy, label and margin along the legs; bends; places where labels change."""
    (data,), blue = results.names("data"), plotting.COLOURS[0]
    title = f"{data}: from beyond a test image (1) to its projection (0) and into the hull"
    drawn, axes = plotting.figure(1, 3, size=(13, 4), title=title)
    for place, name in zip(axes[0], ("accuracy", KEPT, "margin"), strict=True):
        value, low, high = np.array([results.estimate(name, group=f"s = {each:g}")[:3] for each in PLACES]).T
        place.plot(PLACES, value, color=blue)
        place.fill_between(PLACES, low, high, color=blue, alpha=0.2, linewidth=0)
        for each, words in ((0, "surface"), (1, "test image")):
            place.axvline(each, color="0.7", linewidth=1, zorder=0)
            place.annotate(words, (each, 1), xycoords=("data", "axes fraction"), fontsize=8, ha="center", va="bottom")
        place.set(xlabel="distance to the hull ÷ the image's; below 0: inside", ylabel=name)
        place.invert_xaxis()
    yield "along", drawn
    bent, found = results.arrays("bends"), results.arrays("changes")
    drawn, axes = plotting.figure(
        1, 2, size=(10, 4), title=f"{data}: bends of the margin, and changes of label, near the hull's surface"
    )
    plotting.boxes(axes[0, 0], {name: bent[runs.slug(name)].ravel() for name in (SURFACE, BEFORE, BEHIND)})
    axes[0, 0].set(ylabel="size of the margin's bend", title=f"where legs turn\n{plotting.BOXES}")
    axes[0, 1].hist(found["place"], np.linspace(0, 1, 21), color=blue)
    look = {"ylabel": "changes of label", "title": "where labels change, first network"}
    axes[0, 1].set(xlabel="distance to the hull ÷ the image's", **look)
    axes[0, 1].invert_xaxis()
    yield "surface", drawn


experiment = runs.Experiment(Config, PRESETS, measure, claims, figures)
if __name__ == "__main__":
    experiment.main()
