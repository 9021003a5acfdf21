"""Does distance to the hull of the training set matter for a network's errors, given density, class and margin?

Zeni et al. (2022, arXiv 2112.10434) find that most test points are outside, and that the density of the training data predicts
errors best. Bonnasse-Gahot (2022, arXiv 2207.08648) finds the same of nearness to the training set. R. Yousefzadeh (arXiv
2101.09849) studies the distance to the hull. A point far from the hull is far from every training point, so the two are hard to
tell apart without partial correlations.

    python -m experiments.atlas                             digits, 10 MLPs, seconds, no download
    python -m experiments.atlas cpu                         two tables, digits, MNIST, CIFAR-10; ten minutes
    python -m experiments.atlas paper                       the same sets at full size, 30 MLPs

Tables are split into halves and standardised. Numbers are Spearman's rank correlations, averaged over networks that differ in
seed and in the order of batches; intervals resample networks and test images (`partial_effects`). "Density" is the distances to
the nearest and the tenth nearest training point. "All" is density, the true class, and the distance to the mean of the training
set, which stands for contrast. The loss is the cross entropy at the true class. The margin is the network's own, between its
two largest logits, without the true class.

Fixed before the run: the hull matters if the correlation of hull distance and loss given all is above 0. Its effect is
negligible if the interval lies within ±`NEGLIGIBLE`; it can be both. Nearness matters if the correlation of the tenth
neighbour's distance and loss, given hull distance, class and the distance to the mean, is above 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import logsumexp

import hullx
from experiments.shared.networks import adam
from hullx import geometry, probes, runs
from hullx.data import Sample, Split
from hullx.models import MLP
from hullx.runs import plotting
from hullx.training import FitConfig, fit
from hullx.training.config import Ensemble

from .partial_effects import partial_effect

SOURCE, DENSITY = "arXiv 2101.09849", "arXiv 2112.10434"
NEGLIGIBLE, NEIGHBOURS, BATCH, RATE = 0.1, 10, 64, 1e-3
TABLES = "breast_cancer", "wine"
HULL, NEAR = "hull distance", f"distance to the {NEIGHBOURS}th neighbour"
LOSS, ERROR = "loss", "error"
PLAIN, GIVEN_DENSITY, GIVEN_ALL, GIVEN_MARGIN = "plain", "given density", "given all", "given all and margin"
GIVEN_HULL = "given hull distance, class and mean"


@dataclass(frozen=True)
class Config(runs.Config):
    """Settings of the experiment.

    Attributes:
        data: data sets, as in hullx.data.Sample, or tables of scikit-learn: breast_cancer, wine.
        networks: number of networks for each.
        epochs: epochs of training.
        width: hidden units of each of the two layers.
    """

    data: tuple[Sample, ...] = (Sample("digits"),)
    networks: int = 10
    epochs: int = 20
    width: int = 64


SETS = tuple(map(Sample, (*TABLES, "digits", "mnist:10000:2000", "cifar10:10000:1000")))
FULL = tuple(map(Sample, (*TABLES, "digits", "mnist", "cifar10")))
PRESETS = {
    "smoke": Config(),
    "cpu": Config(data=SETS, networks=12),
    "paper": Config(data=FULL, networks=30, epochs=40, width=256),
}


class Task(NamedTuple):
    """A classification task: training and test rows as images (n, 1, d, 1)."""

    title: str
    train: Split
    test: Split


def measure(config: Config, run: runs.Run[Config]) -> None:
    """Train networks, and correlate their losses with distances to the hull and to training points."""
    for name in config.data:
        task = load_task(config, name)
        train, test = task.train.rows, task.test.rows
        found = hullx.sweep(test, train, rtol=config.rtol, resume=run.resume_dir(f"{name} sweep"), progress=task.title)
        near = run.cached(f"{name} neighbours", lambda: geometry.neighbours(test, train, k=NEIGHBOURS).distance)  # noqa: B023
        outputs = run.cached(f"{name} networks", train_networks, config, task)
        loss = logsumexp(outputs, axis=-1) - np.take_along_axis(outputs, task.test.labels[None, :, None], -1)[..., 0]
        right, top = outputs.argmax(-1) == task.test.labels, np.sort(outputs, -1)
        run.record("accuracy", runs.two_way_interval(right), data=task.title)
        run.record("share outside", found.outside, data=task.title)
        run.record("undecided", ~np.asarray(found.decided), data=task.title, statistic="count")
        centre = np.linalg.norm(test - train.mean(0, dtype=np.float64), axis=1)
        classes = (task.test.labels[:, None] == np.unique(task.test.labels)[1:]).astype(float)
        density, hull = near[:, [0, -1]], np.asarray(found.distance)
        everything = np.column_stack([density, centre, classes])
        run.record(f"{HULL} with {NEAR}", runs.rank_correlation(hull, density[:, 1]), data=task.title)
        cases: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]] = {
            f"{HULL}, {PLAIN}": (hull, loss, np.empty((len(hull), 0))),
            f"{HULL}, {GIVEN_DENSITY}": (hull, loss, density),
            f"{HULL}, {GIVEN_ALL}": (hull, loss, everything),
            f"{NEAR}, {PLAIN}": (density[:, 1], loss, np.empty((len(hull), 0))),
            f"{NEAR}, {GIVEN_HULL}": (density[:, 1], loss, np.column_stack([hull, centre, classes])),
        }
        for group, (x, outcomes, given) in cases.items():
            run.record(f"correlation with {LOSS}", partial_effect(x, outcomes, given[None]), data=task.title, group=group)
        margin = np.concatenate(
            [np.broadcast_to(everything, (len(loss), *everything.shape)), (top[..., -1] - top[..., -2])[..., None]], axis=-1
        )
        errors = {PLAIN: np.empty((1, len(hull), 0)), GIVEN_ALL: everything[None], GIVEN_MARGIN: margin}
        for group, given in errors.items():
            effect = partial_effect(hull, (~right).astype(float), given)
            run.record(f"correlation with {ERROR}", effect, data=task.title, group=f"{HULL}, {group}")
        columns = {
            "hull": hull,
            "near": density[:, 1],
            "loss": loss.mean(0),
            "error": 1 - right.mean(0),
            "label": task.test.labels,
        }
        run.table(task.title, columns)


def load_task(config: Config, name: Sample) -> Task:
    """A data set or a table; tables are halved and standardised by their training half."""
    if name not in TABLES:
        data = name.load(seed=config.seed, data_dir=config.data_dir)
        return Task(data.title, *(Split(each.rows[:, None, :, None], each.labels) for each in (data.train, data.test)))
    from sklearn import datasets
    from sklearn.model_selection import train_test_split

    rows, labels = (np.asarray(each) for each in getattr(datasets, f"load_{name}")(return_X_y=True))
    halves: Any = train_test_split(np.arange(len(rows)), test_size=0.5, stratify=labels, random_state=config.seed)
    mean, spread = rows[halves[0]].mean(0), rows[halves[0]].std(0)
    images = ((rows - mean) / spread).astype(np.float32)[:, None, :, None]
    train, test = (Split(images[half], labels[half].astype(np.int32)) for half in halves)
    return Task(f"{name.replace('_', ' ')}, {len(train.labels)} training and {len(test.labels)} test rows", train, test)


def train_networks(config: Config, task: Task) -> np.ndarray:
    """Test logits (networks, images, classes) of networks with own initial weights and own order of batches."""
    model = MLP(int(task.train.labels.max()) + 1, depth=2, width=config.width)
    keys, own = jax.random.split(jax.random.key(config.seed), config.networks), Ensemble(share_batches=False)
    settings = FitConfig(config.epochs, BATCH, ensemble=own, title=f"{task.title}, networks")
    variables = fit(keys, model, adam(RATE), task.train, settings).state.variables
    return np.asarray(probes.logits(variables, jnp.asarray(task.test.images), model=model), np.float64)


def claims(results: runs.Results) -> Iterator[runs.Claim]:
    """Whether the hull matters given density, and density given the hull."""
    quantity = f"correlation with {LOSS}"
    for data in results.names("data"):
        about: dict[str, Any] = {
            "data": data,
            "networks": results.config["networks"],
            "images": results.total("undecided", data=data)[1],
        }
        hull = results.estimate(quantity, data=data, group=f"{HULL}, {GIVEN_ALL}")
        near = results.estimate(quantity, data=data, group=f"{NEAR}, {GIVEN_HULL}")
        name = "hull distance matters for the loss, given density and class"
        yield runs.Claim.of(hull, name, SOURCE, "more than 0", runs.above(hull, 0), **about)
        name, verdict = "that effect is negligible", runs.within(hull, -NEGLIGIBLE, NEGLIGIBLE)
        yield runs.Claim.of(hull, name, DENSITY, f"within ±{NEGLIGIBLE}", verdict, **about)
        name = "nearness matters for the loss, given hull distance and class"
        yield runs.Claim.of(near, name, DENSITY, "more than 0", runs.above(near, 0), **about)


def figures(results: runs.Results) -> plotting.Figures:
    """Correlations with loss and error, plain and partial, by data set."""
    sets = results.names("data")
    title = "Rank correlations with the loss and the errors of networks (95% intervals; grey: negligible)"
    drawn, axes = plotting.figure(1, 3, size=(11, 2.2 + 0.45 * len(sets)), title=title)
    cases = (
        (LOSS, HULL, (PLAIN, GIVEN_DENSITY, GIVEN_ALL)),
        (LOSS, NEAR, (PLAIN, GIVEN_HULL)),
        (ERROR, HULL, (PLAIN, GIVEN_ALL, GIVEN_MARGIN)),
    )
    colours = plotting.colours([PLAIN, GIVEN_DENSITY, GIVEN_ALL, GIVEN_HULL, GIVEN_MARGIN])
    marks = dict(zip(colours, "osD^v", strict=True))
    for place, (outcome, what, groups) in zip(axes[0], cases, strict=True):
        place.axvspan(-NEGLIGIBLE, NEGLIGIBLE, color="0.93", zorder=-1)
        for i, group in enumerate(groups):
            look: dict[str, Any] = {"color": colours[group], "label": group, "shift": 0.2 * (i - 1), "fmt": marks[group]}
            found = {
                plotting.data_name(data): results.estimate(f"correlation with {outcome}", data=data, group=f"{what}, {group}")
                for data in sets
            }
            plotting.intervals(place, found, "rank correlation", **look)
        place.set_title(f"{what} and {outcome}")
    for place in axes[0, 1:]:
        place.set_yticklabels([])
    shown = {name: handle for place in axes[0] for handle, name in zip(*place.get_legend_handles_labels(), strict=True)}
    drawn.legend(shown.values(), shown.keys(), loc="outside lower center", ncols=len(shown))
    yield "correlations", drawn


experiment = runs.Experiment(Config, PRESETS, measure, claims, figures)
if __name__ == "__main__":
    experiment.main()
