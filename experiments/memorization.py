"""Can over-parameterized networks fit anything, and where are the test images while they do?

Claim (Zhang et al. 2017, "Understanding deep learning requires rethinking generalization"): the same networks reach 100%
training accuracy on true labels, on partly corrupted and random labels, on shuffled and random pixels and on Gaussian noise.
Added here: the distance of the test images to the hull of the training images under each condition, for corrupted labels leave
it as it is and corrupted pixels do not, while training accuracy tells neither from the other.

    python -m experiments.memorization                      digits, a minute
    python -m experiments.memorization cpu                  CIFAR-10, 5,000 images, all conditions, 6 minutes
    python -m experiments.memorization paper                CIFAR-10 in full, 3 networks and a small AlexNet; hours on a CPU
    python -m experiments.memorization paper --models "mlp 3×512" --conditions "true labels" "random labels" --seeds 1

The last one took 8 minutes on 2 CPU cores (seed 0, CIFAR-10 from a JPEG copy): true labels 100% after 20 epochs, 53.07% of
the test images (published 52.39%); random labels 100% after 39 epochs, 10.16% (published 10.48%). In `cpu` every condition is
fitted to 100% after 3 (Gaussian noise) to 31 epochs (partly corrupted labels).

As published: 28 × 28 centre crop, each image whitened, SGD with momentum 0.9, learning rate × 0.95 an epoch, no augmentation,
no weight decay. Conditions that leave the images alone differ in labels only, so their networks train together in one program.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import numpy as np
import optax
from rich.console import Console
from rich.table import Table

import hullx
from experiments.command import known, main
from hullx.data import Dataset, Split, centre_crop, corrupted, load, whitened
from hullx.data.corruptions import CONDITIONS, LABEL_CONDITIONS, RANDOM, TRUE
from hullx.models import MLP, SmallAlexNet
from hullx.runs import folder as record
from hullx.runs import plotting
from hullx.training.fit import Fit, fit

# Zhang et al. (2017), table 1, CIFAR-10 without augmentation or weight decay: % right of training and test images.
PUBLISHED = {
    "mlp 1×512": {TRUE: (100.0, 50.51), RANDOM: (99.34, 10.61)},
    "mlp 3×512": {TRUE: (100.0, 52.39), RANDOM: (100.0, 10.48)},
    "small alexnet": {TRUE: (100.0, 76.07), RANDOM: (99.82, 9.86)},
}
# Initial learning rates: 0.01 for the MLPs, 0.1 for the others (the same, section A).
MODELS: dict[str, tuple[type[nn.Module], dict[str, int], float]] = {
    "mlp 1×512": (MLP, {"depth": 1, "width": 512}, 0.01),
    "mlp 3×512": (MLP, {"depth": 3, "width": 512}, 0.01),
    "small alexnet": (SmallAlexNet, {}, 0.1),
}
# A training accuracy that counts as fitted, but for a few images.
NEARLY = 0.99
# Test images whose distance to a condition's hull is measured.
AS_THEY_ARE, ALIKE = "test images as they are", "test images corrupted alike"


@dataclass(frozen=True)
class Config:
    """Settings of the experiment.

    Attributes:
        dataset: a name for hullx.data.load.
        train_size: training images, drawn at random; all if not given.
        models: of "mlp 1×512", "mlp 3×512", "small alexnet".
        conditions: those of hullx.data.CONDITIONS.
        share: of labels replaced under "partly corrupted labels".
        crop: side of the central window that is kept; whole images if not given.
        epochs: at most; a condition ends when every network has `until` of its training images right.
        until: share of training images.
        batch: images a step.
        decay: factor on the learning rate, an epoch.
        seeds: networks of each kind, trained together.
        test_size: test images whose hull distance is measured.
        seed: of every random choice.
        checkpoints: a folder for checkpoints, from which an interrupted run goes on; none if not given.
        data_dir: where TFDS data sets lie; TFDS's default if not given.
    """

    dataset: str = "digits"
    train_size: int | None = None
    models: tuple[str, ...] = ("mlp 1×512", "mlp 3×512")
    conditions: tuple[str, ...] = CONDITIONS
    share: float = 0.5
    crop: int | None = None
    epochs: int = 150
    until: float = 1.0
    batch: int = 32
    decay: float = 0.98
    seeds: int = 2
    test_size: int = 360
    seed: int = 0
    checkpoints: Path | None = None
    data_dir: str | None = None


CIFAR = Config(dataset="cifar10", crop=28, epochs=300, batch=128, decay=0.95, seeds=1, test_size=1000)
PRESETS = {
    "smoke": Config(),
    "cpu": dataclasses.replace(CIFAR, train_size=5000, batch=32, decay=0.98, epochs=150, test_size=500),
    "paper": dataclasses.replace(CIFAR, models=tuple(MODELS), seeds=3),
}


class Trained(NamedTuple):
    """Networks of one kind on one condition; accuracies (epochs, seeds), shares of 1."""

    model: str
    condition: str
    steps: int  # an epoch
    train: np.ndarray
    test: np.ndarray
    loss: np.ndarray


def run(config: Config, folder: record.Run) -> None:
    """Each model on each condition, then the hull distances."""
    known("--models", config.models, MODELS)
    known("--conditions", config.conditions, CONDITIONS)
    data = load(config.dataset, train_size=config.train_size, seed=config.seed, data_dir=config.data_dir)
    if config.crop is not None:
        data = data._replace(**{part: cropped(getattr(data, part), config.crop) for part in ("train", "test")})
    rng = np.random.default_rng((config.seed, 1))
    sets = {name: corrupted(rng, data, name, share=config.share) for name in config.conditions}
    # Conditions with the same images train together.
    together = [[name for name in sets if name in LABEL_CONDITIONS]]
    together += [[name] for name in sets if name not in LABEL_CONDITIONS]
    trained: list[Trained] = []
    for model in config.models:
        for group in filter(None, together):
            trained += train(config, model, {name: sets[name] for name in group}, folder)
            folder.table("curves", curves(trained))
            folder.table("networks", networks(trained))
    distances = {name: hull_distances(config, data, changed) for name, changed in sets.items()}
    each_way = {f"{name} {way}": result for name, ways in distances.items() for way, result in ways.items()}
    folder.arrays("distances", **{record.slug(name): result.distance for name, result in each_way.items()})
    hulls = {
        name: {"mean": float(result.distance.mean()), "spread": float(result.distance.std()), **record.statuses(result.status)}
        for name, result in each_way.items()
    }
    title = f"{data.title}, {len(data.train.images):,} training images"
    claims = judge(trained, distances)
    folder.finish({"title": title, "networks": [summary(each) for each in trained], "distances": hulls, "claims": claims})
    figures(folder.folder)
    Console().print(networks_table(title, trained), hulls_table(distances), highlight=False)


def cropped(split: Split, size: int) -> Split:
    """The centre of each image."""
    return split._replace(images=np.ascontiguousarray(centre_crop(split.images, size)))


def train(config: Config, name: str, sets: dict[str, Dataset], folder: record.Run) -> list[Trained]:
    """All seeds of a model on conditions that share their images, in one program."""
    module, fields, rate = MODELS[name]
    first = next(iter(sets.values()))
    model = module(len(first.classes), **fields)
    batch = min(config.batch, len(first.train.images))
    steps = len(first.train.images) // batch
    schedule = optax.exponential_decay(rate, steps, config.decay, staircase=True)
    keys = jax.random.split(jax.random.key(config.seed), config.seeds)
    keys = jax.numpy.concatenate([keys] * len(sets))
    labels = np.repeat(np.stack([each.train.labels for each in sets.values()]), config.seeds, axis=0)
    what = ", ".join(sets)
    fitted = fit(
        keys,
        model,
        optax.sgd(schedule, momentum=0.9),
        Split(whitened(first.train.images), labels),
        epochs=config.epochs,
        batch=batch,
        test=first.test._replace(images=whitened(first.test.images)),
        until=config.until,
        checkpoint=None if config.checkpoints is None else config.checkpoints / record.slug(f"{name} {what}"),
        on_epoch=lambda metrics: folder.metric(model=name, conditions=list(sets), **metrics),
        title=f"{name}, {what}",
    )
    return [of_condition(config, fitted, name, condition, i) for i, condition in enumerate(sets)]


def of_condition(config: Config, fitted: Fit, name: str, condition: str, place: int) -> Trained:
    """The networks of one condition among those that trained together, up to the epoch at which all of them had enough."""
    mine = slice(place * config.seeds, (place + 1) * config.seeds)
    history = fitted.history
    reached = np.flatnonzero((history.train_accuracy[:, mine] >= config.until).all(1))
    end = reached[0] + 1 if len(reached) else len(history.loss)
    accuracies = history.train_accuracy[:end, mine], history.test_accuracy[:end, mine]
    return Trained(name, condition, history.loss.shape[1], *accuracies, history.loss[:end, :, mine].mean(1))


def hull_distances(config: Config, data: Dataset, changed: Dataset) -> dict[str, hullx.Projection]:
    """Test images to the hull of a condition's training images, in pixels of [0, 1]: as they are, and corrupted alike."""
    points, size = changed.train.rows, config.test_size
    as_they_are = hullx.sweep(data.test.rows[:size], points, progress=AS_THEY_ARE)
    if changed.test is data.test:
        return {AS_THEY_ARE: as_they_are, ALIKE: as_they_are}
    return {AS_THEY_ARE: as_they_are, ALIKE: hullx.sweep(changed.test.rows[:size], points, progress=ALIKE)}


