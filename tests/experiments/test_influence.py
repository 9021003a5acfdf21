"""Influence of training images: what is removed, and that only it changes the answer."""

from __future__ import annotations

from pathlib import Path

import jax
import numpy as np
import pytest
from test_experiments import start

import hullx
from experiments import influence
from hullx import runs
from hullx.data import Split, load
from hullx.models import MLP

pytestmark = pytest.mark.unoptimised


@pytest.fixture
def digits() -> tuple[Split, Split]:
    data = load("digits", train_size=60, test_size=5)
    return data.train, data.test


def test_all_removals_have_as_many_images_of_each_class(rng: np.random.Generator, digits: tuple[Split, Split]) -> None:
    train, queries = digits
    found = hullx.sweep(queries.rows, train.rows, progress=False)
    removed = ~influence.removals(rng, train, queries, found)
    for q in range(5):
        counts = [np.bincount(train.labels[each], minlength=10) for each in removed[:, q]]
        np.testing.assert_array_equal(counts[0], counts[1])
        np.testing.assert_array_equal(counts[0], counts[2])
        weights = np.asarray(found.weights[q])
        assert set(np.flatnonzero(removed[0, q])) == set(np.asarray(found.support[q])[weights > 0])
        # Of each class, no remaining image is nearer than a removed one.
        far = np.linalg.norm(train.rows - queries.rows[q], axis=1)
        for label in np.unique(train.labels[removed[1, q]]):
            mine = train.labels == label
            assert far[mine & removed[1, q]].max() <= far[mine & ~removed[1, q]].min(initial=np.inf)


def test_networks_with_the_same_images_are_the_same(digits: tuple[Split, Split]) -> None:
    """Removed images do not matter: another label or other pixels change nothing."""
    train, queries = digits
    masks = np.ones((3, 60), bool)
    masks[1:, :7] = False
    model, key = MLP(10, depth=1, width=4), jax.random.key(0)
    first, right = influence.trained_margins(key, train, queries, masks, model, 5)
    assert first.shape == (3, 5)
    assert 0 <= right <= 1
    np.testing.assert_array_equal(first[1], first[2])
    assert (first[0] != first[1]).any()
    spoiled = train._replace(labels=np.where(np.arange(60) < 7, (train.labels + 1) % 10, train.labels).astype(np.int32))
    other, _ = influence.trained_margins(key, spoiled, queries, masks, model, 5)
    np.testing.assert_allclose(other[1], first[1], rtol=1e-5)
    assert not np.allclose(other[0], first[0])


@pytest.mark.experiment
def test_influence(tmp_path: Path) -> None:
    results = runs.Results(start("influence", "--out", tmp_path).folder)
    found = results.arrays("margins")
    assert found["margins"].shape == (4, results.config["queries"], results.config["seeds"])
    assert (found["sizes"] > 0).all()
    assert np.isfinite(found["margins"]).all()
    assert [claim["verdict"] for claim in results.claims] == [runs.UNSETTLED] * 3  # of two seeds
    assert {path.stem for path in (results.folder / "figures").iterdir()} == {"changes"}
