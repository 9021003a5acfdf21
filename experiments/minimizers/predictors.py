"""What predicts the test error of a minimizer of the training loss?

Claim (arXiv 2203.10366): minimizers that generalize differ from the others in how they extend outside the hull of the training
set. Disagreement with other networks outside the hull needs no labels. Does it predict test error better than disagreement
inside, or than margin, norm and flatness (Jiang et al. 2020)?

    python -m experiments.predictors                        digits, 2 families of 3 networks, seconds
    python -m experiments.predictors cpu                    MNIST, 1,000 training images, 13 families of 12, minutes
    python -m experiments.predictors paper                  MNIST, 5,000 training images, 13 families of 40

The families are those of `experiments.minimizers`, trained in the same way. Disagreement is a member's with its own family,
because one who trains in one way has no other networks (Jiang et al. 2022, "Assessing generalization via disagreement"). It is
measured at points inside the hull, at projections of test images, at those test images, and twice and four times as far
outside. Test errors are those on other test images. Margins are the 10th percentile over training images.

Networks of one family are alike, so families are the independent units. Fixed before the run: rank correlations of the
families' means with their mean test errors; partial rank correlations given disagreement inside, the margin over the Lipschitz
estimate, the parameter norm and sharpness (for one of these, given the other three); and R² on held-out families. Intervals
hold jointly for all twelve measures (Bonferroni). A measure predicts if its rank correlation is above 0. Disagreement outside
(at test images) predicts better than another measure if its R² is higher.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.shared.minimizer_measures import (
    ascent,
    distance_from,
    layer_norms,
    lipschitz_estimate,
    loss_of,
    margins,
    parameter_norm,
    sharpness,
)
from hullx import probes, runs
from hullx.models import MLP
from hullx.runs import plotting
from hullx.runs.prediction import held_out, r2

from .evaluation_setup import EvaluationSetup, evidence, prepare
from .minimizer_families import FAMILIES, PRESETS, UNITS, Config, TrainedFamily, check_any, train_family
from .places import INSIDE, SURFACE

SOURCE, RADIUS, JACOBIANS = "arXiv 2203.10366", 0.05, 64  # radius of the ascent; images for Jacobian norms
DISAGREEMENT = {
    (WITHIN := "disagreement inside"): INSIDE,
    (ON := "on the surface"): (SURFACE,),
    (OUTSIDE := "outside, at test images"): ("test images",),
    "outside, as far again": ("as far again",),
    "outside, 4 × as far": ("4 × as far",),
}
GIVEN = WITHIN, "Lipschitz estimate ÷ margin", "parameter norm", "sharpness"


def measure(config: Config, run: runs.Run[Config]) -> None:
    """Measure each minimizer's test error and its candidate predictors."""
    runs.known("--families", config.families, FAMILIES)
    setup, rows = prepare(config, run), dict[str, list[Any]]()
    model = MLP(setup.classes, width=UNITS)
    for name in config.families:
        family = train_family(run, name, FAMILIES[name], model, setup)
        if family.members < 2:
            continue  # failed networks are counted
        numbers = run.cached(f"{name} measures", measures, model, family, setup)
        run.record("test error", numbers["test error"], data=setup.title, group=name, unit="share")
        for column, values in {"family": [name] * family.members, **numbers}.items():
            rows.setdefault(column, []).extend(values)
    check_any(rows)
    run.table("minimizers", rows)


def measures(model: MLP, family: TrainedFamily, setup: EvaluationSetup) -> dict[str, np.ndarray]:
    """Test error, disagreement with the family, and the literature's measures, for each minimizer of a family.

    Positive measures that span magnitudes are logarithms; higher values are thought to be worse.
    """
    places = setup.places
    apart = {
        name: 1
        - probes.with_others(setup.labels(model, family.variables, np.concatenate([places[kind].points for kind in kinds])))
        for name, kinds in DISAGREEMENT.items()
    }
    keys, train = jax.random.split(jax.random.key(0), family.members), jax.tree.map(jnp.asarray, setup.train)
    others = literature_measures(family.variables, family.initial, keys, train.images, train.labels, model=model)
    return {"test error": setup.errors(model, family.variables), **apart} | {
        name: np.asarray(values, np.float64) for name, values in others.items()
    }


@partial(jax.jit, static_argnames="model")
def literature_measures(
    variables: Any, initial: Any, keys: jax.Array, images: jax.Array, labels: jax.Array, *, model: MLP
) -> dict[str, jax.Array]:
    """Margin, norms and flatness of each member, as in `measures`."""

    def one(variables: Any, initial: Any, key: jax.Array) -> dict[str, jax.Array]:
        params, loss = variables["params"], loss_of(model, variables, images, labels)
        found = probes.logits(variables, images, model=model, members=False)
        margin = jnp.quantile(margins(found, labels), 0.1)
        frobenius, spectral = layer_norms(params)
        return {
            "product of norms ÷ margin": jnp.log(frobenius.prod() / margin),
            "spectral norms ÷ margin": jnp.log(spectral.prod() / margin),
            "Lipschitz estimate ÷ margin": jnp.log(lipschitz_estimate(model, variables, images[:JACOBIANS]) / margin),
            "parameter norm": jnp.log(parameter_norm(params)),
            "distance from the start": jnp.log(distance_from(params, initial["params"])),
            "sharpness": jnp.log(jnp.abs(sharpness(loss, params, key))),
            f"rise within {RADIUS:g}": jnp.log(ascent(loss, params, RADIUS)),
        }

    return jax.vmap(one)(variables, initial, keys)


