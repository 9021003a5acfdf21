"""Training that begins where another has ended."""

from __future__ import annotations

from pathlib import Path

import jax
import numpy as np
import optax
import pytest

from hullx.data import Split, load
from hullx.errors import ArgumentError, CheckpointError
from hullx.models import MLP
from hullx.training import FitConfig, fit

pytestmark = pytest.mark.unoptimised
MODEL, OPTIMIZER = MLP(10, width=16), optax.sgd(0.1)  # whose state is empty, so that nothing but the variables matters
KEYS = jax.random.split(jax.random.key(0), 2)


@pytest.fixture(scope="module")
def few() -> Split:
    return load("digits").train.take(np.arange(200))


def test_two_epochs_are_one_and_one_more(few: Split) -> None:
    """In whole batches the order of images does not matter to gradient descent."""
    settings = {"batch": 200, "title": None}
    whole = fit(KEYS, MODEL, OPTIMIZER, few, FitConfig(epochs=2, **settings))
    half = fit(KEYS, MODEL, OPTIMIZER, few, FitConfig(epochs=1, **settings))
    kept = jax.tree.map(np.asarray, half.state.variables)
    rest = fit(KEYS, MODEL, OPTIMIZER, few, FitConfig(epochs=1, **settings), start=half.state.variables)
    for one, other in zip(jax.tree.leaves(whole.state.variables), jax.tree.leaves(rest.state.variables), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(rest.history.loss[0], whole.history.loss[1], rtol=1e-5)
    # What it began with is still there.
    for before, after in zip(jax.tree.leaves(kept), jax.tree.leaves(half.state.variables), strict=True):
        np.testing.assert_array_equal(before, after)


def test_the_start_belongs_to_the_checkpoint(few: Split, tmp_path: Path) -> None:
    start = fit(KEYS, MODEL, OPTIMIZER, few, FitConfig(epochs=1, title=None)).state.variables
    common = {"epochs": 1, "title": None, "checkpoint": tmp_path}
    first = fit(KEYS, MODEL, OPTIMIZER, few, FitConfig(**common), start=start)
    again = fit(KEYS, MODEL, OPTIMIZER, few, FitConfig(**common), start=start)
    np.testing.assert_array_equal(first.history.loss, again.history.loss)
    with pytest.raises(CheckpointError, match="start"):
        fit(KEYS, MODEL, OPTIMIZER, few, FitConfig(**common), start=jax.tree.map(lambda leaf: 2 * leaf, start))


def test_a_start_of_another_model_is_refused(few: Split) -> None:
    start = fit(KEYS, MODEL, OPTIMIZER, few, FitConfig(epochs=1, title=None)).state.variables
    with pytest.raises(ArgumentError, match=r"start has .*kernel \(2, 64, 16\).*, expected .*kernel \(64, 16\)"):
        fit(KEYS[0], MODEL, OPTIMIZER, few, FitConfig(epochs=1, title=None), start=start)
    with pytest.raises(ArgumentError, match="start holds NaN or infinity"):
        fit(KEYS, MODEL, OPTIMIZER, few, FitConfig(epochs=1, title=None), start=jax.tree.map(lambda leaf: leaf * np.nan, start))
