"""Paths from outside the hull to inside, and changes of label along segments, against projections and closed forms."""

from __future__ import annotations

import numpy as np
import pytest

import hullx
from experiments import crossings
from experiments.shared.bent_path import (
    before_surface,
    class_means,
    points_at,
    slope_change,
    through_surface,
    within,
)
from hullx.errors import ArgumentError

pytestmark = pytest.mark.unoptimised


@pytest.fixture(scope="module")
def projected(digits: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray, hullx.Projection]:
    """Queries, points, labels of the points, projections."""
    queries, points = digits[0][:16], digits[1]  # the shape of other tests, whose programs are there
    return queries, points, hullx.data.load("digits").train.labels, hullx.sweep(queries, points, progress=False)


@pytest.mark.thorough
def test_legs_have_the_certified_distance(projected) -> None:
    queries, points, labels, found = projected
    path = through_surface(queries, found, class_means(found, points, labels))
    coordinates = np.array([3.0, 1.0, 0.25, 0.0, -0.1, -0.5])
    places = points_at(path, coordinates)
    np.testing.assert_allclose(places[1], queries, atol=1e-6)
    for coordinate, place in zip(coordinates[:3], places[:3], strict=True):
        again = hullx.sweep(place, points.astype(float), progress=False)
        np.testing.assert_allclose(again.distance, coordinate * found.distance, rtol=1e-5)
    assert within(path, coordinates).all()
    assert (hullx.sweep(places[4:].reshape(-1, 64), points.astype(float), progress=False).distance < 1e-6).all()
    # The anchor is where the leg ends.
    last = points_at(path, [-float(path.depth[0] / path.unit[0])])[0, 0]
    np.testing.assert_allclose(last, class_means(found, points, labels)[0], atol=1e-9)
    with pytest.raises(ArgumentError, match="that are not certified to be outside"):
        through_surface(queries, found._replace(lower=np.zeros(16)), points[:16])


def test_change_of_slope() -> None:
    """−2 s inside, s + s² outside: the slope changes by 3 at 0, and by s's second difference elsewhere."""
    coordinates = np.array([1.0, 0.0, 0.75, -0.5, 0.5, -0.25, 0.25])
    values = np.where(coordinates > 0, coordinates + coordinates**2, -2 * coordinates)[:, None] * np.array([1.0, 2.0])
    np.testing.assert_allclose(slope_change(values, coordinates.tolist(), 0, 0.25), [3.25, 6.5])
    np.testing.assert_allclose(slope_change(values, coordinates.tolist(), 0.75, 0.25), [0.5, 1.0])
    np.testing.assert_allclose(slope_change(values, coordinates.tolist(), -0.25, 0.25), 0, atol=1e-12)


def test_placebo_legs_turn_elsewhere(projected) -> None:
    queries, points, labels, found = projected
    path = through_surface(queries, found, class_means(found, points, labels))
    early = before_surface(path, 0.5)
    np.testing.assert_allclose(points_at(early, [0.0])[0], points_at(path, [0.5])[0], atol=1e-12)
    ours, theirs = (points_at(each, [-0.25])[0] - points_at(each, [0.0])[0] for each in (early, path))
    np.testing.assert_allclose(ours, theirs, atol=1e-12)


def test_crossings_are_found_to_a_millionth(rng: np.random.Generator) -> None:
    """Labels by slabs: their borders are where the first coordinate is a multiple of 0.3."""
    starts, ends = rng.normal(size=(20, 3)), rng.normal(size=(20, 3))
    found = crossings.crossings(lambda points: np.floor(points[:, 0] / 0.3).astype(int), starts, ends, samples=201)
    expected = [
        (i, (0.3 * k - start) / (end - start))
        for i, (start, end) in enumerate(zip(starts[:, 0], ends[:, 0], strict=True))
        for k in range(-20, 20)
        if min(start, end) < 0.3 * k < max(start, end)
    ]
    np.testing.assert_array_equal(found.segment, [i for i, _ in sorted(expected)])
    np.testing.assert_allclose(found.place, [place for _, place in sorted(expected)], atol=1e-6)
    assert (np.abs(found.behind - found.before) == 1).all()
    assert not len(crossings.crossings(lambda points: np.zeros(len(points), int), starts, ends).place)
