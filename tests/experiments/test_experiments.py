"""The experiments as their users start them: what they leave, that it is right, and that a kill changes nothing."""

from __future__ import annotations

import importlib
import os
from pathlib import Path

import numpy as np
import pytest
from commands import Done, hullx_runs, started
from oracles import nnls_distance

from experiments import pixel_hull
from hullx import runs
from hullx.data import load

pytestmark = pytest.mark.unoptimised


def start(experiment: str, *arguments: object) -> Done:
    """An experiment's command."""
    return started(importlib.import_module(f"experiments.{experiment}").experiment.main, *arguments)


@pytest.fixture(scope="module")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The main job."""
    done = start("pixel_hull", "--out", tmp_path_factory.mktemp("runs"))
    return done.folder, done.out


@pytest.mark.thorough
def test_the_main_job_says_what_is_known_of_the_digits(smoke: tuple[Path, str]) -> None:
    results = runs.Results(smoke[0])
    about = results.json("config.json")
    assert (about["module"], about["preset"], results.config["data"]) == ("experiments.pixel_hull", "smoke", ["digits"])
    # Every image and every Gaussian sample is outside, at a fifth of the mean pairwise distance.
    assert [claim["verdict"] for claim in results.claims] == [runs.HOLDS] * 3
    assert all(claim["undecided"] == 0 and claim["queries"] > 0 for claim in results.claims)
    assert 0.2 < results.estimate("÷ mean pairwise distance", group=pixel_hull.TEST).value < 0.24
    figures = {path.name for path in (smoke[0] / "figures").glob("*.png")}
    assert figures == {"digits-distances.png", "digits-projections.png", "digits-supports.png"}
    assert "0 of 360 queries" in smoke[1]
    assert not list(smoke[0].rglob("*.part"))


@pytest.mark.thorough
def test_its_tables_agree_with_nnls(smoke: tuple[Path, str]) -> None:
    results, data = runs.Results(smoke[0]), load("digits")
    table = results.table(f"digits {pixel_hull.TEST}") | results.table(f"digits {pixel_hull.NEAREST}")
    assert set(table["status"]) == {"CONVERGED"}
    assert ((table["distance"] - table["lower"]) <= 1e-6 * table["distance"]).all()
    np.testing.assert_array_equal(table["label"], data.test.labels)
    assert results.estimate("distance", group=pixel_hull.TEST).value == table["distance"].mean()
    for i in range(0, 360, 30):
        oracle, weights = nnls_distance(data.test.rows[i], data.train.rows)
        assert table["lower"][i] <= oracle * (1 + 1e-14)
        assert oracle <= table["distance"][i] * (1 + 1e-14)
        assert table["support_size"][i] == (weights > 0).sum()
        own = weights[data.train.labels == data.test.labels[i]].sum()
        np.testing.assert_allclose(table["own_class_weight"][i], own, atol=1e-9)
        nearest = np.linalg.norm(data.train.rows - data.test.rows[i], axis=1).min()
        np.testing.assert_allclose(table["nearest_image"][i], nearest, rtol=1e-6)


@pytest.mark.thorough
def test_its_verdicts_follow_from_the_numbers(smoke: tuple[Path, str], tmp_path: Path) -> None:
    text = (smoke[0] / "results.csv").read_text()
    (tmp_path / "config.json").write_text((smoke[0] / "config.json").read_text())
    test = ",".join(("digits", pixel_hull.TEST, ""))
    row = next(line for line in text.splitlines() if line.startswith(f"{test},share outside"))
    for share, expected in (
        ("1.0,0.99,1.0", runs.HOLDS),
        ("0.997,0.98,0.999", runs.IN_PART),
        ("0.4,0.35,0.45", runs.FAILS),
    ):
        (tmp_path / "results.csv").write_text(text.replace(row, f"{test},share outside,{share},360,share"))
        pixel_hull.experiment.judge(tmp_path)
        assert runs.Results(tmp_path).claims[0]["verdict"] == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--data", "mnst"), "unknown data set 'mnst'"),
        (("--data", "npz:/nowhere.npz"), "/nowhere.npz cannot be read"),
        (("--rtol", "1"), "rtol: got 1.0, expected 0 or more and less than 1"),
        (("--data", "digits:5000"), "digits's train split has 1,437 images"),
        (("--seed", "-3"), "seed: got -3, expected an integer"),
    ],
)
def test_what_cannot_be_measured_gets_one_line(arguments: tuple[str, ...], message: str, tmp_path: Path) -> None:
    done = start("pixel_hull", *arguments, "--out", tmp_path)
    assert done.status == 2
    assert message in done.errors
    assert len(done.errors.splitlines()) == 1


class Killed(BaseException):
    """No exception that anything catches."""


@pytest.mark.experiment
def test_killed_again_and_again_it_ends_with_the_same_results(
    smoke: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed while it writes its n-th file, for n that grows: sweeps, other cached values, tables and results."""
    kills, flush = 0, os.fsync
    while True:
        left = 5 + 20 * kills

        def count(file: int) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise Killed
            flush(file)

        monkeypatch.setattr("os.fsync", count)
        try:
            if not kills:
                start("pixel_hull", "--out", tmp_path)
            else:
                (folder,) = tmp_path.glob("*/*")
                hullx_runs("resume", folder)
        except Killed:
            kills += 1
        else:
            break
    assert kills >= 3
    (folder,) = tmp_path.glob("*/*")
    for name in ("results.csv", "claims.json"):
        assert (folder / name).read_bytes() == (smoke[0] / name).read_bytes()
    for kind in ("tables", "arrays", "figures"):
        files = {path.name: path.read_bytes() for path in (folder / kind).iterdir()}
        assert files == {path.name: path.read_bytes() for path in (smoke[0] / kind).iterdir()}


