"""Experiments on minimizers: what their smoke presets leave, and that it fits together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from test_experiments import start

from hullx import runs
from hullx.data import load

pytestmark = [pytest.mark.experiment, pytest.mark.unoptimised]


def figures(results: runs.Results) -> set[str]:
    return {path.stem for path in (results.folder / "figures").glob("*.png")}


FAMILIES = "--families", "Adam", "initial weights × 3", "poisoned, half as many"


def test_minimizers(tmp_path: Path) -> None:
    results = runs.Results(start("minimizers", *FAMILIES, "--out", tmp_path).folder)
    families = results.config["families"]
    assert results.total("failed") == (0, 3 * len(families))
    assert results.estimate("share certified inside").value == 1
    assert figures(results) == {"along-legs", "kinks"}
    # Where a leg passes the test image, and the surface, networks say what they say at those places.
    legs, places = results.arrays("legs")["agreement"], results.arrays("places")
    for coordinate, place in ((1.0, "test images"), (0.0, "projections of test images"), (4.0, "4 × as far")):
        along = legs[:, 0, _coordinates(results).index(coordinate)]
        np.testing.assert_allclose(along, places["agreement"][:, list(places["names"]).index(place)], atol=0.35)
        np.testing.assert_allclose(along.mean(), places["agreement"][:, list(places["names"]).index(place)].mean(), atol=0.01)
    accuracy = {row.group: row.value for row in results.select(quantity="test accuracy")}
    assert accuracy["poisoned, half as many"] < accuracy["initial weights × 3"] < accuracy["Adam"]
    assert len(results.claims) == 5
    evidence = [(claim["networks"], claim["images"], claim["seeds"]) for claim in results.claims]
    assert evidence == [(6, 300, 3)] + [(9, 60, 3)] * 4


def _coordinates(results: runs.Results) -> list[float]:
    table = results.table("legs")
    return table["distance"][table["family"] == "Adam"].tolist()


def test_predictors(tmp_path: Path) -> None:
    results = runs.Results(start("predictors", *FAMILIES, "--out", tmp_path).folder)
    table = results.table("minimizers")
    assert len(table["family"]) == 9
    shares = [name for name in table if "disagreement" in name or "outside" in name or name == "on the surface"]
    assert len(shares) == 5
    for name in ("test error", *shares):
        assert ((table[name] >= 0) & (table[name] <= 1)).all()
    assert all(np.isfinite(values).all() for name, values in table.items() if name != "family")
    # An error among 300 test images is one of 300.
    counts = table["test error"] * 300
    np.testing.assert_allclose(counts, counts.round(), atol=1e-6)
    assert figures(results) == {"errors", "predictors"}
    assert len(results.claims) == 7


def test_overparameterization(tmp_path: Path) -> None:
    """The test error of random features peaks where there are as many as images, and is five times the least beyond."""
    sizes = "--features", 0.3, 0.6, 0.9, 1.0, 1.1, 2.0, 5.0, "--seeds", 4
    results = runs.Results(start("overparameterization", *sizes, "--out", tmp_path).folder)
    found = results.arrays("random features, minimum norm")
    squared, norm = found["numbers"][:, 2], found["numbers"][:, 3]
    peak = squared.argmax(0)
    assert ((found["size"][peak] >= 0.9) & (found["size"][peak] <= 1.1)).all()
    assert (squared.max(0) >= 5 * squared[-1]).all()
    assert (norm[-1] < norm.max(0)).all()
    assert (found["numbers"][found["size"] >= 1, 0] == 0).all()
    assert results.total("failed") == (0, 4 * 11)
    # Disagreement of models with others of their size averages to the disagreement of pairs.
    np.testing.assert_allclose(found["disagreement"].mean(-1), 1 - found["agreement"].mean(-1), atol=1e-12)
    assert figures(results) == {"agreement", "sizes"}


def test_regime(tmp_path: Path) -> None:
    results = runs.Results(start("regime", "--factors", "augmentation", "learning rate", "--out", tmp_path).folder)
    table = results.table("regimes")
    assert len(table["batch"]) == 4
    assert set(zip(table["augmentation"], table["learning rate"], strict=True)) == {(0, 0), (0, 1), (1, 0), (1, 1)}
    # Shifts and other images only add points: the hull comes nearer to each image.
    distances = results.arrays("distances")
    for more in ("shifted", "real"):
        assert (distances[more] <= distances["plain"] * (1 + 1e-6)).all()
    sizes = {row.group: row.value for row in results.select(quantity="images that span the hull")}
    assert 300 < sizes.pop("as many real images") <= 2700
    assert sizes == {"training images": 300, "training images and their shifts": 2700}
    # Mediation: errors at test images are shares of networks, and the nearest of all shifts is at most as far.
    images = results.arrays("test images")
    np.testing.assert_allclose(images["wrong"] * 3, (images["wrong"] * 3).round(), atol=1e-9)
    assert (images["nearest"][:, 1] <= images["nearest"][:, 0]).all()
    assert (images["nearest"] >= np.stack([distances["plain"], distances["shifted"]], 1) * (1 - 1e-6)).all()
    assert len(results.claims) == 13
    assert figures(results) == {"effects", "mediation"}


def test_boundaries(tmp_path: Path) -> None:
    results = runs.Results(start("boundaries", "--widths", 2, 8, 128, "--out", tmp_path).folder)
    sets, plane = results.arrays("sets"), results.arrays("plane")
    assert sets["fitted"].shape == (3, 3, 4)
    # Of the first set, what is drawn is what is counted.
    outside = plane["distance"] > 0
    for i in range(3):
        np.testing.assert_allclose(sets["agreement"][0, i, 0], plane["shares"][i][~outside].mean())
    assert sets["fitted"][:, -1].all()
    image = results.arrays(next(path.stem for path in (results.folder / "arrays").glob("image-*")))
    # The projection is on the surface, the test image as far as `distance` says, the training image inside.
    data = load("digits")
    assert image["label"] in data.test.labels
    assert image["distance"].min() >= 0
    assert figures(results) == {"plane", "images"}


def test_guessing(tmp_path: Path) -> None:
    effort = "--wanted", 2, "--budget", 1024, "--members", 8, "--steps", 50
    results = runs.Results(start("guessing", *effort, "--out", tmp_path).folder)
    table = results.table("models")
    guessed = table["way"] == "guessed"
    assert guessed.any()
    assert (~guessed).any()
    # In each range of the loss there are at most as many guesses as were asked for, and within its ends.
    edges = np.array([0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65])
    for n in results.config["images"]:
        mine = guessed & (table["images"] == n)
        assert np.histogram(table["loss"][mine], edges)[0].max() <= results.config["wanted"]
        assert ((table["loss"][mine] > 0.3) & (table["loss"][mine] <= 0.65)).all()
    assert table["accuracy"].min() >= 0
    assert figures(results) == {"accuracy", "differences"}


def test_no_minimizer_in_the_budget_gets_one_line(tmp_path: Path) -> None:
    """The failed are counted, and what there is stays."""
    done = start("minimizers", "--epochs", 1, "--families", "Adam", "--out", tmp_path)
    assert done.status == 2
    assert "no family has two networks without a training error: raise --epochs" in done.errors
    (folder,) = tmp_path.glob("minimizers/*")
    assert runs.Results(folder).total("failed") == (3, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--points", 1438), "got 1,438 and 60 of 1,437 training and 360 test images"),
        (("--queries", 360), "got 300 and 360 of 1,437 training and 360 test images"),
        (("--points", 1000, "--families", "poisoned, half as many"), "needs 500 more images, but only 437 remain"),
    ],
)
def test_sizes_beyond_the_data_get_one_line(arguments: tuple[object, ...], message: str, tmp_path: Path) -> None:
    done = start("minimizers", *arguments, "--out", tmp_path)
    assert done.status == 2
    assert message in done.errors.splitlines()[-1]


@pytest.mark.parametrize(
    ("experiment", "flag", "known"),
    [("minimizers", "--families", "poisoned start"), ("regime", "--factors", "weight decay")],
)
def test_unknown_names_get_one_line(experiment: str, flag: str, known: str, tmp_path: Path) -> None:
    done = start(experiment, flag, "mpl", "--out", tmp_path)
    assert done.status == 2
    (line,) = done.errors.splitlines()
    assert known in line
