"""What follows from a linear head, against SciPy's optimizers; and which hull is nearest."""

from __future__ import annotations

import jax
import numpy as np
import pytest
import scipy.optimize
from oracles import nnls_distance

import hullx
from hullx import probes
from hullx.data import load
from hullx.errors import ArgumentError
from hullx.models import MLP
from hullx.probes import Head

pytestmark = pytest.mark.unoptimised

COUNT, DIMENSION, CLASSES = 60, 3, 4


@pytest.fixture
def drawn(rng: np.random.Generator) -> tuple[Head, np.ndarray]:
    head = Head(rng.standard_normal((DIMENSION, CLASSES)), 0.3 * rng.standard_normal(CLASSES))
    return head, 2 * rng.standard_normal((COUNT, DIMENSION))


def test_the_nearest_border_is_that_of_an_optimizer(drawn: tuple[Head, np.ndarray]) -> None:
    """Which looks for the nearest point where some other class's logit is as large."""
    head, rows = drawn
    found, mine = probes.boundary(head, rows), probes.predicted_class(head, rows)
    for i in range(12):
        reached = []
        for j in set(range(CLASSES)) - {mine[i]}:
            across = head.weights[:, j] - head.weights[:, mine[i]]
            limit = {"type": "ineq", "fun": lambda x, a=across, j=j, c=mine[i]: x @ a + head.bias[j] - head.bias[c]}
            nearest = scipy.optimize.minimize(lambda x, i=i: ((x - rows[i]) ** 2).sum(), rows[i], constraints=[limit])
            reached.append((np.sqrt(nearest.fun), j))
        np.testing.assert_allclose(found.distance[i], min(reached)[0], rtol=1e-4, atol=1e-6)
        assert found.other[i] == min(reached)[1]
    np.testing.assert_allclose(np.linalg.norm(found.point - rows, axis=1), found.distance, rtol=1e-12)


def test_it_flips_there_and_nowhere_nearer(drawn: tuple[Head, np.ndarray], rng: np.random.Generator) -> None:
    head, rows = drawn
    found, mine = probes.boundary(head, rows), probes.predicted_class(head, rows)
    step = found.point - rows
    np.testing.assert_array_equal(probes.predicted_class(head, rows + 0.999999 * step), mine)
    np.testing.assert_array_equal(probes.predicted_class(head, rows + 1.000001 * step), found.other)
    directions = rng.standard_normal((200, COUNT, DIMENSION))
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    near = rows + 0.999999 * found.distance[:, None] * directions
    assert (probes.predicted_class(head, near.reshape(-1, DIMENSION)).reshape(200, COUNT) == mine).all()


def test_hulls_of_what_is_called_differently_are_as_far_apart_as_is_proved(drawn: tuple[Head, np.ndarray]) -> None:
    """The distance of two hulls is that of 0 from the hull of all differences."""
    head, rows = drawn
    mine, gaps = probes.predicted_class(head, rows), probes.class_gaps(head, rows)
    np.testing.assert_array_equal(gaps, gaps.T)
    for c in range(CLASSES):
        assert np.isnan(gaps[c, c])
        for j in range(c):
            differences = (rows[mine == c][:, None] - rows[mine == j]).reshape(-1, DIMENSION)
            distance, _ = nnls_distance(np.zeros(DIMENSION), differences)
            assert 0 < gaps[c, j] <= distance


def test_a_class_that_nothing_is_called_has_no_gap() -> None:
    head = Head(np.array([[1.0, -1.0, 0.0]]), np.array([0.0, 0.0, -5.0]))
    gaps = probes.class_gaps(head, np.array([[2.0], [3.0], [-1.0]]))
    np.testing.assert_allclose(gaps[0, 1], 3)
    assert np.isnan(gaps[2]).all()
    assert np.isnan(gaps[:, 2]).all()


def test_a_gap_within_rounding_is_not_proved() -> None:
    head = Head(np.array([[1.0, -1.0]]), np.ones(2))
    rows = np.array([[1e-16], [-1e-16]])
    np.testing.assert_array_equal(probes.predicted_class(head, rows), [0, 1])
    assert probes.class_gaps(head, rows)[0, 1] <= 0


def test_classes_with_the_same_weights_have_no_border() -> None:
    head = Head(np.array([[1.0, 1.0]]), np.array([0.0, 1.0]))
    found = probes.boundary(head, np.array([[3.0]]))
    assert found.distance[0] == np.inf
    assert np.isfinite(found.point).all()


def test_the_head_is_a_network_s_last_layer() -> None:
    images, model = load("digits").test.images, MLP(10, width=16)
    variables = model.init(jax.random.key(0), images[:1])
    features = hullx.spaces.rows(hullx.spaces.Features(model, variables, "hidden_2"), images)
    logits = np.asarray(model.apply(variables, images))
    np.testing.assert_array_equal(probes.predicted_class(probes.head_of(variables), features), logits.argmax(1))
    with pytest.raises(ArgumentError, match="name: got 'top', expected a linear layer, one of dense_1"):
        probes.head_of(variables, "top")


def test_the_nearest_hull_is_proved_or_left_open() -> None:
    digits = load("digits")
    rows, labels = digits.train.rows, digits.train.labels
    hulls = [rows[labels == k] for k in (3, 5, 8)]
    found = [hullx.sweep(digits.test.rows[:40], hull, progress=False) for hull in (*hulls, hulls[0])]
    nearest = probes.nearest_hull(found[:3])
    assert nearest.proved.all()
    for i in range(0, 40, 8):
        distances = [nnls_distance(digits.test.rows[i], hull)[0] for hull in hulls]
        assert nearest.which[i] == np.argmin(distances)
    # The same hull twice leaves open which is nearer.
    again = probes.nearest_hull(found)
    np.testing.assert_array_equal(again.proved, nearest.which != 0)
    with pytest.raises(ArgumentError, match="found: got no results"):
        probes.nearest_hull([])
