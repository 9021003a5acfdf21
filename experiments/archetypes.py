"""What can be learned by differentiating through hull distances? Archetypes, and features that stay in a hull.

Archetypes (Cutler and Breiman 1994, "Archetypal analysis") are k points of the data's hull whose own hull is nearest to it:

    minimise over Z ⊂ conv(X)    Σ_j distance(x_j, conv(Z))²

Here Optax follows the gradient of `hullx.distance` in the points Z, and `hullx.project` brings every step back into conv(X).
The classical algorithm alternates instead: the weights of all data on Z, then each archetype in turn, by SciPy's non-negative
least squares. Both begin with the same random images. Expected: the same explained variance 1 − Σ distance² / Σ ‖x_j − mean‖²,
within 1%; below NMF (whose parts need not look like data, nor weights sum to 1) and above k-means (one centre an image).

Then a Flax network learns to classify with the mean distance of its features to the hull of other training images' features
as a penalty. Claim: the penalty draws the features of test images towards the hull of the training images', at equal accuracy.

    python -m experiments.archetypes                        digits, about a minute
    python -m experiments.archetypes cpu                    digits and 5,000 images of MNIST, 10 archetypes
    python -m experiments.archetypes paper                  more seeds, 20,000 images of MNIST
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from rich.console import Console
from rich.table import Table
from sklearn.cluster import KMeans
from sklearn.decomposition import NMF

import hullx
from experiments.command import main
from experiments.peers import nnls
from hullx.data import Dataset, load
from hullx.runs import folder as record
from hullx.runs import plotting
from hullx.runs.progress import Report, progress

METHODS = GRADIENT, CLASSICAL, FACTORS, CENTRES = "gradient through distances", "classical alternation", "NMF", "k-means"
# Explained variances of two methods are called equal within this.
TOLERANCE = 0.01
# Steps between two points of the curve.
EVERY = 20
FEATURES = 16


@dataclass(frozen=True)
class Config:
    """Settings of the experiment.

    Attributes:
        dataset: names for hullx.data.load, each with :n for a number of training images.
        k: archetypes.
        starts: random starts, the same for both algorithms.
        steps: of gradient descent.
        batch: images a step; all if there are fewer.
        learning_rate: of Adam at the start; it falls to 0 by a cosine.
        rounds: of the classical alternation.
        networks: networks with the penalty, and as many without.
        penalty: its factor in the loss.
        training_steps: of each network.
        rtol: relative width of the certified bracket of reported distances.
        seed: of every random choice.
        data_dir: where TFDS data sets lie; TFDS's default if not given.
    """

    dataset: tuple[str, ...] = ("digits",)
    k: int = 8
    starts: int = 2
    steps: int = 150
    batch: int = 512
    learning_rate: float = 0.05
    rounds: int = 30
    networks: int = 3
    penalty: float = 0.3
    training_steps: int = 300
    rtol: float = 1e-6
    seed: int = 0
    data_dir: str | None = None


PRESETS = {
    "smoke": Config(),
    "cpu": Config(dataset=("digits", "mnist:5000"), k=10, starts=3, steps=400, networks=10, training_steps=1000),
    "paper": Config(dataset=("digits", "mnist:20000"), k=10, starts=10, steps=2000, networks=30, training_steps=1000),
}


def run(config: Config, folder: record.Run) -> None:
    """Archetypes of each data set, then the penalised networks."""
    results: dict[str, Any] = {}
    claims: dict[str, Any] = {}
    for entry in config.dataset:
        name, _, size = entry.partition(":")
        data = load(name, train_size=int(size) if size else None, seed=config.seed, data_dir=config.data_dir)
        title = f"{data.title}, {len(data.train.labels):,} images"
        results[title] = archetypes(config, data, title, folder)
        claims |= {f"{title}: {claim}": entry for claim, entry in judge(results[title]).items()}
        folder.finish({"archetypes": results, "claims": claims})
        figures(folder.folder)
        Console().print(closing_table(config, title, results[title]))
    penalty = penalised(config, folder)
    claims["the penalty draws test features towards the hull"] = judge_penalty(penalty)
    folder.finish({"archetypes": results, "penalty": penalty, "claims": claims})
    figures(folder.folder)
    Console().print(penalty_table(penalty))


def archetypes(config: Config, data: Dataset, title: str, folder: record.Run) -> dict[str, list[float]]:
    """Explained variance of each method from each start."""
    rows, k = data.train.rows, config.k
    total = float(((rows - rows.mean(0, dtype=np.float64)) ** 2).sum())
    shares: dict[str, list[float]] = {method: [] for method in METHODS}
    found, curves = {}, []
    for start in range(config.starts):
        rng = np.random.default_rng((config.seed, start))
        first = rows[rng.choice(len(rows), k, replace=False)]
        with progress(f"{title}, start {start + 1}, {GRADIENT}", config.steps, "steps") as report:
            ours, curve = descend(config, rng, rows, first, total, report)
        curves.append(curve)
        with progress(f"{title}, start {start + 1}, {CLASSICAL}", config.rounds, "rounds") as report:
            classical = alternate(rows, first, config.rounds, report)
        # scikit-learn's annotations say less than it takes.
        factors: Any = NMF(n_components=cast(Any, k), init="random", random_state=start, max_iter=1000, tol=1e-3)
        loadings = factors.fit_transform(rows)
        centres: Any = KMeans(n_clusters=k, random_state=start, n_init=cast(Any, 1)).fit(rows)
        for method, unexplained in (
            (GRADIENT, unexplained_by(ours, rows, config.rtol)),
            (CLASSICAL, unexplained_by(classical, rows, config.rtol)),
            (FACTORS, float(((rows - loadings @ factors.components_) ** 2).sum())),
            (CENTRES, float(centres.inertia_)),
        ):
            shares[method].append(1 - unexplained / total)
            folder.metric(data=title, start=start, method=method, explained=shares[method][-1])
        if shares[GRADIENT][-1] == max(shares[GRADIENT]):
            found[GRADIENT], found[CENTRES] = ours, centres.cluster_centers_
        if shares[CLASSICAL][-1] == max(shares[CLASSICAL]):
            found[CLASSICAL] = classical
    folder.table(f"{title} explained", shares)
    folder.table(
        f"{title} curves",
        {"step": [step for step, _ in curves[0]]}
        | {f"start {i + 1}": [value for _, value in curve] for i, curve in enumerate(curves)},
    )
    shape = (-1, *data.train.images.shape[1:])
    folder.arrays(f"{title} images", **{record.slug(name): images.reshape(shape) for name, images in found.items()})
    return shares


def unexplained_by(archetypes: np.ndarray, rows: np.ndarray, rtol: float) -> float:
    """Σ_j distance(x_j, conv(Z))², certified."""
    return float((hullx.sweep(rows, archetypes, rtol=rtol, progress=False).distance ** 2).sum())


def descend(
    config: Config, rng: np.random.Generator, rows: np.ndarray, first: np.ndarray, total: float, report: Report
) -> tuple[np.ndarray, list[tuple[int, float]]]:
    """Archetypes by Adam on hull distances, each step brought back into the data's hull; and explained variance on the way."""
    optimizer = optax.adam(optax.cosine_decay_schedule(config.learning_rate, config.steps))
    hull = jnp.asarray(rows)

    def loss(archetypes: jax.Array, batch: jax.Array) -> jax.Array:
        return (hullx.distance(batch, archetypes) ** 2).mean()

    # The hull is an argument: XLA would fold whatever follows from a constant while it compiles, for 20 seconds.
    @jax.jit
    def step(archetypes: jax.Array, state: Any, batch: jax.Array, hull: jax.Array) -> tuple[jax.Array, Any, jax.Array]:
        value, gradient = jax.value_and_grad(loss)(archetypes, batch)
        updates, state = optimizer.update(gradient, state)
        return hullx.project(optax.apply_updates(archetypes, updates), hull).point, state, value

    archetypes = jnp.asarray(first)
    state, curve, recent = optimizer.init(archetypes), [], []
    for i in range(config.steps):
        chosen = rng.choice(len(rows), min(config.batch, len(rows)), replace=False)
        archetypes, state, value = step(archetypes, state, hull[chosen], hull)
        recent.append(1 - float(value) * len(rows) / total)
        report(i + 1, f"{recent[-1]:.1%} explained")
        if (i + 1) % EVERY == 0:
            curve.append((i + 1, float(np.mean(recent))))
            recent = []
    return np.asarray(archetypes), curve


