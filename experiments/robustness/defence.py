"""Does classifying an image's projection onto the hull of the training images help against attacks?

If vulnerability comes from being outside the hull (R. Yousefzadeh, arXiv 2203.10366), the projection should be safer than the
image. Defences must be judged by attacks that know them, because gradients may be obfuscated (Athalye et al. 2018). Here one
attack differentiates through `hullx.project`, whose derivative is the projector onto a face. Another uses the identity as that
derivative ("straight through"), so flat faces cannot hide the gradient. A third needs no gradient: a random search on the
defended network (`square_attack`). An image is safe if none of them succeeds.

Any replacement of images might do as well. Two controls change clean images by the same length on average: a Gaussian blur of
one width for all images, and the projection onto the first principal components of the points that span the hull. Both are
attacked in the same ways. Width and number of components are chosen on training images that do not span the hull.

    python -m experiments.defence                           digits, an MLP, seconds, no download
    python -m experiments.defence cpu                       MNIST, a hull of 1,000 images, 300 attacked: minutes
    python -m experiments.defence paper                     MNIST, a hull of 10,000, 1,000 attacked

All attacks have one radius; PGD has a fixed number of steps, the search a fixed number of queries. Fixed before the run, all in
pairs of the same images, by 95% intervals, at this attack budget: the projection keeps accuracy if it changes by less than
`SAME`. It helps if accuracy under attack is higher than that of the undefended network: under the same PGD, which does not know
the projection; and under all attacks that know the network under attack. It is safer than a control if accuracy under all
attacks that know it is higher than the control's under those that know the control.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hullx import runs
from hullx.data import Dataset, Sample
from hullx.probes.attacks import PGD, Budget, pgd
from hullx.runs import plotting

from . import attack_setup
from .attack_setup import Network, train_network
from .image_replacements import BLUR, COMPONENTS, PROJECTION, Defended, Replacement, replacements
from .recipes import NETWORKS
from .square_attack import square_attack

SOURCE = "arXiv 2203.10366"
IMAGE, SAME = "image", 0.02
CLEAN, UNAWARE, EXACT, STRAIGHT = "no attack", "unaware PGD", "PGD, exact", "PGD, straight through"
SEARCH, ANY = "random search", "any that knows it"


@dataclass(frozen=True)
class Config(attack_setup.Config):
    """Settings of the experiment.

    Attributes:
        points: number of first training images that span the hull; all training images are learned.
        radius: L∞ radius of the attacks.
        steps: steps of PGD.
        queries: evaluations of the random search.
    """

    data: Sample = Sample("digits:1437:60")
    points: int = 300
    radius: float = 0.15
    steps: int = 10
    queries: int = 20


CPU = Config(data=Sample("mnist:20000:300"), network="lenet", epochs=6, points=1000, radius=0.1, steps=20, queries=100)
PRESETS = {
    "smoke": Config(data=Sample("digits:1437:20"), points=100, steps=3, queries=3),
    "cpu": CPU,
    "paper": replace(CPU, data=Sample("mnist:60000:1000"), points=10_000, steps=40, queries=1000),
}


def measure(config: Config, run: runs.Run[Config]) -> None:
    """Measure accuracy on images and their replacements, without attack and under each attack."""
    runs.known("--network", [config.network], NETWORKS)
    data = config.data.load(seed=config.seed, data_dir=config.data_dir)
    network = train_network(config, run, data)
    images, labels = jnp.asarray(data.test.images), jnp.asarray(data.test.labels)
    key, budget = jax.random.key(config.seed), {"radius": config.radius, "queries": config.queries}
    settings: dict[str, Any] = {"budget": Budget("linf", config.radius), "settings": PGD(config.steps)}
    given = network.model.apply, network.variables, images, labels, key
    plain = run.cached("without", lambda: pgd(*given, **settings))
    undefended = jax.jit(network.model.apply)
    searched = run.cached("without, search", lambda: square_attack(undefended, *given[1:], **budget))[1]
    logits: Any = network.model.apply(network.variables, images)
    found = {CLEAN: np.asarray(logits.argmax(-1) == labels), EXACT: ~np.asarray(plain.success), SEARCH: ~np.asarray(searched)}
    right = {IMAGE: found | {UNAWARE: found[EXACT], ANY: found[EXACT] & found[SEARCH]}}
    made = replacements(data, config.points)
    for name, replaced in made.items():
        right[name] = attacked(run, network, data, name, replaced, np.asarray(plain.images), settings, budget)
    for group, found in right.items():
        for name, each in found.items():
            run.record(f"accuracy, {name}", each, data=data.title, group=group)
        if group != IMAGE:
            for name in (CLEAN, UNAWARE, ANY):
                gain = runs.difference_interval(found[name], right[IMAGE][name], paired=True)
                run.record(f"gain, {name}", gain, data=data.title, group=group, unit="%")
            new = np.asarray(made[group].function(made[group].parameters, jnp.asarray(data.test.rows)))
            length = np.linalg.norm(new - data.test.rows, axis=1)
            run.record("length of the change", length, data=data.title, group=group)
    for control in (BLUR, COMPONENTS):
        more = runs.difference_interval(right[PROJECTION][ANY], right[control][ANY], paired=True)
        run.record("projection − control", more, data=data.title, group=control, unit="%")


def attacked(
    run: runs.Run[Config],
    network: Network,
    data: Dataset,
    name: str,
    replaced: Replacement,
    unaware: np.ndarray,
    settings: dict[str, Any],
    budget: dict[str, Any],
) -> dict[str, np.ndarray]:
    """Whether replaced test images are classified correctly, by attack.

    Args:
        replaced: the replacement of images.
        unaware: images from an attack on the undefended network.
        settings: of PGD.
        budget: of the random search.
    """
    images, labels, key = jnp.asarray(data.test.images), jnp.asarray(data.test.labels), jax.random.key(run.config.seed)
    given = {case: (network.variables, replaced.parameters, jnp.asarray(case == STRAIGHT)) for case in (EXACT, STRAIGHT)}
    apply, found = Defended(network.model, replaced.function), dict[str, np.ndarray]()
    defended = jax.jit(apply.__call__)

    def right(attacked: Any) -> np.ndarray:
        """Whether the defended network itself, which all attacks share, is right."""
        return np.asarray(defended(given[EXACT], jnp.asarray(attacked)).argmax(-1) == labels)

    found[CLEAN], found[UNAWARE] = right(images), right(unaware)
    for case, variables in given.items():
        attack = run.cached(f"{name}, {case}", lambda each=variables: pgd(apply, each, images, labels, key, **settings))
        found[case] = right(attack.images)
    search = run.cached(f"{name}, search", lambda: square_attack(defended, given[EXACT], images, labels, key, **budget))
    found[SEARCH] = right(search[0])
    found[ANY] = found[EXACT] & found[STRAIGHT] & found[SEARCH] & found[CLEAN]
    return found


def claims(results: runs.Results) -> Iterator[runs.Claim]:
    """The cost of the projection, the attacks against which it helps, and whether the controls help as much."""
    (data,) = results.names("data")
    about: dict[str, Any] = {"data": data, "unit": "%", "networks": 1, "images": results.estimate("gain, " + ANY, group=BLUR).n}
    for name, words in (
        (CLEAN, "projections keep accuracy without an attack"),
        (UNAWARE, "projections help against an attack that does not know them"),
        (ANY, "projections help against attacks that know them"),
    ):
        gain = results.estimate(f"gain, {name}", group=PROJECTION)
        verdict = runs.within(gain, -SAME, SAME) if name == CLEAN else runs.above(gain, 0)
        expected = f"within {SAME:.0%}" if name == CLEAN else "more than 0 at this attack budget"
        yield runs.Claim.of(gain, words, SOURCE, expected, verdict, **about)
    for control in (BLUR, COMPONENTS):
        more = results.estimate("projection − control", group=control)
        name, expected = f"projections are safer than {control} of the same length", "more than 0 at this attack budget"
        yield runs.Claim.of(more, name, "here", expected, runs.above(more, 0), **about)


def figures(results: runs.Results) -> plotting.Figures:
    """Accuracies under each attack, by replacement."""
    (data,), radius = results.names("data"), results.config["radius"]
    title = f"{plotting.data_name(data)}: accuracy on images and their replacements, under attacks of radius {radius:g}"
    drawn, axes = plotting.figure(1, 1, size=(7.5, 4.2), title=title)
    names, groups = (CLEAN, UNAWARE, EXACT, STRAIGHT, SEARCH, ANY), (IMAGE, PROJECTION, BLUR, COMPONENTS)
    nothing = runs.Estimate(np.nan, np.nan, np.nan, 0)
    for i, (group, colour, mark) in enumerate(zip(groups, plotting.COLOURS, "soD^", strict=False)):
        known = {row.quantity.removeprefix("accuracy, "): row.estimate for row in results.select(group=group)}
        found = {name: known.get(name, nothing) for name in names}
        look: dict[str, Any] = {"color": colour, "label": group, "fmt": mark, "shift": 0.18 * (i - 1.5)}
        plotting.intervals(axes[0, 0], found, "accuracy (95% intervals)", **look)
    axes[0, 0].set_xlim(-0.03, 1.03)
    drawn.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    yield "accuracy", drawn


experiment = runs.Experiment(Config, PRESETS, measure, claims, figures)
if __name__ == "__main__":
    experiment.main()
