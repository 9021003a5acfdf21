"""What do decision boundaries look like inside and outside the hull of the training set?

Claim (arXiv 2101.09849): networks of different sizes that fit the same points have different boundaries, and disagree outside
the hull.

    python -m experiments.boundaries                        the plane and digits, seconds
    python -m experiments.boundaries cpu                    the plane and MNIST, minutes
    python -m experiments.boundaries paper                  more sets of points, wider networks

In the plane, points uniform in a disc are labelled by the side of a wave on which they lie. Several networks with two hidden
layers of each width are fitted to each set of points. In pixel space, planes pass through a test image, its projection onto
the hull and the training image nearest to it, for the test images on which networks agree least. These networks are those of
`experiments.minimizers`.

Fixed before the run: agreement on a set of points is the share of pairs of networks that agree, over a grid inside the hull,
and outside up to a distance of one radius. Networks can only disagree near boundaries, so disagreement is divided by the amount
of boundary there: the share of neighbouring grid points with different labels. Intervals are over sets. A width fits if more
than half of its networks fit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from hullx import probes, runs
from hullx.data import Sample
from hullx.models import MLP
from hullx.runs import maps, plotting

from . import evaluation_setup, planes
from .evaluation_setup import EvaluationSetup, prepare
from .minimizer_families import UNITS, Recipe, train_family
from .wave_data import map_points

SOURCE, SIDE = "arXiv 2101.09849", 2.0  # half the side of the picture
LEVELS = 0.5, 1, 2, 4, 8  # contours of the distance to the hull, in pixel units
PLANE, PLACES = "plane", ("inside", "outside")


@dataclass(frozen=True)
class Config(evaluation_setup.Config):
    """Settings of the experiment.

    Attributes:
        sets: number of sets of points in the plane.
        disc: number of points in each set.
        widths: widths of the networks' hidden layers.
        members: number of networks for each set and width, and in pixel space.
        epochs: largest number of epochs.
        grid: number of points along each side of a map.
        images: number of test images with a plane through them.
    """

    sets: int = 3
    disc: int = 60
    widths: tuple[int, ...] = (2, 8, 128)
    members: int = 4
    epochs: int = 300
    grid: int = 41
    images: int = 2


MNIST = Config(data=Sample("mnist:1000:3000"), points=1000, queries=100, members=8, epochs=1000, grid=81, images=3)
PRESETS = {
    "smoke": Config(queries=30, widths=(2, 128), images=1),
    "cpu": replace(MNIST, sets=12, widths=(4, 8, 16, 64, 256)),
    "paper": replace(MNIST, sets=100, widths=(4, 8, 16, 64, 256, 1024)),
}


def measure(config: Config, run: runs.Run[Config]) -> None:
    """Map the plane and the agreement of networks there; map planes in pixel space."""
    corners = np.array([-SIDE, -SIDE]), np.array([SIDE, SIDE])
    grid = planes.grid(*corners, config.grid)
    found = [run.cached(f"points {k}", map_points, config, k, grid) for k in range(config.sets)]
    names = "fitted", "agreement", "right", "boundary"
    fitted, agreement, right, boundary = (np.stack([each[name] for each in found]) for name in names)
    run.arrays(PLANE, **{name: found[0][name] for name in ("points", "labels", "maps", "shares", "distance")})
    run.arrays("sets", fitted=fitted, agreement=agreement, right=right, boundary=boundary)
    for i, width in enumerate(config.widths):
        record = partial(run.record, data=PLANE, group=f"width {width}")
        record("failed", ~fitted[:, i], statistic="count")
        for j, place in enumerate(PLACES):
            record(f"share agreeing {place}", agreement[:, i, j], unit="share")
            record(f"accuracy {place}", right[:, i, j], unit="share")
            record(f"disagreement ÷ boundary {place}", (1 - agreement[:, i, j]) / np.maximum(boundary[:, i, j], 1e-12))
    setup = prepare(config, run)
    model = MLP(setup.classes, width=UNITS)
    family = train_family(run, "Adam", Recipe(), model, setup)
    agreement = setup.agreement(model, family.variables)[list(setup.places).index("test images")]
    for k in np.argsort(agreement, kind="stable")[: config.images]:
        run.arrays(f"image {k}", **run.cached(f"plane {k}", through_image, config, setup, model, family.variables, k))


def through_image(config: Config, setup: EvaluationSetup, model: MLP, variables: Any, k: int) -> dict[str, np.ndarray]:
    """The plane through a test image, its projection (the origin) and the training image nearest to it."""
    query, point = (np.asarray(each[k], np.float64) for each in (setup.queries.rows, setup.found.point))
    nearest = np.linalg.norm(setup.train.rows - query, axis=1).argmin()
    plane = planes.through(point, query, setup.train.rows[nearest])
    marks = plane.coordinates(np.stack([query, point, setup.train.rows[nearest]]))
    middle, side = (marks.min(0) + marks.max(0)) / 2, 1.5 * np.ptp(marks, axis=0).max()
    grid = planes.grid(middle - side, middle + side, config.grid)
    points = plane.points(grid).reshape(-1, query.size).astype(np.float32)
    predicted = setup.labels(model, variables, points)
    square = grid.shape[:2]
    return {
        "marks": marks,
        "corners": np.stack([middle - side, middle + side], -1).ravel(),
        "map": predicted[0].reshape(square),
        "shares": probes.pairwise(predicted, setup.classes).reshape(square),
        "distance": planes.membership(plane, grid, setup.train.rows)[1],
        "label": np.array(setup.queries.labels[k]),
    }


def claims(results: runs.Results) -> Iterator[runs.Claim]:
    """Whether the widest networks disagree outside, and whether widths differ there."""
    found, widths = results.arrays("sets"), results.config["widths"]
    sets, members = results.config["sets"], results.config["members"]
    about = {"data": PLANE, "sets": sets, "seeds": members, "unit": "%"}
    inside, outside = ((1 - found["agreement"]) / np.maximum(found["boundary"], 1e-12))[:, -1].T
    apart = runs.difference_interval(outside, inside, paired=True)
    name = f"networks of width {widths[-1]} disagree more outside, for the boundary there"
    note = f"disagreement ÷ boundary: {inside.mean():.2g} inside, {outside.mean():.2g} outside"
    one = about | {"networks": sets * members, "unit": ""}
    yield runs.Claim.of(apart, name, SOURCE, "more than 0", runs.above(apart, 0), note=note, **one)
    enough = found["fitted"].mean((0, 2)) > 0.5
    first = int(enough.argmax())
    for place, name in zip((1, 0), PLACES[::-1], strict=True):
        more = runs.difference_interval(found["agreement"][:, -1, place], found["agreement"][:, first, place], paired=True)
        note = f"width {widths[-1]} against {widths[first]}, the narrowest that fits" if enough.any() else "no width fits"
        verdict = runs.above(more, 0) if enough.any() else runs.UNSETTLED
        two = about | {"networks": 2 * sets * members}
        yield runs.Claim.of(more, f"wider networks agree more {name}", SOURCE, "more than 0", verdict, note=note, **two)


def figures(results: runs.Results) -> plotting.Figures:
    """The plane by width; planes through test images."""
    found, config, around = results.arrays(PLANE), results.config, (-SIDE, SIDE, -SIDE, SIDE)

    def draw_hull(axes: Axes) -> None:
        maps.points(axes, found["points"], found["labels"])
        maps.outline(axes, planes.outline(found["points"]))

    columns = [
        maps.Panel(f"width {width}", found["maps"][i], found["shares"][i], around, draw_hull)
        for i, width in enumerate(config["widths"])
    ]
    title = "Networks of increasing width, fitted to the same points in the plane (outline: their hull)"
    yield "plane", maps.panels(title, columns, config["members"])
    images = [results.arrays(path.stem) for path in sorted((results.folder / "arrays").glob("image-*.npz"))]

    def draw_image(each: dict[str, np.ndarray], axes: Axes) -> None:
        maps.distances(axes, each["distance"], tuple(each["corners"]), LEVELS)
        maps.marks(axes, dict(zip("TPN", each["marks"], strict=True)))

    columns = [
        maps.Panel(
            f"test image of class {int(each['label'])}",
            each["map"],
            each["shares"],
            tuple(each["corners"]),
            partial(draw_image, each),
        )
        for each in images
    ]
    title = (
        "planes through a test image (T), its projection onto the hull (P) and the nearest training image (N); lines: distance"
    )
    data, levels = plotting.data_name(results.names("data")[-1]), ", ".join(f"{level:g}" for level in LEVELS)
    yield "images", maps.panels(f"{data}: {title} to the hull, {levels}", columns, config["members"])


experiment = runs.Experiment(Config, PRESETS, measure, claims, figures)
if __name__ == "__main__":
    experiment.main()
