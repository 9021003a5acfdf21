"""How does a network's output change from a test image to its projection and on into the hull?

R. Yousefzadeh (arXiv 2203.10366): test images are outside the hull of the training set, so classifying them is extrapolation.
Then something may change on the way in: accuracy at the projection, the label, or the slope of the logits at the surface.

    python -m experiments.path                              digits, 3 MLPs, seconds, no download
    python -m experiments.path cpu                          MNIST, 60,000 × 1,000, 4 LeNets: minutes
    python -m experiments.path paper                        MNIST in full, 10 LeNets

A leg (`experiments.shared.bent_path`) goes from outside the hull to inside and turns at the surface. Points at coordinates s ≥
0 are outside, at a certified distance of s times the image's distance: 1 is the image, 0 its projection. Points at s < 0 are
inside, towards the mean of the class with the most weight in the projection. The margin is the logit of the true class minus
the largest other logit. Its bend is the change of its slope where a leg turns. Placebo legs make the same turn elsewhere:
halfway before the surface, or straight on, a quarter behind it (the share of these turns inside the hull is recorded).

Is interpolation adequate? A network loses accuracy when images are replaced by their projections. Controls change each image by
the same length: less contrast, a blur, and random directions within the pixels' range (`experiments.shared.controls`).

Fixed before the run: intervals treat networks and images as random. Accuracy at the projection equals accuracy at the
image if they differ by less than `SAME`. The projection costs more than a control if the difference of accuracies is below 0,
in pairs. The surface matters if the bend there is larger in absolute value than at both placebos, in pairs.
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
    class_means,
    points_at,
    slope_change,
    through_surface,
)
from experiments.shared.controls import blurred, less_contrast, random_change
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
WIDTH, HALF, QUARTER, SAME = 0.1, 0.5, 0.25, 0.01
SURFACE, BEFORE, BEHIND = "at the surface", "before it", "behind it"
PROJECTION, CONTRAST, BLUR, RANDOM = "projection", "less contrast", "blur", "random change"
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
    "cpu": Config(data=Sample("mnist:60000:1000"), network="lenet", epochs=4, networks=10),
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
    record_controls(run, data, rows, path, labels, logits)
    record_bends(run, data, path, labels, logits)
    record_changes(run, data, path, rows, found, logits)


def margins(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The logit of the true class minus the largest other logit."""
    mine = np.arange(logits.shape[-1]) == labels[:, None]
    return np.where(mine, logits, 0).sum(-1) - np.where(mine, -np.inf, logits).max(-1)


def record_controls(
    run: runs.Run[Config], data: Dataset, rows: np.ndarray, path: BentPath, labels: np.ndarray, logits: Any
) -> None:
    """Record what networks lose on projections, and on other changes of the same length."""
    changed = {
        PROJECTION: path.turn,
        CONTRAST: less_contrast(rows, path.unit),
        BLUR: blurred(rows, path.unit, data.test.images.shape[1:]),
        RANDOM: random_change(runs.generator(run.config.seed, "random"), rows, path.unit),
    }
    right = {name: logits(points[None])[:, 0].argmax(-1) == labels for name, points in changed.items()}
    image = logits(rows.astype(np.float64)[None])[:, 0].argmax(-1) == labels
    for name, each in right.items():
        about: dict[str, Any] = {"data": data.title, "group": name}
        run.record("accuracy", runs.two_way_interval(each), **about)
        run.record("− the image's", runs.two_way_interval(each.astype(float) - image), **about, unit="%")
        if name != PROJECTION:
            less = runs.two_way_interval(right[PROJECTION].astype(float) - each)
            run.record("projection − control", less, **about, unit="%")
    lengths = {runs.slug(name): np.linalg.norm(points - rows, axis=1) for name, points in changed.items()}
    run.arrays("controls", **lengths)


def record_bends(run: runs.Run[Config], data: Dataset, path: BentPath, labels: np.ndarray, logits: Any) -> None:
    """Record the absolute change of the margin's slope where legs turn."""
    legs = {SURFACE: path, BEFORE: before_surface(path, HALF), BEHIND: before_surface(path, -QUARTER)}
    places, sizes = (WIDTH, 0.0, -WIDTH), dict[str, np.ndarray]()
    for name, leg in legs.items():
        sharpness = np.linalg.norm(leg.before + leg.behind, axis=1)
        change = slope_change(margins(logits(points_at(leg, places)), labels), places, 0.0, WIDTH)
        sizes[name] = np.abs(change) / np.maximum(sharpness, 1e-12)
        run.record("size of the bend", runs.two_way_interval(sizes[name]), data=data.title, group=name)
    for name in (BEFORE, BEHIND):
        more = runs.two_way_interval(sizes[SURFACE] - sizes[name])
        run.record("larger at the surface by", more, data=data.title, group=f"than {name}")
    behind = project_images(run.config, run, data, legs[BEHIND].turn.astype(np.float32), "turns behind")
    run.record("share inside", ~np.asarray(behind.outside), data=data.title, group=BEHIND)
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
    for name in (CONTRAST, BLUR, RANDOM):
        less = results.estimate("projection − control", group=name)
        statement = f"projections cost more accuracy than {name} of the same length"
        yield runs.Claim.of(less, statement, SOURCE, "less than 0", runs.below(less, 0), **unit, **about)
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
    bent = results.arrays("bends")
    title = f"{data}: what networks lose by changes of one length, and bends of the margin"
    drawn, axes = plotting.figure(1, 2, size=(10, 3.6), title=title)
    lost = {name: results.estimate("− the image's", group=name) for name in (PROJECTION, CONTRAST, BLUR, RANDOM)}
    plotting.intervals(axes[0, 0], lost, "accuracy − the image's")
    axes[0, 0].locator_params(axis="x", nbins=5)
    plotting.boxes(axes[0, 1], {name: bent[runs.slug(name)].ravel() for name in (SURFACE, BEFORE, BEHIND)})
    axes[0, 1].set(ylabel="size of the margin's bend", title="where legs turn", xlabel=plotting.BOXES)
    axes[0, 1].xaxis.label.set_fontsize(7)
    yield "surface", drawn


experiment = runs.Experiment(Config, PRESETS, measure, claims, figures)
if __name__ == "__main__":
    experiment.main()
