"""Are the test rows of a table outside the hull of its training rows, by which features, and are predictions worse there?

Claims: models extrapolate for a substantial share of the data (Yousefzadeh and Cao, arXiv 2201.11260), in single features,
such as a patient older than all others. Predictions inside and outside the hull differ (Barbiero et al., arXiv 2006.15680).

Tables of scikit-learn, or a CSV file. Text becomes columns of 0 and 1, one for each category. Rows with missing values and
constant columns are left out and counted. Each repetition is a cross-validation with five folds, stratified by class: each row
is a test row once. Columns are standardised by the training rows. The control is Gaussian samples with the table's mean and
covariance, as many, in the same folds: is it only dimension? Each repetition draws them again.

The loss is the squared error of the class probabilities (Brier score) or of the target, divided by that of the training mean.
The models are scikit-learn's random forest of 50 trees, and logistic regression or ridge. Intervals of shares
resample repetitions and rows; training sets overlap, but in simulated tables these intervals cover at least 95%. Losses are
compared over rows with all their repetitions, and correlated by rows, as means over repetitions. Density is the distances to
the nearest and the tenth nearest training row. The smallest set of features that alone proves a row outside is found once.

Fixed before the run:
- A substantial share is above `SUBSTANTIAL`.
- It is only dimension and covariance if the share differs from that of Gaussian samples by less than `SAME`.
- Single features matter if one feature alone suffices for more than `MOST` of the rows that are outside.
- Predictions are worse outside if the forest's loss there, less that inside, is above 0. Fewer than ten rows that are ever
  inside settle nothing.
- Hull distance matters if its rank correlation with the forest's loss, given density, is above 0: in each table, and in the
  mean over tables. Fewer than ten tables settle nothing about tables.
The share outside cannot fall when features are added, so its growth has no verdict.

    python -m experiments.tabular                           wine, 20 seconds, no download
    python -m experiments.tabular cpu                       four tables, 2 to 8 minutes
    python -m experiments.tabular paper                     100 repetitions instead of 10
    python -m experiments.tabular cpu --csv FILE --target COLUMN
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hullx import runs
from hullx.errors import ArgumentError
from hullx.runs import plotting
from hullx.runs.progress import progress

from . import fold_measures
from .fold_measures import FOREST, GAUSSIAN, KINDS, MODELS, ROWS, share_of
from .table_reading import EMBEDDED, Table, embedded, read_csv

EXTRAPOLATE, DIFFER = "arXiv 2201.11260", "arXiv 2006.15680"
SUBSTANTIAL, SAME, MOST = 0.1, 0.1, 0.5
OUTSIDE, BEYOND = "share outside", "share out of range in a feature"
APART, LESS, CORRELATION = "share outside less that of Gaussian samples", "outside − inside", "correlation with loss"
ONE, SETS = "one feature suffices", "smallest sets"
HULL, DENSITY = "hull distance", "distance to the 10th neighbour"
PLAIN, GIVEN_DENSITY, GIVEN_HULL = "plain", "given density", "given hull distance"
CASES = f"{HULL}, {PLAIN}", f"{HULL}, {GIVEN_DENSITY}", f"{DENSITY}, {PLAIN}", f"{DENSITY}, {GIVEN_HULL}"
SIZES, SHOWN = ("1", "2", "3", "4 or more"), 10


@dataclass(frozen=True)
class Config(runs.Config):
    """Settings of the experiment.

    Attributes:
        tables: tables of scikit-learn: iris, wine, breast_cancer, diabetes.
        csv: a CSV file instead, whose first line names the columns.
        target: its column to predict.
        drop: its columns to leave out.
        repetitions: number of cross-validations, each with five folds.
        explained: largest number of rows of a table whose smallest feature sets are found.
    """

    tables: tuple[str, ...] = ("iris",)
    csv: Path | None = None
    target: str | None = None
    drop: tuple[str, ...] = ()
    repetitions: int = 10
    explained: int = 60


PRESETS = {
    "smoke": Config(tables=("wine",), repetitions=2, explained=30),
    "cpu": Config(tables=EMBEDDED, explained=600),
    "paper": Config(tables=EMBEDDED, repetitions=100, explained=600),
}


def measure(config: Config, run: runs.Run[Config]) -> None:
    """Measure rows outside, losses and smallest feature sets in each table."""
    across = list[float]()
    for table in load(config):
        title, parts = table.title, list[dict[str, np.ndarray]]()
        with progress(title, config.repetitions, "repetitions") as report:
            for i in range(config.repetitions):
                parts.append(run.cached(f"{title}, {i}", fold_measures.measure_repetition, table, config.seed, i, config.rtol))
                report(i + 1)
        found = {name: np.stack([part[name] for part in parts]) for name in parts[0]}
        run.record("rows left out", table.dropped, data=title, group="table", unit=" rows")
        run.record("constant columns left out", len(table.constant), data=title, group="table", unit=" columns")
        record_shares(run, table, found)
        across.append(record_losses(run, table, found))
        sets = run.cached(f"{title}, smallest sets", fold_measures.explain_rows, table, config.seed, config.explained)
        record_sets(run, table, sets)
    run.record(CORRELATION, across, group="mean over tables")


def load(config: Config) -> list[Table]:
    """The tables of the settings."""
    if config.repetitions < 1 or config.explained < 1:
        raise ArgumentError("--repetitions, --explained: got 0 or less, expected at least 1 of each")
    if (config.csv is None) != (config.target is None) or (config.drop and config.csv is None):
        raise ArgumentError("--csv, --target, --drop: got one alone, expected a file and its column to predict")
    if config.csv is not None and config.target is not None:
        return [read_csv(config.csv, config.target, config.drop)]
    return [embedded(name) for name in config.tables]


def record_shares(run: runs.Run[Config], table: Table, found: dict[str, np.ndarray]) -> None:
    """Shares outside and distances of test rows and Gaussian samples, in all features and by their number."""
    rows = list[tuple[Any, ...]]()
    for i, kind in enumerate(KINDS):
        about: dict[str, Any] = {"data": table.title, "group": kind}
        outside, total = found["outside"][:, i], found["distance"][:, i].size
        run.record(OUTSIDE, share_of(outside[:, -1]), **about)
        run.record(BEYOND, share_of(found["beyond"][:, i]), **about)
        run.record("distance", runs.two_way_interval(found["distance"][:, i]), **about)
        run.record("undecided", runs.Estimate(float(found["undecided"][:, i].sum()), np.nan, np.nan, total, "count"), **about)
        for j, count in enumerate(fold_measures.feature_counts(table.rows.shape[1])):
            rows.append((kind, count, *share_of(outside[:, j])[:3]))
    run.tabulate(f"{table.title} counts", ("kind", "features", "share", "low", "high"), rows)
    apart = fold_measures.difference_from(found["outside"][:, 0, -1], found["outside"][:, 1, -1])
    run.record(APART, apart, data=table.title, group="control", unit="%")


def record_losses(run: runs.Run[Config], table: Table, found: dict[str, np.ndarray]) -> float:
    """Losses inside and outside, and their correlations with hull distance and density; returns the forest's, given density."""
    outside, hull, near = found["outside"][:, 0, -1], found["distance"][:, 0].mean(0), found["near"].mean(0)
    given = np.empty((len(hull), 0)), near, np.empty((len(hull), 0)), hull[:, None]
    columns = {HULL: hull, DENSITY: near[:, 1], OUTSIDE: outside.mean(0)}
    for k, model in enumerate(MODELS):
        loss = found["loss"][:, k]
        about: dict[str, Any] = {"data": table.title, "group": model}
        for name, chosen in (("loss inside", ~outside), ("loss outside", outside)):
            run.record(name, float(loss[chosen].mean()) if chosen.any() else np.nan, **about)
        run.record(LESS, fold_measures.difference_by_rows(loss, outside), **about)
        columns[f"loss, {model}"] = loss.mean(0)
        for case, x, variables in zip(CASES, (hull, hull, near[:, 1], near[:, 1]), given, strict=True):
            effect = runs.partial_rank_correlation(x, loss.mean(0), variables)
            run.record(CORRELATION, effect, data=table.title, group=f"{model}: {case}")
    run.table(f"{table.title} rows", columns)
    return runs.partial_rank_correlation(hull, found["loss"][:, 0].mean(0), near).value


