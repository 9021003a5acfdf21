"""Pairs of training and test embeddings: from files, and from the last hidden layer of a network trained here."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from experiments.shared.networks import NETWORKS, adam
from hullx import runs, spaces
from hullx.command.reading import read
from hullx.data import Sample
from hullx.data.preprocessing import standardised
from hullx.errors import ArgumentError, DataError
from hullx.training import FitConfig, fit

# Rows of a file that are read at once.
BLOCK = 4096


class Pair(NamedTuple):
    """Training embeddings, and sets of test embeddings of the same width.

    - title: name and sizes, as printed.
    - train: (n, d); a memory map if its file is larger than 1 GB.
    - tests: by name, (m, d) each.
    - labels: of the rows of the first set, or None.
    """

    title: str
    train: Float[np.ndarray, "n d"]
    tests: dict[str, Float[np.ndarray, "m d"]]
    labels: np.ndarray | None = None


def pair_from_files(train: Path, test: Path, labels: Path | None, count: int, rng: np.random.Generator) -> Pair:
    """The embeddings of two files, .npy, .npz, .csv or .parquet, with at most `count` test rows, drawn at random.

    Args:
        labels: .npy with one integer or string per test row.

    Raises:
        DataError: a file cannot be read, or its numbers are not finite.
        ArgumentError: the shapes do not match.
    """
    points, queries = read(str(train)), read(str(test))
    if points.rows.shape[1] != queries.rows.shape[1]:
        found, wanted = queries.rows.shape, points.rows.shape
        raise ArgumentError(f"{queries.name}: got shape {found}, expected (m, {wanted[1]}) to match {points.name}")
    if points.named and queries.named and points.columns != queries.columns:
        raise ArgumentError(f"{queries.name}: got other columns than {points.name}, expected the same names in the same order")
    if len(points.rows) < 3:
        raise ArgumentError(f"{points.name}: got {len(points.rows)} rows, expected three or more")
    for table in (points, queries):
        for start in range(0, len(table.rows), BLOCK):
            if not (finite := np.isfinite(table.rows[start : start + BLOCK]).all(1)).all():
                raise DataError(f"{table.name}: row {start + finite.argmin()} has NaN or infinity, expected finite numbers")
    named = None if labels is None else _labels(labels, len(queries.rows))
    chosen = np.sort(rng.permutation(len(queries.rows))[:count])
    title = f"{points.name} and {queries.name}, {len(points.rows):,} training and {len(chosen):,} test rows"
    tests = {"test rows": np.ascontiguousarray(queries.rows[chosen])}
    return Pair(title, points.rows, tests, None if named is None else named[chosen])


def _labels(file: Path, count: int) -> np.ndarray:
    try:
        labels = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        raise DataError(f"{file} cannot be read as .npy ({reason}): write the labels with numpy.save") from error
    if labels.shape != (count,):
        raise ArgumentError(f"{file.name}: got labels of shape {labels.shape}, expected ({count},), one per test row")
    if labels.dtype.kind not in "iubSU":
        raise ArgumentError(f"{file.name}: got labels of dtype {labels.dtype}, expected integers or strings")
    return labels


def pair_from_network(run: runs.Run[Any], sample: Sample, name: str, epochs: int) -> Pair:
    """The last hidden layer of a network, on its training images and on test images; records its test accuracy."""
    config = run.config
    data = sample.load(seed=config.seed, data_dir=config.data_dir)
    kind, title = NETWORKS[name], f"{name} features of {data.title}"
    train, test = (part._replace(images=standardised(part.images, data.train.images)) for part in (data.train, data.test))
    model, steps = kind.make(len(data.classes)), epochs * (len(train.labels) // 64)
    settings = FitConfig(epochs, batch=64, checkpoint=run.resume_dir(title), title=title)
    fitted = fit(jax.random.key(config.seed), model, adam(2e-3, steps), train, settings, test=test)
    accuracy = float(np.asarray(fitted.history.test_accuracy)[-1].mean())
    run.record("test accuracy", accuracy, data=title, group="network", unit="share")
    space = spaces.Features(model, fitted.state.variables, kind.last)
    queries = {"test images": spaces.rows(space, test.images)}
    return Pair(title, spaces.rows(space, train.images), queries, np.array(data.classes)[test.labels])


def spread_of_lengths(rows: np.ndarray) -> float:
    """The standard deviation of the lengths of rows ÷ their mean."""
    lengths = np.linalg.norm(np.asarray(rows, np.float64), axis=1)
    return float(lengths.std() / max(lengths.mean(), np.finfo(float).tiny))
