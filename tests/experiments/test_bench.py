"""The benchmark's own parts: its gap, its peers where they are installed, and a small run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from commands import started
from oracles import nnls_distance
from rational import squared_distance

import hullx
from experiments import bench_attacks, bench_derivatives, bench_disk, bench_solvers, bench_training
from experiments.shared import baselines
from hullx import runs

pytestmark = pytest.mark.unoptimised(level=0)  # nearly all compilation

RTOL = 1e-6


@pytest.fixture
def triangle(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return 2 + rng.normal(size=5), rng.normal(size=(30, 5))


def test_gap_is_zero_at_the_projection_and_large_elsewhere(triangle) -> None:
    query, points = triangle
    _, weights = nnls_distance(query, points)
    assert baselines.gap(query, points, weights) < 1e-13
    assert baselines.gap(query, points, np.ones(len(points))) > 0.1


@pytest.mark.usefixtures("x64")
def test_gap_agrees_with_the_certificate(triangle) -> None:
    query, points = triangle
    weights = np.eye(len(points))[7]
    upper = np.linalg.norm(query - points[7])
    gap = hullx.certificate.gap(query, points, weights)
    np.testing.assert_allclose(baselines.gap(query, points, weights), min(float(gap) / upper**2, 1), rtol=1e-12)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning")
@pytest.mark.parametrize("name", baselines.solvers(RTOL))
@pytest.mark.parametrize("tight", [False, True])
def test_peers_find_the_projection(triangle, name: str, tight: bool) -> None:
    query, points = triangle
    with jax.enable_x64(True):
        try:
            solve = baselines.solvers(RTOL, tight=tight)[name]()
        except ImportError as error:
            pytest.skip(str(error))
        weights = solve(query, points)
    truth = float(squared_distance(query, points)) ** 0.5
    np.testing.assert_allclose(np.linalg.norm(query - weights @ points), truth, rtol=1e-6)


@pytest.mark.slow  # each job is a process
@pytest.mark.experiment
def test_a_small_run(tmp_path: Path) -> None:
    command = ("--solvers", "hullx.sweep", "scipy nnls", "--queries", 20, "--out", tmp_path)
    results = runs.Results(started(bench_solvers.experiment.main, *command).folder)
    assert results.estimate("÷ hullx.sweep", group="hullx.sweep").value == 1
    assert results.estimate("certified gap", group="scipy nnls").value < 1e-12
    assert results.table("jobs")["status"][0] == "20 CONVERGED"
    assert results.total("failed") == (0, 2)
    assert results.claims[1]["verdict"] == runs.HOLDS


@pytest.mark.experiment
def test_a_small_run_from_disk(tmp_path: Path) -> None:
    folder = started(bench_disk.experiment.main, "--points", 3000, "--queries", 9, "--out", tmp_path).folder
    found = {row.quantity: row.value for row in runs.Results(folder).rows}
    assert found["undecided"] == 0
    assert 0 <= found["largest relative gap"] < 1e-4
    assert found[bench_disk.RATIO] > 1
    assert not list(tmp_path.rglob("points.npy"))


@pytest.mark.slow
@pytest.mark.experiment
def test_training_benchmark(tmp_path: Path) -> None:
    small = ("--steps", "mlp 2×64, 8 × 8", "--members", 2, "--epochs", 1, "--seeds", 2, "--repeats", 2)
    results = runs.Results(started(bench_training.experiment.main, *small, "--out", tmp_path).folder)
    assert results.estimate("test accuracy").value >= 0.97
    ways = {"in turn", "members that share their batches", "members with batches of their own"}
    assert {row.group.removeprefix("2 MLPs, ") for row in results.select(quantity="times as fast")} == ways


@pytest.mark.slow
@pytest.mark.experiment
def test_derivatives_benchmark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_derivatives, "SECONDS", 0)
    small = ("--data", "digits:50:2", "--derivatives", *bench_derivatives.MEASURED, "--repeats", 1, "--out", tmp_path)
    results = runs.Results(started(bench_derivatives.experiment.main, *small).folder)
    assert all(row.value > 0 for row in results.rows)
    assert {claim["verdict"] for claim in results.claims} == {runs.UNSETTLED}  # one pair of calls settles nothing


@pytest.mark.slow
@pytest.mark.experiment
def test_attacks_benchmark(tmp_path: Path) -> None:
    pytest.importorskip("foolbox", reason="pip install -e '.[bench]' brings the peers")
    results = runs.Results(started(bench_attacks.experiment.main, "--models", "MLP", "--repeats", 1, "--out", tmp_path).folder)
    assert all(abs(row.value) <= 1 for row in results.select(quantity=bench_attacks.DIFFERENCE))
    assert all(0.1 < row.value < 0.9 for row in results.select(quantity=bench_attacks.HULLX))


def test_a_missing_foolbox_gets_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "foolbox", None)
    done = started(bench_attacks.experiment.main, "--out", tmp_path)
    assert done.status == 2
    assert done.errors.splitlines() == ["error: bench_attacks needs Foolbox: pip install -e '.[bench]'"]


@pytest.mark.parametrize(
    ("experiment", "flag", "known"),
    [
        (bench_training, "--steps", "mlp"),
        (bench_solvers, "--solvers", "scipy nnls"),
        (bench_derivatives, "--dtypes", "float64"),
        (bench_attacks, "--models", "MLP"),
    ],
)
def test_unknown_names_get_one_line(experiment: Any, flag: str, known: str, tmp_path: Path) -> None:
    done = started(experiment.experiment.main, flag, "mpl", "--out", tmp_path)
    assert done.status == 2
    (line,) = done.errors.splitlines()
    assert f"{flag}: 'mpl' is unknown: choose among" in line
    assert known in line


def test_archetypes_by_alternation_are_in_the_hull_and_better_than_a_guess(rng: np.random.Generator) -> None:
    points = rng.normal(size=(40, 3))
    found = baselines.alternation(points, points[:4], 5, lambda done: None)
    assert max(nnls_distance(archetype, points)[0] for archetype in found) < 1e-6
    left = [sum(nnls_distance(point, some)[0] ** 2 for point in points) for some in (found, points[:4])]
    assert left[0] < 0.7 * left[1]
