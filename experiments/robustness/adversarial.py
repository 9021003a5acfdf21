"""Do adversarial attacks move images away from the hull of the training set, and in which direction?

R. Yousefzadeh (arXiv 2203.10366) asks why classifications are so susceptible to imperceptible perturbations, and says that
interpolation cannot explain it. This experiment measures attacks. Are attacked images farther from the hull? Is the
perturbation aligned with the way out of the hull? How large is it relative to the distance to the hull? Do features enter
another class's hull? Does this differ for networks trained against attacks (Madry et al. 2018), or with random perturbations
of the same size?

    python -m experiments.adversarial                       digits, an MLP, seconds, no download
    python -m experiments.adversarial cpu                   MNIST, 10,000 × 300, a LeNet, 10 to 40 minutes
    python -m experiments.adversarial cifar10               CIFAR-10, 50,000 × 100, a CNN, ten minutes and training
    python -m experiments.adversarial paper                 MNIST in full, ε 0.3, hours on a CPU

Images are those that a network classifies correctly before the attack. The cosine is that of the perturbation and the residual
q − p, the way out of the hull. "Random" is a control within the pixels' range whose L2 length equals the attack's, image by
image: random signs of one size for attacks in L∞, Gaussian directions otherwise (`experiments.shared.controls`). Radii on
CIFAR-10 are the usual ones: 8/255 in L∞ with 20 steps of 2/255, and 0.5 in L2.

Fixed before the run: an attack moves images farther from the hull than at random if the mean distance to the hull grows by
more than under "random", in pairs, by the interval over images. There is one such verdict for each training and each kind of
attack at its largest radius (PGD, PGD in L2, DeepFool), and for plain training one more each: attacks are small relative to the
distance to the hull if the median ratio is below 1. All other attacks, radii and cosines are reported without a verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.shared.controls import random_change, random_signs
from hullx import probes, runs
from hullx.data import Sample, Split
from hullx.probes.attacks import Attacked, Budget, apgd, deepfool, fgsm, pgd
from hullx.runs import pictures, plotting

from . import attack_setup
from .attack_displacement import (
    COSINE,
    GROWTH,
    RANDOM_COSINE,
    RANDOM_GROWTH,
    RATIO,
    record_displacement,
    record_hull_entry,
)
from .attack_setup import CIFAR, PLAIN, TRAININGS, Network, correctly_classified, project_images, train_network
from .recipes import NETWORKS

SOURCE = "arXiv 2203.10366"
FGSM, PGD, PGD2, APGD, DEEPFOOL = "FGSM", "PGD", "PGD, L2", "APGD with DLR", "DeepFool"
KINDS, JUDGED = (PGD, FGSM, APGD, PGD2, DEEPFOOL), (PGD, PGD2, DEEPFOOL)


@dataclass(frozen=True)
class Config(attack_setup.Config):
    """Settings of the experiment.

    Attributes:
        trainings: any of plain, adversarial, noise.
        kinds: kinds of attacks, of `KINDS`; those of `JUDGED` are needed for verdicts and figures.
        budgets: L∞ radii of attacks.
        radii: L2 radii of attacks.
        steps: steps of iterated attacks.
        step: step length of PGD in L∞; None for 2.5 times the radius over the number of steps.
    """

    trainings: tuple[str, ...] = (PLAIN,)
    kinds: tuple[str, ...] = KINDS
    budgets: tuple[float, ...] = (0.1,)
    radii: tuple[float, ...] = (1.0,)
    steps: int = 20
    step: float | None = None


MNIST: dict[str, Any] = {"network": "lenet", "trainings": TRAININGS, "budgets": (0.1, 0.3), "radii": (1.0, 3.0)}
USUAL: dict[str, Any] = {"budgets": (8 / 255,), "radii": (0.5,), "steps": 20, "step": 2 / 255, "kinds": JUDGED}
PRESETS = {
    "smoke": Config(kinds=JUDGED),
    "cpu": Config(data=Sample("mnist:10000:300"), epochs=10, epsilon=0.3, steps=40, step=0.01, **MNIST),
    "cifar10": Config(data=Sample("cifar10:50000:100"), **CIFAR, **USUAL),
    "paper": Config(data=Sample("mnist"), epochs=40, epsilon=0.3, steps=100, step=0.01, **MNIST),
}


def measure(config: Config, run: runs.Run[Config]) -> None:
    """Attack each network, and project images before and after."""
    runs.known("--network", [config.network], NETWORKS)
    runs.known("--trainings", config.trainings, TRAININGS)
    runs.known("--kinds", config.kinds, KINDS)
    data = config.data.load(seed=config.seed, data_dir=config.data_dir)
    for training in config.trainings:
        network = train_network(config, run, data, training)
        right = correctly_classified(network, data.test)
        share = runs.share_interval(len(right.labels), len(data.test.labels))
        run.record("accuracy", share, data=data.title, group=f"{training}, without attack")
        before = project_images(config, run, data, right.images, f"{training}, before")
        for i, (name, attack) in enumerate(attacks(config, network, right).items()):
            group = f"{training}, {name}"
            found = run.cached(group, attack)
            control = random_change if name.startswith((PGD2, DEEPFOOL)) else random_signs
            record_displacement(config, run, data, group, right, before, found, control)
            if not i:  # the strongest
                record_hull_entry(config, run, data, training, network, right, found)
            if not i and training == PLAIN:
                shown = np.argsort(before.distance)[np.linspace(0, len(before.distance) - 1, 6).astype(int)]
                image, names = right.images[shown], np.array(data.classes)
                changed = np.asarray(found.images)[shown]
                residual = (right.rows[shown] - before.point[shown]).reshape(image.shape)
                run.arrays("shown", image=image, changed=changed, residual=residual, label=names[right.labels[shown]])


def attacks(config: Config, network: Network, right: Split) -> dict[str, Callable[[], Attacked]]:
    """Attacks by name, the strongest first."""
    apply, key = network.model.apply, jax.random.key(config.seed)
    images, labels = jnp.asarray(right.images), jnp.asarray(right.labels)
    given = apply, network.variables, images, labels
    descent, auto = probes.attacks.PGD(config.steps, config.step), probes.attacks.APGD(config.steps, loss="dlr")
    found: dict[str, Callable[[], Attacked]] = {}
    for epsilon in sorted(config.budgets, reverse=True):
        budget = Budget("linf", epsilon)
        found[f"{PGD}, {said(epsilon)}"] = lambda b=budget: pgd(*given, key, budget=b, settings=descent)
        found[f"{FGSM}, {said(epsilon)}"] = lambda b=budget: fgsm(*given, budget=b)
        found[f"{APGD}, {said(epsilon)}"] = lambda b=budget: apgd(*given, key, budget=b, settings=auto)
    for radius in sorted(config.radii, reverse=True):
        ball = Budget("l2", radius)
        found[f"{PGD2}, {radius:g}"] = lambda b=ball: pgd(*given, key, budget=b, settings=probes.attacks.PGD(config.steps))
    found[DEEPFOOL] = lambda: deepfool(*given)
    return {name: attack for name, attack in found.items() if name.rpartition(", ")[0] in config.kinds or name in config.kinds}


def said(epsilon: float) -> str:
    """A radius in print: a decimal number of up to three places, or a number of 255ths."""
    return f"{epsilon:g}" if round(epsilon, 3) == epsilon else f"{255 * epsilon:g}/255"


def claims(results: runs.Results) -> Iterator[runs.Claim]:
    """Farther than at random, for each training; and small, for plain training."""
    (data,), config = results.names("data"), results.config
    for training, name in ((training, name) for training in config["trainings"] for name in strongest(config)):
        group, found = f"{training}, {name}", results.arrays(f"{training}, {name}")
        about: dict[str, Any] = {"data": data, "group": group, "networks": 1, "images": len(found["after"])}
        more = runs.difference_interval(found["after"], found["random"], paired=True)
        words = f"{group}: images move farther from the hull than at random"
        yield runs.Claim.of(more, words, SOURCE, "more than 0", runs.above(more, 0), **about)
        if training == PLAIN:
            ratio = results.estimate(RATIO, data=data, group=group)
            words, small = f"{group}: attacks are smaller than the distance to the hull", runs.below(ratio, 1)
            yield runs.Claim.of(ratio, words, SOURCE, "median below 1", small, **about)


def strongest(config: dict[str, Any]) -> list[str]:
    """The strongest attack of each kind, for claims and figures."""
    return [f"{PGD}, {said(max(config['budgets']))}", f"{PGD2}, {max(config['radii']):g}", DEEPFOOL]


def figures(results: runs.Results) -> plotting.Figures:
    """Growth of the hull distance under attacks and under random changes; images, attacked images and residuals."""
    (data,), config = results.names("data"), results.config
    names, trainings = strongest(config), config["trainings"]
    title = f"{plotting.data_name(data)}: attacks and random changes of the same length, and the distance to the hull"
    drawn, axes = plotting.figure(2, len(names), size=(3.6 * len(names), 2.4 + 0.7 * len(trainings)), title=title)
    rows = (GROWTH, RANDOM_GROWTH, "growth of the distance"), (COSINE, RANDOM_COSINE, "cosine to the way out")
    for places, (quantity, control, label) in zip(axes, rows, strict=True):
        for place, name in zip(places, names, strict=True):
            for which, words, colour, mark, shift in (
                (quantity, "attack", plotting.COLOURS[0], "o", -0.12),
                (control, "random change of the same length", plotting.COLOURS[1], "s", 0.12),
            ):
                groups = {f"{each} training": f"{each}, {name}" for each in trainings}
                found = {row: results.estimate(which, group=group) for row, group in groups.items()}
                plotting.intervals(place, found, label, color=colour, label=words, shift=shift, fmt=mark)
            place.locator_params(axis="x", nbins=5)
    for place, name in zip(axes[0], names, strict=True):
        place.set_title(name)
    for place in axes[:, 1:].flat:
        place.set_yticklabels([])
    drawn.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    yield "hull", drawn
    if (results.folder / "arrays" / "shown.npz").exists():
        shown = results.arrays("shown")
        title = f"{plotting.data_name(data)}: test images, attacked by {names[0]}, and the way out of the hull"
        drawn, axes = plotting.figure(4, len(shown["image"]), size=(1.6 * len(shown["image"]) + 1, 7), title=title)
        for row, (word, key) in zip(axes, (("image", "image"), ("attacked", "changed")), strict=False):
            pictures.pictures(
                row, np.clip(shown[key], 0, 1), [f"label {name}" for name in shown["label"]] if word == "image" else [""] * 6
            )
            row[0].set_ylabel(word)
        pictures.differences(drawn, axes[2], list(shown["changed"] - shown["image"]), "attacked − image")
        pictures.differences(drawn, axes[3], list(shown["residual"]), "image − nearest point")
        for row, word in ((axes[2, 0], "difference"), (axes[3, 0], "residual")):
            row.set_ylabel(word)
        yield "pictures", drawn


experiment = runs.Experiment(Config, PRESETS, measure, claims, figures)
if __name__ == "__main__":
    experiment.main()
