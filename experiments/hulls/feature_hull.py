"""Are test images outside the hull of the training images in the layers of a network, before and after training?

Claim: they are, also in the last hidden layer (R. Yousefzadeh, arXiv 2101.09849 and 2203.10447). The verdict concerns the last
hidden layer of trained networks: 64 numbers in the MLP and the ResNet, 168 in the LeNet. The table has all layers, before and
after training. That most test images are inside after reduction to few dimensions (L. Bonnasse-Gahot, arXiv 2207.08648) is
the subject of `experiments.intrinsic`.

With a linear head each class's region of that space is a polyhedron. It follows (arXiv 2202.04052), and is tested here: points
in the hull of features called c are called c; hulls of features called differently are disjoint, and a separating plane proves
it; the nearest boundary is at min_j margin_j / ‖w_c − w_j‖. Jia et al. (arXiv 1904.01399): the nearest class hull classifies
as well as the network. "As well" means within 2 points, fixed before the run.

    python -m experiments.feature_hull                      digits, an MLP, seconds, no download
    python -m experiments.feature_hull cpu                  MNIST, 10,000 × 300, 3 LeNets and 3 ResNets: 15 to 35 minutes
    python -m experiments.feature_hull paper                MNIST in full, ten times as many epochs
    python -m experiments.feature_hull cpu --networks lenet --checkpoint FOLDER    a folder of `hullx.training.fit`, no training

"Before training" is a network with other initial weights than those of the trained one. Intervals are over test images: an
image is outside if it is outside in each network, and its distance and correctness are means over networks.
"÷ two products" is the time of a sweep divided by the time of the two matrix products that every method needs. It is the
minimum over seeds, because the first seed compiles.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from experiments.shared.networks import NETWORKS
from hullx import probes, runs, spaces
from hullx.data import Sample
from hullx.errors import ArgumentError
from hullx.runs import plotting
from hullx.training import load_variables

from .layer_hulls import Found, prepare, project_images, record_layer, train_network
from .linear_head_regions import FLIPS, KEPT, LIKE, PROVED, Regions, check_regions, record_regions

OUTSIDE, REGIONS, NEAREST = "arXiv 2101.09849", "arXiv 2202.04052", "arXiv 1904.01399"
STATES = RANDOM, TRAINED = "before training", "trained"
LEARNED = "training accuracy in the last epoch"
SAME = 0.02  # largest difference of equal accuracies


@dataclass(frozen=True)
class Config(runs.Config):
    """Settings of the experiment.

    Attributes:
        data: a data set, as in hullx.data.Sample.
        networks: names among mlp, lenet, cnn, resnet.
        seeds: number of networks of each name.
        epochs: epochs of training.
        samples: number of sampled convex combinations of features, for each network.
        checkpoint: a folder written by `hullx.training.fit`, with the one named network; replaces training.
    """

    data: Sample = Sample("digits")
    networks: tuple[str, ...] = ("mlp",)
    seeds: int = 2
    epochs: int = 10
    samples: int = 1000
    checkpoint: str | None = None


PRESETS = {
    "smoke": Config(data=Sample("digits:1437:32"), seeds=1),
    "cpu": Config(data=Sample("mnist:10000:300"), networks=("lenet", "resnet"), seeds=3, epochs=5),
    "paper": Config(data=Sample("mnist"), networks=("cnn", "resnet"), seeds=5, epochs=30, samples=10_000),
}


def measure(config: Config, run: runs.Run[Config]) -> None:
    """Measure each layer of each network before and after training, and test what its head implies."""
    runs.known("--networks", config.networks, NETWORKS)
    if config.checkpoint is not None and (len(config.networks), config.seeds) != (1, 1):
        raise ArgumentError("--checkpoint holds one network: name one in --networks, and give --seeds 1")
    data = prepare(config.data.load(seed=config.seed, data_dir=config.data_dir))
    for name in config.networks:
        make, last = NETWORKS[name]
        model, found, regions, learned = make(len(data.classes)), dict[str, list[Found]](), list[Regions](), list[float]()
        for seed in range(config.seeds):
            key = jax.random.fold_in(jax.random.key(config.seed), seed)
            start = dict(model.init(key, data.train.images[:1]))
            if config.checkpoint is None:
                fitted = train_network(run, data, name, key, config.epochs, f"{name}, seed {seed}")
                done = fitted.state.variables
                learned.append(float(fitted.history.accuracy[-1].mean()))
            else:
                done = load_variables(config.checkpoint)
            shapes = spaces.layers(model, done, data.test.images)
            for state, variables in zip(STATES, (start, done), strict=True):
                for layer, shape in shapes.items():
                    group = f"{name}, {state}, {layer} ({np.prod(shape):,})"
                    space, title = spaces.Features(model, variables, layer), f"{group}, seed {seed}"
                    each = run.cached(title, project_images, space, data, config.seed, config.rtol, title)
                    found.setdefault(group, []).append(each)
            space, head = spaces.Features(model, done, last), probes.head_of(done)
            title, more = f"{name}, seed {seed}, regions", (config.samples, config.seed, config.rtol)
            regions.append(run.cached(title, check_regions, space, head, data, *more, title))
        for group, each in found.items():
            record_layer(run, data.title, group, each)
        record_regions(run, data.title, f"{name}, trained, {last}", regions)
        if learned:
            run.record(LEARNED, learned, data=data.title, group=name, unit="share")
        layer = next(group for group in found if group.startswith(f"{name}, {TRAINED}, {last} "))
        run.arrays(f"{name} borders", hull=found[layer][0].distance, border=regions[0].border, right=regions[0].right)


def claims(results: runs.Results) -> Iterator[runs.Claim]:
    """Outside or inside in the last hidden layer; consequences of a linear head."""
    (data,), seeds = results.names("data"), results.config["seeds"]
    for group in results.names("group", quantity=KEPT):
        name, _, last = group.split(", ")
        (layer,) = [each for each in results.names("group") if each.startswith(f"{group} (")]
        share, undecided = results.estimate("share outside", group=layer, seed=""), results.total("undecided", group=layer)[0]
        about: dict[str, Any] = {"data": data, "networks": seeds, "seeds": seeds, "unit": "%"}
        name, images = f"{name}, {last}", {"images": share.n}
        verdict = runs.all_of(share, undecided=undecided)
        yield runs.Claim.of(share, f"{name}: test images are outside", OUTSIDE, "all", verdict, **about, **images, group=layer)
        about["group"] = group
        for quantity, words, more in (
            (KEPT, "points in the hull of features called c are called c", {}),
            (PROVED, "hulls of features called differently are disjoint", {}),
            (FLIPS, "the nearest boundary is at min margin ÷ ‖w_c − w_j‖", images),
        ):
            true = results.estimate(quantity, group=group)
            # Consequences of linearity have no exceptions.
            verdict = runs.HOLDS if true.value == 1 else runs.FAILS
            yield runs.Claim.of(true, f"check, {name}: {words}", REGIONS, "all", verdict, **about, **more)
        like = results.estimate(LIKE, group=group)
        words, verdict = f"{name}: the nearest hull classifies as well as the network", runs.within(like, -SAME, SAME)
        yield runs.Claim.of(like, words, NEAREST, f"within {SAME:.0%}", verdict, **about, **images)


def figures(results: runs.Results) -> plotting.Figures:
    """Share outside and distance by layer, before and after training; hull distance against distance to the boundary."""
    (data,), networks = results.names("data"), results.config["networks"]
    short, size = plotting.data_name(data), (1.5 + 5 * len(networks), 6)
    title = f"{short}: test images and the hull of the training images in each layer, with 95% intervals"
    drawn, axes = plotting.figure(2, len(networks), size=size, title=title)
    for column, name in zip(axes.T, networks, strict=True):
        for state, colour in plotting.colours(STATES).items():
            layers = results.names("group", quantity="÷ two products")
            groups = [each for each in layers if each.startswith(f"{name}, {state}, ")]
            for place, quantity in zip(column, ("share outside", "÷ mean pairwise distance"), strict=True):
                found = np.array([results.estimate(quantity, group=group, seed="")[:3] for group in groups])
                bars, look = np.abs(found[:, 1:] - found[:, :1]).T, {"color": colour, "marker": "o", "markersize": 4}
                place.errorbar(np.arange(len(groups)), found[:, 0], bars, label=state, capsize=2, **look)
                place.set_xticks(np.arange(len(groups)), [group.split(", ", 2)[2].replace(" (", "\n(") for group in groups])
        column[0].set(title=name, ylabel="share outside in all networks", ylim=(0, 1.02))
        column[1].set(ylabel="distance ÷ mean pairwise distance", ylim=(0, None))
        column[1].legend()
    yield "layers", drawn
    title = f"{short}: test images in the last hidden layer of one network"
    drawn, axes = plotting.figure(1, len(networks), size=(1 + 4.5 * len(networks), 4), title=title)
    for place, name in zip(axes[0], networks, strict=True):
        found = results.arrays(f"{name} borders")
        for right, colour in zip((True, False), plotting.COLOURS, strict=False):
            mine, label = found["right"] == right, "network right" if right else "network wrong"
            place.plot(found["hull"][mine], found["border"][mine], "." if right else "x", color=colour, label=label)
        place.set(title=name, xlabel="distance to the hull of the training features", ylabel="distance to the nearest boundary")
        place.legend()
    yield "borders", drawn


experiment = runs.Experiment(Config, PRESETS, measure, claims, figures)
if __name__ == "__main__":
    experiment.main()
