"""Does the training regime change how networks classify inside the hull of their training set, or outside?

Claim (arXiv 2203.10366): all regimes reach zero training error; one of them generalizes because of what it makes networks do
outside the hull.

    python -m experiments.regime                            digits, 2 regimes of 3 networks, seconds
    python -m experiments.regime cpu                        MNIST, 1,000 training images, 32 regimes of 4 networks, minutes
    python -m experiments.regime paper                      MNIST, 5,000 training images, 32 regimes of 20 networks

Every combination of optimizer, learning rate, batch size, weight decay and augmentation (shifts by up to a pixel) trains MLPs
with two hidden layers of 128 until all training images are right. Added: the distance of the test images to the hull of the
training images, to the hull of all their shifts, which are nine times as many, and to the hull of as many real images.

Fixed before the run. A factor's effect is the mean difference between its two levels over all combinations of the others.
Intervals hold jointly for all effects (Bonferroni). Inside means mixtures of five training images, of all classes, of one, or
of neighbours; outside means test images. Mixtures of several classes lie far from all images. Augmentation changes both
accuracy and agreement, so their correlation is judged among regimes with shifts and among those without.

Mediation, fixed before the run (`experiments.mediation`): what carries the effect of shifts on test error? (1) Units are test
images. The outcome is the share of networks that are wrong at an image, without and with shifts. The mediators, given each
other, are the logarithms of its distances to the hull, and to the nearest image, of the training images or of all their shifts.
(2) Units are pairs of regimes that differ only in shifts. The outcome is the test error; the mediator is disagreement outside
or inside. A mediator carries the effect if the interval of its indirect effect is below 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

import hullx
from hullx import runs
from hullx.data import Sample
from hullx.geometry import neighbours
from hullx.models import MLP
from hullx.runs import plotting

from . import evaluation_setup
from .evaluation_setup import evidence, prepare
from .mediation import Mediation, mediation
from .minimizer_families import ADAM, MOMENTUM, UNITS, Recipe, check_any, train_family
from .places import NEIGHBOURS, ONE_CLASS, SURFACE

SOURCE = "arXiv 2203.10366"
RATES = {ADAM: (3e-4, 3e-3), MOMENTUM: (3e-3, 0.03)}
DECAYS = {ADAM: 0.3, MOMENTUM: 3e-3}  # decoupled for Adam, hence on another scale
# A factor's two levels; its effect is the second minus the first.
FACTORS = {
    "augmentation": ("none", "shifts"),
    "optimizer": ("Adam", "momentum"),
    "learning rate": ("low", "high"),
    "batch": ("64 images", "16 images"),
    "weight decay": ("none", "some"),
}
QUANTITIES = ACCURACY, INSIDE, SAME, NEAR, ON, OUTSIDE = (
    "test accuracy",
    "agreement inside",
    "agreement inside, one class",
    "agreement inside, neighbours",
    "agreement on the surface",
    "agreement outside",
)
PLACES = {INSIDE: "mixtures of 5", SAME: ONE_CLASS, NEAR: NEIGHBOURS, ON: SURFACE, OUTSIDE: "test images"}
PLAIN, SHIFTED, REAL = "training images", "training images and their shifts", "as many real images"


@dataclass(frozen=True)
class Config(evaluation_setup.Config):
    """Settings of the experiment.

    Attributes:
        factors: factors to vary; the others stay at their first level.
        members: number of networks in each regime.
        epochs: largest number of epochs.
    """

    factors: tuple[str, ...] = ("augmentation", "learning rate")
    members: int = 3
    epochs: int = 500


CPU = Config(data=Sample("mnist:9000:3000"), points=1000, queries=300, factors=tuple(FACTORS), members=4, epochs=400)
PRESETS = {
    "smoke": Config(queries=30, factors=("augmentation",)),
    "cpu": CPU,
    "paper": Config(data=Sample("mnist:45000"), points=5000, queries=1000, factors=tuple(FACTORS), members=20, epochs=1000),
}


def measure(config: Config, run: runs.Run[Config]) -> None:
    """Measure test accuracy and agreement of each regime, and hull distances with and without shifts."""
    runs.known("--factors", config.factors, FACTORS)
    setup, rows, wrong = prepare(config, run), list[tuple[object, ...]](), list[np.ndarray]()
    model, kinds = MLP(setup.classes, width=UNITS), list(setup.places)
    for levels in product(*((0, 1) if factor in config.factors else (0,) for factor in FACTORS)):
        name = ", ".join(FACTORS[factor][level] for factor, level in zip(FACTORS, levels, strict=True))
        family = train_family(run, name, recipe(levels), model, setup)
        if family.members < 2:
            continue  # failed networks are counted
        agreement = setup.agreement(model, family.variables)
        numbers = {ACCURACY: 1 - setup.errors(model, family.variables)}
        numbers |= {quantity: agreement[kinds.index(place)] for quantity, place in PLACES.items()}
        for quantity, values in numbers.items():
            words = quantity if quantity == ACCURACY else quantity.replace("agreement", "share agreeing")
            run.record(words, values, data=setup.title, group=name, unit="share")
        wrong.append((setup.labels(model, family.variables, setup.queries.rows) != setup.queries.labels).mean(0))
        rows.append((*levels, *(values.mean() for values in numbers.values())))
        run.tabulate("regimes", (*FACTORS, *QUANTITIES), rows)
    check_any(rows)
    images = setup.train.images
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, images.shape[1:3], axis=(1, 2))
    shifted = np.moveaxis(windows, 3, -1).reshape(-1, setup.train.rows.shape[1])
    real = np.concatenate([setup.train.rows, setup.pool.rows])[: len(shifted)]
    found = {PLAIN: setup.found}
    for name, points in ((SHIFTED, shifted), (REAL, real)):
        found[name] = hullx.sweep(setup.queries.rows, points, rtol=config.rtol, resume=run.resume_dir(name))
    for (group, each), size in zip(found.items(), (len(images), len(shifted), len(real)), strict=True):
        run.distances(each, data=setup.title, group=group)
        run.record("images that span the hull", size, data=setup.title, group=group)
    run.arrays("distances", plain=found[PLAIN].distance, shifted=found[SHIFTED].distance, real=found[REAL].distance)
    near = [neighbours(setup.queries.rows, points).distance[:, 0] for points in (setup.train.rows, shifted)]
    run.arrays("test images", wrong=np.stack(wrong), nearest=np.stack(near, 1))


def recipe(levels: tuple[int, ...]) -> Recipe:
    """The regime with these levels of `FACTORS`."""
    augmentation, optimizer, rate, batch, decay = levels
    name = (ADAM, MOMENTUM)[optimizer]
    return Recipe(name, RATES[name][rate], batch=(64, 16)[batch], decay=decay * DECAYS[name], shifted=bool(augmentation))


def effects(results: runs.Results) -> dict[str, dict[str, runs.Estimate]]:
    """For each quantity and factor: the mean difference between levels, over combinations of the other factors."""
    table, factors = results.table("regimes"), results.config["factors"]
    confidence = 1 - 0.05 / (len(factors) * len(QUANTITIES))
    found: dict[str, dict[str, runs.Estimate]] = {quantity: {} for quantity in QUANTITIES}
    for factor in factors:
        low, high = regime_pairs(table, factor).T
        for quantity in QUANTITIES:
            found[quantity][factor] = runs.mean_interval(table[quantity][high] - table[quantity][low], confidence=confidence)
    return found


def regime_pairs(table: dict[str, np.ndarray], factor: str) -> np.ndarray:
    """The rows of regimes that differ in one factor only, at its first and second level: (pairs, 2)."""
    levels, k = np.stack([table[name] for name in FACTORS], -1).astype(int), list(FACTORS).index(factor)
    rows = {tuple(row): i for i, row in enumerate(levels.tolist())}
    pairs = [(low, rows.get((*key[:k], 1, *key[k + 1 :]))) for key, low in rows.items() if key[k] == 0]
    return np.array([pair for pair in pairs if pair[1] is not None], int).reshape(-1, 2)


def shift_mediation(results: runs.Results) -> dict[str, Mediation]:
    """What carries the effect of shifts on test error: by images, and by disagreement in pairs of regimes."""
    table, far, images = results.table("regimes"), results.arrays("distances"), results.arrays("test images")
    pairs = regime_pairs(table, "augmentation")
    hull, nearest = np.log(np.stack([far["plain"], far["shifted"]], 1)), np.log(images["nearest"])
    wrong = images["wrong"][pairs].mean(0).T
    found = {"images": mediation(wrong, {"distance to the hull": hull, "distance to the nearest image": nearest})}
    for quantity in (OUTSIDE, INSIDE):
        words = f"dis{quantity}"
        found[words] = mediation(1 - table[ACCURACY][pairs], {words: 1 - table[quantity][pairs]})
    return found


def claims(results: runs.Results) -> Iterator[runs.Claim]:
    """Whether the regime matters, and more outside than inside; correlates of test accuracy; effect of shifts on the hull."""
    table, about = results.table("regimes"), evidence(results, results.config["members"])
    queries = evidence(results, about["seeds"], errors=False)["images"]
    tests, found = about["images"] - queries, effects(results)
    for quantity in (ACCURACY, OUTSIDE, INSIDE):
        factor, effect = max(found[quantity].items(), key=lambda item: abs(item[1].value))
        size = effect if effect.value >= 0 else effect._replace(value=-effect.value, low=-effect.high, high=-effect.low)
        sign, levels = "+" if effect.value >= 0 else "−", " to ".join(FACTORS[factor])
        name, note = f"the regime changes {quantity}", f"largest effect: {factor}, {levels}: {sign}"
        here = about | {"images": tests if quantity == ACCURACY else queries}
        yield runs.Claim.of(size, name, SOURCE, "more than 0", runs.above(size, 0), note=note, unit="%", **here)
    inside, outside = (table[quantity] - table[quantity].mean() for quantity in (INSIDE, OUTSIDE))
    more, name = runs.mean_interval(1e4 * (outside**2 - inside**2)), "regimes differ more outside than inside"
    note = f"spreads {outside.std():.2%} and {inside.std():.2%}; measured: difference of squares, in points²"
    yield runs.Claim.of(more, name, SOURCE, "more than 0", runs.above(more, 0), note=note, **about | {"images": queries})
    for quantity, (level, words) in product((OUTSIDE, INSIDE), enumerate(("without shifts", "with shifts"))):
        mine = table["augmentation"].astype(int) == level
        rank = runs.rank_correlation(table[quantity][mine], table[ACCURACY][mine])
        name = f"{words}: regimes with more {quantity} are more accurate"
        yield runs.Claim.of(rank, name, SOURCE, "correlation above 0", runs.above(rank, 0), **about)
    far, name = results.arrays("distances"), "shifts bring the hull as much nearer as real images"
    shifted, real = (runs.mean_interval(1 - far[each] / far["plain"]) for each in ("shifted", "real"))
    less = runs.difference_interval(far["real"] / far["plain"], far["shifted"] / far["plain"], paired=True)
    note = f"nearer by {shifted.value:.1%} and {real.value:.1%}; measured: the difference"
    here = about | {"images": queries, "networks": 0, "seeds": 0}
    yield runs.Claim.of(less, name, "here", "within 1%", runs.within(less, -0.01, 0.01), note=note, unit="%", **here)
    for units, effect in shift_mediation(results).items() if "augmentation" in results.config["factors"] else ():
        here = about | ({"images": queries} if units == "images" else {})
        given = ", given the other distance" if units == "images" else ""
        for mediator, indirect in effect.indirect.items():
            name, note = f"less {mediator} carries the effect of shifts on test error{given}", effect.note(mediator)
            yield runs.Claim.of(indirect, name, SOURCE, "less than 0", runs.below(indirect, 0), note=note, unit="%", **here)


def figures(results: runs.Results) -> plotting.Figures:
    """Effects of all factors on test accuracy and agreement; what carries the effect of shifts."""
    data, found = plotting.data_name(results.names("data")[0]), effects(results)
    title = f"{data}: effects of the training regime at zero training error (joint 95% intervals)"
    drawn, axes = plotting.figure(2, len(QUANTITIES) // 2, size=(11, 6), title=title)
    ends = [end for each in found.values() for effect in each.values() for end in effect[:3] if np.isfinite(end)]
    limits = max(1.1 * min(*ends, 0), -1), min(1.1 * max(*ends, 0), 1)
    for place, (quantity, each) in zip(axes.flat, found.items(), strict=True):
        names = {f"{factor}:\n{' → '.join(FACTORS[factor])}": effect for factor, effect in each.items()}
        plotting.intervals(place, names, f"change of {quantity}", limits=limits)
        place.locator_params(axis="x", nbins=4)
    for place in axes[:, 1:].flat:
        place.set_yticklabels([])
    yield "effects", drawn
    if "augmentation" not in results.config["factors"]:
        return
    title = f"{data}: what carries the effect of shifts on test error (95% intervals over test images, or pairs of regimes)"
    drawn, axes = plotting.figure(size=(9, 3.2), title=title)
    carried = dict[str, runs.Estimate]()
    for units, effect in shift_mediation(results).items():
        among = "test images" if units == "images" else "pairs of regimes"
        carried |= {f"total, over {among}": effect.total} | {f"by less {name}": each for name, each in effect.indirect.items()}
    plotting.intervals(axes[0, 0], carried, "change of test error (share)")
    yield "mediation", drawn


experiment = runs.Experiment(Config, PRESETS, measure, claims, figures)
if __name__ == "__main__":
    experiment.main()
