"""Displacement of images by attacks: towards or away from the hull, along the way out, into the hulls of other classes."""

from __future__ import annotations

from typing import Any

import numpy as np

import hullx
from hullx import probes, runs, spaces
from hullx.data import Dataset, Split
from hullx.probes.attacks import Attacked

from .attack_setup import Config, Network, project_images

SHARE, COSINE, GROWTH = "share fooled", "cosine to the way out", "distance − before"
RANDOM, RATIO = "distance − before, random", "perturbation ÷ distance to the hull"


def record_displacement(
    config: Config,
    run: runs.Run[Any],
    data: Dataset,
    group: str,
    right: Split,
    before: hullx.Projection,
    found: Attacked,
) -> None:
    """Record how often an attack succeeds and its displacement, one value per image."""
    about: dict[str, Any] = {"data": data.title, "group": group}
    images = np.asarray(found.images, np.float32)
    moved = images.reshape(len(images), -1) - right.rows
    length = np.linalg.norm(moved.astype(np.float64), axis=1)
    after = project_images(config, run, data, images, f"{group}, after")
    out = right.rows - before.point
    drawn = runs.generator(config.seed, group).standard_normal(moved.shape)
    random = np.clip(right.rows + length[:, None] * drawn / np.linalg.norm(drawn, axis=1, keepdims=True), 0, 1)
    beside = project_images(config, run, data, random, f"{group}, random")
    standing = int((~np.asarray(found.success)).sum())
    run.record("accuracy under attack", runs.share_interval(standing, len(data.test.labels)), **about)
    run.record(SHARE, np.asarray(found.success), **about)
    run.record("length", length, **about, statistic="median")
    run.record(RATIO, length / np.maximum(before.distance, 1e-30), **about, statistic="median")
    run.record(GROWTH, after.distance - before.distance, **about)
    run.record(RANDOM, beside.distance - before.distance, **about)
    cosine = (moved * out).sum(1) / np.maximum(length * np.linalg.norm(out, axis=1), 1e-30)
    run.record(COSINE, cosine[length > 0], **about)
    run.record("by chance", 1 / np.sqrt(moved.shape[1]), **about)
    run.record("undecided", ~(before.decided & after.decided & beside.decided), **about, statistic="count")
    distances = {"before": before.distance, "after": after.distance, "random": beside.distance}
    run.arrays(group, success=np.asarray(found.success), length=length, cosine=cosine, **distances)


def record_hull_entry(
    config: Config, run: runs.Run[Any], data: Dataset, training: str, network: Network, right: Split, found: Attacked
) -> None:
    """Record whether features of fooled images enter a class's hull, and which class's hull is nearest."""
    space, head = spaces.Features(network.model, network.variables, network.last), probes.head_of(network.variables)
    fooled = np.asarray(found.success)
    if not fooled.any():
        return
    about: dict[str, Any] = {"data": data.title, "group": f"{training}, features of fooled images"}
    train = spaces.rows(space, data.train.images)
    train_classes = probes.predicted_class(head, train)
    present = np.unique(train_classes)
    for name, images in (("before", right.images), ("after", np.asarray(found.images, np.float32))):
        rows = spaces.rows(space, images[fooled])
        title = f"{training}, features {name}"
        hulls = [
            hullx.sweep(rows, train[train_classes == c], rtol=config.rtol, progress=f"{title}, called {c}") for c in present
        ]
        nearest = probes.nearest_hull(hulls)
        inside = np.any([hull.status == hullx.Status.INSIDE for hull in hulls], axis=0)
        run.record(f"share inside a class's hull, {name}", inside, **about)
        run.record(f"share nearest to its own class's, {name}", present[nearest.which] == right.labels[fooled], **about)
        run.record(f"undecided, {name}", ~nearest.proved, **about, statistic="count")