def record_sets(run: runs.Run[Config], table: Table, sets: dict[str, np.ndarray]) -> None:
    """Sizes of the smallest sets, and how often each feature is in one."""
    member = sets["member"][sets["member"].any(1)]
    sizes, about = member.sum(1), dict[str, Any](data=table.title, group=SETS)
    run.record(ONE, sizes == 1, **about)
    run.record("features in the set", sizes.astype(float), **about)
    run.record("proved smallest", sets["smallest"][sets["member"].any(1)], **about)
    alone, order = member[sizes == 1].sum(0), np.argsort(-member.sum(0), kind="stable")
    rows = [(table.columns[k], int(alone[k]), int(member[:, k].sum() - alone[k])) for k in order]
    run.tabulate(f"{table.title} features", ("feature", "alone", "with others"), rows)
    counts = [int((np.minimum(sizes, len(SIZES)) == size).sum()) for size in range(1, len(SIZES) + 1)]
    run.table(f"{table.title} sizes", {"size": SIZES, "rows": counts})


def claims(results: runs.Results) -> Iterator[runs.Claim]:
    """Shares, their control, single features, losses outside, and hull distance given density."""
    for data in results.names("data", group=ROWS):
        share, apart = (results.estimate(name, data=data, group=group) for name, group in ((OUTSIDE, ROWS), (APART, "control")))
        about: dict[str, Any] = {"data": data, "seeds": results.config["repetitions"]}
        about["rows"] = len(results.table(f"{data} rows")[HULL])
        name, verdict = "a substantial share of test rows is outside", runs.above(share, SUBSTANTIAL)
        yield runs.Claim.of(share, name, EXTRAPOLATE, f"above {SUBSTANTIAL:.0%}", verdict, **about, group=ROWS)
        name, verdict = "dimension and covariance alone give this share", runs.within(apart, -SAME, SAME)
        yield runs.Claim.of(apart, name, "control", f"within ±{SAME:.0%}", verdict, **about, group=GAUSSIAN)
        one = results.estimate(ONE, data=data)
        name, more = "one feature alone puts most of them outside", {"data": data, "rows": one.n}
        yield runs.Claim.of(one, name, EXTRAPOLATE, f"above {MOST:.0%}", runs.above(one, MOST), **more)
        less, name = results.estimate(LESS, data=data, group=FOREST), "the forest's loss is larger outside"
        note = f"{less.n} rows on the smaller side"
        yield runs.Claim.of(less, name, DIFFER, "above 0", runs.above(less, 0), **about, note=note)
        effect = results.estimate(CORRELATION, data=data, group=f"{FOREST}: {CASES[1]}")
        name = "hull distance goes with the forest's loss, given density"
        yield runs.Claim.of(effect, name, DIFFER, "above 0", runs.above(effect, 0), **about)
    effect, name = results.estimate(CORRELATION, group="mean over tables"), "the same in the mean over tables"
    yield runs.Claim.of(effect, name, DIFFER, "above 0", runs.above(effect, 0), sets=effect.n)


