"""The recipes of docs/simplex.md run, and do what the text says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.unoptimised

PAGE = Path(__file__).parents[2] / "docs" / "simplex.md"


def recipe(title: str) -> dict[str, Any]:
    """The names after the program below a heading."""
    found = re.search(rf"## {title}\n.*?```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found is not None
    names: dict[str, Any] = {}
    exec(found[1], names)
    return names


def test_synthetic_control() -> None:
    names = recipe("Synthetic control")
    np.testing.assert_allclose(names["fit"].weights, names["truth"], atol=1e-6)
    np.testing.assert_allclose(names["effect"], 2, atol=1e-6)
    assert names["inside"]
    assert names["unique"]
    np.testing.assert_allclose([names["low"], names["high"]], 0.3, atol=1e-6)
    assert names["outlier"].projection.outside


def test_unmixing() -> None:
    names = recipe("Unmixing")
    assert np.abs(names["found"].weights - names["abundances"]).max() < 0.1
    assert names["found"].unique.all()


@pytest.mark.thorough
def test_archetypes() -> None:
    losses = recipe("Archetypes")["losses"]
    assert losses[-1] < 0.5 * losses[0]


def test_multi_task() -> None:
    names = recipe("Multi-task learning")
    assert (names["gradients"] @ names["direction"] > 0).all()  # every loss falls
    np.testing.assert_allclose(names["same"].weights, names["weights"], atol=1e-6)
