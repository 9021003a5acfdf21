"""Trained networks, and the position of test images relative to the training images' hull in each layer."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import jax
import numpy as np

import hullx
from experiments.shared.networks import NETWORKS, adam
from experiments.shared.product_time import product_seconds
from hullx import runs, spaces
from hullx.data import Dataset, Split
from hullx.data.preprocessing import standardised
from hullx.geometry import extent
from hullx.training import Fit, FitConfig, fit


class Found(NamedTuple):
    """The position of test images relative to the hull, in one space.

    - distance, outside, decided: for each image, as in `hullx.Projection`.
    - pairwise: mean pairwise distance of training images there.
    - seconds: time of the sweep, compilation included.
    - floor: time of two matrix products of queries and points.
    """

    distance: np.ndarray
    outside: np.ndarray
    decided: np.ndarray
    pairwise: float
    seconds: float
    floor: float


def prepare(data: Dataset) -> Dataset:
    """The data with each channel standardised, as networks receive them."""
    train, test = (Split(standardised(part.images, data.train.images), part.labels) for part in (data.train, data.test))
    return data._replace(train=train, test=test)


def train_network(run: runs.Run[Any], data: Dataset, name: str, key: jax.Array, epochs: int, title: str) -> Fit:
    """Train a named network by Adam, with a rate that falls to 0."""
    model = NETWORKS[name].make(len(data.classes))
    steps = epochs * (len(data.train.labels) // 64)
    settings = FitConfig(epochs, batch=64, checkpoint=run.resume_dir(title), title=title)
    return fit(key, model, adam(2e-3, steps), data.train, settings, test=data.test)


def project_images(space: spaces.Space, data: Dataset, seed: int, rtol: float, title: str) -> Found:
    """Project the test images onto the hull of the training images in a space."""
    train, test = (spaces.rows(space, part.images) for part in (data.train, data.test))
    began = time.perf_counter()
    found = hullx.sweep(test, train, rtol=rtol, progress=title)
    seconds = time.perf_counter() - began
    pairwise = extent(runs.generator(seed, title), train).pairwise_mean
    outside, decided = np.asarray(found.outside), np.asarray(found.decided)
    return Found(found.distance, outside, decided, pairwise, seconds, 2 * product_seconds(test, train))


def record_layer(run: runs.Run[Any], data: str, group: str, found: list[Found]) -> None:
    """Record a layer's row over all networks, with one value per image, and each network's share outside.

    An image is outside if it is outside in each network. Its distance is the mean over networks.
    """
    about: dict[str, Any] = {"data": data, "group": group}
    outside, decided = (np.all([getattr(each, name) for each in found], axis=0) for name in ("outside", "decided"))
    run.record("share outside", outside, **about)
    run.record("undecided", ~decided, statistic="count", **about)
    run.record("distance", np.mean([each.distance for each in found], axis=0), **about)
    run.record("÷ mean pairwise distance", np.mean([each.distance / each.pairwise for each in found], axis=0), **about)
    run.record("÷ two products", min(each.seconds / each.floor for each in found), **about)
    for seed, each in enumerate(found):
        run.record("share outside", each.outside, seed=seed, **about)
