"""How does a network's output change from a test image to its projection and on into the hull?

R. Yousefzadeh (arXiv 2203.10366): test images are outside the hull of the training set, so classifying them is extrapolation.
Then something may change on the way in: accuracy at the projection, the label, or the slope of the logits at the surface.

    python -m experiments.path                              digits, 3 MLPs, seconds, no download
    python -m experiments.path cpu                          MNIST, 60,000 × 1,000, 10 LeNets: 15 to 35 minutes
    python -m experiments.path cifar10                      CIFAR-10, 50,000 × 300, CNNs: minutes and training
    python -m experiments.path paper                        MNIST in full, 10 LeNets

A leg (`experiments.shared.bent_path`) goes from outside the hull to inside and turns at the surface. Points at coordinates s ≥
0 are outside, at a certified distance of s times the image's distance: 1 is the image, 0 its projection. Points at s < 0 are
inside, towards the mean of the class with the most weight in the projection. The margin is the logit of the true class minus
the largest other logit. Its bend is the change of its slope where a leg turns. Placebo legs make the same turn elsewhere:
halfway before the surface, or straight on, a quarter behind it (the share of these turns inside the hull is recorded).

Is interpolation adequate? A network loses accuracy when images are replaced by their projections. Controls change each image by
the same length: less contrast, a blur, and random directions within the pixels' range (`experiments.shared.controls`). Images
that cannot lose this much contrast or sharpness are left out of this comparison, and counted.

Fixed before the run: intervals treat networks and images as random. With fewer than ten networks they treat only images as
random, so they hold for these networks. Accuracy at the projection equals accuracy at the image if they differ by less than
`SAME`. The projection costs more than a control if the difference of accuracies is below 0, in pairs. The surface matters if
the bend there is larger in absolute value than at both placebos, in pairs.
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
from hullx import probes, runs
from hullx.data import Dataset, Sample
from hullx.errors import ArgumentError
from hullx.runs import plotting
from hullx.runs.statistics import FEW

from . import attack_setup
from .attack_setup import CIFAR, project_images, train_networks
from .crossings import crossings
from .recipes import NETWORKS

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
    "cpu": Config(data=Sample("mnist:60000:1000"), network="lenet", epochs=3, networks=10),
    "cifar10": Config(data=Sample("cifar10:50000:300"), networks=1, **CIFAR),
    "paper": Config(data=Sample("mnist"), network="lenet", epochs=20, networks=10),
}


def measure(config: Config, run: runs.Run[Config]) -> None:
    """Evaluate networks along the legs of the test images."""
    runs.known("--network", [config.network], NETWORKS)
    data = config.data.load(seed=config.seed, data_dir=config.data_dir)
    model, variables = train_networks(config, run, data, config.networks)
    found = project_images(config, run, data, data.test.images, "test images")
    outside = np.asarray(found.outside)
    run.record("undecided", ~found.decided, data=data.title, statistic="count")
    rows, labels = data.test.rows[outside], data.test.labels[outside]
    found = type(found)(*(np.asarray(field)[outside] for field in found))
    path = through_surface(rows, found, class_means(found, data.train.rows, data.train.labels))

    def logits(points: np.ndarray, first: int | None = None) -> np.ndarray:
        """Logits (networks, places, images, classes) of the first networks, by default of all."""
        images = jnp.asarray(points.reshape(-1, *data.test.images.shape[1:]), jnp.float32)
        found = np.asarray(probes.logits(jax.tree.map(lambda leaf: leaf[:first], variables), images, model=model))
        return found.reshape(len(found), *points.shape[:-1], -1)

    outputs = run.cached("logits", lambda: np.concatenate([logits(points_at(path, [place])) for place in PLACES], axis=1))
    right, above, first = outputs.argmax(-1) == labels, margins(outputs, labels), outputs[:, PLACES.index(1)].argmax(-1)
    for i, place in enumerate(PLACES):
        about: dict[str, Any] = {"data": data.title, "group": f"s = {place:g}"}
        run.record("accuracy", interval(right[:, i]), **about)
        run.record("margin", interval(above[:, i]), **about)
        run.record(KEPT, interval(outputs[:, i].argmax(-1) == first), **about)
    image, surface = (right[:, PLACES.index(place)] for place in (1, 0))
    about = {"data": data.title, "group": "image → projection"}
    run.record("gain", interval(surface.astype(float) - image), **about, unit="%")
    run.record("share wrong, then right", interval(~image & surface), **about)
    run.record("share right, then wrong", interval(image & ~surface), **about)
    record_controls(run, data, rows, path, labels, logits)
    record_bends(run, data, path, labels, logits)
    record_changes(run, data, path, rows, found, logits)


def interval(values: np.ndarray) -> runs.Estimate:
    """The mean of values (networks, images): over both if there are ten networks or more, else over images."""
    if len(values) >= FEW:
        return runs.two_way_interval(values)
    return runs.mean_interval(values.mean(0))._replace(unit="share" if values.dtype == bool else "")


def margins(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The logit of the true class minus the largest other logit."""
    mine = np.arange(logits.shape[-1]) == labels[:, None]
    return np.where(mine, logits, 0).sum(-1) - np.where(mine, -np.inf, logits).max(-1)


