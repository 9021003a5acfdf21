"""Points at which networks that fit the same training images are evaluated: shared by experiments on minimizers and widths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

import hullx
from hullx import probes, runs
from hullx.data import Sample, Split
from hullx.errors import ArgumentError

from .places import INSIDE, Place, places

VERIFIED = 32  # verified points of each kind inside


@dataclass(frozen=True)
class Config(runs.Config):
    """Settings of experiments that evaluate networks.

    Attributes:
        data: a data set; its first training images are fitted, others may serve as poison.
        points: number of training images.
        queries: number of projected test images; test errors use the other test images.
    """

    data: Sample = Sample("digits")
    points: int = 300
    queries: int = 60


class EvaluationSetup(NamedTuple):
    """The data that networks fit, and the points at which they are evaluated.

    - title: title of the data.
    - classes: number of classes.
    - train, pool: images to fit, and further images.
    - queries, found: test images outside the hull, and their projections.
    - test: the other test images.
    - places: points inside, on the surface, outside.
    """

    title: str
    classes: int
    train: Split
    pool: Split
    queries: Split
    found: hullx.Projection
    test: Split
    places: dict[str, Place]

    def labels(self, model: nn.Module, variables: Any, points: np.ndarray) -> np.ndarray:
        """Each member's predicted labels of the points (..., d): (members, ...)."""
        images = jnp.asarray(points.reshape(-1, *self.train.images.shape[1:]), jnp.float32)
        found = np.asarray(probes.logits(variables, images, model=model).argmax(-1))
        return found.reshape(len(found), *points.shape[:-1])

    def predicted(self, model: nn.Module, variables: Any) -> list[np.ndarray]:
        """Each member's labels of the points of each place: (members, points) for each place."""
        return [self.labels(model, variables, place.points) for place in self.places.values()]

    def agreement(self, model: nn.Module, variables: Any) -> np.ndarray:
        """The share of pairs of members that agree, at each point of each place: (places, points)."""
        return np.stack([probes.pairwise(each, self.classes) for each in self.predicted(model, variables)])

    def errors(self, model: nn.Module, variables: Any) -> np.ndarray:
        """Each member's share of wrong labels of test images."""
        return (self.labels(model, variables, self.test.rows) != self.test.labels).mean(1)


def evidence(results: runs.Results, seeds: int, *, errors: bool = True) -> dict[str, Any]:
    """What supports claims on all networks: fields of `runs.Claim`.

    Args:
        seeds: number of seeds of each kind of network.
        errors: whether the numbers use test errors, which are measured on images of their own.
    """
    (images,) = results.select(quantity="images for test errors")
    failed, attempts = results.total("failed", data=images.data)
    queries = results.estimate("share outside", data=images.data, group="test images").n
    count = queries + errors * round(images.value)
    return {"data": images.data, "networks": attempts - failed, "images": count, "seeds": seeds}


def prepare(config: Config, run: runs.Run[Any]) -> EvaluationSetup:
    """Split the data and draw the points; verify some of the inside points by projecting them."""
    data = config.data.load(seed=config.seed, data_dir=config.data_dir)
    sizes = len(data.train.labels), len(data.test.labels)
    if config.points > sizes[0] or config.queries >= sizes[1]:
        counts = f"got {config.points:,} and {config.queries:,} of {sizes[0]:,} training and {sizes[1]:,} test images"
        raise ArgumentError(f"--points, --queries: {counts}, expected fewer: lower them")
    train, pool = (data.train.take(part) for part in np.split(np.arange(len(data.train.labels)), [config.points]))
    queries, test = (data.test.take(part) for part in np.split(np.arange(len(data.test.labels)), [config.queries]))
    found = hullx.sweep(queries.rows, train.rows, rtol=config.rtol, resume=run.resume_dir("projections"))
    title = f"{data.title.partition(',')[0]}, {config.points:,} training images"
    run.distances(found, data=title, group="test images")
    run.record("images for test errors", len(test.labels), data=title)
    outside = np.flatnonzero(found.outside)
    queries, found = queries.take(outside), jax.tree.map(lambda field: field[outside], found)
    where = run.cached("places", places, runs.generator(config.seed, "places"), train, queries.rows, found)
    some = np.concatenate([where[name].points[:VERIFIED] for name in INSIDE])
    # Rounding mixtures to float32 moves a point by at most this.
    rounding = np.finfo(np.float32).eps * np.linalg.norm(some, axis=1)
    verified = hullx.sweep(some, train.rows, atol=rounding.min() / 2, resume=run.resume_dir("verified"), progress=False)
    run.record("share certified inside", verified.distance <= rounding, data=title, group="points inside")
    return EvaluationSetup(title, len(data.classes), train, pool, queries, found, test, where)
