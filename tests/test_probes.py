"""Probes against closed forms, certificates and SciPy."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.spatial
from jax.flatten_util import ravel_pytree

import hullx
from hullx.errors import ArgumentError
from hullx.models import MLP
from hullx.probes import (
    agreement,
    at,
    before_surface,
    behind_surface,
    class_means,
    crossings,
    kink,
    largest_class_share,
    logits,
    matched,
    minima,
    mixtures,
    of_neighbours,
    of_one_class,
    on_the_surface,
    pairwise,
    places,
    planes,
    through_surface,
    with_majority,
    with_others,
    within,
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


# Inside, on the surface, along legs


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


def test_legs_have_the_certified_distance(projected) -> None:
    queries, points, labels, found = projected
    path = through_surface(queries, found, class_means(found, points, labels))
    coordinates = np.array([3.0, 1.0, 0.25, 0.0, -0.1, -0.5])
    places = at(path, coordinates)
    np.testing.assert_allclose(places[1], queries, atol=1e-6)
    for coordinate, place in zip(coordinates[:3], places[:3], strict=True):
        again = hullx.sweep(place, points.astype(float), progress=False)
        np.testing.assert_allclose(again.distance, coordinate * found.distance, rtol=1e-5)
    assert within(path, coordinates).all()
    assert (hullx.sweep(places[4:].reshape(-1, 64), points.astype(float), progress=False).distance < 1e-6).all()
    # The anchor is where the leg ends.
    last = at(path, [-float(path.depth[0] / path.unit[0])])[0, 0]
    np.testing.assert_allclose(last, class_means(found, points, labels)[0], atol=1e-9)
    with pytest.raises(ArgumentError, match="that are not certified to be outside"):
        through_surface(queries, found._replace(lower=np.zeros(16)), points[:16])


def test_kinks_are_changes_of_slope() -> None:
    """−2 s inside, s + s² outside: the slope changes by 3 at 0, and by s's second difference elsewhere."""
    coordinates = np.array([1.0, 0.0, 0.75, -0.5, 0.5, -0.25, 0.25])
    values = np.where(coordinates > 0, coordinates + coordinates**2, -2 * coordinates)[:, None] * np.array([1.0, 2.0])
    np.testing.assert_allclose(kink(values, coordinates.tolist(), 0, 0.25), [3.25, 6.5])
    np.testing.assert_allclose(kink(values, coordinates.tolist(), 0.75, 0.25), [0.5, 1.0])
    np.testing.assert_allclose(kink(values, coordinates.tolist(), -0.25, 0.25), 0, atol=1e-12)


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


def test_placebo_legs_turn_elsewhere(projected) -> None:
    queries, points, labels, found = projected
    path = through_surface(queries, found, class_means(found, points, labels))
    early = before_surface(path, 0.5)
    np.testing.assert_allclose(at(early, [0.0])[0], at(path, [0.5])[0], atol=1e-12)
    ours, theirs = (at(each, [-0.25])[0] - at(each, [0.0])[0] for each in (early, path))
    np.testing.assert_allclose(ours, theirs, atol=1e-12)
    late = behind_surface(path, -0.25, np.broadcast_to(points.mean(0), queries.shape))
    np.testing.assert_allclose(at(late, [0.1])[0], at(path, [-0.15])[0], atol=1e-12)
    inside = hullx.sweep(at(late, [0.1, -0.1, -0.4]).reshape(-1, 64), points.astype(float), progress=False)
    assert (inside.distance < 1e-6).all()


# Matching, crossings, planes


def test_matching_balances(rng: np.random.Generator) -> None:
    first, second = rng.normal(0, 1, (300, 2)), rng.normal(0.7, 1, (300, 2))
    pairs = matched(first, second, caliper=0.2)
    assert (np.abs(pairs.before) > 0.4).all()
    assert (np.abs(pairs.after) < 0.1).all()
    assert len(np.unique(pairs.first)) == len(pairs.first) > 100
    spread = np.sqrt((first.var(0) + second.var(0)) / 2)
    assert (np.abs(first[pairs.first] - second[pairs.second]) <= 0.2 * spread).all()
    apart = matched(first, first + 100)
    assert not len(apart.first)
    assert np.isnan(apart.after).all()


def test_crossings_are_found_to_a_millionth(rng: np.random.Generator) -> None:
    """Labels by slabs: their borders are where the first coordinate is a multiple of 0.3."""
    starts, ends = rng.normal(size=(20, 3)), rng.normal(size=(20, 3))
    found = crossings(lambda points: np.floor(points[:, 0] / 0.3).astype(int), starts, ends, samples=201)
    expected = [
        (i, (0.3 * k - start) / (end - start))
        for i, (start, end) in enumerate(zip(starts[:, 0], ends[:, 0], strict=True))
        for k in range(-20, 20)
        if min(start, end) < 0.3 * k < max(start, end)
    ]
    np.testing.assert_array_equal(found.segment, [i for i, _ in sorted(expected)])
    np.testing.assert_allclose(found.place, [place for _, place in sorted(expected)], atol=1e-6)
    assert (np.abs(found.behind - found.before) == 1).all()
    assert not len(crossings(lambda points: np.zeros(len(points), int), starts, ends).place)


