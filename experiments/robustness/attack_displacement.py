"""Displacement of images by attacks: towards or away from the hull, along the way out, into the hulls of other classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import hullx
from hullx import probes, runs, spaces
from hullx.data import Dataset, Split
from hullx.probes.attacks import Attacked

from .attack_setup import Config, Network, project_images

Control = Callable[[np.random.Generator, np.ndarray, np.ndarray], np.ndarray]

SHARE, COSINE, GROWTH = "share fooled", "cosine to the way out", "distance − before"
RANDOM_COSINE, RANDOM_GROWTH = f"{COSINE}, random", f"{GROWTH}, random"
RATIO = "perturbation ÷ distance to the hull"


def record_displacement(
    config: Config,
    run: runs.Run[Any],
    data: Dataset,
    group: str,
    right: Split,
    before: hullx.Projection,
    found: Attacked,
    control: Control,
) -> None:
    """Record how often an attack succeeds and its displacement, beside a control of the same length for each image.

    Args:
        right: the images before the attack.
        before: their projections.
        control: changes images at random, by given lengths.
    """
    about: dict[str, Any] = {"data": data.title, "group": group}
    images, rows = np.asarray(found.images, np.float32), right.rows.astype(np.float64)
    moved = images.reshape(len(images), -1) - rows
    length = np.linalg.norm(moved, axis=1)
    after = project_images(config, run, data, images, f"{group}, after")
    out = rows - before.point
    changed = control(runs.generator(config.seed, group), rows, length)
    beside = project_images(config, run, data, changed.astype(np.float32), f"{group}, random")
    standing = int((~np.asarray(found.success)).sum())
    run.record("accuracy under attack", runs.share_interval(standing, len(data.test.labels)), **about)
    run.record(SHARE, np.asarray(found.success), **about)
    run.record("length", length, **about, statistic="median")
    run.record(RATIO, length / np.maximum(before.distance, 1e-30), **about, statistic="median")
    run.record(GROWTH, after.distance - before.distance, **about)
    run.record(RANDOM_GROWTH, beside.distance - before.distance, **about)
    cosine, random_cosine = (
        (change * out).sum(1) / np.maximum(np.linalg.norm(change, axis=1) * np.linalg.norm(out, axis=1), 1e-30)
        for change in (moved, changed - rows)
    )
    run.record(COSINE, cosine[length > 0], **about)
    run.record(RANDOM_COSINE, random_cosine[length > 0], **about)
    run.record("undecided", ~(before.decided & after.decided & beside.decided), **about, statistic="count")
    distances = {"before": before.distance, "after": after.distance, "random": beside.distance}
    lengths = {"length": length, "random_length": np.linalg.norm(changed - rows, axis=1)}
    run.arrays(group, success=np.asarray(found.success), cosine=cosine, random_cosine=random_cosine, **lengths, **distances)


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
