"""Do polynomial fits of each degree recover a polynomial's sign, inside the hull of the training points and outside?

Claim (arXiv 2101.09849): recovering a decision boundary outside the hull needs over-parameterization and the right training
regime together. Counter-claim (openreview dbzTXYhIO9): with a fixed basis and more functions than points, recovery outside is
impossible. Both are tested on a line and in the plane, where the truth is known.

    python -m experiments.polynomial                        8 boundaries, seconds
    python -m experiments.polynomial cpu                    100 boundaries, a minute
    python -m experiments.polynomial paper                  1,000 boundaries

A true polynomial of degree 3 has random coefficients. Points uniform in [−1, 1]^d carry its sign, ±1, and all polynomials up
to a degree are fitted to them by least squares. Training regimes: the minimum norm, in Legendre's basis (orthonormal on [−1,
1]) and in that of powers; a norm that weighs a function of degree k by (1 + k)²; ridge; gradient descent from 0 and from
random starts. Test points fill [−2, 2]^d and are sorted by their certified distance to the hull.

Fixed before the run: a fit recovers the boundary outside if its share of wrong signs there, up to a distance of `REACH`, is at
most `MARGIN` above that of the minimum-norm fit of the true degree. The best and the worst over-parameterized fits (more
functions than points) are chosen on one half of the boundaries and judged on the other. If the best does not recover the
boundary, the counter-claim holds for these bases.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import comb

import numpy as np

import hullx
from hullx import runs
from hullx.probes import pairwise
from hullx.runs import plotting
from hullx.runs.progress import progress

from .least_squares import decompose, gradient_descent, minimum_norm, ridge
from .polynomial_basis import polynomials

TRUE_DEGREE, REACH, MARGIN, PENALTY, STEPS = 3, 0.5, 0.02, 1e-3, 10_000  # PENALTY: ridge; STEPS: descent
PAPER, BOTH = "arXiv 2101.09849", "arXiv 2101.09849; opposed by openreview dbzTXYhIO9"
REGIMES = "minimum norm", "minimum norm, powers", "smooth norm", "ridge", "descent from 0", "descent, random start"
SPACES, EDGES = {"line": 1, "plane": 2}, np.linspace(0, 1, 9)  # dimensions; edges of the bins of distance
ERRORS = "space", "regime", "functions", "training", "inside", "outside"


@dataclass(frozen=True)
class Config(runs.Config):
    """Settings of the experiment.

    Attributes:
        boundaries: number of true polynomials, each with its own points.
        points: numbers of training points, on the line and in the plane.
        degrees: degrees of the fits; the last one's errors are shown by distance.
        queries: number of test points for each boundary.
    """

    boundaries: int = 8
    points: tuple[int, int] = (10, 60)
    degrees: tuple[int, ...] = (1, 2, 3, 4, 6, 8, 9, 10, 12, 15, 20)
    queries: int = 1000


PRESETS = {"smoke": Config(), "cpu": Config(boundaries=100, queries=4000), "paper": Config(boundaries=1000, queries=4000)}


def measure(config: Config, run: runs.Run[Config]) -> None:
    """Measure errors by space, regime and degree, inside, outside and by distance."""
    errors, distances = [], []
    for (space, dimension), points in zip(SPACES.items(), config.points, strict=True):
        found, data = run.cached(space, measure_errors, config, dimension, points), f"{space}, {points} points"
        run.record("undecided", found.pop("undecided"), data=data, statistic="count")
        run.arrays(space, **found)
        for (i, regime), (j, degree) in product(enumerate(REGIMES), enumerate(config.degrees)):
            shares = {name: found[name][i, j] for name in ERRORS[3:]}
            for name, values in shares.items():
                run.record(f"{name} error", values, data=data, group=f"{regime}, degree {degree}", unit="share")
            errors.append((data, regime, comb(degree + dimension, degree), *(share.mean() for share in shares.values())))
        curves: dict[str, np.ndarray] = dict(zip(REGIMES, found["by distance"][:, -1], strict=True))
        curves[f"degree {TRUE_DEGREE}, minimum norm"] = found["by distance"][0, config.degrees.index(TRUE_DEGREE)]
        distances += [(data, name, *row) for name in curves for row in zip(EDGES[1:], curves[name].mean(0), strict=True)]
    run.tabulate("errors", ERRORS, errors)
    run.tabulate("distances", ("space", "fit", "distance", "error"), distances)


def measure_errors(config: Config, dimension: int, points: int) -> dict[str, np.ndarray]:
    """Shares of wrong signs in training, inside, up to `REACH` outside, and by distance: (regimes, degrees, boundaries)."""
    shape = len(REGIMES), len(config.degrees), config.boundaries
    found = dict[str, np.ndarray]({name: np.empty(shape) for name in ERRORS[3:]})
    found |= {f"apart {place}": np.empty(config.boundaries) for place in ("inside", "outside")}
    found["by distance"] = np.empty((*shape, len(EDGES) - 1))
    found["undecided"] = np.empty((config.boundaries, config.queries), bool)
    with progress(f"{dimension} dimensions", config.boundaries, "boundaries") as report:
        for k in range(config.boundaries):
            rng = runs.generator(config.seed, "boundary", str(dimension), str(k))
            x, queries = rng.uniform(-1, 1, (points, dimension)), rng.uniform(-2, 2, (config.queries, dimension))
            labels, truth = draw_boundary(rng, x, queries)
            fits = [fit_values(rng, x, labels, queries, degree) for degree in config.degrees]
            train_signs, query_signs = (np.stack([[fit[which] > 0 for fit in each] for each in fits], 1) for which in (0, 1))
            projected = hullx.sweep(queries, x, rtol=config.rtol, progress=False)
            distance, found["undecided"][k] = np.where(projected.outside, projected.distance, 0.0), ~projected.decided
            places = {"inside": distance == 0, "outside": (distance > 0) & (distance <= REACH)}
            wrong, bins = query_signs != truth, np.digitize(distance, EDGES, right=True)
            found["training"][:, :, k] = (train_signs != labels).mean(-1)
            for place, mine in places.items():
                found[place][:, :, k] = wrong[:, :, mine].mean(-1)
                found[f"apart {place}"][k] = 1 - pairwise(query_signs[:, -1, mine].astype(int), 2).mean()
            for each in range(1, len(EDGES)):
                found["by distance"][:, :, k, each - 1] = wrong[:, :, bins == each].mean(-1)
            report(k + 1)
    return found


def draw_boundary(rng: np.random.Generator, x: np.ndarray, queries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whether a true polynomial is positive at the points and at the queries; each sign has at least a fifth of the points."""
    at_points, at_queries = (polynomials(each, TRUE_DEGREE).values for each in (x, queries))
    while True:
        coefficients = rng.standard_normal(at_points.shape[1])
        labels = at_points @ coefficients > 0
        if 0.2 <= labels.mean() <= 0.8:
            return labels, at_queries @ coefficients > 0


