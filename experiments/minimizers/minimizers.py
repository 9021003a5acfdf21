"""Many minimizers of one training loss: where do they disagree?

Claims (arXiv 2203.10366, 2101.09849): the training loss has infinitely many minimizers near zero, few of which generalize;
they agree inside the hull of the training set and disagree outside.

    python -m experiments.minimizers                        digits, 2 families of 3 networks, seconds
    python -m experiments.minimizers cpu                    MNIST, 1,000 training images, 13 families of 12, minutes
    python -m experiments.minimizers paper                  MNIST, 5,000 training images, 13 families of 40

Families of MLPs (2 hidden layers of 128) have all training images right: by Adam and SGD, from larger weights, with weight
decay, from networks fitted to random labels (Liu et al. 2020), and with additional wrongly labelled images to fit (Huang et
al. 2020). All are evaluated at the same points: many kinds inside, on the surface and outside, and along legs. A leg starts
four times as far outside as a test image, passes it, turns at its certified projection, and continues inside towards the mean
of its class.

Fixed before the run. (1) A family is bad if its test accuracy is less than 60% of the accuracy of the first family, Adam. (2)
Agreement changes at the surface if its slope there changes by more than one point per unit of distance, in two tests. Where
legs turn at the surface, the change is compared with the same turn elsewhere: the mean of halfway outside and a quarter of the
distance behind the surface. Legs reach the second turn in a straight line, which leaves the thin hull again. Where legs touch
the surface and go straight on, the change itself counts. (3) Inside and outside are compared between points matched in their
distance to the nearest training image and in the largest class's share of weight. Agreement is that of pairs of one family;
intervals are over families and points. The placebo behind the surface was not fixed before the run: the first one turned
towards the mean of all images, which is a different turn, and was replaced after its results were seen.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

import hullx
from experiments.shared.bent_path import before_surface, class_means, points_at, slope_change, through_surface
from hullx import probes, runs
from hullx.models import MLP
from hullx.runs import plotting
from hullx.runs.statistics import Estimate

from .evaluation_setup import EvaluationSetup, evidence, prepare
from .matching import MatchedPairs, match_pairs
from .minimizer_families import FAMILIES, PRESETS, UNITS, Config, check_any, train_family
from .places import INSIDE, ONE_CLASS, OUTSIDE, SURFACE

SOURCE, BAD, TOLERANCE = "arXiv 2203.10366", 0.6, 0.01
# Signed distances in units of the test image's distance: outside, on the surface, inside.
COORDINATES = 4.0, 2.0, 1.0, 0.75, 0.5, 0.25, 0.1, 0.0, -0.1, -0.25, -0.5, -0.75, -1.0
SHOWN = "mixtures of 5", ONE_CLASS, SURFACE, *OUTSIDE  # in the closing table; all are in arrays/
WIDTH = 0.25  # step of the finite differences for slopes
THROUGH, HALF, QUERY, BEHIND = "turn at the surface", "turn halfway outside", "turn at the test image", "turn a quarter behind"
LEGS = {THROUGH: 0.0, HALF: 0.5, QUERY: 1.0, BEHIND: -WIDTH}  # coordinate of each turn
# Places without a turn: a leg, and a coordinate counted from its turn.
STRAIGHT = {
    (PASSING := "straight on at the surface"): (BEHIND, WIDTH),
    "straight on, outside": (THROUGH, 0.5),
    "straight on, inside": (THROUGH, -0.5),
}


def measure(config: Config, run: runs.Run[Config]) -> None:
    """Train each family, and evaluate it along legs and at points inside and outside."""
    runs.known("--families", config.families, FAMILIES)
    setup = prepare(config, run)
    model, legs = MLP(setup.classes, width=UNITS), leg_points(setup)
    behind = hullx.sweep(legs[BEHIND][COORDINATES.index(0)], setup.train.rows, resume=run.resume_dir("behind"), progress=False)
    run.record("share inside", behind.status == hullx.Status.INSIDE, data=setup.title, group="straight on, a quarter behind")
    along_legs, at_places, right, rows = list[np.ndarray](), list[np.ndarray](), list[np.ndarray](), list[tuple[object, ...]]()
    for name in config.families:
        family = train_family(run, name, FAMILIES[name], model, setup)
        if family.members < 2:
            continue  # failed networks are counted
        run.record("test accuracy", 1 - setup.errors(model, family.variables), data=setup.title, group=name, unit="share")
        found = {leg: setup.labels(model, family.variables, points) for leg, points in legs.items()}
        agreeing = {leg: probes.pairwise(each.reshape(len(each), -1), setup.classes) for leg, each in found.items()}
        along_legs.append(np.stack([each.reshape(len(COORDINATES), -1) for each in agreeing.values()]))
        at_places.append(setup.agreement(model, family.variables))
        for place, agreement in zip(setup.places, at_places[-1], strict=True):
            if place in SHOWN:
                run.record(f"share agreeing, {place}", agreement, data=setup.title, group=name, unit="share")
        right.append((found[THROUGH] == setup.queries.labels).mean(0))
        rows += [(name, *row) for row in zip(COORDINATES, along_legs[-1][0].mean(1), right[-1].mean(1), strict=True)]
        run.tabulate("legs", ("family", "distance", "agreement", "accuracy"), rows)
    check_any(along_legs)
    run.arrays("legs", agreement=np.stack(along_legs), accuracy=np.stack(right))
    covariates = np.stack([np.stack([place.nearest, place.share], -1) for place in setup.places.values()])
    run.arrays("places", names=np.array(list(setup.places)), agreement=np.stack(at_places), covariates=covariates)


def leg_points(setup: EvaluationSetup) -> dict[str, np.ndarray]:
    """The points of legs that turn at the surface and elsewhere: (coordinates, legs, d)."""
    rows, queries = setup.train.rows, setup.queries.rows
    through = through_surface(queries, setup.found, class_means(setup.found, rows, setup.train.labels))
    legs = {name: before_surface(through, place) for name, place in LEGS.items()}
    return {name: points_at(leg, COORDINATES).astype(np.float32) for name, leg in legs.items()}


def slope_changes(results: runs.Results) -> dict[str, np.ndarray]:
    """Changes of slope, in agreement per unit of distance, where legs turn and where they do not: (families, legs)."""
    legs = results.arrays("legs")["agreement"]
    found = {leg: legs[:, i] for i, leg in enumerate(LEGS)}
    turning = {leg: slope_change(values, COORDINATES, 0, WIDTH) for leg, values in found.items()}
    return turning | {name: slope_change(found[leg], COORDINATES, place, WIDTH) for name, (leg, place) in STRAIGHT.items()}


def matched_differences(results: runs.Results) -> tuple[np.ndarray, MatchedPairs]:
    """Agreement inside minus agreement outside for each pair (families, pairs); and the pairs."""
    found = results.arrays("places")
    inside, outside = (np.flatnonzero(np.isin(found["names"], kinds)) for kinds in (INSIDE, OUTSIDE))
    pairs = match_pairs(*(np.concatenate(found["covariates"][kinds]) for kinds in (inside, outside)))
    values = (np.concatenate(list(found["agreement"][:, kinds].swapaxes(0, 1)), axis=1) for kinds in (inside, outside))
    first, second = values
    return first[:, pairs.first] - second[:, pairs.second], pairs


def claims(results: runs.Results) -> Iterator[runs.Claim]:
    """Bad minimizers exist; changes at the surface; inside against outside, unmatched and matched."""
    accuracies, members = results.select(quantity="test accuracy"), results.config["members"]
    best, worst = accuracies[0], min(accuracies, key=lambda row: row.value)
    share = Estimate(worst.value / best.value, worst.low / best.value, worst.high / best.value, worst.n)
    name, expected = "some minimizers without a training error are bad", f"< {BAD:.0%} of {best.group}'s"
    about = evidence(results, members, errors=False)
    (images,) = results.select(quantity="images for test errors")
    two = about | {"networks": best.n + worst.n, "images": round(images.value)}
    yield runs.Claim.of(share, name, SOURCE, expected, runs.below(share, BAD), note=worst.group, unit="%", **two)
    families = f"{len(accuracies)} families"
    bent = slope_changes(results)
    for name, values in (
        (
            "agreement bends differently where legs turn at the surface than elsewhere",
            bent[THROUGH] - (bent[HALF] + bent[BEHIND]) / 2,
        ),
        ("agreement bends where legs touch the surface and go straight on", bent[PASSING]),
    ):
        change = runs.two_way_interval(values)
        beyond = [runs.above(change, TOLERANCE), runs.below(change, -TOLERANCE)]
        verdict = runs.HOLDS if runs.HOLDS in beyond else runs.FAILS if set(beyond) == {runs.FAILS} else runs.UNSETTLED
        yield runs.Claim.of(change, name, "here", f"beyond ±{TOLERANCE:g} per distance", verdict, note=families, **about)
    found = results.arrays("places")
    means = {name: found["agreement"][:, list(found["names"]).index(name)] for name in ("mixtures of 5", "test images")}
    raw = runs.two_way_interval(means["mixtures of 5"] - means["test images"])
    name = "minimizers agree more inside (mixtures of 5) than at test images"
    yield runs.Claim.of(raw, name, SOURCE, "more than 0", runs.above(raw, 0), note=f"{families}, unmatched", unit="%", **about)
    differences, pairs = matched_differences(results)
    fair, name = runs.two_way_interval(differences), "minimizers agree more inside than outside, at matched points"
    left = ", ".join(f"{each:+.2f}" for each in pairs.after)
    note = f"{families}, {len(pairs.first)} pairs, remaining imbalance {left} spreads"
    yield runs.Claim.of(fair, name, SOURCE, "more than 0", runs.above(fair, 0), note=note, unit="%", **about)


def figures(results: runs.Results) -> plotting.Figures:
    """Agreement and accuracy along the leg; changes of slope."""
    data, legs = plotting.data_name(results.names("data")[0]), results.arrays("legs")
    names = [row.group for row in results.select(quantity="test accuracy")]
    recipes = [FAMILIES[name] for name in names]
    plain = [recipe.scale == 1 and not recipe.poison and not recipe.poisoned_start for recipe in recipes]
    kinds = {f"plain ways ({sum(plain)})": np.array(plain)}
    kinds |= {name: np.arange(len(names)) == k for k, name in enumerate(names) if not plain[k]}
    title = f"{data}: minimizers of one training loss, outside the hull (right of 0) and inside (left); bands: 95% intervals"
    drawn, axes = plotting.figure(1, 2, size=(11, 4.8), title=title)
    quantities = {"share of pairs of one family that agree": legs["agreement"][:, 0], "share right": legs["accuracy"]}
    for place, (quantity, values) in zip(axes[0], quantities.items(), strict=True):
        for (kind, mine), colour in zip(kinds.items(), plotting.colours(kinds).values(), strict=True):
            bands = np.array([runs.mean_interval(each)[:3] for each in values[mine].mean(0)])
            place.plot(COORDINATES, bands[:, 0], ".-", color=colour, label=kind)
            place.fill_between(COORDINATES, bands[:, 1], bands[:, 2], color=colour, alpha=0.15, linewidth=0)
        place.axvspan(-1, 0, color="0.9", zorder=0)
        words = "distance to the surface ÷ the test image's (grey: inside)"
        place.set(xlabel=words, ylabel=quantity, xlim=(-1, 4), ylim=(0, 1.02))
    drawn.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
    yield "along legs", drawn
    title = f"{data}: change of slope of agreement for legs that turn at the surface, turn elsewhere, or go straight on"
    drawn, axes = plotting.figure(size=(8, 3.4), title=title)
    bent = {name: runs.two_way_interval(values) for name, values in slope_changes(results).items()}
    plotting.intervals(axes[0, 0], bent, "change of slope of agreement (per unit of distance), 95% interval")
    yield "kinks", drawn


experiment = runs.Experiment(Config, PRESETS, measure, claims, figures)
if __name__ == "__main__":
    experiment.main()
