"""Whatever comes in, out comes an answer that rational arithmetic confirms, or one of hullx's own errors.

Hypothesis draws dtypes, layouts, shapes, scales and NaN; `pytest -m slow tests/test_any_input.py` draws fifty times as many.
"""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rational import squared_distance

import hullx
from hullx import HullxError, Status
from hullx.data import DataError, Split, load
from hullx.models import MLP
from hullx.training import Ensemble, FitConfig, fit

# What can be worked with comes first, and more often.
DTYPES = [*(np.float32, np.float64) * 6, np.float16, ">f4", np.longdouble, np.int32, bool]
LAYOUTS = [*("C", "F", "reversed", "strided", "jax", "memmap") * 2, "masked", "list"]
SCALES = [10.0**power for power in (*(0, 1, -7, 7, -30, 30) * 2, -320, -300, -42, -38, 37, 38, 300, 308)]
# Few shapes that fit together, for each is a program; and some that do not.
QUERIES, POINTS = [*((3, 2),) * 9, (2,), (0, 2), (3, 3), ()], [*((5, 2),) * 9, (0, 2), (5,), (2, 5, 2)]
MODEL, OPTIMIZER = MLP(3, width=2), optax.sgd(0.1)
MARKS = [90, pytest.param(1600, marks=pytest.mark.slow)]
relaxed = settings(
    deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)


@st.composite
def arrays(draw, shapes: list[tuple[int, ...]]) -> tuple[np.ndarray, str]:
    """An array of eighths times a scale, with few different numbers so that points coincide and queries lie on faces."""
    shape = draw(st.sampled_from(shapes))
    size = int(np.prod(shape))
    eighths = np.array(draw(st.lists(st.integers(-8, 8), min_size=size, max_size=size)), np.float64).reshape(shape) / 8
    dtype = draw(st.sampled_from(DTYPES))
    with np.errstate(all="ignore"):
        values = (eighths * draw(st.sampled_from(SCALES))).astype(dtype)
    if size and draw(st.integers(0, 9)) == 0 and np.issubdtype(values.dtype, np.floating):
        values.flat[draw(st.integers(0, size - 1))] = draw(st.sampled_from([np.nan, np.inf, -np.inf]))
    return values, draw(st.sampled_from(LAYOUTS))


def laid_out(values: np.ndarray, layout: str, path: Path) -> Any:
    if layout == "F":
        return np.asfortranarray(values)
    if layout == "reversed" and values.ndim:
        return values[::-1].copy()[::-1]
    if layout == "strided" and values.ndim:
        return np.repeat(values, 2, -1)[..., ::2]
    if layout == "jax" and values.dtype in (np.float32, np.int32):
        return jax.numpy.asarray(values)
    if layout == "memmap" and values.size:
        np.save(path, values)
        return np.load(path, mmap_mode="r")
    if layout == "masked":
        return np.ma.masked_array(values)
    return values.tolist() if layout == "list" else values


def confirmed(result: hullx.Projection, queries: np.ndarray, points: np.ndarray) -> None:
    """Each bracket holds the exact distance of the numbers that were computed with."""
    lower, upper, status = (np.ravel(field) for field in (result.lower, result.distance, result.status))
    for i, query in enumerate(queries.reshape(-1, points.shape[1])):
        if not np.isfinite(query).all():
            assert status[i] == Status.NONFINITE
        elif status[i] == Status.NONFINITE:  # said of finite numbers only where their distances overflow
            assert np.abs(query).max() > float(np.finfo(points.dtype).max) ** 0.5
        else:
            square = squared_distance(query, points)
            bracket = Fraction(float(lower[i])), Fraction(float(upper[i]))
            assert bracket[0] ** 2 <= square <= bracket[1] ** 2, (query, points, lower[i], upper[i])


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning", "ignore:invalid value encountered:RuntimeWarning")
@pytest.mark.parametrize("examples", MARKS)
@pytest.mark.parametrize("path", ["project", "project in float64", "sweep"])
def test_any_arrays(path: str, examples: int, tmp_path: Path) -> None:
    answers = []

    @settings(relaxed, max_examples=examples)
    @given(
        arrays(QUERIES if path == "project" else [shape for shape in QUERIES if shape not in ((2,), (0, 2))]), arrays(POINTS)
    )
    def run(queries: tuple[np.ndarray, str], points: tuple[np.ndarray, str]) -> None:
        mine, theirs = laid_out(*queries, tmp_path / "queries.npy"), laid_out(*points, tmp_path / "points.npy")
        with jax.enable_x64(path == "project in float64"):
            try:
                result = hullx.sweep(mine, theirs, progress=False) if path == "sweep" else hullx.project(mine, theirs)
            except HullxError as error:
                assert error.args[0].startswith(("queries", "points"))  # noqa: PT017 as is the error without the message
                return
        dtype = np.result_type(np.float32, queries[0].dtype, points[0].dtype)
        confirmed(result, queries[0].astype(dtype), points[0].astype(dtype))
        answers.append(result)

    run()
    assert len(answers) > examples / 6


