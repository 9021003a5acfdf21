"""What can be learned by differentiating through hull distances? Archetypes, compared with the classical algorithm.

Archetypes (Cutler and Breiman 1994, "Archetypal analysis") are k points of the data's hull. Their own hull is as near as
possible to the data:

    minimise over Z ⊂ conv(X)    Σ_j distance(x_j, conv(Z))²

Here Optax follows the gradient of `hullx.distance` in the points Z, and `hullx.project` returns each step to conv(X). The
classical algorithm alternates: it fits the weights of all data on Z, then each archetype in turn, by SciPy's non-negative
least squares. Both begin with the same random images. Expected: the same explained variance 1 − Σ distance² / Σ ‖x_j − mean‖²,
within 1%. It is below NMF (its parts need not resemble data, and its weights need not sum to 1) and above k-means (one centre
per image).

    python -m experiments.archetypes                        300 digits, seconds, no download
    python -m experiments.archetypes cpu                    digits and 1,000 images of MNIST, 10 archetypes, many minutes
    python -m experiments.archetypes paper                  more starts, 20,000 images of MNIST
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

import hullx
from experiments.shared import baselines
from hullx import runs
from hullx.data import Sample
from hullx.runs import pictures, plotting
from hullx.runs.progress import Report, progress

METHODS = GRADIENT, CLASSICAL, FACTORS, CENTRES = "gradient", "alternation", "NMF", "k-means"
# Largest difference of equal explained variances.
TOLERANCE = 0.01
SHARE, BEST, SOURCE = "share of variance", "best share", "Cutler and Breiman 1994"


@dataclass(frozen=True)
class Config(runs.Config):
    """Settings of the experiment.

    Attributes:
        data: data sets, as in hullx.data.Sample: digits:300, mnist:5000, npz:PATH.
        k: number of archetypes.
        starts: number of random starts, the same for all methods.
        steps: steps of gradient descent.
        batch: images per step; all if there are fewer.
        learning_rate: Adam's initial rate; it falls to 0 by a cosine.
        rounds: rounds of the classical alternation.
    """

    data: tuple[Sample, ...] = (Sample("digits:300"),)
    k: int = 6
    starts: int = 3
    steps: int = 100
    batch: int = 512
    learning_rate: float = 0.05
    rounds: int = 20


PRESETS = {
    "smoke": Config(starts=2, steps=20, rounds=8),
    "cpu": Config(data=(Sample("digits"), Sample("mnist:1000")), k=10, starts=10, steps=200, rounds=20),
    "paper": Config(data=(Sample("digits"), Sample("mnist:20000")), k=10, starts=10, steps=2000, rounds=30),
}


class Found(NamedTuple):
    """A method's images (k, d), their residual sum of squares and its curve, and the undecided among all queries."""

    images: np.ndarray
    left: float
    curve: Any = ()
    undecided: int = 0
    queries: int = 0


def measure(config: Config, run: runs.Run[Config]) -> None:
    """Run each method on each data set from each start."""
    for sample in config.data:
        data = sample.load(seed=config.seed, data_dir=config.data_dir)
        rows, title = data.train.rows, data.title
        total = float(((rows - rows.mean(0, dtype=np.float64)) ** 2).sum())
        found: dict[str, list[Found]] = {method: [] for method in METHODS}
        for start in range(config.starts):
            first = rows[runs.generator(config.seed, "first", str(start)).choice(len(rows), config.k, replace=False)]
            for method in METHODS:
                found[method].append(
                    run.cached(f"{title}, start {start + 1}, {method}", run_method, config, method, rows, first, start)
                )
        shares = {method: 1 - np.array([each.left for each in mine]) / total for method, mine in found.items()}
        for method, mine in found.items():
            record = partial(run.record, data=title, group=method)
            record(SHARE, shares[method], unit="share")
            record(BEST, shares[method], statistic="max", unit="share")
            counted = np.sum([(each.undecided, each.queries) for each in mine], axis=0).tolist()
            record("undecided", runs.Estimate(counted[0], np.nan, np.nan, counted[1], "count"))
        run.table(f"{title} explained", shares)
        run.table(f"{title} curves", {f"start {i + 1}": 1 - each.curve / total for i, each in enumerate(found[GRADIENT])})
        best = {runs.slug(method): mine[shares[method].argmax()].images for method, mine in found.items()}
        shape = config.k, *data.train.images.shape[1:]
        run.arrays(f"{title} images", **{name: images.reshape(shape) for name, images in best.items()})


