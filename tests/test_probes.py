"""Probes against closed forms, certificates and SciPy."""

from __future__ import annotations

import jax
import numpy as np
import pytest
import scipy.spatial

import hullx
from hullx.errors import ArgumentError
from hullx.models import MLP
from hullx.probes import (
    agreement,
    largest_class_share,
    logits,
    mixtures,
    of_neighbours,
    of_one_class,
    on_the_surface,
    pairwise,
    places,
    with_majority,
    with_others,
)
from hullx.probes.places import INSIDE, ONE_CLASS, OUTSIDE, SURFACE

# Agreement


def test_pairs_and_majority() -> None:
    labels = np.array([[0, 1, 2], [0, 2, 2], [0, 1, 2], [0, 0, 1]])
    np.testing.assert_allclose(pairwise(labels, 3), [1, 1 / 6, 1 / 2])
    np.testing.assert_allclose(with_majority(labels, 3), [1, 1 / 2, 3 / 4])


def test_each_member_with_the_others() -> None:
    labels = np.array([[0, 1, 2, 2], [0, 2, 2, 1], [1, 1, 2, 2]])
    np.testing.assert_allclose(with_others(labels), [(2 + 3) / 8, (2 + 1) / 8, (3 + 1) / 8])


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


# Inside and on the surface


@pytest.fixture(scope="module")
def projected(digits: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray, hullx.Projection]:
    """Queries, points, labels of the points, projections."""
    queries, points = digits[0][:16], digits[1]  # the shape of other tests, whose programs are there
    return queries, points, hullx.data.load("digits").train.labels, hullx.sweep(queries, points, progress=False)


def check_rounded_members(queries: np.ndarray, points: np.ndarray) -> None:
    """Mixtures of points are no farther from the hull than their rounding to float32."""
    found = hullx.sweep(queries, points, progress=False)
    assert found.decided.all()
    assert (found.distance <= np.finfo(np.float32).eps * np.linalg.norm(queries, axis=1)).all()


def test_samples_are_inside(projected, rng: np.random.Generator) -> None:
    _, points, labels, found = projected
    samples = {
        "mixed": mixtures(rng, points, 16, 5),
        "one class": of_one_class(rng, points, labels, 16, 5),
        "neighbours": of_neighbours(rng, points, 16, 5),
        "surface": on_the_surface(found),
    }
    for sample in samples.values():
        assert (sample.weights >= 0).all()
        np.testing.assert_allclose(sample.weights.sum(1), 1, rtol=1e-12)
        mixed = np.einsum("sk,skd->sd", sample.weights, points[sample.support].astype(float))
        np.testing.assert_allclose(sample.points, mixed, atol=1e-6)
    inside = np.concatenate([samples[name].points for name in ("mixed", "one class", "neighbours")])
    check_rounded_members(inside, points)
    assert (largest_class_share(samples["one class"], labels) > 1 - 1e-12).all()
    assert largest_class_share(samples["mixed"], labels).mean() < 0.8
    # Of its neighbours a point is itself the nearest, and the others are no farther than any that is left out.
    for support in samples["neighbours"].support:
        far = np.linalg.norm(points.astype(float) - points[support[0]], axis=1)
        assert far[support].max() <= np.delete(far, support).min() + 1e-6
    with pytest.raises(ArgumentError, match=r"k: got 2000, expected 1 to 1437"):
        mixtures(rng, points, 3, 2000)


def test_every_place_is_where_it_says(projected) -> None:
    queries, points, labels, found = projected
    train = hullx.data.Split(points.reshape(-1, 8, 8, 1), labels)
    every = places(np.random.default_rng(0), train, queries, found)
    assert set(every) == {*INSIDE, SURFACE, *OUTSIDE}
    for name, place in every.items():
        assert len(place.points) == len(queries)
        nearest = scipy.spatial.KDTree(points).query(place.points)[0]
        np.testing.assert_allclose(place.nearest, nearest, rtol=1e-5)
        assert ((place.share > 0) & (place.share <= 1 + 1e-12)).all()
        if name in OUTSIDE:
            far = np.linalg.norm(place.points - found.point, axis=1)
            np.testing.assert_allclose(
                far, {"test images": 1, "as far again": 2, "4 × as far": 4}[name] * found.distance, rtol=1e-5
            )
    np.testing.assert_allclose(every["test images"].points, queries, atol=1e-6)
    inside = np.concatenate([every[name].points for name in INSIDE])[::5]
    check_rounded_members(inside, points)
    np.testing.assert_allclose(every[ONE_CLASS].share, 1)
