"""Matched pairs, planes through the hull, and measures of a minimizer, against closed forms and SciPy."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.spatial
from jax.flatten_util import ravel_pytree

from experiments import matching, planes
from experiments.shared import minimizer_measures as measures
from hullx.errors import ArgumentError
from hullx.models import MLP
from hullx.probes import logits

pytestmark = pytest.mark.unoptimised


def test_matching_balances(rng: np.random.Generator) -> None:
    first, second = rng.normal(0, 1, (300, 2)), rng.normal(0.7, 1, (300, 2))
    pairs = matching.match_pairs(first, second, caliper=0.2)
    assert (np.abs(pairs.before) > 0.4).all()
    assert (np.abs(pairs.after) < 0.1).all()
    assert len(np.unique(pairs.first)) == len(pairs.first) > 100
    spread = np.sqrt((first.var(0) + second.var(0)) / 2)
    assert (np.abs(first[pairs.first] - second[pairs.second]) <= 0.2 * spread).all()
    apart = matching.match_pairs(first, first + 100)
    assert not len(apart.first)
    assert np.isnan(apart.after).all()


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
    found = measures.margins(logits(variables, images, model=model, members=False), jnp.asarray(labels))
    np.testing.assert_allclose(found, scores[np.arange(9), labels] - others, rtol=1e-4, atol=1e-5)
    spectral = np.linalg.svd(weights)[1][0]
    np.testing.assert_allclose(measures.lipschitz_estimate(model, variables, jnp.asarray(images)), spectral, rtol=1e-5)
    frobenius, largest = measures.layer_norms(variables["params"])
    np.testing.assert_allclose([frobenius[0], largest[0]], [np.linalg.norm(weights), spectral], rtol=1e-5)
    both = np.sqrt((weights**2).sum() + (bias**2).sum())
    np.testing.assert_allclose(measures.parameter_norm(variables["params"]), both, rtol=1e-6)
    zeros = jax.tree.map(jnp.zeros_like, variables["params"])
    np.testing.assert_allclose(measures.distance_from(variables["params"], zeros), both, rtol=1e-6)
    loss = measures.loss_of(model, variables, jnp.asarray(images), jnp.asarray(labels))
    entropy = optax.softmax_cross_entropy_with_integer_labels(jnp.asarray(scores), jnp.asarray(labels)).mean()
    np.testing.assert_allclose(loss(variables["params"]), entropy, rtol=1e-5)
    # The Hessian of this loss, whole.
    flat, restored = ravel_pytree(variables["params"])
    hessian = jax.jit(jax.hessian(lambda vector: loss(restored(vector))))(flat)
    steepest = np.abs(np.linalg.eigvalsh(hessian)).max()
    found = jax.jit(lambda params: measures.sharpness(loss, params, jax.random.key(0)))(variables["params"])
    np.testing.assert_allclose(found, steepest, rtol=1e-3)


def test_ascent_of_a_quadratic() -> None:
    """L = ‖w‖²/2 rises by ρ ‖w‖ + ρ²/2 along its gradient."""
    params = {"a": jnp.array([3.0, 0.0]), "b": jnp.array([[4.0]])}
    loss = lambda params: sum((leaf**2).sum() for leaf in jax.tree.leaves(params)) / 2  # noqa: E731
    np.testing.assert_allclose(measures.ascent(loss, params, 0.1), 0.5 + 0.005, rtol=1e-4)
    np.testing.assert_allclose(measures.sharpness(loss, params, jax.random.key(1)), 1, rtol=1e-5)
    assert measures.ascent(loss, jax.tree.map(jnp.zeros_like, params), 0.1) == 0
