"""The snippets of the README and of the guides run, and do what the text says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from hullx import Status
from hullx.runs import Results

pytestmark = pytest.mark.unoptimised

ROOT = Path(__file__).parents[1]


def executed(page: str, count: int) -> dict:
    """The names after the Python blocks of a page, checked to be `count`."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    assert len(blocks) == count
    names: dict = {}
    for block in blocks:
        exec(block, names)
    return names


def test_readme() -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    names: dict = {}
    exec(blocks[0], names)
    result = names["result"]
    assert int(result.status) == Status.CONVERGED
    # What the comment says, but for the last digit.
    np.testing.assert_allclose([result.distance, result.lower], [1.0000001, 0.99999994], rtol=2e-7)
    assert 0 <= float(result.distance - result.lower) < 2e-7
    for block in blocks[1:]:
        exec(block, names)
    assert names["result"].outside.shape == (360,)


def test_links_lead_somewhere() -> None:
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "experiments").rglob("*.md"))]
    links = [(page, link) for page in pages for link in re.findall(r"\]\(([^)#\s]+)", page.read_text())]
    assert len(links) > 10
    missing = [str(link) for page, link in links if "://" not in link and not (page.parent / link).exists()]
    assert not missing, missing


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().split()) <= 900


@pytest.mark.thorough
def test_derivatives() -> None:
    names = executed("docs/derivatives.md", 4)
    np.testing.assert_allclose(names["in_query"], [1, 0], atol=1e-6)
    np.testing.assert_allclose(names["in_points"].sum(0), [-1, 0], atol=1e-6)
    np.testing.assert_allclose(names["same"], names["slopes"], atol=1e-6)
    np.testing.assert_allclose(names["distances"][:2], [1, 1], rtol=1e-5)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(names["parameters"]))


def test_tables() -> None:
    names = executed("docs/tables.md", 1)
    assert list(names["model"].predict(names["row"])) == [-1]
    assert names["why"].proof == ("height",)
    assert names["why"].smallest


def test_a_solver_of_your_own() -> None:
    names = executed("docs/solvers.md", 1)
    own, default = names["found"], names["hullx"].project(names["around"], names["cloud"])
    assert own.decided.all()
    np.testing.assert_allclose(own.distance, default.distance, rtol=2e-6, atol=1e-5)


def test_a_sweep_over_a_mesh() -> None:
    assert executed("docs/scale.md", 1)["result"].decided.all()


def test_a_certificate_checked_by_hand() -> None:
    assert executed("docs/guarantees.md", 1)["found"].decided.all()


def test_units() -> None:
    names = executed("docs/units.md", 1)
    assert abs(names["scaled"].direction[0]).argmax() == 0  # the age


@pytest.mark.thorough
def test_an_experiment_of_your_own(tmp_path: Path) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/experiment.md").read_text(), re.DOTALL)
    script = tmp_path / "nearer.py"
    script.write_text(block)
    command = (sys.executable, script, "--seeds", "12", "--out", tmp_path / "runs")
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    results = Results(Path(done.stdout.splitlines()[-1]))
    (claim,) = results.claims
    assert (claim["verdict"], claim["sets"]) == ("holds", 12)


def test_a_space_of_your_own() -> None:
    names = executed("docs/extending.md", 1)
    assert names["found"].decided.all()
    assert np.isfinite(names["slope"]).all()


@pytest.mark.slow
def test_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a checkpoint is written
    names = executed("docs/training.md", 1)
    assert names["many"].history.test_accuracy.shape == (20, 8)
    assert names["fitted"].history.train_accuracy[-1] == 1
    assert (tmp_path / "runs" / "noise").is_dir()


@pytest.mark.slow
def test_spaces() -> None:
    slope = executed("docs/spaces.md", 2)["slope"]
    assert slope.shape == (8, 8, 1)
    assert np.isfinite(slope).all()


@pytest.mark.slow
def test_attacks() -> None:
    names = executed("docs/attacks.md", 3)
    assert names["found"].success.all()
    assert names["flips"].verified.all()
    assert float(names["attacked"].distance.max()) <= 0.1 + 1e-6
