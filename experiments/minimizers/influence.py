"""What does a network's answer depend on: the training images on the face under a test image, or those nearest to it?

If networks interpolated, the support of a test image's projection onto the hull would determine the answer. Networks are
trained again without these images, and the change of the answer is compared with that after removing other images.

    python -m experiments.influence                         digits, 8 test images, 2 seeds, seconds
    python -m experiments.influence cpu                     MNIST, 500 training images, 100 test images, 10 seeds, minutes
    python -m experiments.influence paper                   MNIST, 2,000 training images, 300 test images, 20 seeds

For each test image, three sets of training images are removed, one at a time: the support of its projection; the images nearest
to it; and random images. All three have as many images of each class as the support. Networks are MLPs with one
hidden layer, trained by Adam for a fixed number of epochs on images averaged over blocks of pixels, in which the hull is
measured too. With and without the removal, a network has the same initial weights and the same order of images; removed images
have weight 0 in the loss.

Fixed before the run. The answer is the margin: the true class's logit minus the largest other logit. The effect of a removal
is the change of the margin. Support and nearest images matter if their effect is below that of random images; the face matters
more than the neighbours if its effect is below theirs. Intervals are over test images and seeds (two-way). The three sets may
overlap; their overlap is reported.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

import hullx
from experiments.shared.minimizer_measures import margins
from hullx import runs
from hullx.data import Sample, Split
from hullx.models import MLP
from hullx.runs import plotting
from hullx.types import Array

SOURCE, RATE, BATCH = "here", 3e-3, 50
REMOVED = SUPPORT, NEAREST, RANDOM = "support", "nearest images", "random images"


@dataclass(frozen=True)
class Config(runs.Config):
    """Settings of the experiment.

    Attributes:
        data: a data set, with the numbers of training images, and of test images to choose from.
        block: side of the blocks of pixels that are averaged.
        queries: number of test images that are evaluated; all are outside the hull.
        seeds: number of networks for each training set.
        width: width of the hidden layer.
        epochs: number of epochs.
    """

    data: Sample = Sample("digits:200:20")
    block: int = 1
    queries: int = 8
    seeds: int = 2
    width: int = 32
    epochs: int = 20


MNIST = Config(data=Sample("mnist:500:200"), block=2, queries=100, seeds=10, epochs=30)
PRESETS = {
    "smoke": Config(),
    "cpu": MNIST,
    "paper": Config(data=Sample("mnist:2000:600"), block=1, queries=300, seeds=20, width=128, epochs=50),
}


def measure(config: Config, run: runs.Run[Config]) -> None:
    """Choose the images to remove for each test image; train with and without them; record the margins."""
    data = config.data.load(seed=config.seed, data_dir=config.data_dir)
    train, test = (averaged(split, config.block) for split in (data.train, data.test))
    found = hullx.sweep(test.rows, train.rows, rtol=config.rtol, resume=run.resume_dir("projections"))
    run.distances(found, data=data.title, group="test images")
    chosen = np.flatnonzero(found.outside)[: config.queries]
    queries, found = test.take(chosen), jax.tree.map(lambda field: np.asarray(field)[chosen], found)
    kept = removals(runs.generator(config.seed, "random images"), train, queries, found)
    removed = ~kept
    sizes, masks = removed[0].sum(1), np.concatenate([np.ones((1, len(train.labels)), bool), *kept])
    run.record("images removed", sizes, data=data.title)
    for i, name in enumerate(REMOVED[1:], 1):
        overlap = (removed[0] & removed[i]).sum(1) / sizes
        run.record("share in the support", overlap, data=data.title, group=name, unit="share")
    model, every = MLP(len(data.classes), depth=1, width=config.width), list[np.ndarray]()
    for seed in range(config.seeds):
        key = jax.random.fold_in(jax.random.key(config.seed), seed)
        answers, fitted = run.cached(f"seed {seed}", trained_margins, key, train, queries, masks, model, config.epochs)
        own = answers[1:].reshape(len(REMOVED), len(chosen), -1)
        without = np.diagonal(own, axis1=1, axis2=2)  # each test image's margin without its own images
        every.append(np.stack([answers[0], *without]))
        run.record("share of training images right", fitted, data=data.title, group=f"seed {seed}", unit="share")
    values = np.stack(every, 2)
    run.arrays("margins", margins=values, sizes=sizes)
    run.record("margin", runs.two_way_interval(values[0]), data=data.title, group="nothing removed")
    for name, each in zip(REMOVED, values[1:], strict=True):
        run.record("change of the margin", runs.two_way_interval(each - values[0]), data=data.title, group=name)


def averaged(split: Split, block: int) -> Split:
    """Images averaged over blocks of pixels."""
    n, h, w, c = split.images.shape
    images = split.images.reshape(n, h // block, block, w // block, block, c).mean((2, 4))
    return split._replace(images=images.astype(np.float32))


def removals(rng: np.random.Generator, train: Split, queries: Split, found: hullx.Projection) -> np.ndarray:
    """Which training images remain, for each kind of removal and test image: (kinds, queries, images). All kinds remove as many
    images of each class.
    """
    kept = np.ones((len(REMOVED), len(queries.labels), len(train.labels)), bool)
    for q, (support, weights) in enumerate(zip(found.support, found.weights, strict=True)):
        face = np.unique(support[weights > 0])
        kept[0, q, face] = False
        far = np.linalg.norm(train.rows - queries.rows[q], axis=1)
        for label, count in enumerate(np.bincount(train.labels[face])):
            mine = np.flatnonzero(train.labels == label)
            kept[1, q, mine[np.argsort(far[mine], kind="stable")[:count]]] = False
            kept[2, q, rng.choice(mine, count, replace=False)] = False
    return kept


def trained_margins(
    key: Array, train: Split, queries: Split, masks: np.ndarray, model: MLP, epochs: int
) -> tuple[np.ndarray, float]:
    """The margins (masks, queries) of networks that are trained with each mask; and the share of training images that the first
    network has right.
    """
    arrays = jax.tree.map(jnp.asarray, (train, queries))
    answers, right = _trained(key, *arrays, jnp.asarray(masks, jnp.float32), model=model, epochs=epochs)
    return np.asarray(answers), float(right[0])


@partial(jax.jit, static_argnames=("model", "epochs"))
def _trained(key: Array, train: Split, queries: Split, masks: Array, *, model: MLP, epochs: int) -> tuple[Array, Array]:
    start, order = jax.random.split(key)
    n, optimizer = len(train.labels), optax.adam(RATE)
    batches = jnp.stack([jax.random.permutation(each, n)[: n // BATCH * BATCH] for each in jax.random.split(order, epochs)])
    params = model.init(start, train.images[:1])["params"]

    def logits(params: Any, images: Array) -> Any:
        return model.apply({"params": params}, images, train=False)

    def loss(params: Any, rows: Array, weights: Array) -> Array:
        each = optax.softmax_cross_entropy_with_integer_labels(logits(params, train.images[rows]), train.labels[rows])
        return (weights * each).sum() / jnp.maximum(weights.sum(), 1)

    def one(mask: Array) -> tuple[Array, Array]:
        def step(state: tuple[Any, Any], rows: Array) -> tuple[tuple[Any, Any], None]:
            params, memory = state
            updates, memory = optimizer.update(jax.grad(loss)(params, rows, mask[rows]), memory, params)
            return (optax.apply_updates(params, updates), memory), None

        (last, _), _ = lax.scan(step, (params, optimizer.init(params)), batches.reshape(-1, BATCH))
        right = (logits(last, train.images).argmax(-1) == train.labels).mean()
        return margins(logits(last, queries.images), queries.labels), right

    return jax.vmap(one)(masks)


def claims(results: runs.Results) -> Iterator[runs.Claim]:
    """Whether support and nearest images matter more than random ones, and which of them matters more."""
    (data,), values = results.names("data"), results.arrays("margins")["margins"]
    _, queries, seeds = values.shape
    face, near, random = values[1:] - values[0]
    about = {"data": data, "networks": seeds * (1 + len(REMOVED) * queries), "images": queries, "seeds": seeds}
    for gap, name in (
        (face - random, "removing the support lowers the margin more than removing random images"),
        (near - random, "removing the nearest images lowers the margin more than removing random images"),
        (face - near, "removing the support lowers the margin more than removing the nearest images"),
    ):
        change = runs.two_way_interval(gap)
        note = "difference of the changes of the margin"
        yield runs.Claim.of(change, name, SOURCE, "less than 0", runs.below(change, 0), note=note, **about)


def figures(results: runs.Results) -> plotting.Figures:
    """The change of the margin by what is removed; support against nearest images, for each test image."""
    data, values = plotting.data_name(results.names("data")[0]), results.arrays("margins")["margins"]
    changes = dict(zip(REMOVED, values[1:] - values[0], strict=True))
    title = f"{data}: change of a test image's margin if training images are removed and networks are trained again"
    drawn, axes = plotting.figure(1, 2, size=(10.5, 4.2), title=title)
    found = {f"without {name}": runs.two_way_interval(each) for name, each in changes.items()}
    plotting.intervals(axes[0, 0], found, "change of the margin (logits), mean with 95% interval")
    axes[0, 0].locator_params(axis="x", nbins=5)
    means = [changes[name].mean(1) for name in (NEAREST, SUPPORT)]
    axes[0, 1].plot(*means, "o", markersize=3, color=plotting.COLOURS[0])
    ends = min(map(np.min, means)), max(map(np.max, means))
    axes[0, 1].plot(ends, ends, color="0.6", linewidth=1)
    axes[0, 1].set(xlabel=f"change without {NEAREST} (logits)", ylabel=f"change without the {SUPPORT} (logits)")
    axes[0, 1].set_title("each dot: a test image; line: equal changes")
    yield "changes", drawn


experiment = runs.Experiment(Config, PRESETS, measure, claims, figures)
if __name__ == "__main__":
    experiment.main()
