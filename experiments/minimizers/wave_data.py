"""Points in the plane, labelled by the side of a wave on which they lie, and maps of networks fitted to them."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import hullx
from hullx import probes, runs
from hullx.data import Split
from hullx.models import MLP
from hullx.training import FitConfig, fit

REACH = 1.0  # largest evaluated distance to the hull, in radii
OPTIMIZER = optax.adam(5e-3)  # one for all: another object would compile again


def map_points(config: Any, k: int, grid: np.ndarray) -> dict[str, np.ndarray]:
    """For one set of points: maps of each width's first network, agreement, accuracy and boundary
    (widths, 2) inside and outside.
    """
    rng = runs.generator(config.seed, "points", str(k))
    angle, radius = rng.uniform(0, 2 * np.pi, config.disc), np.sqrt(rng.uniform(0, 1, config.disc))
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle)], -1).astype(np.float32)
    flat = grid.reshape(-1, 2).astype(np.float32)
    projected = hullx.sweep(flat, points, rtol=1e-4, progress=False)
    distance = np.where(projected.outside, projected.distance, 0)
    places = distance == 0, (distance > 0) & (distance <= REACH)
    predicted, fitted = list[np.ndarray](), list[np.ndarray]()
    for width in config.widths:
        keys = jax.random.split(jax.random.key(rng.integers(2**31)), config.members)
        model, train = MLP(2, width=width), Split(points.reshape(-1, 1, 2, 1), wave(points))
        found = fit(keys, model, OPTIMIZER, train, FitConfig(epochs=config.epochs, batch=15, until=1.0, title=None))
        call = partial(probes.logits, found.state.variables, model=model)
        fitted.append((np.asarray(call(jnp.asarray(train.images)).argmax(-1)) == train.labels).all(1))
        predicted.append(np.asarray(call(jnp.asarray(flat.reshape(-1, 1, 2, 1))).argmax(-1)))
    shares = np.stack([probes.pairwise(each, 2) for each in predicted])
    right = np.stack([(each == wave(flat)).mean(0) for each in predicted])
    by_place = {
        name: np.stack([each[:, mine].mean(1) for mine in places], -1)
        for name, each in (("agreement", shares), ("right", right))
    }
    square = (len(predicted), *grid.shape[:2])
    maps = [each.reshape(len(each), *grid.shape[:2]) for each in predicted]
    by_place["boundary"] = np.array([[boundary(each, mine.reshape(grid.shape[:2])) for mine in places] for each in maps])
    return by_place | {
        "points": points,
        "labels": wave(points),
        "maps": np.stack([each[0] for each in predicted]).reshape(square),
        "shares": shares.reshape(square),
        "distance": distance.reshape(square[1:]),
        "fitted": np.stack(fitted),
    }


def boundary(labels: np.ndarray, place: np.ndarray) -> float:
    """The share of neighbouring points of a grid whose labels differ: how much boundary there is in a place, by area.

    Args:
        labels: (members, rows, columns), over whose members it is averaged.
        place: which points count, (rows, columns).
    """
    differ = [
        (labels[:, :, 1:] != labels[:, :, :-1])[:, place[:, 1:] & place[:, :-1]],
        (labels[:, 1:] != labels[:, :-1])[:, place[1:] & place[:-1]],
    ]
    return float(np.concatenate(differ, axis=1).mean())


def wave(points: np.ndarray) -> np.ndarray:
    """The true label of points in the plane."""
    return (points[:, 1] > 0.4 * np.sin(4 * points[:, 0])).astype(np.int32)
