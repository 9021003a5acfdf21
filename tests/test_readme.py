"""The README's snippets run, and do what is said of them."""

from __future__ import annotations

import re
from pathlib import Path

import jax
import numpy as np
import pytest

from hullx import Status

pytestmark = pytest.mark.unoptimised

README = Path(__file__).parents[1] / "README.md"


def snippets(heading: str) -> list[str]:
    """The Python blocks of a section, its subsections included."""
    section = README.read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"```python\n(.*?)```", section, re.DOTALL)


def test_differentiating_through_the_hull() -> None:
    names: dict = {}
    blocks = snippets("Differentiating through the hull")
    assert len(blocks) == 5
    for block in blocks:
        exec(block, names)
    np.testing.assert_allclose(names["in_query"], [1, 0], atol=1e-6)
    np.testing.assert_allclose(names["in_points"].sum(0), [-1, 0], atol=1e-6)
    np.testing.assert_allclose(names["same"], names["slopes"], atol=1e-6)
    np.testing.assert_allclose(names["distances"][:2], [1, 1], rtol=1e-5)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(names["parameters"]))
    own, default = names["found"], names["hullx"].project(names["around"], names["cloud"])
    assert own.decided.all()
    np.testing.assert_allclose(own.distance, default.distance, rtol=2e-6, atol=1e-5)


def test_using_it() -> None:
    names: dict = {}
    first, prepared, *others = snippets("Use it")
    assert len(others) == 2
    exec(first, names)
    result = names["result"]
    assert int(result.status) == Status.CONVERGED
    # What the comment says, but for the last digit.
    np.testing.assert_allclose([result.distance, result.lower], [1.0000001, 0.99999994], rtol=2e-7)
    assert 0 <= float(result.distance - result.lower) < 2e-7
    for block in (prepared, *others):
        exec(block, names)
    assert names["result"].outside.shape == (360,)


@pytest.mark.slow
def test_training_and_spaces(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)  # a checkpoint is written
    names: dict = {}
    for block in snippets("Train networks, one or dozens") + snippets("Where the hull is taken"):
        exec(block, names)
    for block in snippets("Attacks and flip points"):
        exec(block, names)
    assert names["flips"].verified.all()
    assert float(names["attacked"].distance.max()) <= 0.1 + 1e-6
    assert names["slope"].shape == (8, 8, 1)
    assert np.isfinite(names["slope"]).all()
    assert names["many"].history.test_accuracy.shape == (20, 8)
    assert names["fitted"].history.train_accuracy[-1] == 1
    assert (tmp_path / "runs" / "noise").is_dir()
