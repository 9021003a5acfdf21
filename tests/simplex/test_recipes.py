"""The recipes of docs/simplex.md run, and do what the text says."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np


def test_recipes() -> None:
    page = (Path(__file__).parents[2] / "docs" / "simplex.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 4
    synthetic, unmixing, archetypes, tasks = ({} for _ in blocks)
    for block, names in zip(blocks, (synthetic, unmixing, archetypes, tasks), strict=True):
        exec(block, names)
    # Synthetic control: the donors of the truth, a unit inside the hull before treatment and its effect after it.
    np.testing.assert_allclose(synthetic["fit"].weights, synthetic["truth"], atol=1e-6)
    np.testing.assert_allclose(synthetic["effect"], 2, atol=1e-6)
    assert synthetic["inside"]
    assert synthetic["outlier"].projection.outside
    # Unmixing.
    assert np.abs(unmixing["found"].weights - unmixing["abundances"]).max() < 0.1
    assert unmixing["found"].unique.all()
    # Archetypes: the loss falls.
    assert archetypes["losses"][-1] < 0.5 * archetypes["losses"][0]
    # Multi-task: a common direction of descent.
    assert (tasks["gradients"] @ tasks["direction"] > 0).all()
    np.testing.assert_allclose(tasks["same"].weights, tasks["weights"], atol=1e-6)
