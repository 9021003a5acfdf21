"""The main job as a user starts it, its run folder, and what a wrong command line gets."""

from __future__ import annotations

import errno
import importlib
import io
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from oracles import nnls_distance

from experiments import pixel_hull
from experiments.command import main
from hullx.data import load
from hullx.runs import folder as record
from hullx.runs import plotting

pytestmark = pytest.mark.unoptimised


class Done(NamedTuple):
    """What a command did."""

    status: int
    out: str
    errors: str

    @property
    def folder(self) -> Path:
        assert self.status == 0, self.errors
        return Path(self.out.splitlines()[-1])


def start(experiment: str, *arguments: str, run: Callable | None = None) -> Done:
    """An experiment's command, in this process; perhaps with something else in place of what it measures."""
    module = importlib.import_module(f"experiments.{experiment}")
    out, errors, status = io.StringIO(), io.StringIO(), 0
    with redirect_stdout(out), redirect_stderr(errors):
        try:
            main(module.__name__, module.__doc__, module.PRESETS, run or module.run, arguments)
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else 0
    return Done(status, out.getvalue(), errors.getvalue())


@pytest.fixture(scope="module")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The main job, as its user starts it."""
    command = (sys.executable, "-m", "experiments.pixel_hull", "--out", str(tmp_path_factory.mktemp("runs")))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.splitlines()[-1]), done.stdout


def test_run_folder_is_complete(smoke: tuple[Path, str]) -> None:
    folder, printed = smoke
    config, provenance, summary = (
        record.read_json(folder, name) for name in ("config.json", "provenance.json", "summary.json")
    )
    assert (config["module"], config["preset"], config["dataset"]) == ("experiments.pixel_hull", "smoke", ["digits"])
    assert provenance["seconds"] > 0
    assert provenance["versions"]["jax"]
    # Known of the digits: every image and every Gaussian sample is outside, at a fifth of the mean distance of two images.
    assert [entry["verdict"] for entry in summary["claims"].values()] == [record.HOLDS] * 4
    figures = {path.name for path in (folder / "figures").iterdir()}
    assert figures == {"digits-distances.png", "digits-projections.png", "digits-supports.png"}
    assert "360 of 360" in printed
    assert not list(folder.rglob("*.part"))


def test_verdicts_follow_from_the_numbers(smoke: tuple[Path, str]) -> None:
    measured = record.read_json(smoke[0], "summary.json")["results"]["digits"]
    test = measured[pixel_hull.TEST]
    for outside, far, expected in (
        (360, 0.2, [record.HOLDS, record.HOLDS]),
        (359, 0.2, [record.IN_PART, record.HOLDS]),
        (180, 0.09, [record.FAILS, record.FAILS]),
    ):
        changed = measured | {pixel_hull.TEST: test | {"outside": outside, "median_over_pairwise": far}}
        assert [entry["verdict"] for entry in pixel_hull.judge(changed).values()][:2] == expected


def test_table_agrees_with_nnls(smoke: tuple[Path, str]) -> None:
    table = record.read_table(smoke[0], "digits test images")
    data = load("digits")
    assert set(table["status"]) == {"CONVERGED"}
    assert ((table["distance"] - table["lower"]) <= 1e-6 * table["distance"]).all()
    np.testing.assert_array_equal(table["label"], data.test.labels)
    for i in range(0, 360, 30):
        oracle, weights = nnls_distance(data.test.rows[i], data.train.rows)
        assert table["lower"][i] <= oracle * (1 + 1e-14)
        assert oracle <= table["distance"][i] * (1 + 1e-14)
        assert table["support_size"][i] == (weights > 0).sum()
        own = weights[data.train.labels == data.test.labels[i]].sum()
        np.testing.assert_allclose(table["own_class_weight"][i], own, atol=1e-9)
        nearest = np.linalg.norm(data.train.rows - data.test.rows[i], axis=1).min()
        np.testing.assert_allclose(table["nearest_image"][i], nearest, rtol=1e-6)


def test_figures_are_redrawn_from_files(
    smoke: tuple[Path, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = smoke[0]
    before = {path.name: path.read_bytes() for path in (folder / "figures").iterdir()}
    for path in (folder / "figures").iterdir():
        path.unlink()
    monkeypatch.setattr(sys, "argv", ["plotting", str(folder)])
    plotting.main()
    assert capsys.readouterr().out.splitlines() == sorted(str(folder / "figures" / name) for name in before)
    assert {path.name: path.read_bytes() for path in (folder / "figures").iterdir()} == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("smok",), "unknown preset 'smok': choose one of smoke, cpu, paper"),
        (("--rtoll", "1"), "unknown argument '--rtoll'"),
        (("--dataset", "mnst"), "unknown data set 'mnst'"),
        (("--dataset", "npz:/nowhere.npz"), "/nowhere.npz cannot be read"),
        (("--out", "/proc/nowhere"), "cannot be written (No such file or directory): make room or choose another folder"),
        (("--rtol", "1"), "rtol: got 1.0, expected 0 or more and less than 1"),
        (("--train-size", "-3"), "train_size: got -3, expected a whole number"),
        (("--out",), "--out needs a folder"),
        (("--train-size", "5000"), "digits's train split has 1,437 images"),
    ],
)
def test_wrong_command_line_gets_one_line(arguments: tuple[str, ...], message: str, tmp_path: Path) -> None:
    out = () if "--out" in arguments else ("--out", str(tmp_path))
    done = start("pixel_hull", *arguments, *out)
    assert done.status == 2
    assert message in done.errors
    assert len(done.errors.splitlines()) == 1


def test_help_lists_every_field() -> None:
    done = start("pixel_hull", "--help")
    assert done.status == 0
    for word in ("--dataset", "--train-size", "--rtol", "--seed", "--out", "outside the convex hull"):
        assert word in done.out


def test_an_interrupt_and_a_full_disk_end_with_what_is_finished(tmp_path: Path) -> None:
    def interrupted(config, run: record.Run) -> None:
        run.table("finished", {"number": [1]})
        signal.raise_signal(signal.SIGINT)

    # A shell starts what it puts in the background deaf to it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        done = start("pixel_hull", "--out", str(tmp_path), run=interrupted)
    finally:
        signal.signal(signal.SIGINT, before)
    assert done.status == 130
    assert "interrupted; what was finished is in" in done.errors
    assert (Path(done.errors.splitlines()[-1]) / "tables" / "finished.csv").exists()

    def full(data, *arguments: object, **settings: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def drawn(config, run: record.Run) -> None:
        with plotting.figure(run.folder, "first", size=(1, 1)):
            pass
        with pytest.MonkeyPatch.context() as patch, plotting.figure(run.folder, "second", size=(1, 1)):
            patch.setattr("os.fsync", full)

    done = start("pixel_hull", "--out", str(tmp_path), run=drawn)
    assert done.status == 2
    (line,) = done.errors.splitlines()
    assert "second.png cannot be written (No space left on device): make room" in line
    assert [path.name for path in tmp_path.rglob("figures/*")] == ["first.png"]


@pytest.mark.slow  # a minute, nearly all of it compilation
def test_archetypes(tmp_path: Path) -> None:
    """Gradient descent through distances explains what SciPy's alternation explains, within a percent."""
    small = (
        "--dataset",
        "digits:400",
        "--k",
        "4",
        "--starts",
        "1",
        "--steps",
        "100",
        "--rounds",
        "10",
        "--networks",
        "1",
        "--training-steps",
        "40",
    )
    folder = start("archetypes", *small, "--out", str(tmp_path)).folder
    summary = record.read_json(folder, "summary.json")
    shares = {method: max(values) for method, values in summary["archetypes"]["digits, 400 images"].items()}
    assert abs(shares["gradient through distances"] - shares["classical alternation"]) < 0.01
    assert 0.2 < shares["gradient through distances"] < 0.6
    # The archetypes are in the data's hull, and their hull is as near as claimed.
    rows = load("digits", train_size=400).train.rows
    found = record.read_arrays(folder, "digits, 400 images images")["gradient-through-distances"].reshape(4, -1)
    assert all(nnls_distance(archetype, rows)[0] < 1e-4 for archetype in found)
    squares = sum(nnls_distance(row, found)[0] ** 2 for row in rows)
    total = ((rows - rows.mean(0)) ** 2).sum()
    np.testing.assert_allclose(1 - squares / total, shares["gradient through distances"], rtol=1e-5)
    assert summary["penalty"]["with"]["undecided"] == [0]
    assert len(list((folder / "figures").iterdir())) == 2


