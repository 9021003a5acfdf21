"""Points where classifiers are compared: inside the hull, on its surface and outside.

Networks agree less far from the training images and where classes are mixed. So each point has two covariates: the distance to
the nearest training image, and the weight of the heaviest class in its convex combination (outside: in its projection's).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

import hullx
from experiments.shared.hull_samples import Inside, largest_class_share, mixtures, of_neighbours, of_one_class, on_the_surface
from hullx.data.dataset import Split
from hullx.geometry import neighbours

SURFACE = "projections of test images"
# Outside: distances to the hull in units of the test image's distance. All points of one image share its projection.
BEYOND = {"test images": 1, "as far again": 2, "4 × as far": 4}
# Inside: number of mixed training images, from any classes.
MIXED = {"mixtures of 2": 2, "mixtures of 5": 5, "mixtures of 20": 20}
ONE_CLASS, NEIGHBOURS = "mixtures of 5 of one class", "mixtures of 5 neighbours"
INSIDE, OUTSIDE = (*MIXED, ONE_CLASS, NEIGHBOURS), tuple(BEYOND)


class Place(NamedTuple):
    """s points of one kind.

    - points: as rows.
    - nearest: distance to the nearest training image.
    - share: weight of the heaviest class; in (0, 1].
    """

    points: Float[np.ndarray, "s d"]
    nearest: Float[np.ndarray, "s"]
    share: Float[np.ndarray, "s"]


def places(
    rng: np.random.Generator, train: Split, queries: Float[np.ndarray, "m d"], found: hullx.Projection
) -> dict[str, Place]:
    """Points of each kind in `INSIDE`, `SURFACE` and `OUTSIDE`, as many per kind as there are queries outside the hull.

    Args:
        rng: draws the mixtures.
        train: the training data, which span the hull.
        queries: points to place, such as test images.
        found: their projections, by `hullx.sweep`; queries not certified to be outside are skipped.

    Example:
        >>> digits = hullx.data.load("digits", train_size=300, test_size=8)
        >>> found = hullx.sweep(digits.test.rows, digits.train.rows, progress=False)
        >>> every = places(np.random.default_rng(0), digits.train, digits.test.rows, found)
        >>> [len(every[name].points) for name in (ONE_CLASS, SURFACE, "as far again")]
        [8, 8, 8]
    """
    rows, labels, outside = train.rows, train.labels, np.asarray(found.outside)
    surface, count = on_the_surface(found), int(outside.sum())
    samples = {name: mixtures(rng, rows, count, k) for name, k in MIXED.items()}
    samples[ONE_CLASS] = of_one_class(rng, rows, labels, count, 5)
    samples[NEIGHBOURS] = of_neighbours(rng, rows, count, 5)
    samples[SURFACE] = surface._replace(points=surface.points.astype(rows.dtype))
    for name, factor in BEYOND.items():
        beyond = surface.points + factor * (np.asarray(queries, np.float64)[outside] - surface.points)
        samples[name] = Inside(beyond.astype(rows.dtype), surface.support, surface.weights)

    def place(sample: Inside) -> Place:
        return Place(sample.points, neighbours(sample.points, rows).distance[:, 0], largest_class_share(sample, labels))

    return {name: place(sample) for name, sample in samples.items()}