def curves(trained: list[Trained]) -> dict[str, Any]:
    """One row an epoch of a condition, means over seeds."""
    rows = [
        (each.model, each.condition, (i + 1) * each.steps, each.loss[i].mean(), each.train[i].mean(), each.test[i].mean())
        for each in trained
        for i in range(len(each.train))
    ]
    return dict(zip(("model", "condition", "step", "loss", "train", "test"), zip(*rows, strict=True), strict=True))


def networks(trained: list[Trained]) -> dict[str, Any]:
    """One row a network: its last accuracies, and the epochs it took."""
    rows = [
        (each.model, each.condition, seed, len(each.train), each.train[-1, seed], each.test[-1, seed])
        for each in trained
        for seed in range(each.train.shape[1])
    ]
    return dict(zip(("model", "condition", "seed", "epochs", "train", "test"), zip(*rows, strict=True), strict=True))


def summary(each: Trained) -> dict[str, Any]:
    """Headline numbers of a model on a condition."""
    return {
        "model": each.model,
        "condition": each.condition,
        "epochs": len(each.train),
        "train": each.train[-1].tolist(),
        "test": each.test[-1].tolist(),
    }


def judge(trained: list[Trained], distances: dict[str, dict[str, hullx.Projection]]) -> dict:
    """Whether all were fitted, and what corruptions do to the hull."""
    worst = min(trained, key=lambda each: each.train[-1].min())
    least = float(worst.train[-1].min())
    claims = {
        "every condition is fitted": record.claim(
            "100% of the training images, by every network",
            "100% by each" if least == 1 else f"at least {least:.2%} (least: {worst.model}, {worst.condition})",
            record.HOLDS if least == 1 else record.IN_PART if least >= NEARLY else record.FAILS,
        )
    }
    means = {name: float(ways[AS_THEY_ARE].distance.mean()) for name, ways in distances.items()}
    labels = [name for name in means if name in LABEL_CONDITIONS]
    pixels = [name for name in means if name not in LABEL_CONDITIONS]
    if TRUE not in means or not pixels:
        return claims
    same = all(means[name] == means[TRUE] for name in labels)
    farther = all(means[name] > means[TRUE] for name in pixels)
    claims["labels leave the test images' hull distance as it is, pixels do not"] = record.claim(
        "the same under corrupted labels, greater under corrupted pixels",
        ", ".join(f"{name} {means[name]:.3f}" for name in means),
        record.HOLDS if same and farther else record.IN_PART if same or farther else record.FAILS,
    )
    return claims


