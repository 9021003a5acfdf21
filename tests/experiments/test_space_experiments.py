"""Experiments on spaces, as their users start them: what they leave is right where others can compute it."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
import pytest
from commands import Done, started
from oracles import nnls_distance
from scipy.optimize import linprog
from scipy.stats.contingency import odds_ratio

from experiments import dimension, layer_hulls
from hullx import runs
from hullx.data import load
from hullx.models import MLP
from hullx.spaces import Features, rows
from hullx.training import FitConfig, fit, load_variables

pytestmark = [pytest.mark.experiment, pytest.mark.unoptimised]

DIGITS = load("digits")


def start(experiment: str, *arguments: Any) -> Done:
    return started(importlib.import_module(f"experiments.{experiment}").experiment.main, *arguments)


def figures(results: runs.Results) -> set[str]:
    return {path.name for path in (results.folder / "figures").glob("*.png")}


def test_wavelet_hull(tmp_path: Path) -> None:
    """With all coefficients distances are those of pixels; with few, nearly a third of the images are inside."""
    results = runs.Results(start("wavelet_hull", "--wavelets", "haar", "db2", "--kept", 8, 32, "--out", tmp_path).folder)
    assert results.total("undecided") == (0, 7 * 360)
    verdicts = [claim["verdict"] for claim in results.claims]
    assert verdicts == [runs.HOLDS] * 4 + [runs.IN_PART] + [runs.HOLDS] * 4 + [runs.IN_PART]
    assert [claim["name"].startswith("check, ") for claim in results.claims] == [True, True, False, False, False] * 2
    relative = {row.group: row.value for row in results.select(quantity="÷ mean pairwise distance")}
    np.testing.assert_allclose([relative["haar, all 64"], relative["db2, all 64"]], relative["pixels"], rtol=1e-6)
    assert relative["haar, 8"] < relative["haar, 32"] < relative["pixels"]
    means = [results.estimate("distance", group=group).value for group in ("pixels", "haar, all 64", "db2, all 64")]
    np.testing.assert_allclose(means, means[0], rtol=1e-6)
    energy = [results.estimate("share of energy", group=group).value for group in ("haar, 8", "haar, 32", "haar, all 64")]
    assert energy == sorted(energy)
    np.testing.assert_allclose(energy[-1], 1, rtol=1e-6)
    assert figures(results) == {"coefficients.png", "digits-kept.png"}
    done = start("wavelet_hull", "--kept", 65, "--out", tmp_path)
    assert done.status == 2
    assert "k: got 65, expected at most 64, the number of coefficients" in done.errors.splitlines()[-1]


def inside(queries: np.ndarray, points: np.ndarray) -> np.ndarray:
    """By linear programming, which calls the boundary inside."""
    equations, nothing = np.vstack([points.T, np.ones(len(points))]), np.zeros(len(points))
    return np.array([linprog(nothing, A_eq=equations, b_eq=[*query, 1], method="highs").status == 0 for query in queries])


def test_dimension(tmp_path: Path) -> None:
    sizes = "--components", 4, "--sides", 2, 4, "--embeddings", 4
    results = runs.Results(start("dimension", *sizes, "--out", tmp_path).folder)
    assert results.total("undecided") == (0, 6 * 360)
    share = {row.group: row for row in results.select(quantity="share inside")}
    crop = [split.images[:, 3:5, 3:5].reshape(-1, 4) for split in (DIGITS.test, DIGITS.train)]
    assert share["centre crop, 4"].value == inside(*crop).mean()
    assert share["embedding of a CNN, 4"].n == 360
    assert results.claims[-1]["networks"] == 1
    assert 4 < results.estimate("local dimension by likelihood").value < 10
    groups = [claim["name"] for claim in results.claims]
    assert groups[:2] == ["centre crop, 4: inside", "centre crop, 16: outside"]
    assert figures(results) == {"share-inside.png"}


@pytest.mark.parametrize(
    ("inside", "verdict"),
    [(9401, runs.HOLDS), (9450, runs.HOLDS), (9700, runs.FAILS), (9550, runs.UNSETTLED)],
)
def test_odds_against_published_ones(inside: int, verdict: str) -> None:
    odds = dimension.odds_ratio(runs.share_interval(inside, 10_000), 0.9401, 10_000)
    np.testing.assert_allclose(odds.value, scipy_odds(inside, 9401), rtol=1e-3)
    assert runs.within(odds, 1 / dimension.FACTOR, dimension.FACTOR) == verdict
    # Nobody outside on either side says nothing about odds.
    none = dimension.odds_ratio(runs.share_interval(10_000, 10_000), 1.0, 10_000)
    assert runs.within(none, 1 / dimension.FACTOR, dimension.FACTOR) == runs.UNSETTLED


def scipy_odds(inside: int, other: int) -> float:
    return odds_ratio([[inside, 10_000 - inside], [other, 10_000 - other]], kind="sample").statistic


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> runs.Results:
    return runs.Results(
        start("feature_hull", "--data", "digits", "--seeds", 2, "--out", tmp_path_factory.mktemp("runs")).folder
    )


def test_feature_hull(features: runs.Results) -> None:
    """Outside in the last hidden layer; and what follows from linearity, follows."""
    assert [claim["verdict"] for claim in features.claims] == [runs.HOLDS] * 5
    assert features.total("undecided", group="mlp, trained, hidden_2 (64)") == (0, 360)
    assert features.total("undecided")[0] == 0
    assert features.estimate("share of pairs with a plane between").n == 2 * 45
    assert features.estimate("least gap of two hulls").value > 0
    names = [row.group for row in features.select(quantity="÷ two products")]
    assert [name.partition(", ")[2] for name in names] == [
        f"{state}, {layer}"
        for state in ("before training", "trained")
        for layer in ("hidden_1 (64)", "hidden_2 (64)", "logits (10)")
    ]
    shares = [row.value for row in features.select(group="mlp, trained, logits (10)", quantity="share outside") if row.seed]
    assert len(shares) == 2
    # Outside in both networks.
    assert features.estimate("share outside", group="mlp, trained, logits (10)", seed="").value <= min(shares)
    assert {claim["networks"] for claim in features.claims} == {2}
    assert figures(features) == {"layers.png", "borders.png"}


def test_feature_hull_of_a_checkpoint(features: runs.Results, tmp_path: Path) -> None:
    """A network that was trained elsewhere takes the place of training; of another model it is refused."""
    data, folder = layer_hulls.prepare(DIGITS), tmp_path / "network"
    model = MLP(10, depth=2, width=64)
    fit(jax.random.key(5), model, optax.adam(1e-3), data.train, FitConfig(epochs=1, checkpoint=folder, title=None))
    one = ("--data", "digits", "--seeds", 1, "--samples", 50, "--checkpoint", folder, "--out", tmp_path)
    results = runs.Results(start("feature_hull", *one).folder)
    trained, test = (rows(Features(model, load_variables(folder), "hidden_2"), split.images) for split in data[1:3])
    found = results.arrays("mlp borders")
    for i in (0, 100):
        np.testing.assert_allclose(found["hull"][i], nnls_distance(test[i], trained)[0], rtol=1e-5)
    for arguments, message in (
        ((*one, "--networks", "cnn"), "variables: got"),
        ((*one, "--seeds", 2), "--checkpoint holds one network"),
        (("--networks", "vgg", "--out", tmp_path), "--networks: 'vgg' is unknown: choose among mlp, lenet, cnn, resnet"),
    ):
        done = start("feature_hull", *arguments)
        assert done.status == 2
        assert message in done.errors.splitlines()[-1]
