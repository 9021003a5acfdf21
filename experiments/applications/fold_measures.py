"""Repeated cross-validation of a table: rows outside the hull of the other folds, losses of models, smallest feature sets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from scipy import stats
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import StratifiedKFold

from hullx import HullDomain, geometry, runs, sweep
from hullx.domain import scaling

from .table_reading import Table

FOLDS, NEIGHBOURS, TREES = 5, 10, 50
KINDS = ROWS, GAUSSIAN = "test rows", "Gaussian samples"
MODELS = FOREST, LINEAR = "random forest", "linear model"
COUNTS = 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128


def feature_counts(columns: int) -> list[int]:
    """Numbers of features to draw, in ascending order; the last is all columns."""
    return [count for count in COUNTS if count < columns] + [columns]


def folds(table: Table, seed: int, repetition: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Training and test rows: each row is a test row once, and each class is spread evenly."""
    drawn = int(runs.generator(seed, table.title, "folds", str(repetition)).integers(2**31))
    return StratifiedKFold(FOLDS, shuffle=True, random_state=drawn).split(table.rows, table.labels)


def gaussian_like(rng: np.random.Generator, rows: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
    """As many Gaussian samples, with the mean and covariance of the rows."""
    covariance = np.atleast_2d(np.cov(rows, rowvar=False, bias=True))
    return rng.multivariate_normal(rows.mean(0), covariance, len(rows), method="eigh", check_valid="ignore")


def measure_repetition(table: Table, seed: int, repetition: int, rtol: float) -> dict[str, np.ndarray]:
    """Numbers for each row n as a test row; arrays of `KINDS` begin with the table, then the Gaussian samples.

    Returns:
        outside (kinds, counts, n): for random features of each count. distance, beyond (kinds, n): to the hull in all features;
        whether one feature alone is out of range. near (n, 2): distances to the nearest and the tenth nearest training row.
        loss (models, n): `losses`. undecided (kinds,): among all features.
    """
    rng = runs.generator(seed, table.title, "repetition", str(repetition))
    n, d = table.rows.shape
    subsets = [rng.permutation(d)[:count] for count in feature_counts(d)]
    everything = table.rows, gaussian_like(rng, table.rows)
    found: dict[str, np.ndarray] = {
        "outside": np.zeros((2, len(subsets), n), bool),
        "distance": np.zeros((2, n)),
        "beyond": np.zeros((2, n), bool),
        "near": np.zeros((n, 2)),
        "loss": np.zeros((len(MODELS), n)),
        "undecided": np.zeros(2, np.int64),
    }
    for train, test in folds(table, seed, repetition):
        for i, rows in enumerate(everything):
            scale = scaling(rows[train], "std")
            points, queries = scale.place(rows[train]), scale.place(rows[test])
            result = None
            for j, subset in enumerate(subsets):
                # Columns set to 0 leave the distance in the others, in a program of the same shape.
                kept = np.isin(np.arange(d), subset)
                result = sweep(np.where(kept, queries, 0), np.where(kept, points, 0), rtol=rtol, progress=False)
                found["outside"][i, j, test] = result.outside
            assert result is not None
            found["distance"][i, test] = result.distance
            found["undecided"][i] += (~np.asarray(result.decided)).sum()
            found["beyond"][i, test] = ((queries < points.min(0)) | (queries > points.max(0))).any(1)
            if i == 0:
                found["near"][test] = geometry.neighbours(queries, points, k=NEIGHBOURS).distance[:, [0, -1]]
                found["loss"][:, test] = losses(table, points, queries, train, test)
    return found


def losses(
    table: Table, points: Float[np.ndarray, "n d"], queries: Float[np.ndarray, "m d"], train: np.ndarray, test: np.ndarray
) -> Float[np.ndarray, "models m"]:
    """Squared error of class probabilities (Brier's score) or of the target, divided by the mean one of the training mean."""
    goal, truth = table.target[train], table.target[test]
    models: tuple[Any, ...] = RandomForestRegressor(TREES, random_state=0), Ridge()
    if goal.ndim == 2:
        models = RandomForestClassifier(TREES, random_state=0), LogisticRegression(max_iter=1000)
    labels = goal if goal.ndim == 1 else table.labels[train]
    fitted = [model.fit(points, labels) for model in models]
    predicted = [model.predict_proba(queries) if goal.ndim == 2 else model.predict(queries) for model in fitted]
    squares = [((each - truth) ** 2).reshape(len(truth), -1).sum(1) for each in (*predicted, goal.mean(0))]
    return np.stack(squares[:-1]) / squares[-1].mean()


def explain_rows(table: Table, seed: int, limit: int) -> dict[str, np.ndarray]:
    """The set of features that alone proves a row outside, for up to `limit` random rows, each in the first repetition.

    Returns:
        member (m, d): whether a feature is in the row's set; none if the row is inside. smallest (m,): whether no smaller set
        suffices, which is decided for sets of one or two.
    """
    chosen = runs.generator(seed, table.title, "explained").permutation(len(table.rows))[:limit]
    member, smallest = np.zeros(table.rows.shape, bool), np.zeros(len(table.rows), bool)
    for train, test in folds(table, seed, 0):
        domain = HullDomain(scale="std").fit(table.rows[train])
        for row in np.intersect1d(test, chosen):
            found = domain.explain(table.rows[row])
            member[row, [int(name) for name in found.proof]] = True
            smallest[row] = found.smallest
    return {"member": member[chosen], "smallest": smallest[chosen]}


def difference_by_rows(values: Float[np.ndarray, "r n"], chosen: Bool[np.ndarray, "r n"]) -> runs.Estimate:
    """Mean of the chosen values − mean of the others; the interval resamples the n rows with all their repetitions.

    n of the estimate is the smaller of the numbers of rows that are ever chosen and ever not chosen.
    """
    sums = np.stack([(values * chosen).sum(0), chosen.sum(0), (values * ~chosen).sum(0), (~chosen).sum(0)])
    few = int(min((sums[1] > 0).sum(), (sums[3] > 0).sum()))
    if not few:
        return runs.Estimate(np.nan, np.nan, np.nan, 0)

    def difference(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray, axis: int = -1) -> np.ndarray:
        return a.sum(axis) / b.sum(axis) - c.sum(axis) / d.sum(axis)

    value = float(difference(*sums))
    if few < 10:
        return runs.Estimate(value, np.nan, np.nan, few)
    settings: Any = {"paired": True, "n_resamples": 2000, "method": "percentile", "rng": np.random.default_rng(0)}
    low, high = stats.bootstrap(sums, difference, **settings).confidence_interval
    return runs.Estimate(value, float(low), float(high), few)


def share_of(outside: Bool[np.ndarray, "r n"]) -> runs.Estimate:
    """The share of a property, with an interval over repetitions and rows; over rows alone, exact, if all are equal."""
    share = runs.two_way_interval(outside)
    if 0 < share.value < 1:
        return share
    return runs.share_interval(int(share.value) * outside.shape[1], outside.shape[1])._replace(n=share.n)


def difference_from(outside: Bool[np.ndarray, "r n"], samples: Bool[np.ndarray, "r n"]) -> runs.Estimate:
    """Share of the rows − share of samples that each repetition draws again; Welch's interval over rows and repetitions."""
    ours, others = share_of(outside), share_of(samples)
    if 0 < outside.mean() < 1 or 0 < samples.mean() < 1:
        return runs.difference_interval(outside.mean(0), samples.mean(1), paired=False)
    return runs.Estimate(ours.value - others.value, ours.low - others.high, ours.high - others.low, ours.n)