def networks_table(title: str, trained: list[Trained]) -> Table:
    """One row a model and condition, what was published beside it."""
    table = Table(title=f"{title}: accuracy in %, {trained[0].train.shape[1]} network(s) each")
    headings = "model", "condition", "epochs", "train", "test", "published (50,000)"
    for heading in headings:
        table.add_column(heading, justify="left" if heading in headings[:2] else "right")
    for each in trained:
        published = PUBLISHED.get(each.model, {}).get(each.condition) if title.startswith("cifar10") else None
        table.add_row(
            each.model,
            each.condition,
            str(len(each.train)),
            *(percent(values[-1]) for values in (each.train, each.test)),
            "{:g}, {:g}".format(*published) if published else "–",
        )
    return table


def percent(shares: np.ndarray) -> str:
    """Mean, and spread where there are several."""
    return f"{100 * shares.mean():.2f}" + (f" ± {100 * shares.std():.2f}" if len(shares) > 1 else "")


def hulls_table(distances: dict[str, dict[str, hullx.Projection]]) -> Table:
    """One row a condition."""
    table = Table(title="distance to the hull of the condition's training images, pixels in [0, 1]")
    for heading in ("condition", AS_THEY_ARE, ALIKE, "undecided"):
        table.add_column(heading, justify="left" if heading == "condition" else "right")
    for name, ways in distances.items():
        cells = [f"{result.distance.mean():.3f} ± {result.distance.std():.3f}" for result in ways.values()]
        undecided = sum(int((result.status > hullx.Status.INSIDE).sum()) for result in ways.values())
        table.add_row(name, *cells, str(undecided))
    return table