def test_planes(rng: np.random.Generator) -> None:
    points = rng.normal(size=(40, 2)).astype(np.float32)
    plane = planes.through(np.zeros(2), np.array([2.0, 0.0]), np.array([1.0, 3.0]))
    coordinates = planes.grid(np.array([-3.0, -3.0]), np.array([3.0, 3.0]), 12)
    np.testing.assert_allclose(plane.coordinates(plane.points(coordinates)), coordinates, atol=1e-12)
    outside, distance = planes.membership(plane, coordinates, points)
    inside = scipy.spatial.Delaunay(points).find_simplex(coordinates.reshape(-1, 2)).reshape(12, 12) >= 0
    np.testing.assert_array_equal(outside, ~inside)
    assert (distance[inside] == 0).all()
    corners = planes.outline(points)
    np.testing.assert_allclose(scipy.spatial.ConvexHull(corners).volume, scipy.spatial.ConvexHull(points).volume)
    a, b, c = rng.normal(size=(3, 7))
    plane = planes.through(a, b, c)
    np.testing.assert_allclose(plane.points(plane.coordinates(np.stack([a, b, c]))), [a, b, c], atol=1e-12)
    with pytest.raises(ArgumentError, match="on a line"):
        planes.through(a, b, 2 * b - a)


# Measures of a minimizer


class _Linear(MLP):
    """No hidden layer."""

    depth: int = 0


def test_measures_of_a_linear_model(rng: np.random.Generator) -> None:
    """logits = xW + b: margins, norms and the Lipschitz constant are known."""
    weights, bias = rng.normal(size=(6, 3)).astype(np.float32), rng.normal(size=3).astype(np.float32)
    images, labels = rng.normal(size=(9, 2, 3, 1)).astype(np.float32), rng.integers(0, 3, 9)
    model, variables = _Linear(3), {"params": {"head": {"kernel": jnp.asarray(weights), "bias": jnp.asarray(bias)}}}
    scores = images.reshape(9, 6) @ weights + bias
    others = np.where(np.arange(3) == labels[:, None], -np.inf, scores).max(1)
    found = minima.margins(logits(variables, images, model=model, members=False), jnp.asarray(labels))
    np.testing.assert_allclose(found, scores[np.arange(9), labels] - others, rtol=1e-4, atol=1e-5)
    spectral = np.linalg.svd(weights)[1][0]
    np.testing.assert_allclose(minima.lipschitz_estimate(model, variables, jnp.asarray(images)), spectral, rtol=1e-5)
    frobenius, largest = minima.layer_norms(variables["params"])
    np.testing.assert_allclose([frobenius[0], largest[0]], [np.linalg.norm(weights), spectral], rtol=1e-5)
    both = np.sqrt((weights**2).sum() + (bias**2).sum())
    np.testing.assert_allclose(minima.parameter_norm(variables["params"]), both, rtol=1e-6)
    zeros = jax.tree.map(jnp.zeros_like, variables["params"])
    np.testing.assert_allclose(minima.distance_from(variables["params"], zeros), both, rtol=1e-6)
    loss = minima.loss_of(model, variables, jnp.asarray(images), jnp.asarray(labels))
    entropy = optax.softmax_cross_entropy_with_integer_labels(jnp.asarray(scores), jnp.asarray(labels)).mean()
    np.testing.assert_allclose(loss(variables["params"]), entropy, rtol=1e-5)
    # The Hessian of this loss, whole.
    flat, restored = ravel_pytree(variables["params"])
    hessian = jax.jit(jax.hessian(lambda vector: loss(restored(vector))))(flat)
    steepest = np.abs(np.linalg.eigvalsh(hessian)).max()
    found = jax.jit(lambda params: minima.sharpness(loss, params, jax.random.key(0)))(variables["params"])
    np.testing.assert_allclose(found, steepest, rtol=1e-3)


def test_ascent_of_a_quadratic() -> None:
    """L = ‖w‖²/2 rises by ρ ‖w‖ + ρ²/2 along its gradient."""
    params = {"a": jnp.array([3.0, 0.0]), "b": jnp.array([[4.0]])}
    loss = lambda params: sum((leaf**2).sum() for leaf in jax.tree.leaves(params)) / 2  # noqa: E731
    np.testing.assert_allclose(minima.ascent(loss, params, 0.1), 0.5 + 0.005, rtol=1e-4)
    np.testing.assert_allclose(minima.sharpness(loss, params, jax.random.key(1)), 1, rtol=1e-5)
    assert minima.ascent(loss, jax.tree.map(jnp.zeros_like, params), 0.1) == 0