def record_controls(
    run: runs.Run[Config], data: Dataset, rows: np.ndarray, path: BentPath, labels: np.ndarray, logits: Any
) -> None:
    """Record what networks lose on projections, and on other changes of the same length."""
    shape, count = data.test.images.shape[1:], len(rows)
    room = np.array([has_room(rows[i : i + 1], path.unit[i : i + 1], shape) for i in range(count)])
    run.record("images without a control", ~room, data=data.title, statistic="count")
    rows, labels, unit = rows[room], labels[room], path.unit[room]
    changed = {
        PROJECTION: path.turn[room],
        CONTRAST: less_contrast(rows, unit),
        BLUR: blurred(rows, unit, shape),
        RANDOM: random_change(runs.generator(run.config.seed, "random"), rows, unit),
    }
    right = {name: logits(points[None])[:, 0].argmax(-1) == labels for name, points in changed.items()}
    image = logits(rows.astype(np.float64)[None])[:, 0].argmax(-1) == labels
    for name, each in right.items():
        about: dict[str, Any] = {"data": data.title, "group": name}
        run.record("accuracy", interval(each), **about)
        run.record("− the image's", interval(each.astype(float) - image), **about, unit="%")
        if name != PROJECTION:
            less = interval(right[PROJECTION].astype(float) - each)
            run.record("projection − control", less, **about, unit="%")
    lengths = {runs.slug(name): np.linalg.norm(points - rows, axis=1) for name, points in changed.items()}
    run.arrays("controls", **lengths)


def has_room(row: np.ndarray, length: np.ndarray, shape: tuple[int, ...]) -> bool:
    """Whether an image (1, d) can lose contrast, and sharpness, by a change of this length (1,)."""
    try:
        less_contrast(row, length)
        blurred(row, length, shape)
    except ArgumentError:
        return False
    return True


def record_bends(run: runs.Run[Config], data: Dataset, path: BentPath, labels: np.ndarray, logits: Any) -> None:
    """Record the absolute change of the margin's slope where legs turn."""
    legs = {SURFACE: path, BEFORE: before_surface(path, HALF), BEHIND: before_surface(path, -QUARTER)}
    places, sizes = (WIDTH, 0.0, -WIDTH), dict[str, np.ndarray]()
    for name, leg in legs.items():
        sharpness = np.linalg.norm(leg.before + leg.behind, axis=1)
        change = slope_change(margins(logits(points_at(leg, places)), labels), places, 0.0, WIDTH)
        sizes[name] = np.abs(change) / np.maximum(sharpness, 1e-12)
        run.record("size of the bend", interval(sizes[name]), data=data.title, group=name)
    for name in (BEFORE, BEHIND):
        more = interval(sizes[SURFACE] - sizes[name])
        run.record("larger at the surface by", more, data=data.title, group=f"than {name}")
    behind = project_images(run.config, run, data, legs[BEHIND].turn.astype(np.float32), "turns behind")
    run.record("share inside", ~np.asarray(behind.outside), data=data.title, group=BEHIND)
    run.arrays("bends", **{runs.slug(name): each for name, each in sizes.items()})


def record_changes(run: runs.Run[Config], data: Dataset, path: BentPath, rows: np.ndarray, found: Any, logits: Any) -> None:
    """Record the label changes of the first network between image and projection, and their relation to the distance."""
    met = crossings(lambda points: logits(points, 1)[0].argmax(-1), rows.astype(np.float64), path.turn)
    count = np.bincount(met.segment, minlength=len(rows))
    about: dict[str, Any] = {"data": data.title, "group": "image → projection"}
    run.record("changes of label", count, **about)
    run.record("rank correlation with the distance", runs.rank_correlation(found.distance, count), **about)
    run.arrays("changes", place=1 - met.place, count=count, distance=found.distance)


def claims(results: runs.Results) -> Iterator[runs.Claim]:
    """Accuracy at the projection, changes of correctness, and the surface."""
    (data,), networks = results.names("data"), results.config["networks"]
    images = results.total("undecided")[1]
    about: dict[str, Any] = {"data": data, "networks": networks, "images": images}
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
    """Accuracy, label and margin along the legs; accuracy lost by changes of one length; bends."""
    (data,), blue = results.names("data"), plotting.COLOURS[0]
    name = plotting.data_name(data)
    title = f"{name}: networks from beyond a test image, to its projection, and into the hull (95% intervals)"
    drawn, axes = plotting.figure(1, 3, size=(12, 3.8), title=title)
    for place, quantity in zip(axes[0], ("accuracy", KEPT, "margin"), strict=True):
        value, low, high = np.array([results.estimate(quantity, group=f"s = {each:g}")[:3] for each in PLACES]).T
        place.plot(PLACES, value, color=blue)
        place.fill_between(PLACES, low, high, color=blue, alpha=0.2, linewidth=0)
        for each, words in ((0, "surface"), (1, "test image")):
            place.axvline(each, color="0.7", linewidth=1, zorder=0)
            place.annotate(words, (each, 1), xycoords=("data", "axes fraction"), fontsize=8, ha="center", va="bottom")
        place.set(xlabel="distance to the hull ÷ the image's; below 0: inside", ylabel=quantity)
        place.invert_xaxis()
    yield "along", drawn
    title = f"{name}: changes of one length, and turns at the surface and elsewhere"
    drawn, axes = plotting.figure(1, 2, size=(9, 2.8), title=title)
    lost = {each: results.estimate("− the image's", group=each) for each in (PROJECTION, CONTRAST, BLUR, RANDOM)}
    percent = {
        each: runs.Estimate(100 * found.value, 100 * found.low, 100 * found.high, found.n) for each, found in lost.items()
    }
    plotting.intervals(axes[0, 0], percent, "accuracy − the image's, points")
    bends = {f"turn {each}": results.estimate("size of the bend", group=each) for each in (SURFACE, BEFORE, BEHIND)}
    plotting.intervals(axes[0, 1], bends, "size of the margin's bend (logits)")
    yield "surface", drawn


experiment = runs.Experiment(Config, PRESETS, measure, claims, figures)
if __name__ == "__main__":
    experiment.main()
