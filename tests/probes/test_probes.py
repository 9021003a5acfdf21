"""Probes against closed forms, certificates and SciPy."""

from __future__ import annotations

import jax
import numpy as np
import pytest

import hullx
from hullx.errors import ArgumentError
from hullx.models import MLP
from hullx.probes import agreement, logits, nearest_hull, pairwise, with_majority, with_others

pytestmark = pytest.mark.unoptimised


def test_pairs_and_majority() -> None:
    labels = np.array([[0, 1, 2], [0, 2, 2], [0, 1, 2], [0, 0, 1]])
    np.testing.assert_allclose(pairwise(labels, 3), [1, 1 / 6, 1 / 2])
    np.testing.assert_allclose(with_majority(labels, 3), [1, 1 / 2, 3 / 4])


def test_each_member_with_the_others() -> None:
    labels = np.array([[0, 1, 2, 2], [0, 2, 2, 1], [1, 1, 2, 2]])
    np.testing.assert_allclose(with_others(labels), [(2 + 3) / 8, (2 + 1) / 8, (3 + 1) / 8])


def test_the_first_of_several_hulls_with_the_query_inside() -> None:
    points, queries = np.random.default_rng(0).normal(size=(40, 3)), np.zeros((20, 3))
    queries[:, 0] = np.linspace(-0.2, 0.2, 20)
    found = [hullx.sweep(queries, points[order], progress=False) for order in (np.arange(40), np.arange(40)[::-1])]
    assert all(each.inside.all() for each in found)
    assert nearest_hull(found).which.tolist() == nearest_hull(found[::-1]).which.tolist() == [0] * 20
    assert not nearest_hull(found).proved.any()


def test_members_that_guess_agree_by_chance(rng: np.random.Generator) -> None:
    guesses = rng.choice(3, (20, 2000), p=[0.5, 0.3, 0.2])
    found = agreement(guesses, 3, rng=rng)
    assert found.pairwise == pytest.approx(0.25 + 0.09 + 0.04, abs=0.01)
    assert found.kappa_low < 0 < found.kappa_high
    assert found.kappa_high - found.kappa_low < 0.05


def test_kappa_of_noise_on_a_truth(rng: np.random.Generator) -> None:
    """Members that say the truth with probability p, else any class: pairs agree on p² + (1 − p²)/k, and κ = p²."""
    truth, p = rng.integers(0, 4, 4000), 0.9
    labels = np.where(rng.random((15, 4000)) < p, truth, rng.integers(0, 4, (15, 4000)))
    found = agreement(labels, 4, rng=rng)
    assert found.kappa_low < p**2 < found.kappa_high
    assert found.pairwise_low < p**2 + (1 - p**2) / 4 < found.pairwise_high
    np.testing.assert_allclose(agreement(np.tile(truth, (3, 1)), 4, rng=rng)[:6], 1)


def test_labels_beyond_the_classes(rng: np.random.Generator) -> None:
    with pytest.raises(ArgumentError, match="labels: got 0 to 3, expected 0 to 2: raise classes"):
        pairwise(np.array([[0, 3], [1, 2]]), 3)
    with pytest.raises(ArgumentError, match="two members or more"):
        agreement(np.zeros((1, 3), int), 3, rng=rng)


@pytest.mark.thorough
def test_logits_of_all_members(digits: tuple[np.ndarray, np.ndarray]) -> None:
    images = digits[1][:1203].reshape(-1, 8, 8, 1)
    model = MLP(10, width=8)
    variables = jax.vmap(lambda key: model.init(key, images[:1]))(jax.random.split(jax.random.key(0), 3))
    variables = {"params": variables["params"]}
    found = logits(variables, images, model=model)
    for i in range(3):
        one = jax.tree.map(lambda leaf: leaf[i], variables)  # noqa: B023 (called in this round only)
        np.testing.assert_allclose(found[i], np.asarray(model.apply(one, images)), rtol=2e-5, atol=1e-5)
        np.testing.assert_allclose(logits(one, images, model=model, members=False), found[i], rtol=2e-5, atol=1e-5)