def figures(results: runs.Results) -> plotting.Figures:
    """Share outside by number of features; losses and correlations by table; the smallest feature sets of each table."""
    titles = results.names("data", group=ROWS)
    title = "The share of test rows outside grows with the number of features (95% intervals)"
    drawn, axes = plotting.figure(1, len(titles), size=(1.5 + 2.6 * len(titles), 3.6), title=title)
    for place, data in zip(axes[0], titles, strict=True):
        table = results.table(f"{data} counts")
        for kind, colour in plotting.colours(KINDS).items():
            x, share, low, high = (table[name][table["kind"] == kind] for name in ("features", "share", "low", "high"))
            place.plot(x, share, "o-", color=colour, label=kind, markersize=3)
            place.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0)
        place.set(title=plotting.data_name(data), xlabel="features, drawn at random", xlim=(0, None), ylim=(0, 1.02))
        place.xaxis.get_major_locator().set_params(integer=True)
    axes[0, 0].set_ylabel(OUTSIDE)
    drawn.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    yield "features", drawn

    title = "Losses outside and inside, and their rank correlations with hull distance and density (95% intervals)"
    drawn, axes = plotting.figure(1, 3, size=(11, 2.2 + 0.45 * len(titles)), title=title)
    for i, (model, colour) in enumerate(plotting.colours(MODELS).items()):
        panels = ((LESS, model, LESS), *((CORRELATION, f"{model}: {CASES[k]}", CASES[k]) for k in (1, 3)))
        for place, (quantity, group, words) in zip(axes[0], panels, strict=True):
            found = {plotting.data_name(data): results.estimate(quantity, data=data, group=group) for data in titles}
            look: dict[str, Any] = {"color": colour, "label": model, "shift": 0.2 * i - 0.1}
            plotting.intervals(place, found, "loss" if quantity == LESS else CORRELATION, **look)
            place.set_title(words)
            if not any(np.isfinite(each.value) for each in found.values()):
                place.set_xlim(-1, 1)  # no row is inside
    for place in axes[0, 1:]:
        place.set_yticklabels([])
    drawn.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    yield "losses", drawn

    for data in titles:
        short, sizes, table = plotting.data_name(data), results.table(f"{data} sizes"), results.table(f"{data} features")
        title = f"{short}: sets of features that alone put test rows outside the hull"
        drawn, axes = plotting.figure(1, 2, size=(9, 4), title=title)
        axes[0, 0].bar([str(size) for size in sizes["size"]], sizes["rows"], color=plotting.COLOURS[0])
        axes[0, 0].set(xlabel="features in the smallest set found", ylabel="rows")
        names, left = np.arange(min(SHOWN, len(table["feature"]))), 0
        for part, colour in zip(("alone", "with others"), plotting.COLOURS, strict=False):
            axes[0, 1].barh(names, table[part][names], left=left, color=colour, label=part)
            left = left + table[part][names]
        axes[0, 1].set(yticks=names, yticklabels=[str(name) for name in table["feature"][names]], xlabel="rows")
        axes[0, 1].invert_yaxis()
        drawn.legend(*axes[0, 1].get_legend_handles_labels(), loc="outside lower right", ncols=2)
        yield f"{short} features", drawn


experiment = runs.Experiment(Config, PRESETS, measure, claims, figures)
if __name__ == "__main__":
    experiment.main()