def test_tables_are_written_whole(tmp_path: Path) -> None:
    run = record.start("experiments.none", "smoke", _Config(), tmp_path)
    run.table("a table", {"number": [1.5, 2.5], "word": ["x", "y, z"]})
    table = record.read_table(run.folder, "a table")
    np.testing.assert_array_equal(table["number"], [1.5, 2.5])
    assert table["word"].tolist() == ["x", "y, z"]
    run.metric(step=3, loss=np.float32(0.5))
    line = json.loads((run.folder / "metrics.jsonl").read_text())
    assert (line["step"], line["loss"]) == (3, 0.5)
    again = record.start("experiments.none", "smoke", _Config(), tmp_path)
    assert again.folder != run.folder


@record.dataclasses.dataclass(frozen=True)
class _Config:
    size: int = 1


@pytest.mark.slow
def test_memorization(tmp_path: Path) -> None:
    """Labels leave the hull as it is, pixels do not; the tables agree with the figures' files."""
    conditions = ("true labels", "random labels", "shuffled pixels")
    small = ("--models", "mlp 1×512", "--epochs", "3", "--seeds", "2", "--test-size", "30", "--conditions", *conditions)
    folder = start("memorization", *small, "--out", str(tmp_path)).folder
    distances = record.read_arrays(folder, "distances")
    data = load("digits")
    for i in (0, 17):
        truth = nnls_distance(data.test.rows[i], data.train.rows)[0]
        np.testing.assert_allclose(distances["true-labels-test-images-as-they-are"][i], truth, rtol=1e-5)
    np.testing.assert_array_equal(
        distances["true-labels-test-images-as-they-are"], distances["random-labels-test-images-as-they-are"]
    )
    # One permutation of all pixels moves test and training images alike.
    np.testing.assert_allclose(
        distances["shuffled-pixels-test-images-corrupted-alike"], distances["true-labels-test-images-as-they-are"], rtol=1e-5
    )
    assert (distances["shuffled-pixels-test-images-as-they-are"] > distances["true-labels-test-images-as-they-are"]).all()
    networks = record.read_table(folder, "networks")
    assert networks["condition"].tolist() == [condition for condition in conditions for _ in range(2)]
    assert networks["train"][networks["condition"] == "true labels"].min() > 0.9
    assert networks["train"][networks["condition"] == "random labels"].max() < 0.5
    assert len((folder / "metrics.jsonl").read_text().splitlines()) == 6
    assert {path.name for path in (folder / "figures").iterdir()} == {"curves.png", "distances.png"}