def family_means(table: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The columns of the table of minimizers, averaged over each family."""
    families = np.unique(table["family"])
    return {
        name: np.array([values[table["family"] == family].mean() for family in families])
        for name, values in table.items()
        if name != "family"
    }


def predictions(results: runs.Results) -> dict[str, dict[str, runs.Estimate]]:
    """For each measure: rank correlation with test error and partial rank correlation of the families' means, and R² on
    held-out families.
    """
    every = results.table("minimizers")
    table = family_means(every)
    error, names = table["test error"], [name for name in table if name != "test error"]
    confidence, found = 1 - 0.05 / len(names), dict[str, dict[str, runs.Estimate]]()
    for name in names:
        given = np.stack([table[other] for other in GIVEN if other != name], -1)
        found[name] = {
            "rank correlation": runs.rank_correlation(table[name], error, confidence=confidence),
            "partial rank correlation": runs.partial_rank_correlation(table[name], error, given, confidence=confidence),
            "R² on held-out families": r2(held_out(every[name], every["test error"], every["family"]), confidence=confidence),
        }
    return found


def claims(results: runs.Results) -> Iterator[runs.Claim]:
    """Whether disagreement outside predicts test error, also given other measures, and better than each of them."""
    table, found = results.table("minimizers"), predictions(results)
    held = {name: held_out(table[name], table["test error"], table["family"]) for name in found}
    means = family_means(table)
    count = len(means["test error"])
    about = evidence(results, results.config["members"])
    for name in (WITHIN, ON, OUTSIDE):
        rank, words = found[name]["rank correlation"], name if name == WITHIN else f"disagreement {name}"
        pairs = np.stack([means[name], means["test error"]])
        without = [runs.rank_correlation(*np.delete(pairs, k, axis=1)).value for k in range(count)]
        note = f"{count} families; without one of them {min(without):.2f} to {max(without):.2f}"
        said, verdict = f"{words} predicts test error", runs.above(rank, 0)
        yield runs.Claim.of(rank, said, SOURCE, "more than 0", verdict, note=note, **about)
    partial_rank = found[OUTSIDE]["partial rank correlation"]
    name, note = "disagreement outside predicts test error given the others", f"{count} families; given {', '.join(GIVEN)}"
    verdict = runs.above(partial_rank, 0)
    yield runs.Claim.of(partial_rank, name, SOURCE, "more than 0", verdict, note=note, **about)
    better = partial(r2, held[OUTSIDE], confidence=1 - 0.05 / len(found))
    for other in (WITHIN, ON, max(set(found) - set(DISAGREEMENT), key=lambda name: r2(held[name]).value)):
        words = f"disagreement {other}" if other == ON else other
        gain, name = better(less=held[other]), f"disagreement outside predicts better than {words}"
        note = f"{count} families; R² {r2(held[OUTSIDE]).value:.2f} and {r2(held[other]).value:.2f} on held-out families"
        yield runs.Claim.of(gain, name, SOURCE, "more than 0", runs.above(gain, 0), note=note, **about)


def figures(results: runs.Results) -> plotting.Figures:
    """Test error against disagreement; predictive power of each measure."""
    data, table, families = (
        plotting.data_name(results.names("data")[0]),
        results.table("minimizers"),
        results.config["families"],
    )
    count = len(table["family"])
    title = f"{data}: test error of {count} minimizers against disagreement with their family (at least 0.001 is shown)"
    drawn, axes = plotting.figure(1, 3, size=(11, 5), title=title)
    dots = {"linestyle": "", "marker": "o", "markersize": 3.5}
    least = max(min(table[name].min() for name in (WITHIN, ON, OUTSIDE)), 1e-3)
    for place, name in zip(axes[0], (WITHIN, ON, OUTSIDE), strict=True):
        shown = table | {name: np.maximum(table[name], 1e-3)}
        plotting.lines(place, shown, name, "test error", by="family", names=families, **dots)
        words = name if name == WITHIN else f"disagreement {name}"
        place.set(xlabel=f"{words} (share)", xscale="log", yscale="log", xlim=(least / 1.5, 1.1), ylim=(0.05, 1))
        ticks = [0.05, 0.1, 0.2, 0.5, 1]
        place.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        place.minorticks_off()
        plotting.plain_ticks(place)
    axes[0, 0].set_ylabel("test error (share)")
    drawn.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
    yield "errors", drawn
    found = predictions(results)
    title = f"{data}: predictors of the test error of {count} minimizers; joint 95% intervals over families (arrows: cut)"
    kinds = list(found[OUTSIDE])
    drawn, axes = plotting.figure(1, len(kinds), size=(11, 4.2), title=title)
    for place, kind in zip(axes[0], kinds, strict=True):
        plotting.intervals(place, {name: each[kind] for name, each in found.items()}, kind, limits=(-1.05, 1.05))
    for place in axes[0, 1:]:
        place.set_yticklabels([])
    yield "predictors", drawn


experiment = runs.Experiment(Config, PRESETS, measure, claims, figures)
if __name__ == "__main__":
    experiment.main()