def alternate(rows: np.ndarray, first: np.ndarray, rounds: int, report: Report) -> np.ndarray:
    """Archetypes by Cutler and Breiman's alternation, in SciPy: all weights, then each archetype, best for those weights."""
    rows, archetypes = rows.astype(np.float64), first.astype(np.float64)
    for i in range(rounds):
        weights = np.stack([nnls(row, archetypes) for row in rows])
        for j in range(len(archetypes)):
            mine = weights[:, j]
            if not mine.any():
                continue
            # Σ_j ‖x_j − Σ_l a_jl z_l‖² is ‖z_j − target‖² up to a factor and a constant.
            rest = rows - weights @ archetypes + np.outer(mine, archetypes[j])
            archetypes[j] = nnls(mine @ rest / (mine @ mine), rows) @ rows
        report(i + 1)
    return archetypes.astype(np.float32)


class Classifier(nn.Module):
    """A hidden layer, features of zero mean and unit variance (so that they cannot shrink into any hull), a linear head."""

    classes: int

    @nn.compact
    def __call__(self, images: jax.Array) -> tuple[jax.Array, jax.Array]:
        hidden = nn.relu(nn.Dense(64)(images))
        features = nn.LayerNorm(use_bias=False, use_scale=False)(nn.Dense(FEATURES)(hidden))
        return features, nn.Dense(self.classes)(features)


