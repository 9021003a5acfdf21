"""The experiment on few dimensions: where codes are, and what tells errors, against SciPy."""

from __future__ import annotations

import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from commands import started
from oracles import nnls_distance
from scipy.spatial import Delaunay, distance
from scipy.stats import mannwhitneyu

from experiments import autoencoder_codes, intrinsic
from hullx import runs
from hullx.data import load
from hullx.models import MLP, Autoencoder, representations
from hullx.runs import tables

pytestmark = [pytest.mark.experiment, pytest.mark.unoptimised]


@pytest.fixture(scope="module")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> runs.Results:
    # Codes of two numbers are drawn, but on some processors all images of a seed are inside, so others are judged.
    command = "--bottlenecks", 3, 5, 2, "--out", tmp_path_factory.mktemp("runs")
    return runs.Results(started(intrinsic.experiment.main, *command).folder)


@pytest.mark.parametrize("k", [3, 5])
def test_who_is_inside_is_what_a_triangulation_says(smoke: runs.Results, k: int) -> None:
    found, table = smoke.arrays(f"bottleneck {k}"), smoke.table("seeds")
    train, test = (found[name].astype(np.float64) for name in ("train", "test"))
    assert train.shape == (1437, k)
    inside, seed = Delaunay(train).find_simplex(test) >= 0, int(found["seed"])
    np.testing.assert_array_equal(found["outside"][seed], ~inside)
    row = (table["bottleneck"] == k) & (table["seed"] == seed)
    assert table[intrinsic.LOST][row] == table[intrinsic.LOST][table["bottleneck"] == k].min()
    np.testing.assert_allclose(table[intrinsic.INSIDE][row], inside.mean())
    for name, side in zip(intrinsic.RIGHT, (inside, ~inside), strict=True):
        np.testing.assert_allclose(table[name][row], (~found["wrong"][seed])[side].mean())
    np.testing.assert_allclose(found["nearest"][seed], distance.cdist(test, train).min(1), rtol=1e-12)
    assert (found["hull"][seed][inside] == 0).all()
    for i in np.flatnonzero(~inside)[:5]:
        np.testing.assert_allclose(found["hull"][seed, i], nnls_distance(test[i], train)[0], rtol=1e-5)


def test_scores_are_judged_as_scipy_would(smoke: runs.Results) -> None:
    table = smoke.table("seeds")
    for k in (3, 5):
        found = smoke.arrays(f"bottleneck {k}") | smoke.arrays("softmax")
        for name, key in zip(intrinsic.SCORES, ("nearest", "outside", "hull", "unsure"), strict=True):
            expected = []
            for wrong, score in zip(found["wrong"], found[key].astype(np.float64), strict=True):
                expected.append(mannwhitneyu(score[wrong], score[~wrong]).statistic / (wrong.sum() * (~wrong).sum()))
            np.testing.assert_allclose(table[name][table["bottleneck"] == k], expected, rtol=1e-12)


def test_what_it_leaves(smoke: runs.Results) -> None:
    assert smoke.total("undecided") == (0, 3 * 3 * 360)
    assert {path.name for path in (smoke.folder / "figures").glob("*.png")} == {"inside.png", "prediction.png", "codes.png"}
    assert {claim["verdict"] for claim in smoke.claims} == {runs.UNSETTLED}  # two networks
    assert [claim["networks"] for claim in smoke.claims[:10]] == [3] * 10
    assert [smoke.total("degenerate", group=f"bottleneck {k}") for k in (3, 5)] == [(0, 3)] * 2
    # Five numbers bring back more than three, and most of what there is.
    three, five = (smoke.estimate(intrinsic.LOST, group=f"bottleneck {k}").value for k in (3, 5))
    assert 0 < five < 0.12 < three < 0.4
    assert smoke.estimate("accuracy", group="networks").value > 0.93


@pytest.mark.parametrize("left", [0, 1])
def test_with_too_few_seeds_nothing_is_settled(smoke: runs.Results, tmp_path: Path, left: int) -> None:
    """Where no image is outside, or a network errs too rarely."""
    folder = tmp_path / "run"
    shutil.copytree(smoke.folder, folder)
    table = smoke.table("seeds")
    for name in intrinsic.SCORES:
        table[name] = np.where(table["seed"] < left, table[name], np.nan)
    (folder / "tables" / "seeds.csv").write_bytes(tables.from_columns(table))
    intrinsic.experiment.judge(folder)
    claims = runs.Results(folder).claims
    assert [claim["verdict"] for claim in claims] == [runs.UNSETTLED] * 15
    assert {claim["networks"] for claim in claims[2:5]} == {left}
    assert f"{3 - left} of 3 seeds err too rarely" in claims[2]["note"]