@pytest.mark.slow
@pytest.mark.experiment
def test_memorization(tmp_path: Path) -> None:
    """Labels leave the hull as it is, pixels do not; a condition is the same whatever other conditions there are."""
    conditions = ("true labels", "random labels", "shuffled pixels")
    small = ("--epochs", 3, "--seeds", 2, "--projected", 30, "--data", "digits")
    results = runs.Results(start("memorization", *small, "--conditions", *conditions, "--out", tmp_path).folder)
    distances, data = results.arrays("distances"), load("digits")
    true, moved = (distances[f"{name}-test-images-as-they-are"] for name in ("unchanged-pixels", "shuffled-pixels"))
    for i in (0, 17):
        np.testing.assert_allclose(true[i], nnls_distance(data.test.rows[i], data.train.rows)[0], rtol=1e-5)
    # Labels cannot move the hull, so it is measured once for all conditions on labels.
    assert len(distances) == 3
    # One permutation of all pixels moves test and training images alike.
    np.testing.assert_allclose(distances["shuffled-pixels-test-images-corrupted-alike"], true, rtol=1e-5)
    assert (moved > true).all()
    assert [claim["verdict"] for claim in results.claims] == [runs.FAILS]
    assert results.estimate("least training accuracy", group="mlp 1×512, true labels").value > 0.9
    assert results.estimate("training accuracy", group="mlp 1×512, random labels").value < 0.5
    assert len((results.folder / "metrics.jsonl").read_text().splitlines()) == 9
    assert {path.name for path in (results.folder / "figures").glob("*.png")} == {"curves.png", "distances.png"}
    alone = runs.Results(start("memorization", *small, "--conditions", "random labels", "--out", tmp_path).folder)
    wanted = [row for row in results.rows if row.group.endswith("random labels") or row.group.startswith("unchanged")]
    np.testing.assert_equal(alone.rows, wanted)


