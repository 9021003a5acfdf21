"""The benchmark's own parts: its gap, its peers where they are installed, and a small run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from oracles import nnls_distance

import hullx
from experiments import peers

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
    truth, _ = nnls_distance(query, points)
    np.testing.assert_allclose(np.linalg.norm(query - weights @ points), truth, rtol=1e-6)


def test_a_small_run(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "experiments.bench_solvers", "--no-with-peers", "--queries", "20", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[1])
    assert done.returncode == 0, done.stderr
    folder = Path(done.stdout.splitlines()[-1])
    assert json.loads((folder / "summary.json").read_text())["ratios"]["digits"] == {"hullx.sweep": 1.0}
    assert "20 CONVERGED" in (folder / "tables" / "jobs.csv").read_text()