def penalised(config: Config, folder: record.Run) -> dict[str, dict[str, list[float]]]:
    """Networks on the digits, with the penalty and without, all trained in one program."""
    data = load("digits")
    images, labels = jnp.asarray(data.train.rows), jnp.asarray(data.train.labels)
    model, optimizer = Classifier(len(data.classes)), optax.adam(3e-3)

    def loss(parameters: Any, factor: jax.Array, key: jax.Array) -> jax.Array:
        chosen = jax.random.choice(key, len(images), (160,), replace=False)
        features, logits = cast(tuple[jax.Array, jax.Array], model.apply(parameters, images[chosen]))
        entropy = optax.softmax_cross_entropy_with_integer_labels(logits, labels[chosen]).mean()
        # Some of the batch against the hull of the rest: the gradient goes to queries and points alike.
        return entropy + factor * hullx.distance(features[:32], features[32:]).mean()

    def train(key: jax.Array, factor: jax.Array) -> Any:
        first, rest = jax.random.split(key)
        parameters = model.init(first, images[:1])

        def step(carry: tuple[Any, Any], key: jax.Array) -> tuple[tuple[Any, Any], None]:
            parameters, state = carry
            updates, state = optimizer.update(jax.grad(loss)(parameters, factor, key), state)
            return (optax.apply_updates(parameters, updates), state), None

        keys = jax.random.split(rest, config.training_steps)
        return jax.lax.scan(step, (parameters, optimizer.init(parameters)), keys)[0][0]

    keys = jax.random.split(jax.random.key(config.seed), config.networks)
    factors = {"without": 0.0, "with": config.penalty}
    both = jnp.repeat(jnp.array(list(factors.values())), len(keys))
    with progress("networks", 1, "programs") as report:
        trained = jax.block_until_ready(jax.jit(jax.vmap(train))(jnp.concatenate([keys, keys]), both))
        report(1)
    apply = jax.jit(jax.vmap(model.apply, (0, None)))
    (hulls, _), (features, logits) = apply(trained, images), apply(trained, jnp.asarray(data.test.rows))

    measured: dict[str, dict[str, list[float]]] = {}
    for i, name in enumerate(factors):
        group = range(i * len(keys), (i + 1) * len(keys))
        results = [hullx.sweep(np.asarray(features[j]), np.asarray(hulls[j]), rtol=config.rtol, progress=False) for j in group]
        measured[name] = {
            "accuracy": [float((np.asarray(logits[j]).argmax(1) == data.test.labels).mean()) for j in group],
            "inside": [float((result.status == hullx.Status.INSIDE).mean()) for result in results],
            "distance": [float(result.distance.mean()) for result in results],
            "undecided": [int((result.status > hullx.Status.INSIDE).sum()) for result in results],
        }
    folder.table("penalty", {f"{name} {what}": values for name, group in measured.items() for what, values in group.items()})
    return measured


