"""Consequences of a linear head for its feature space, tested on a network: see `hullx.probes.linear_head`."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

import hullx
from experiments.shared.hull_samples import of_one_class
from hullx import probes, runs, spaces
from hullx.data import Dataset

MIXED = 8  # features in each sampled convex combination
KEPT, PROVED, FLIPS = (
    "share called as what it mixes",
    "share of pairs with a plane between",
    "share that flips at the border",
)
GUARANTEED, LIKE = "share inside the hull of its called class in any network", "nearest hull right − network right"


class Regions(NamedTuple):
    """Consequences of one network's linear head.

    - kept, proved, flips: whether each consequence holds, for sampled points, pairs of classes and test images.
    - gap: the smallest proved distance between two hulls.
    - border: each test image's distance to the nearest decision boundary.
    - right, nearest: whether the network and the nearest hull classify each test image correctly.
    - guaranteed, undecided: whether it is inside the hull of its predicted class; whether any hull leaves it undecided.
    """

    kept: np.ndarray
    proved: np.ndarray
    flips: np.ndarray
    gap: float
    border: np.ndarray
    right: np.ndarray
    nearest: np.ndarray
    guaranteed: np.ndarray
    undecided: np.ndarray


def check_regions(
    space: spaces.Space, head: probes.Head, data: Dataset, samples: int, seed: int, rtol: float, title: str
) -> Regions:
    """Test what the head implies, and measure the test images' distances to the class hulls."""
    train, test = (spaces.rows(space, part.images) for part in (data.train, data.test))
    train_classes, test_classes = probes.predicted_class(head, train), probes.predicted_class(head, test)
    rng, present = runs.generator(seed, title), np.unique(train_classes)
    some = of_one_class(rng, train, train_classes, samples, min(MIXED, int(np.bincount(train_classes)[present].min())))
    kept = probes.predicted_class(head, some.points) == train_classes[some.support[:, 0]]
    gaps = probes.class_gaps(head, train)[np.ix_(present, present)][np.triu_indices(len(present), 1)]
    border = probes.boundary(head, test)
    before, beyond = (border.point + (test - border.point) * factor for factor in (1e-6, -1e-6))
    flips = (probes.predicted_class(head, before) == test_classes) & (probes.predicted_class(head, beyond) == border.other)
    hulls = [hullx.sweep(test, train[train_classes == c], rtol=rtol, progress=f"{title}, called {c}") for c in present]
    nearest, inside = probes.nearest_hull(hulls), np.zeros((len(data.classes), len(test)), bool)
    inside[present] = [hull.status == hullx.Status.INSIDE for hull in hulls]
    own, undecided = (
        inside[test_classes, np.arange(len(test))],
        ~(nearest.proved & np.all([hull.decided for hull in hulls], axis=0)),
    )
    right, near = (called == data.test.labels for called in (test_classes, present[nearest.which]))
    return Regions(kept, gaps > 0, flips, float(gaps.min()), border.distance, right, near, own, undecided)


def record_regions(run: runs.Run[Any], data: str, group: str, found: list[Regions]) -> None:
    """Record the results of all networks' heads. Test images have one value each: the mean over networks."""
    about: dict[str, Any] = {"data": data, "group": group}
    for name, field in ((KEPT, "kept"), (PROVED, "proved"), (FLIPS, "flips")):
        run.record(name, np.concatenate([getattr(each, field) for each in found]), **about)
    guaranteed, undecided = (np.any([getattr(each, name) for each in found], axis=0) for name in ("guaranteed", "undecided"))
    run.record(GUARANTEED, guaranteed, **about)
    run.record("undecided", undecided, **about, statistic="count")
    right, nearest, border = (
        np.mean([getattr(each, name) for each in found], axis=0) for name in ("right", "nearest", "border")
    )
    run.record("accuracy", right, **about, unit="share")
    run.record("accuracy of the nearest hull", nearest, **about, unit="share")
    run.record(LIKE, runs.difference_interval(nearest, right, paired=True), **about, unit="%")
    run.record("least gap of two hulls", min(each.gap for each in found), **about)
    run.record("distance to the border", border, **about)