@pytest.mark.parametrize(
    ("experiment", "flag", "known"),
    [
        ("memorization", "--models", "mlp 1×512"),
        ("memorization", "--conditions", "gaussian"),
        ("bench_training", "--steps", "mlp"),
    ],
)
def test_unknown_names_get_one_line(experiment: str, flag: str, known: str, tmp_path: Path) -> None:
    done = start(experiment, flag, "mpl", "--out", str(tmp_path))
    assert done.status == 2
    (line,) = done.errors.splitlines()
    assert f"{flag}: 'mpl' is unknown: choose among" in line
    assert known in line


@pytest.mark.slow
def test_training_benchmark(tmp_path: Path) -> None:
    small = ("--steps", "mlp 2×64, 8 × 8", "--members", "2", "--epochs", "1", "--seeds", "1", "--repeats", "1")
    summary = record.read_json(start("bench_training", *small, "--out", str(tmp_path)).folder, "summary.json")
    assert summary["learned"]["digits, MLP 2×256, 40 epochs"][0] >= 0.97
    assert set(summary["ensemble"]) == {"in turn", "members that share their batches", "members with batches of their own"}


@pytest.mark.slow
def test_derivatives_benchmark(tmp_path: Path) -> None:
    folder = start("bench_derivatives", "--problems", "digits:50:2", "--repeats", "1", "--out", str(tmp_path)).folder
    table = record.read_table(folder, "ratios")
    assert len(table["median"]) == 4
    assert (table["median"] > 0).all()