def judge(shares: dict[str, list[float]]) -> dict:
    """Ours against the classical algorithm."""
    ours, classical = max(shares[GRADIENT]), max(shares[CLASSICAL])
    return {
        "as much as the classical algorithm, best of all starts": record.claim(
            f"{classical:.2%} − {TOLERANCE:.0%} or more",
            f"{ours:.2%}",
            record.HOLDS if ours >= classical - TOLERANCE else record.FAILS,
        )
    }


def judge_penalty(measured: dict) -> dict:
    """Test features nearer to the hull, and as many right, but for the spread over networks."""

    def mean(group: str, what: str) -> float:
        return float(np.mean(measured[group][what]))

    near, far = mean("with", "distance"), mean("without", "distance")
    spread = float(np.std(measured["without"]["accuracy"]))
    as_good = mean("with", "accuracy") >= mean("without", "accuracy") - spread
    return record.claim(
        "nearer by half or more, at an accuracy within the networks' spread",
        f"distance {far:.3f} → {near:.3f}, accuracy {mean('without', 'accuracy'):.1%} → {mean('with', 'accuracy'):.1%}, "
        f"spread {spread:.1%}",
        record.HOLDS if near < far / 2 and as_good else record.IN_PART if near < far else record.FAILS,
    )


def closing_table(config: Config, title: str, shares: dict[str, list[float]]) -> Table:
    """One row a method."""
    table = Table(title=f"{title}: variance explained by {config.k}, {config.starts} starts")
    for heading in ("method", "best", "mean ± spread"):
        table.add_column(heading, justify="left" if heading == "method" else "right")
    for method, values in shares.items():
        table.add_row(method, f"{max(values):.2%}", f"{np.mean(values):.2%} ± {np.std(values):.2%}")
    return table


def penalty_table(measured: dict) -> Table:
    """Networks with the penalty and without."""
    networks = len(measured["with"]["accuracy"])
    table = Table(title=f"digits: {networks} networks each, ± their spread")
    for heading in ("hull penalty", "test accuracy", "test images inside", "mean distance", "undecided"):
        table.add_column(heading, justify="left" if heading == "hull penalty" else "right")
    for name, group in measured.items():
        accuracy, inside, distance = (np.array(group[what]) for what in ("accuracy", "inside", "distance"))
        table.add_row(
            name,
            f"{accuracy.mean():.1%} ± {accuracy.std():.1%}",
            f"{inside.mean():.1%} ± {inside.std():.1%}",
            f"{distance.mean():.3f} ± {distance.std():.3f}",
            str(sum(group["undecided"])),
        )
    return table


def figures(folder: Path) -> None:
    """The archetypes as images, and explained variance against steps."""
    for title, shares in record.read_json(folder, "summary.json")["archetypes"].items():
        pictures = record.read_arrays(folder, f"{title} images")
        rows = [(name, pictures[record.slug(name)]) for name in (GRADIENT, CLASSICAL, CENTRES)]
        with plotting.figure(folder, f"{title} archetypes", len(rows), len(rows[0][1]), size=(10, 4.2)) as axes:
            for row, (name, images) in zip(axes, rows, strict=True):
                plotting.images(row, list(images), [""] * len(images))
                row[len(row) // 2].set_title(f"{name}: {max(shares[name]):.1%} of the variance")
        curves = record.read_table(folder, f"{title} curves")
        with plotting.figure(folder, f"{title} curves", size=(5.5, 4)) as axes:
            draw_curves(axes[0, 0], title, curves, shares)


def draw_curves(axes: Any, title: str, curves: dict[str, np.ndarray], shares: dict[str, list[float]]) -> None:
    """Ours on the way, and where the others end."""
    for i, name in enumerate(name for name in curves if name != "step"):
        label = f"{GRADIENT}, {len(curves) - 1} starts" if i == 0 else None
        axes.plot(curves["step"], curves[name], color=plotting.COLOURS[0], alpha=0.7, label=label)
    for method, colour in zip(METHODS[1:], plotting.COLOURS[1:], strict=False):
        axes.axhline(max(shares[method]), color=colour, linestyle="--", linewidth=1, label=f"{method}, best")
    axes.set(xlabel="step", ylabel="variance explained (batches of a step)")
    axes.legend(title=title, fontsize=7, title_fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), ncols=2)


if __name__ == "__main__":
    main("experiments.archetypes", __doc__, PRESETS, run)
