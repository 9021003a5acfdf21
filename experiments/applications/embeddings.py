"""Are new embeddings inside the hull of the training embeddings, by the number of principal components?

Two sources disagree. R. Yousefzadeh (arXiv 2101.09849 and 2203.10447): test data are outside in learned representations too.
L. Bonnasse-Gahot (arXiv 2207.08648): after reduction to few dimensions most are inside. Embeddings are the last hidden layer of
a network trained here; docstrings, embedded by wordllama, whose wheel contains its weights; or any two arrays.

    python -m experiments.embeddings                        digits, an MLP, seconds, no download
    python -m experiments.embeddings cpu                    MNIST, 60,000 × 500, a LeNet; docstrings: 4 minutes
    python -m experiments.embeddings paper                  MNIST and CIFAR-10 in full, a CNN; docstrings
    python -m experiments.embeddings --train A.npy --test B.npy [--labels L.npy]    your embeddings; labels of B's rows

Docstrings need `pip install 'hullx[embeddings]'`. Training texts are of Python's standard library. Test texts are of held-out
files of it, and of NumPy, SciPy, scikit-learn and JAX: one text of each file. Files over 1 GB are memory-mapped.

Components are those of all training rows. Distances are divided by the mean pairwise distance of training rows in as many
components; rows inside have distance 0. Intervals are over test rows, which must be independent. Two controls have as many
queries as the first test set: training rows, each left out of its own hull, and Gaussian samples of the training covariance, in
the hull of as many as there are training rows. Rows of equal length lie on a sphere, where none is inside the hull of others:
do not normalise embeddings.

Fixed before the run, for each set of test rows:
- In all components all are outside.
- In 4 components, and in as many as explain 90% of the variance, most are inside: more than half.
- It is only dimension if, in these, the share inside is that of Gaussian samples, within `NEAR`.
- In all components test rows are farther than left-out training rows: more than dimension, a change of distribution.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import hullx
from experiments.shared.networks import NETWORKS
from hullx import runs
from hullx.data import Sample
from hullx.errors import ArgumentError
from hullx.extras import require
from hullx.geometry import extent
from hullx.runs import plotting

from .docstring_embeddings import divide, embed, other_packages, standard_library
from .embedding_pairs import Pair, pair_from_files, pair_from_network, spread_of_lengths
from .principal_coordinates import components, coordinates, first, gaussian

CONTROLS = LEFT_OUT, GAUSSIAN = "training rows, left out", "Gaussian samples"
INSIDE, OUTSIDE, DISTANCE, EXPLAINED = "share inside", "share outside", "÷ mean pairwise distance", "share of variance"
LEAST = "components for 90% of the variance"
LEARNED, REDUCED, CONTROL = "arXiv 2203.10447", "arXiv 2207.08648", "control"
FEW, VARIANCE, NEAR = 4, 0.9, 0.1
SPHERE = 1e-3  # relative spread of the lengths of rows that count as equal
SAMPLED = 20_000  # training rows for the mean pairwise distance


@dataclass(frozen=True)
class Config(runs.Config):
    """Settings of the experiment.

    Attributes:
        train: training embeddings, (n, d): .npy, .npz, .csv or .parquet; with --test, in place of all other data.
        test: test embeddings, (m, d).
        labels: one for each test row, .npy: adds the share inside of each class.
        data: data sets for networks, as in hullx.data.Sample.
        network: mlp, lenet, cnn or resnet.
        epochs: epochs of training.
        docstrings: whether to embed docstrings by wordllama.
        queries: most test rows of a file, and number of test docstrings of each kind.
        components: numbers of principal components; those below the number of dimensions count, and all are added.
    """

    train: Path | None = None
    test: Path | None = None
    labels: Path | None = None
    data: tuple[Sample, ...] = (Sample("digits"),)
    network: str = "mlp"
    epochs: int = 10
    docstrings: bool = False
    queries: int = 150
    components: tuple[int, ...] = (2, 4, 8, 16, 32, 64, 128, 256, 512)


CPU = Config(data=(Sample("mnist:60000:500"),), network="lenet", epochs=2, docstrings=True, rtol=1e-4)
PRESETS = {
    "smoke": Config(components=(2, 4)),
    "cpu": CPU,
    "paper": replace(CPU, data=(Sample("mnist"), Sample("cifar10")), network="cnn", epochs=30),
}


class Found(NamedTuple):
    """Distances of queries to a hull, 0 inside; outside, decided: as in `hullx.Projection`. (m,) each."""

    distance: np.ndarray
    outside: np.ndarray
    decided: np.ndarray


def measure(config: Config, run: runs.Run[Config]) -> None:
    """Measure each pair of training and test embeddings."""
    if (config.train is None) != (config.test is None):
        raise ArgumentError("--train and --test: got one of them, expected both")
    if config.labels is not None and config.test is None:
        raise ArgumentError("--labels belongs to the rows of --test: give --train and --test")
    if config.queries < 1:
        raise ArgumentError(f"--queries: got {config.queries}, expected 1 or more")
    if not config.components or min(config.components) < 1:
        raise ArgumentError(f"--components: got {config.components}, expected positive numbers")
    runs.known("--network", [config.network], NETWORKS)
    if config.train is not None and config.test is not None:
        rng = runs.generator(config.seed, "test rows")
        measure_pair(config, run, pair_from_files(config.train, config.test, config.labels, config.queries, rng))
        return
    if config.docstrings:  # say so before training
        require("--docstrings", "wordllama")
    for sample in config.data:
        measure_pair(config, run, pair_from_network(run, sample, config.network, config.epochs))
    if config.docstrings:
        parts = divide(runs.generator(config.seed, "texts"), standard_library(), other_packages(), config.queries)
        train, held_out, other = map(embed, parts)
        tests = {"texts of other packages": other, "texts of held-out files": held_out}
        title = f"wordllama {version('wordllama')} on docstrings, {len(train):,} training texts"
        measure_pair(config, run, Pair(title, train, tests))


def measure_pair(config: Config, run: runs.Run[Config], pair: Pair) -> None:
    """Measure test rows and both controls in each number of components."""
    (n, d), title, kept = pair.train.shape, pair.title, dict[str, np.ndarray]()
    space, ks, least, explained = components(pair.train, config.components, VARIANCE)
    left = np.sort(runs.generator(config.seed, title, "left out").permutation(n)[: len(next(iter(pair.tests.values())))])
    with tempfile.TemporaryDirectory() as scratch:
        train_file, normal_file = (Path(scratch) / f"{name}.npy" for name in ("train", "normal"))
        on_disk, widest = isinstance(pair.train, np.memmap), max([1, *ks[:-1]])
        train = coordinates(space, pair.train, widest, out=train_file if on_disk else None)
        tests = {name: coordinates(space, rows, widest) for name, rows in pair.tests.items()}
        rng = runs.generator(config.seed, title, "Gaussian")
        drawn = gaussian(rng, space.variance, len(left))
        normal = gaussian(rng, space.variance, n, normal_file if on_disk else None)
        for k, share in zip(ks, explained, strict=True):
            points = pair.train if k == d else first(train, k, d)
            queries = pair.tests if k == d else {name: first(rows, k, d) for name, rows in tests.items()}
            sets: dict[str, tuple[Any, ...]] = {name: (rows, points) for name, rows in queries.items()}
            sets |= {LEFT_OUT: (points[left], points, left), GAUSSIAN: (first(drawn, k, d), first(normal, k, d))}
            run.record(EXPLAINED, share, data=title, group=f"components, {k}", unit="share")
            for name, given in sets.items():
                group = f"{name}, {k}"
                found = run.cached(f"{title}, {group}", project, config, f"{title}, {group}", *given)
                inside = found.decided & ~found.outside
                run.record(INSIDE, inside, data=title, group=group)
                run.record(OUTSIDE, found.outside, data=title, group=group)
                run.record("undecided", ~found.decided, data=title, group=group, statistic="count")
                run.record(DISTANCE, found.distance, data=title, group=group)
                kept |= {f"{runs.slug(group)} inside": inside, f"{runs.slug(group)} distance": found.distance}
    first_set = next(iter(pair.tests))
    run.record(LEAST, least, data=title, group="components")
    run.record("spread of lengths", spread_of_lengths(pair.tests[first_set]), data=title, group=first_set)
    run.arrays(title, counts=np.array(ks), **kept)
    if pair.labels is not None:
        inside = kept[f"{runs.slug(f'{first_set}, {least}')} inside"]
        for label in np.unique(pair.labels):
            run.record(f"{INSIDE} by class", inside[pair.labels == label], data=title, group=f"class {label}")


def project(config: Config, title: str, queries: np.ndarray, points: np.ndarray, exclude: np.ndarray | None = None) -> Found:
    """The projections of queries onto a hull, in units of the mean pairwise distance of its points."""
    swept = hullx.sweep(queries, points, rtol=config.rtol, exclude=exclude, progress=title)
    some = np.asarray(points[:: -(-len(points) // SAMPLED)], np.float64)
    unit = extent(runs.generator(config.seed, "pairs"), some).pairwise_mean
    outside = np.asarray(swept.outside)
    return Found(np.where(outside, swept.distance / unit, 0.0), outside, np.asarray(swept.decided))


def sets_of(results: runs.Results, data: str) -> list[str]:
    """The names of the sets of test rows of a pair."""
    groups = results.names("group", data=data, quantity=INSIDE)
    return [name for name in dict.fromkeys(each.rpartition(", ")[0] for each in groups) if name not in CONTROLS]


def claims(results: runs.Results) -> Iterator[runs.Claim]:
    """Outside in all components; inside in few; as Gaussian samples are; farther than training rows are."""
    for data in results.names("data", quantity=LEAST):
        arrays, networks = results.arrays(data), len(results.select(data=data, quantity="test accuracy"))
        d, least = int(arrays["counts"][-1]), int(results.estimate(LEAST, data=data).value)
        sphere = results.estimate("spread of lengths", data=data).value < SPHERE
        for name in sets_of(results, data):
            outside = results.estimate(OUTSIDE, data=data, group=f"{name}, {d}")
            undecided, _ = results.total("undecided", data=data, group=f"{name}, {d}")
            about: dict[str, Any] = {"data": data, "networks": networks, "rows": outside.n, "unit": "%"}
            verdict, note = runs.all_of(outside, undecided=undecided), "all rows have one length" if sphere else ""
            words = f"{name} are outside in all {d} components"
            yield runs.Claim.of(outside, words, LEARNED, "all", verdict, **about, note=note, group=f"{name}, {d}")

            for k in [k for k in dict.fromkeys((FEW, least)) if k in arrays["counts"]]:
                said = f"{k} components" + (f" ({VARIANCE:.0%} of the variance)" if k == least else "")
                about["group"] = f"{name}, {k}"
                inside = results.estimate(INSIDE, data=data, group=f"{name}, {k}")
                words, expected, verdict = f"{said}: most {name} are inside", "more than half", runs.above(inside, 0.5)
                yield runs.Claim.of(inside, words, REDUCED, expected, verdict, **about)
                ours, normal = (arrays[f"{runs.slug(f'{each}, {k}')} inside"] for each in (name, GAUSSIAN))
                apart = runs.difference_interval(ours, normal, paired=False)
                words, expected = f"{said}: {name} are inside as often as Gaussian samples", f"within {100 * NEAR:.0f} points"
                note = f"{ours.mean():.1%} against {normal.mean():.1%}"
                yield runs.Claim.of(apart, words, CONTROL, expected, runs.within(apart, -NEAR, NEAR), **about, note=note)

            about |= {"unit": "", "group": f"{name}, {d}"}
            ours, left = (arrays[f"{runs.slug(f'{each}, {d}')} distance"] for each in (name, LEFT_OUT))
            more = runs.difference_interval(ours, left, paired=False)
            words, note = f"{name} are farther than left-out training rows", f"means {ours.mean():.3f} and {left.mean():.3f}"
            yield runs.Claim.of(more, words, CONTROL, "above 0", runs.above(more, 0), **about, note=note)


def figures(results: runs.Results) -> plotting.Figures:
    """Share inside and distance by the number of components; share inside by class."""
    titles = results.names("data", quantity=LEAST)
    title = "Share inside the hull of the training rows, and distance, by the number of principal components; 95% intervals"
    drawn, axes = plotting.figure(2, len(titles), size=(2 + 4 * len(titles), 6.5), title=title)
    for column, data in zip(axes.T, titles, strict=True):
        least, counts = results.estimate(LEAST, data=data).value, results.arrays(data)["counts"]
        for place, quantity in zip(column, (INSIDE, DISTANCE), strict=True):
            for name, colour in plotting.colours((*CONTROLS, *sets_of(results, data))).items():
                found = np.array([results.estimate(quantity, data=data, group=f"{name}, {k}")[:3] for k in counts])
                look: dict[str, Any] = {"color": colour, "marker": "o", "markersize": 3, "capsize": 2, "label": name}
                place.errorbar(counts, found[:, 0], np.abs(found[:, 1:] - found[:, :1]).T, **look)
            place.axvline(least, color="0.5", linestyle=":", linewidth=1)
            place.set(xscale="log", ylabel=quantity.replace("÷", "distance ÷"), ylim=(-0.02, None))
            plotting.plain_ticks(place)
        column[0].set(title=plotting.data_name(data), ylim=(-0.02, 1.02))
        column[1].set_xlabel(f"principal components; dotted: {VARIANCE:.0%} of the variance")
        column[1].legend()
    yield "components", drawn

    for data in results.names("data", quantity=f"{INSIDE} by class"):
        shown = {row.group: row.estimate for row in results.select(data=data, quantity=f"{INSIDE} by class")}
        least = round(results.estimate(LEAST, data=data).value)
        title = f"{plotting.data_name(data)}: share of test rows inside by class, in {least} components; 95% intervals"
        drawn, axes = plotting.figure(title=title, size=(6, 1.5 + 0.25 * len(shown)))
        plotting.intervals(axes[0, 0], shown, INSIDE, limits=(-0.02, 1.02))
        yield f"{plotting.data_name(data)} classes", drawn


experiment = runs.Experiment(Config, PRESETS, measure, claims, figures)
if __name__ == "__main__":
    experiment.main()