def fit_values(
    rng: np.random.Generator, x: np.ndarray, labels: np.ndarray, queries: np.ndarray, degree: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """The values of the fits of all `REGIMES`, in order, at the points and at the queries."""
    basis = polynomials(x, degree)
    legendre = basis.values, polynomials(queries, degree).values
    powers = [polynomials(each, degree, "monomial").values for each in (x, queries)]
    targets, fit, weights = np.where(labels, 1.0, -1.0)[:, None], decompose(basis.values), (1.0 + basis.degree[:, None]) ** 2
    start = rng.standard_normal(weights.shape) / np.sqrt(len(weights))
    found = [
        (legendre, minimum_norm(fit, targets)),
        (powers, minimum_norm(decompose(powers[0]), targets)),
        (legendre, minimum_norm(decompose(basis.values / weights.T), targets) / weights),
        (legendre, ridge(fit, targets, PENALTY)),
        (legendre, gradient_descent(fit, targets, STEPS)),
        (legendre, gradient_descent(fit, targets, STEPS, start=start)),
    ]
    return [((at_points @ head)[:, 0], (at_queries @ head)[:, 0]) for (at_points, at_queries), head in found]


def claims(results: runs.Results) -> Iterator[runs.Claim]:
    """Disagreement of fits inside and outside; the claim and the counter-claim."""
    config, true = results.config, results.config["degrees"].index(TRUE_DEGREE)
    for (space, dimension), points, data in zip(SPACES.items(), config["points"], results.names("data"), strict=True):
        found, about = results.arrays(space), {"data": data, "unit": "%"}
        right, lost = found["outside"][0, true].mean(), found["outside"] - found["outside"][0, true]  # paired by boundary
        over = [comb(degree + dimension, degree) > points for degree in config["degrees"]]
        chosen = np.where(over, lost[:, :, ::2].mean(-1), np.nan)
        best, worst = (np.unravel_index(pick(chosen), chosen.shape) for pick in (np.nanargmin, np.nanargmax))
        names = [f"{REGIMES[i]}, degree {config['degrees'][j]}" for i, j in (best, worst)]
        good, bad, below = (runs.mean_interval(each) for each in (lost[best][1::2], lost[worst][1::2], lost[0, true - 1]))
        inside, outside = found["apart inside"], found["apart outside"]
        apart, note = runs.difference_interval(outside, inside, paired=True), f"disagreeing pairs: {inside.mean():.1%} inside"
        name = "fits of the largest degree disagree more outside than inside"
        yield runs.Claim.of(apart, name, PAPER, "more than 0", runs.above(apart, 0), note=note, sets=apart.n, **about)
        above, at_most = f"more than {MARGIN:.0%} above the true degree's error", f"at most {MARGIN:.0%} above"
        for estimate, name, source, expected, compare, note in (
            (
                below,
                "a degree too low does not recover the boundary outside",
                PAPER,
                above,
                runs.above,
                f"true degree: {right:.1%}",
            ),
            (good, "the best over-parameterized fit recovers the boundary outside", BOTH, at_most, runs.below, names[0]),
            (bad, "the worst over-parameterized fit does not recover it", PAPER, above, runs.above, names[1]),
        ):
            verdict = compare(estimate, MARGIN)
            yield runs.Claim.of(estimate, name, source, expected, verdict, note=note, sets=estimate.n, **about)


def figures(results: runs.Results) -> plotting.Figures:
    """Errors by number of functions, inside and outside, and by distance."""
    config = results.config
    truth = f"signs of random polynomials of degree {TRUE_DEGREE}"
    title = f"Fits to {truth}: means over {config['boundaries']}, with 95% intervals (dotted: the true degree)"
    drawn, axes = plotting.figure(2, len(SPACES), size=(10, 7), title=title)
    for column, (space, dimension), data in zip(axes.T, SPACES.items(), results.names("data"), strict=True):
        found, functions = results.arrays(space), [comb(degree + dimension, degree) for degree in config["degrees"]]
        for place, (quantity, words) in zip(
            column, (("inside", "inside"), ("outside", f"up to {REACH:g} outside")), strict=True
        ):
            for (regime, colour), values in zip(plotting.colours(REGIMES).items(), found[quantity], strict=True):
                bands = np.array([runs.mean_interval(each)[:3] for each in values])
                place.plot(functions, bands[:, 0], color=colour, label=regime)
                place.fill_between(functions, bands[:, 1], bands[:, 2], color=colour, alpha=0.15, linewidth=0)
            place.axvline(comb(TRUE_DEGREE + dimension, dimension), color="0.6", linestyle=":")
            place.set(xscale="log", ylim=(0, 0.6), ylabel=f"share of signs wrong {words}", xlabel="functions in the basis")
            plotting.plain_ticks(place)
        column[0].set_title(data)
    drawn.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    yield "by degree", drawn
    title, quantity = f"Fits of degree {config['degrees'][-1]} to {truth}", {"error": "share of signs wrong"}
    yield "by distance", plotting.curves(title, results.table("distances"), "distance", quantity, columns="space", by="fit")


experiment = runs.Experiment(Config, PRESETS, measure, claims, figures)
if __name__ == "__main__":
    experiment.main()
