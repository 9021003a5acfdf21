"""Does classifying an image's projection onto the hull of the training images, or a step towards it, help against attacks?

If vulnerability comes from being outside the hull (R. Yousefzadeh, arXiv 2203.10366), the projection should be safer than the
image. Defences must be judged by attacks that know them, because gradients may be obfuscated (Athalye et al. 2018). Here one
attack differentiates through `hullx.project`, whose derivative is the projector onto a face. Another uses the identity as that
derivative ("straight through"), so flat faces cannot hide the gradient. An image is safe if neither attack succeeds.

    python -m experiments.defence                           digits, an MLP, seconds, no download
    python -m experiments.defence cpu                       MNIST, a hull of 2,000 images, 100 attacked: minutes
    python -m experiments.defence paper                     MNIST, a hull of 10,000, 1,000 attacked

All attacks are PGD with the same radius and steps. Fixed before the run: projecting helps against an attack if accuracy under
it is higher than without the defence, in pairs of the same images, by its 95% interval.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

import hullx
from experiments.shared.networks import NETWORKS
from hullx import runs
from hullx.data import Sample
from hullx.probes.attacks import PGD, Budget, pgd
from hullx.runs import plotting

from . import attack_setup
from .attack_setup import PLAIN, train_network

SOURCE = "arXiv 2203.10366"
CLEAN, UNAWARE, EXACT, STRAIGHT, EITHER = "no attack", "unaware", "aware, exact", "aware, straight through", "aware, either"


@dataclass(frozen=True)
class Config(attack_setup.Config):
    """Settings of the experiment.

    Attributes:
        points: number of first training images that span the hull; all training images are learned.
        shares: shares of the way from an image to its projection; the point reached is classified.
        radius: L∞ radius of the attacks.
        steps: steps of the attacks.
    """

    data: Sample = Sample("digits:1437:60")
    points: int = 300
    shares: tuple[float, ...] = (1.0,)
    radius: float = 0.15
    steps: int = 10


CPU = Config(data=Sample("mnist:20000:100"), network="lenet", epochs=10, points=2000, shares=(0.5, 1.0), radius=0.1, steps=20)
PRESETS = {"smoke": Config(), "cpu": CPU, "paper": replace(CPU, data=Sample("mnist:60000:1000"), points=10_000, steps=40)}


@dataclass(frozen=True)
class Defended:
    """A network applied after a step towards the projection; its variables are the network's variables and the points.

    Attributes:
        model: the network.
        share: share of the way to the projection.
        straight: whether the identity replaces the derivative of that step.
    """

    model: nn.Module
    share: float
    straight: bool

    def __call__(self, variables: Any, images: jax.Array) -> jax.Array:
        """Return the logits."""
        network, points = variables
        rows = images.reshape(len(images), -1)
        step = self.share * (hullx.project(rows, points).point - rows)
        moved = rows + (jax.lax.stop_gradient(step) if self.straight else step)
        logits: Any = self.model.apply(network, moved.reshape(images.shape))
        return logits


def measure(config: Config, run: runs.Run[Config]) -> None:
    """Measure accuracy with and without the defence, without attack and under each attack."""
    runs.known("--network", [config.network], NETWORKS)
    data = config.data.load(seed=config.seed, data_dir=config.data_dir)
    network = train_network(config, run, data, PLAIN)
    images, labels = jnp.asarray(data.test.images), jnp.asarray(data.test.labels)
    points, key = jnp.asarray(data.train.rows[: config.points]), jax.random.key(config.seed)
    settings: dict[str, Any] = {"budget": Budget("linf", config.radius), "settings": PGD(config.steps)}
    plain = run.cached("without", lambda: pgd(network.model.apply, network.variables, images, labels, key, **settings))
    logits: Any = network.model.apply(network.variables, images)
    right = {"image": {CLEAN: np.asarray(logits.argmax(-1) == labels), UNAWARE: ~np.asarray(plain.success)}}
    for share in config.shares:
        given, found = (network.variables, points), dict[str, np.ndarray]()
        through = {EXACT: Defended(network.model, share, False), STRAIGHT: Defended(network.model, share, True)}
        classify = jax.jit(lambda variables, images, apply=through[EXACT]: apply(variables, images).argmax(-1))
        found[CLEAN] = np.asarray(classify(given, images) == labels)
        found[UNAWARE] = np.asarray(classify(given, jnp.asarray(plain.images)) == labels)
        for name, apply in through.items():
            attack = run.cached(f"{share:g} {name}", lambda apply=apply: pgd(apply, given, images, labels, key, **settings))  # noqa: B023
            # The defended network itself, which both attacks share, classifies the result.
            found[name] = np.asarray(classify(given, jnp.asarray(attack.images)) == labels)
        found[EITHER] = found[EXACT] & found[STRAIGHT]
        right[f"{share:.0%} of the way" if share < 1 else "projection"] = found
    for group, found in right.items():
        for name, each in found.items():
            run.record(f"accuracy, {name}", each, data=data.title, group=group)
        if group != "image":
            for name, base in ((CLEAN, CLEAN), (UNAWARE, UNAWARE), (EITHER, UNAWARE)):
                gain = runs.difference_interval(found[name], right["image"][base], paired=True)
                run.record(f"gain, {name}", gain, data=data.title, group=group, unit="%")


def claims(results: runs.Results) -> Iterator[runs.Claim]:
    """The cost of the defence, and the attacks against which it helps."""
    (data,) = results.names("data")
    for group in results.names("group", quantity=f"gain, {EITHER}"):
        about: dict[str, Any] = {"data": data, "group": group, "unit": "%"}
        for name, words in (
            (CLEAN, "the defence keeps accuracy without an attack"),
            (UNAWARE, "the defence helps against an attack that does not know it"),
            (EITHER, "the defence helps against attacks that know it"),
        ):
            gain = results.estimate(f"gain, {name}", data=data, group=group)
            verdict = runs.within(gain, -0.02, 0.02) if name == CLEAN else runs.above(gain, 0)
            expected = "within 2 points" if name == CLEAN else "more than 0"
            yield runs.Claim.of(gain, f"{group}: {words}", SOURCE, expected, verdict, **about)


def figures(results: runs.Results) -> plotting.Figures:
    """Accuracies under each attack."""
    (data,), radius = results.names("data"), results.config["radius"]
    title = f"{data}: accuracy on the image or its replacement, under attacks of radius {radius:g} (95% intervals)"
    groups = results.names("group")
    drawn, axes = plotting.figure(1, len(groups), size=(1.5 + 3.2 * len(groups), 3.2), title=title)
    names = (CLEAN, UNAWARE, EXACT, STRAIGHT, EITHER)
    for place, group in zip(axes[0], groups, strict=True):
        known = {row.quantity.removeprefix("accuracy, "): row.estimate for row in results.select(group=group)}
        nothing = runs.Estimate(np.nan, np.nan, np.nan, 0)
        plotting.intervals(place, {name: known.get(name, nothing) for name in names}, "accuracy")
        place.set(title=group, xlim=(-0.03, 1.03))
    for place in axes[0, 1:]:
        place.set_yticklabels([])
    yield "accuracy", drawn


experiment = runs.Experiment(Config, PRESETS, measure, claims, figures)
if __name__ == "__main__":
    experiment.main()