def test_degenerate_codes_do_not_count(smoke: runs.Results, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(smoke.folder, folder)
    table = smoke.table("seeds")
    table[intrinsic.LOST] = np.where(table["seed"] == 1, 0.6, table[intrinsic.LOST])
    (folder / "tables" / "seeds.csv").write_bytes(tables.from_columns(table))
    intrinsic.experiment.judge(folder)
    claims = runs.Results(folder).claims
    assert {claim["networks"] for claim in claims[:10] if "nearness" in claim["name"]} == {2}


def test_a_seed_counts_where_there_is_something_to_tell() -> None:
    wrong, outside, score = np.arange(20) < 6, np.arange(20) % 4 == 0, np.arange(20.0)
    assert intrinsic.auroc(wrong, outside, score) == 0
    for others in ((np.arange(20) < 4, outside), (wrong, np.zeros(20, bool)), (wrong, ~np.zeros(20, bool))):
        assert np.isnan(intrinsic.auroc(*others, score))
    assert np.isnan(intrinsic.auroc(np.ones(20, bool), outside, score))


def test_a_run_without_an_image_outside_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seven test images, and test codes that are training codes: all inside, no errors worth a number, all figures."""

    def inside(*args: object) -> autoencoder_codes.Codes:
        train = np.random.default_rng(0).standard_normal((2, 30, 2)).astype(np.float32)
        return autoencoder_codes.Codes(train, train[:, 3:10] / 2, np.full(2, 0.5))

    monkeypatch.setattr(intrinsic, "codes", inside)
    small = ("--data", "digits:30:7", "--seeds", 2, "--epochs", 1, "--bottlenecks", 2)
    results = runs.Results(started(intrinsic.experiment.main, *small, "--out", tmp_path).folder)
    assert [claim["verdict"] for claim in results.claims] == [runs.UNSETTLED] * 5
    assert len(list((results.folder / "figures").glob("*.png"))) == 3


def test_features_are_those_of_each_network() -> None:
    model, images = MLP(10, width=6), load("digits", test_size=12).test.images
    variables = jax.vmap(lambda key: model.init(key, jnp.asarray(images[:1])))(jax.random.split(jax.random.key(0), 2))
    values = autoencoder_codes.features(model, variables, images, "hidden_2")
    assert values.shape == (2, 12, 6)
    for seed in range(2):
        mine = jax.tree.map(lambda leaf: leaf[seed], variables)  # noqa: B023
        expected = representations(model, mine, jnp.asarray(images))["hidden_2"]
        np.testing.assert_allclose(values[seed], expected, rtol=1e-5, atol=1e-6)


def test_codes_do_not_depend_on_scale_and_fit_what_can_be_fitted(rng: np.random.Generator) -> None:
    """Features on a line in 6 dimensions, one of them constant: one number brings all of it back."""
    line = (rng.standard_normal((2, 300, 1)) * np.array([1.0, 2, -3, 4, 5, 0]) + 7).astype(np.float32)
    found = autoencoder_codes.codes(line[:, :200], line[:, 200:], 1, 500, 0)
    assert found.train.shape == (2, 200, 1)
    assert (found.lost < 0.01).all()
    again = autoencoder_codes.codes(8 * line[:, :200], 8 * line[:, 200:], 1, 500, 0)
    np.testing.assert_allclose(found.test, again.test, rtol=1e-3, atol=1e-3)


def test_an_autoencoder_decodes_what_it_encodes(rng: np.random.Generator) -> None:
    model, rows = Autoencoder(5, 2, activation="tanh"), rng.standard_normal((4, 5)).astype(np.float32)
    variables = model.init(jax.random.key(0), rows)
    coded = model.apply(variables, rows, method="encode")
    returned = model.apply(variables, coded, method="decode")
    np.testing.assert_array_equal(np.asarray(model.apply(variables, rows)), np.asarray(returned))
    assert sum(leaf.size for leaf in jax.tree.leaves(variables)) == 5 * 64 + 64 + 64 * 2 + 2 + 2 * 64 + 64 + 64 * 5 + 5