@pytest.mark.parametrize("examples", MARKS)
def test_any_bytes_of_a_file(examples: int, tmp_path: Path) -> None:
    """A file with some bytes changed, cut or added is what it was, or a DataError."""
    rng, whole = np.random.default_rng(0), io.BytesIO()
    images, labels = rng.integers(0, 255, (4, 3, 3, 1), np.uint8), np.arange(4)
    np.savez(whole, x_train=images, y_train=labels, x_test=images, y_test=labels)
    data, refused = whole.getvalue(), []

    @settings(relaxed, max_examples=examples)
    @given(st.integers(0, len(data) - 1), st.binary(min_size=0, max_size=4), st.integers(0, 4))
    def run(place: int, inserted: bytes, removed: int) -> None:
        (tmp_path / "any.npz").write_bytes(data[:place] + inserted + data[place + removed :])
        try:
            found = load(f"npz:{tmp_path / 'any.npz'}", dtype="uint8")
        except DataError as error:
            refused.append(error)
            return
        for split in (found.train, found.test):
            np.testing.assert_array_equal(split.images, images)
            np.testing.assert_array_equal(split.labels, labels)

    run()
    assert len(refused) > examples / 3


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning", "ignore:overflow encountered:RuntimeWarning")
@pytest.mark.parametrize("examples", MARKS)
def test_any_splits_of_a_file(examples: int, tmp_path: Path) -> None:
    """Any arrays become a data set whose labels are classes and whose pixels are in [0, 1], or a DataError."""
    shapes = st.sampled_from([(3, 2, 2), (3, 2, 2, 1), (3, 4), (3,), (0, 2, 2), (3, 2, 2, 1, 1)])
    labels = st.sampled_from(
        [[0, 1, 2], [0, 1], [0.0, 1.0, 2.0], [0.5, 1, 2], [-1, 0, 1], [[0], [1], [2]], [np.nan] * 3, ["a"]]
    )
    dtypes = st.sampled_from([np.uint8, np.float32, np.float64, np.int64, np.complex64, ">f8"])

    @settings(relaxed, max_examples=examples)
    @given(shapes, shapes, dtypes, labels, st.sampled_from([0.0, 1.0, 2.0, np.nan]))
    def run(train: tuple, test: tuple, dtype: Any, given_labels: list, value: float) -> None:
        images = np.full(train, value).astype(dtype), np.zeros(test, dtype)
        np.savez(tmp_path / "any.npz", x_train=images[0], y_train=given_labels, x_test=images[1], y_test=[0, 1, 2])
        try:
            found = load(f"npz:{tmp_path / 'any.npz'}")
        except DataError as error:
            assert "any.npz" in error.args[0]  # noqa: PT017
            return
        assert found.train.images.shape[1:] == found.test.images.shape[1:]
        for split in (found.train, found.test):
            assert split.images.shape[0] == len(split.labels) == 3
            assert split.images.ndim == 4
            assert ((split.images >= 0) & (split.images <= 1)).all()
            assert ((split.labels >= 0) & (split.labels < len(found.classes))).all()

    run()


@pytest.mark.parametrize("examples", [25, pytest.param(300, marks=pytest.mark.slow)])
def test_any_training(examples: int) -> None:
    images = np.random.default_rng(0).random((6, 2, 2, 1), np.float32)

    @settings(relaxed, max_examples=examples)
    @given(
        st.sampled_from([1, 2, 0, -1, 2.5, np.nan, "3", None, True]),
        st.sampled_from([3, 100, 0, 1.5]),
        st.sampled_from([None, 0.0, 1.0, -1, np.nan, "x"]),
        st.sampled_from([1.0, 0.5, np.inf, np.nan, np.ones(3)]),
        st.sampled_from([[0, 1, 2, 0, 1, 2], [0, 1, 2], [0, 1, 2, 3, 0, 0], [-1] * 6, [0.5] * 6]),
        st.sampled_from([images, images[:0], images[..., 0], images + np.float32(np.nan), images.astype(np.float64)]),
    )
    def run(epochs: Any, batch: Any, until: Any, rate: Any, labels: list, pixels: np.ndarray) -> None:
        train = Split(pixels, np.asarray(labels))
        try:
            found = fit(
                jax.random.key(0),
                MODEL,
                OPTIMIZER,
                train,
                FitConfig(epochs=epochs, batch=batch, until=until, ensemble=Ensemble(rate=rate), title=None),
            )
        except HullxError:
            return
        assert len(found.history.loss) in (1, epochs)
        assert np.isfinite(found.history.loss).all()

    run()
