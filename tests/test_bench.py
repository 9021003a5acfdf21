"""The benchmark's own parts: its gap, its peers where they are installed, and a small run."""

from __future__ import annotations

import json
from pathlib import Path

import jax
import numpy as np
import pytest
from oracles import nnls_distance
from rational import squared_distance

import hullx
from experiments import bench_solvers, peers
from experiments.command import main

RTOL = 1e-6


@pytest.fixture
def triangle(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return 2 + rng.normal(size=5), rng.normal(size=(30, 5))


def test_gap_is_zero_at_the_projection_and_large_elsewhere(triangle) -> None:
    query, points = triangle
    _, weights = nnls_distance(query, points)
    assert peers.gap(query, points, weights) < 1e-13
    assert peers.gap(query, points, np.ones(len(points))) > 0.1


@pytest.mark.usefixtures("x64")
def test_gap_agrees_with_the_certificate(triangle) -> None:
    query, points = triangle
    weights = np.eye(len(points))[7]
    upper = np.linalg.norm(query - points[7])
    gap = hullx.certificate.gap(query, points, weights)
    np.testing.assert_allclose(peers.gap(query, points, weights), min(float(gap) / upper**2, 1), rtol=1e-12)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning")
@pytest.mark.parametrize("name", peers.peers(RTOL))
def test_peers_find_the_projection(triangle, name: str) -> None:
    query, points = triangle
    if "qpsolvers" in name:
        qpsolvers = pytest.importorskip("qpsolvers", reason="pip install -e '.[bench]' brings the peers")
        if name.split()[0] not in qpsolvers.available_solvers:
            pytest.skip(f"{name} is not installed: pip install -e '.[bench]'")
    with jax.enable_x64(True):
        weights = peers.peers(RTOL)[name]()(query, points)
    truth = float(squared_distance(query, points)) ** 0.5
    np.testing.assert_allclose(np.linalg.norm(query - weights @ points), truth, rtol=1e-6)


@pytest.mark.slow
def test_a_small_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["--no-with-peers", "--queries", "20", "--out", str(tmp_path)]
    main(bench_solvers.__name__, bench_solvers.__doc__, bench_solvers.PRESETS, bench_solvers.run, command)
    folder = Path(capsys.readouterr().out.splitlines()[-1])
    assert json.loads((folder / "summary.json").read_text())["ratios"]["digits"] == {"hullx.sweep": 1.0}
    assert "20 CONVERGED" in (folder / "tables" / "jobs.csv").read_text()