@pytest.mark.slow  # mostly compilation
@pytest.mark.experiment
def test_archetypes(tmp_path: Path) -> None:
    """Gradient descent through distances explains what SciPy's alternation explains, within a percent."""
    small = ("--data", "digits:200", "--k", 4, "--starts", 1, "--steps", 100, "--rounds", 10)
    results = runs.Results(start("archetypes", *small, "--out", tmp_path).folder)
    share = {row.group: row.value for row in results.select(quantity="best share")}
    assert abs(share["gradient"] - share["alternation"]) < 0.01
    assert 0.2 < share["k-means"] < share["gradient"] < share["NMF"] < 0.6
    # The archetypes are in the data's hull, and their hull is as near as claimed.
    rows = load("digits", train_size=200).train.rows
    found = results.arrays("digits, 200 training images images")["gradient"].reshape(4, -1)
    assert all(nnls_distance(archetype, rows)[0] < 1e-4 for archetype in found)
    squares = sum(nnls_distance(row, found)[0] ** 2 for row in rows)
    np.testing.assert_allclose(1 - squares / ((rows - rows.mean(0)) ** 2).sum(), share["gradient"], rtol=1e-5)
    assert results.total("undecided") == (0, 400)
    assert len(list((results.folder / "figures").glob("*.png"))) == 2


@pytest.mark.slow  # nearly all of it compilation
@pytest.mark.experiment
def test_hull_penalty(tmp_path: Path) -> None:
    results = runs.Results(start("hull_penalty", "--networks", 2, "--steps", 100, "--out", tmp_path).folder)
    near, far = (results.estimate("distance of test features", group=f"{which} penalty").value for which in ("with", "without"))
    assert near < 0.8 * far
    assert results.total("undecided") == (0, 4 * 360)
    # Two pairs settle nothing.
    assert results.claims[1]["verdict"] == runs.UNSETTLED


@pytest.mark.experiment
def test_polynomial(tmp_path: Path) -> None:
    """In the plane a fit of the true degree is right outside more often than any other, and the data say so."""
    results = runs.Results(start("polynomial", "--boundaries", 6, "--queries", 300, "--out", tmp_path).folder)
    assert results.total("undecided") == (0, 2 * 6 * 300)
    found, degrees = results.arrays("plane"), results.config["degrees"]
    assert {name: found[name].shape for name in ("outside", "by distance")} == {
        "outside": (6, len(degrees), 6),
        "by distance": (6, len(degrees), 6, 8),
    }
    assert found["outside"][0].mean(-1).argmin() == degrees.index(3)
    # With as many functions as points and more, the norms are limits that fit each point.
    assert (found["training"][:3, degrees.index(10) :] == 0).all()
    # Descent from 0 comes to the minimum norm where that is well determined.
    np.testing.assert_array_equal(found["inside"][0, :4], found["inside"][4, :4])
    table = results.table("errors")
    first = (table["regime"] == "ridge") & (table["functions"] == 10) & (table["space"] == "plane, 60 points")
    np.testing.assert_allclose(table["outside"][first], found["outside"][3, degrees.index(3)].mean())
    assert {path.name for path in (results.folder / "figures").glob("*.png")} == {"by-degree.png", "by-distance.png"}
    verdicts = [claim["verdict"] for claim in results.claims]
    assert len(verdicts) == 8
    assert len({claim["measured"] for claim in results.claims}) == 8  # one number for each claim


@pytest.mark.parametrize(
    ("experiment", "flag", "known"),
    [("memorization", "--models", "mlp 1×512"), ("memorization", "--conditions", "gaussian")],
)
def test_unknown_names_get_one_line(experiment: str, flag: str, known: str, tmp_path: Path) -> None:
    done = start(experiment, flag, "mpl", "--out", tmp_path)
    assert done.status == 2
    (line,) = done.errors.splitlines()
    assert f"{flag}: 'mpl' is unknown: choose among" in line
    assert known in line
