"""Points inside the hull, on its surface and outside, against certificates and SciPy."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.spatial

import hullx
from experiments import places
from experiments.shared.hull_samples import largest_class_share, mixtures, of_neighbours, of_one_class, on_the_surface
from hullx.errors import ArgumentError

pytestmark = pytest.mark.unoptimised


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


@pytest.mark.thorough
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


@pytest.mark.thorough
def test_every_place_is_where_it_says(projected) -> None:
    queries, points, labels, found = projected
    train = hullx.data.Split(points.reshape(-1, 8, 8, 1), labels)
    every = places.places(np.random.default_rng(0), train, queries, found)
    assert set(every) == {*places.INSIDE, places.SURFACE, *places.OUTSIDE}
    for name, place in every.items():
        assert len(place.points) == len(queries)
        nearest = scipy.spatial.KDTree(points).query(place.points)[0]
        np.testing.assert_allclose(place.nearest, nearest, rtol=1e-5)
        assert ((place.share > 0) & (place.share <= 1 + 1e-12)).all()
        if name in places.OUTSIDE:
            far = np.linalg.norm(place.points - found.point, axis=1)
            np.testing.assert_allclose(
                far, {"test images": 1, "as far again": 2, "4 × as far": 4}[name] * found.distance, rtol=1e-5
            )
    np.testing.assert_allclose(every["test images"].points, queries, atol=1e-6)
    inside = np.concatenate([every[name].points for name in places.INSIDE])[::5]
    check_rounded_members(inside, points)
    np.testing.assert_allclose(every[places.ONE_CLASS].share, 1)
