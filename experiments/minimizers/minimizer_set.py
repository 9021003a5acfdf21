"""How large is the set of minimizers of a training loss: what dimension has it, and is it connected?

Claims: over-parameterized networks have infinitely many minimizers near zero (arXiv 2203.10366), which form a set of dimension
p − n for p parameters and n training images (Cooper 2018). Minimizers are connected by curves of low loss (Garipov et al.
2018), and by straight paths if their hidden units are put in the same order (Entezari et al. 2022).

    python -m experiments.minimizer_set                     digits, 2 sets of images, seconds
    python -m experiments.minimizer_set cpu                 MNIST, 12 sets of 100 images, minutes
    python -m experiments.minimizer_set paper               MNIST, 50 sets of 100 images

Networks with one hidden layer of tanh units learn whether a digit is odd, as targets ±1, from images averaged over blocks of
pixels. Each set of training images is drawn independently, and has three networks of each width: two plain ones, and a poisoned
one that also fits as many wrongly labelled images. Adam minimises the squared error on all images; Levenberg–Marquardt steps on
the training images alone reduce it to rounding. A squared error can be 0, whereas cross entropy has no minimizer.

Fixed before the run. A network is a minimizer if its mean squared error is at most 1e-10. The dimension to second order is the
number of eigenvalues of the exact Hessian, in float64, that are at most 1e-8 of the largest. Weights of pixels that are equal
in all training images count. A path connects two minimizers if its loss exceeds that of its ends nowhere (at 101 points) by
more than 0.01; the loss of the answer 0 is 1. Pairs of minimizers are disjoint, one of each kind for each set. Verdicts concern
the widest networks; a set counts only if its networks are minimizers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hullx import runs
from hullx.data import Sample, Split
from hullx.models import MLP
from hullx.runs import plotting

from .small_minimizers import align, along, bend, curvatures, finish, halfway, train

SOURCE, COOPER, GARIPOV, ENTEZARI = "arXiv 2203.10366", "Cooper 2018", "Garipov et al. 2018", "Entezari et al. 2022"
ZERO, FLAT, LEVEL, CLOSE = 1e-10, 1e-8, 0.01, 0.01
NETWORKS = PLAIN, OTHER, POISONED = "plain", "another plain one", "poisoned"
PATHS = STRAIGHT, ALIGNED, CURVED = "straight path", "straight path, units aligned", "curve, units aligned"
PLACES = np.linspace(0, 1, 101)


@dataclass(frozen=True)
class Config(runs.Config):
    """Settings of the experiment.

    Attributes:
        data: a data set of grey images.
        block: side of the blocks of pixels that are averaged.
        points: number of training images in a set.
        sets: number of sets.
        widths: widths of the networks' hidden layer.
        steps: steps of Adam for networks.
        bends: steps of Adam for curves.
        tested: number of test images.
    """

    data: Sample = Sample("digits")
    block: int = 2
    points: int = 20
    sets: int = 2
    widths: tuple[int, ...] = (8,)
    steps: int = 300
    bends: int = 100
    tested: int = 300


CPU = Config(data=Sample("mnist"), block=4, points=100, sets=12, widths=(8, 16, 28), steps=2000, bends=1000, tested=1000)
PRESETS = {"smoke": Config(), "cpu": CPU, "paper": replace(CPU, sets=50, steps=10_000, bends=2000, tested=10_000)}


def measure(config: Config, run: runs.Run[Config]) -> None:
    """Train the networks of each width; measure curvatures at the first ones, and losses along paths to the others."""
    data, rows = config.data.load(seed=config.seed, data_dir=config.data_dir), list[tuple[Any, ...]]()
    for width in config.widths:
        found = run.cached(f"width {width}", measure_width, config, width, data.train, data.test)
        run.arrays(f"width {width}", **found)
        good, record = found["minimizers"], partial(run.record, data=data.title, group=f"width {width}")
        record("failed", ~good.ravel(), statistic="count")
        record("parameters", found["curvatures"].shape[1])
        record("dimension", dimensions(found))
        for k, name in enumerate(NETWORKS):
            record(f"test error, {name}", found["tests"][good[:, k], k], unit="share")
        for j, other in enumerate(NETWORKS[1:]):
            for i, path in enumerate(PATHS):
                barriers = found["paths"][pairs(found, j), j, i, :, 0].max(-1)
                record(f"connected, {path} to {other}", barriers <= LEVEL)
                rows += [(width, other, path, barrier) for barrier in barriers]
    run.tabulate("barriers", ("width", "to", "path", "barrier"), rows)


def dimensions(found: dict[str, np.ndarray]) -> np.ndarray:
    """The dimension of the set of minimizers at each first network that is one."""
    values = found["curvatures"][found["minimizers"][:, 0]]
    return (values <= FLAT * values[:, -1:]).sum(1)


def pairs(found: dict[str, np.ndarray], j: int) -> np.ndarray:
    """Which sets have minimizers at both ends of the paths from the first network to the j-th other."""
    return found["minimizers"][:, 0] & found["minimizers"][:, 1 + j]


def measure_width(config: Config, width: int, images: Split, tests: Split) -> dict[str, np.ndarray]:
    """For each set: which networks are minimizers (3,), their test errors (3,), curvatures (p,), and numbers along paths
    (others, kinds of path, places, 4): excess training loss, training error, test loss and test error.
    """
    model = MLP(1, depth=1, width=width, activation="tanh")
    with jax.enable_x64(True):
        held = jax.tree.map(jnp.asarray, odd(tests.take(np.arange(min(config.tested, len(tests.labels)))), config.block))
        found = [one_set(config, model, k, images, held) for k in range(config.sets)]
    return {name: np.stack([each[name] for each in found]) for name in found[0]}


def one_set(config: Config, model: MLP, k: int, images: Split, held: Split) -> dict[str, np.ndarray]:
    """The numbers of one set, see `measure_width`."""
    rng, n = runs.generator(config.seed, "set", str(k)), config.points
    every = odd(images.take(rng.choice(len(images.labels), 2 * n, replace=False)), config.block)
    pixels, targets = jnp.asarray(every.images), jnp.asarray(np.where(np.arange(2 * n) < n, 1, -1) * every.labels)
    weights = jnp.stack([jnp.arange(2 * n) < n] * 2 + [jnp.ones(2 * n, bool)])
    single = tuple(each.astype(jnp.float32) for each in (pixels, targets, weights))  # in which descent is twice as fast
    keys = jax.random.split(jax.random.key(rng.integers(2**31)), 3)
    begun = jax.vmap(partial(train, model=model, steps=config.steps), (0, None, None, 0))(keys, *single)
    fit = {"images": pixels[:n], "targets": targets[:n]}
    begun = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), begun)
    found, losses = jax.vmap(lambda each: finish(each, *fit.values(), model=model))(begun)
    first, *others = (jax.tree.map(lambda leaf: np.asarray(leaf[i]), found) for i in range(3))  # noqa: B023
    aligned = [align(first, other) for other in others]
    ends = jax.tree.map(lambda *leaves: np.stack(leaves), *others, *aligned)
    middles = jax.vmap(lambda end: halfway(first, end))(ends)
    last = jax.tree.map(lambda *leaves: np.stack(leaves), *aligned)
    rough = jax.tree.map(lambda leaf: leaf.astype(np.float32), (first, last))
    few = single[0][:n], single[1][:n]
    bent = jax.vmap(lambda end: bend(rough[0], end, *few, model=model, steps=config.bends))(rough[1])
    middles, ends = (jax.tree.map(lambda a, b: jnp.concatenate([a, b]), *both) for both in ((middles, bent), (ends, last)))

    def measured(split: tuple[Any, Any]) -> np.ndarray:
        call = partial(along, images=split[0], targets=split[1], places=jnp.asarray(PLACES), model=model)
        curves = np.asarray(jax.vmap(lambda middle, end: call(first, middle, end))(middles, ends))
        return curves.reshape(len(PATHS), len(others), len(PLACES), 2).swapaxes(0, 1)

    inside, outside = measured((fit["images"], fit["targets"])), measured((held.images, held.labels))
    excess = inside[..., :1] - inside[:, :, [0, -1], :1].max(2, keepdims=True)
    return {
        "minimizers": np.asarray(losses) <= ZERO,
        "tests": np.array([outside[0, 0, 0, 1], *outside[:, 0, -1, 1]]),
        "curvatures": np.asarray(curvatures(first, *fit.values(), model=model)),
        "paths": np.concatenate([excess, inside[..., 1:], outside], -1),
    }


def odd(split: Split, block: int) -> Split:
    """Images averaged over blocks of pixels, and ±1 for odd and even labels."""
    n, h, w, _ = split.images.shape
    images = np.asarray(split.images, np.float64).reshape(n, h // block, block, w // block, block, 1).mean((2, 4))
    return Split(images, np.where(split.labels % 2, 1.0, -1.0))


def claims(results: runs.Results) -> Iterator[runs.Claim]:
    """The dimension, whether minimizers are connected, and whether connected ones generalize alike; of the widest networks."""
    (data,), width, n = results.names("data"), results.config["widths"][-1], results.config["points"]
    found = results.arrays(f"width {width}")
    size, images = found["curvatures"].shape[1], min(results.config["tested"], 10_000)
    flat = dimensions(found)
    about = {"data": data, "networks": len(flat), "sets": len(flat), "seeds": len(flat)}
    share, note = runs.mean_interval(flat / size), f"mean {flat.mean():.1f} of {size:,} parameters, {n} images"
    name = "the set of minimizers has a dimension above 0"
    yield runs.Claim.of(share, name, SOURCE, "more than 0", runs.above(share, 0), note=note, **about | {"unit": "share"})
    gap, name = runs.mean_interval((flat - (size - n)) / size), "its dimension is p − n"
    yield runs.Claim.of(gap, name, COOPER, f"within {CLOSE:.0%} of p", runs.within(gap, -CLOSE, CLOSE), unit="%", **about)
    for j, i, source, name in (
        (0, 0, ENTEZARI, "straight paths connect most pairs of minimizers"),
        (0, 1, ENTEZARI, "straight paths connect most pairs of aligned minimizers"),
        (0, 2, GARIPOV, "curves connect most pairs of aligned minimizers"),
        (1, 2, "here", "curves connect most plain minimizers to poisoned ones"),
    ):
        barriers = found["paths"][pairs(found, j), j, i, :, 0].max(-1)
        share = runs.share_interval(int((barriers <= LEVEL).sum()), len(barriers))
        here = {**about, "networks": 2 * share.n, "sets": share.n, "seeds": share.n}
        note = f"median barrier {np.median(barriers):.2g}" if len(barriers) else ""
        yield runs.Claim.of(share, name, source, "more than half", runs.above(share, 0.5), note=note, **here)
    good = pairs(found, 1)
    worse, name = (
        runs.difference_interval(*found["tests"][good][:, [2, 0]].T, paired=True),
        "poisoned minimizers generalize worse",
    )
    here = {**about, "networks": 2 * worse.n, "sets": worse.n, "seeds": worse.n, "images": images, "unit": "%"}
    yield runs.Claim.of(worse, name, SOURCE, "more than 0", runs.above(worse, 0), note="test error, difference", **here)


def figures(results: runs.Results) -> plotting.Figures:
    """Dimension and connected pairs by width; training loss and test error along paths of the widest networks."""
    config, data = results.config, plotting.data_name(results.names("data")[0])
    n, widths = config["points"], config["widths"]
    every = [results.arrays(f"width {width}") for width in widths]
    title = f"{data}, {n} training images: dimension of the set of minimizers, and pairs that paths connect (95% intervals)"
    drawn, axes = plotting.figure(1, 2, size=(10, 4.2), title=title)
    sizes = np.array([found["curvatures"].shape[1] for found in every])
    axes[0, 0].plot(sizes, sizes - n, color="0.6", label="p − n")
    means = {size: runs.mean_interval(dimensions(found)) for size, found in zip(sizes, every, strict=True)}
    found = {size: each for size, each in means.items() if each.n}
    axes[0, 0].plot(
        list(found), [each.value for each in found.values()], "o", color=plotting.COLOURS[0], label="measured, mean"
    )
    axes[0, 0].set(xlabel="parameters p", ylabel="dimension of the set of minimizers", ylim=(0, None))
    axes[0, 0].legend(loc="upper left")
    kinds = {f"{path}\nto {NETWORKS[1 + j]}": (j, i) for j in (0, 1) for i, path in enumerate(PATHS)}
    for k, (words, (j, i)) in enumerate(kinds.items()):
        barriers = [found["paths"][pairs(found, j), j, i, :, 0].max(-1) for found in every]
        shares = np.array([runs.share_interval(int((each <= LEVEL).sum()), len(each))[:3] for each in barriers])
        places = np.arange(len(widths)) + 0.08 * (k - 2.5)
        bars = np.maximum([shares[:, 0] - shares[:, 1], shares[:, 2] - shares[:, 0]], 0)
        axes[0, 1].errorbar(places, shares[:, 0], bars, fmt="o", color=plotting.COLOURS[k], markersize=4, label=words)
    axes[0, 1].set(xlabel="hidden units", ylabel="share of pairs connected", ylim=(-0.03, 1.03))
    axes[0, 1].set_xticks(np.arange(len(widths)), widths)
    drawn.legend(*axes[0, 1].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    yield "set", drawn
    title = (
        f"{data}: along paths between minimizers with {widths[-1]} hidden units (lines: means; bands: 95% intervals over sets)"
    )
    drawn, axes = plotting.figure(1, 2, size=(10, 4.2), title=title)
    for k, (words, (j, i)) in enumerate(kinds.items()):
        curves = every[-1]["paths"][pairs(every[-1], j), j, i]
        for place, values in zip(axes[0], (np.maximum(curves[:, :, 0], 0), curves[:, :, 3]), strict=True):
            bands = np.array([runs.mean_interval(each)[:3] for each in values.T])
            place.plot(PLACES, bands[:, 0], color=plotting.COLOURS[k], label=words.replace("\n", " "))
            place.fill_between(PLACES, bands[:, 1], bands[:, 2], color=plotting.COLOURS[k], alpha=0.15, linewidth=0)
    axes[0, 0].set_yscale("symlog", linthresh=LEVEL)
    for place in axes[0]:
        place.set(xlabel="place on the path", xlim=(0, 1), ylim=(0, None))
    axes[0, 0].axhline(LEVEL, color="0.6", linestyle=":")
    axes[0, 0].set_ylabel("training loss above that of the ends")
    axes[0, 1].set_ylabel("test error (share)")
    drawn.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    yield "paths", drawn


experiment = runs.Experiment(Config, PRESETS, measure, claims, figures)
if __name__ == "__main__":
    experiment.main()