def figures(folder: Path) -> None:
    """Learning curves of all conditions in one plot, as figure 1 of Zhang et al.; and hull distances by condition."""
    summary = record.read_json(folder, "summary.json")
    table = record.read_table(folder, "curves")
    models = list(dict.fromkeys(table["model"]))
    conditions = list(dict.fromkeys(table["condition"]))
    with plotting.figure(folder, "curves", 2, len(models), size=(1 + 4.2 * len(models), 6.5)) as axes:
        for column, model in enumerate(models):
            for colour, condition in zip(plotting.COLOURS, conditions, strict=False):
                mine = (table["model"] == model) & (table["condition"] == condition)
                for row, quantity in enumerate(("loss", "train")):
                    axes[row, column].plot(table["step"][mine], table[quantity][mine], color=colour, label=condition)
            axes[0, column].set(title=model, ylabel="training loss")
            axes[1, column].set(xlabel="steps", ylabel="training accuracy", ylim=(0, 1.03))
        axes[0, 0].legend(title=summary["title"], fontsize=8, title_fontsize=8)
    distances = record.read_arrays(folder, "distances")
    farthest = max(values.max() for values in distances.values())
    with plotting.figure(folder, "distances", 1, 2, size=(10, 4)) as axes:
        for place, way in zip(axes[0], (AS_THEY_ARE, ALIKE), strict=True):
            values = [distances[record.slug(f"{condition} {way}")] for condition in conditions]
            place.boxplot(values, orientation="horizontal", tick_labels=conditions, whis=(0, 100), widths=0.6)
            place.invert_yaxis()
            place.set(title=way, xlabel="distance to the training images' hull (pixels in [0, 1])", xlim=(0, 1.03 * farthest))
        axes[0, 1].set_yticklabels([])


if __name__ == "__main__":
    main("experiments.memorization", __doc__, PRESETS, run)