def run_method(config: Config, method: str, rows: np.ndarray, first: np.ndarray, start: int) -> Found:
    """Run one method from one start."""
    if method == FACTORS:
        return Found(*baselines.factorisation(rows, config.k, start))
    if method == CENTRES:
        return Found(*baselines.k_means(rows, config.k, start))
    steps = config.steps if method == GRADIENT else config.rounds
    with progress(f"{method}, start {start + 1}", steps, "steps") as report:
        if method == GRADIENT:
            images, curve = descend(config, runs.generator(config.seed, "batches", str(start)), rows, first, report)
        else:
            images, curve = baselines.alternation(rows, first, steps, report), ()
    result = hullx.sweep(rows, images, rtol=config.rtol, progress=False)
    return Found(images, float((result.distance**2).sum()), curve, int((~result.decided).sum()), len(rows))


def descend(config: Config, rng: np.random.Generator, rows: np.ndarray, first: np.ndarray, report: Report) -> tuple:
    """Archetypes by Adam on hull distances, each step projected onto the data's hull; and the sum of squares per step."""
    hull, archetypes, squares = jnp.asarray(rows), jnp.asarray(first), []
    optimizer = optax.adam(optax.cosine_decay_schedule(config.learning_rate, config.steps))
    state = optimizer.init(archetypes)
    for i in range(config.steps):
        batch = hull[rng.choice(len(rows), min(config.batch, len(rows)), replace=False)]
        value, gradient = slope(archetypes, batch)
        updates, state = optimizer.update(gradient, state)
        archetypes = nearest(optax.apply_updates(archetypes, updates), hull)
        squares.append(float(value) * len(rows))
        report(i + 1)
    return np.asarray(archetypes), np.array(squares)


# The mean squared distance to the archetypes' hull, with its gradient in them; and the nearest points of the data's hull.
# The hull is an argument, because XLA would take 20 seconds to fold a constant. At module level, each compiles once.
slope = jax.jit(jax.value_and_grad(lambda archetypes, batch: (hullx.distance(batch, archetypes) ** 2).mean()))
nearest = jax.jit(lambda archetypes, hull: hullx.project(archetypes, hull).point)


def claims(results: runs.Results) -> Iterator[runs.Claim]:
    """The gradient against each other method."""
    for data in results.names("data"):
        shares = results.table(f"{data} explained")
        less = {name: runs.difference_interval(shares[GRADIENT], shares[name], paired=True) for name in METHODS[1:]}
        verdicts = runs.above(less[CLASSICAL], -TOLERANCE), runs.below(less[FACTORS], 0), runs.above(less[CENTRES], 0)
        expected = f"−{TOLERANCE:.0%} or more", "below 0", "above 0"
        words = "archetypes by gradient explain as much as", "archetypes explain less than", "archetypes explain more than"
        for other, word, least, verdict in zip(METHODS[1:], words, expected, verdicts, strict=True):
            images = results.total("undecided", data=data, group=GRADIENT)[1] // results.config["starts"]
            more: dict[str, Any] = {"data": data, "unit": "%", "seeds": less[other].n, "images": images}
            yield runs.Claim.of(
                less[other], f"{word} {other}", SOURCE, least, verdict, **more, note="difference of explained variance"
            )


def figures(results: runs.Results) -> plotting.Figures:
    """Archetypes, parts and centres as images, in columns by similarity; explained variance against steps."""
    for data in results.names("data"):
        best = {row.group: row.value for row in results.select(data=data, quantity=BEST)}
        images = {
            f"{method}\n{share:.1%}": results.arrays(f"{data} images")[runs.slug(method)] for method, share in best.items()
        }
        short = plotting.data_name(data)
        title = f"{short}: archetypes, NMF's parts and k-means' centres, in columns by similarity; explained variance"
        yield short, pictures.matched(title, images)
        curves = np.transpose(list(results.table(f"{data} curves").values()))
        title = f"{short}: explained variance of gradient descent by step, and of other methods (best start)"
        drawn, axes = plotting.figure(size=(6, 4), title=title)
        (ours, colour), *others = plotting.colours(METHODS).items()
        axes[0, 0].plot(curves, color=colour, alpha=0.7, label=[ours] + [None] * (curves.shape[1] - 1))
        for method, colour in others:
            axes[0, 0].axhline(best[method], color=colour, linestyle="--", linewidth=1, label=method)
        axes[0, 0].set(xlabel="step", ylabel=f"{SHARE} (on each step's batch)")
        axes[0, 0].legend()
        yield f"{short} curves", drawn


experiment = runs.Experiment(Config, PRESETS, measure, claims, figures)
if __name__ == "__main__":
    experiment.main()
