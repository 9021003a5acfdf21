"""`HullDomain`: scikit-learn's own checks, brackets, explanations, tables, pipelines."""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from oracles import nnls_distance
from sklearn.base import clone
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import hullx
from hullx import HullDomain, Status
from hullx.errors import ArgumentError, ArgumentTypeError

SQUARE = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])


@pytest.mark.slow
def test_scikit_learn_s_checks() -> None:
    """No expected failures. Minutes, because it fits tables of many shapes, each with programs to compile."""
    results: Any = check_estimator(HullDomain(), on_skip=None)
    assert {result["status"] for result in results} <= {"passed", "skipped"}
    assert len(results) > 30


def test_ordinary_tables(rng: np.random.Generator) -> None:
    train, test = rng.normal(size=(37, 2)), 1.5 * rng.normal(size=(13, 2))
    model = HullDomain().fit(train)
    expected = np.array([nnls_distance(row, train)[0] for row in test])
    outside = expected > 1e-9
    np.testing.assert_array_equal(model.predict(test), np.where(outside, -1, 1))
    np.testing.assert_allclose(model.score_samples(test), np.where(outside, -expected, 0), rtol=1e-6)
    np.testing.assert_array_equal(model.decision_function(test) < 0, model.predict(test) == -1)
    assert (model.predict(train) == 1).all()
    assert model.score(train) == 1
    assert model.score(test, np.where(outside, -1, 1)) == 1


@pytest.mark.thorough
@pytest.mark.parametrize("settings", [{"scale": "std"}, {"scale": "robust"}, {"n_components": 1}, {"n_neighbors": 3}])
def test_training_rows_are_inside_under_all_settings(settings: dict, rng: np.random.Generator) -> None:
    train = 5 + rng.normal(size=(37, 2)) * [1, 1000]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = HullDomain(**settings).fit(train)
    assert (model.predict(train) == 1).all()
    assert (model.predict(train[::2]) == 1).all()
    far = model.project(np.array([[100.0, 9e4]]))
    assert far.outside.all()


def test_distances_are_ordered_by_settings(rng: np.random.Generator) -> None:
    """Principal components shorten distances, and fewer training rows lengthen them."""
    train, test = rng.normal(size=(37, 2)), 2 * rng.normal(size=(13, 2))
    whole = HullDomain().fit(train).project(test)
    few = HullDomain(n_components=1).fit(train).project(test)
    near = HullDomain(n_neighbors=3).fit(train).project(test)
    assert (few.lower <= whole.distance + 1e-12).all()
    assert (near.distance >= whole.lower).all()
    np.testing.assert_allclose(
        np.einsum("ms,msd->md", near.weights, train[near.support]), near.point, atol=1e-9
    )  # support holds rows of the training table


def test_scales(rng: np.random.Generator) -> None:
    train, test = rng.normal(size=(37, 2)) * [1, 1e3], rng.normal(size=(13, 2)) * [2, 2e3]
    scaled = HullDomain(scale="std").fit(train).project(test)
    expected = HullDomain().fit(train / train.std(0)).project(test / train.std(0))
    np.testing.assert_allclose(scaled.distance[scaled.outside], expected.distance[scaled.outside], rtol=1e-6)


@pytest.mark.thorough
def test_spans_that_differ_are_warned_about_once() -> None:
    rows = SQUARE * [1, 1e7]
    with pytest.warns(UserWarning, match="spans of columns differ by more than 1e6") as told:
        model = HullDomain().fit(rows)
    assert len(told) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict(rows)
        HullDomain(scale="std").fit(rows)
        HullDomain().fit(SQUARE)


def test_explanation() -> None:
    table = pd.DataFrame(SQUARE, columns=["age", "height"])
    found = HullDomain().fit(table).explain(pd.DataFrame([[2.0, 0.5]], columns=["age", "height"]))
    assert found.status is Status.CONVERGED
    assert found.lower <= 1 <= found.distance
    np.testing.assert_allclose(found.point, [1, 0.5], atol=1e-9)
    assert sorted(found.rows) == [1, 3]
    np.testing.assert_allclose(found.weights, 0.5)
    assert [name for name, _ in found.features] == ["age", "height"]
    np.testing.assert_allclose([share for _, share in found.features], [1, 0], atol=1e-12)
    assert (found.proof, found.smallest) == (("age",), True)
    assert "proved outside by age alone" in str(found)


def test_an_explanation_has_the_precision_of_the_prediction(rng: np.random.Generator) -> None:
    """Mixtures on edges, rounded to float32, are inside for float32's rounding, and some outside in float64."""
    points = rng.normal(size=(40, 6)).astype(np.float32)
    rows = ((points[:8] + 2 * points[8:16].astype(np.float64)) / 3).astype(np.float32)
    model = HullDomain().fit(points)
    predicted = model.project(rows).status.tolist()
    assert [int(model.explain(row).status) for row in rows] == predicted
    assert model.project(rows.astype(np.float64)).status.tolist() != predicted


def test_explanation_of_a_row_inside() -> None:
    found = HullDomain().fit(SQUARE).explain([0.5, 0.25])
    assert found.status is Status.INSIDE
    assert (found.features, found.proof) == ((), ())
    np.testing.assert_allclose(found.point, [0.5, 0.25])
    assert "inside" in str(found)


def test_the_nearest_mixture_is_in_the_table_s_units() -> None:
    cases: list[dict[str, Any]] = [{"scale": "std"}, {"scale": "std", "n_components": 2}, {"n_neighbors": 4}]
    for settings in cases:
        found = HullDomain(**settings).fit(10 + 4 * SQUARE).explain([18.0, 12.0])
        np.testing.assert_allclose(found.point, [14, 12], atol=1e-9)
        assert found.proof == ("0",)


def test_names_are_kept_and_checked() -> None:
    table = pd.DataFrame(SQUARE, columns=["age", "height"])
    model = HullDomain().fit(table)
    assert list(model.feature_names_in_) == ["age", "height"]
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(table.rename(columns={"age": "years"}))
    with pytest.raises(ValueError, match="must be in the same order"):
        model.explain(table[["height", "age"]].iloc[:1])


@pytest.mark.parametrize("settings", [{}, {"scale": "std", "n_neighbors": 3}])
def test_pickles_and_clones(settings: dict) -> None:
    model = HullDomain(**settings).fit(SQUARE)
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copy.score_samples([[2.0, 0.3]]), model.score_samples([[2.0, 0.3]]))
    cloned: Any = clone(model)
    assert cloned.get_params() == model.get_params()


@pytest.mark.parametrize(("before", "after"), [(1, None), (None, 1)])
def test_the_number_of_neighbours_may_change_after_fitting(before: int | None, after: int | None) -> None:
    row, model = [[2.0, 0.5]], HullDomain(n_neighbors=before).fit(SQUARE)
    np.testing.assert_allclose(model.score_samples(row), -1 if before is None else -np.sqrt(1.25))
    model.set_params(n_neighbors=after)
    np.testing.assert_allclose(model.score_samples(row), -1 if after is None else -np.sqrt(1.25))


def test_a_second_fit_forgets_the_first() -> None:
    model = HullDomain().fit(SQUARE)
    np.testing.assert_allclose(model.fit(SQUARE + 1).score_samples([[0.0, 1.5]]), -1)
    with pytest.raises(ArgumentError, match="points: got no number larger"):
        model.fit(np.full((3, 2), 1e-320))
    with pytest.raises(ArgumentError, match="points: got no number larger"):
        model.predict([[0.0, 1.5]])


def test_pipelines_and_grid_searches(rng: np.random.Generator) -> None:
    rows = np.concatenate([rng.normal(size=(24, 2)), 6 + rng.normal(size=(8, 2))])
    labels = np.repeat([1, -1], [24, 8])
    model = make_pipeline(StandardScaler(), HullDomain()).fit(rows[:24])
    assert (model.predict(rows[24:]) == -1).all()
    assert roc_auc_score(labels, model.score_samples(rows)) == 1

    def auc(model: HullDomain, X: np.ndarray, y: np.ndarray) -> float:
        return float(roc_auc_score(y, model.score_samples(X)))

    splits = [(np.arange(16), np.arange(16, 32))]
    for scoring in (None, auc):
        search = GridSearchCV(HullDomain(), {"scale": ["none", "std"]}, cv=splits, scoring=scoring).fit(rows, labels)
        assert search.best_score_ > 0.5


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"scale": "minmax"}, ArgumentError, "scale: got 'minmax', expected one of 'none', 'std', 'robust'"),
        ({"n_components": 3}, ArgumentError, "n_components: got 3, expected at most 2"),
        ({"n_neighbors": 5}, ArgumentError, "n_neighbors: got 5, expected at most 4"),
        ({"n_neighbors": 1.5}, ArgumentTypeError, "n_neighbors: got 1.5, expected an integer"),
        ({"rtol": 2.0}, ArgumentError, "rtol: got 2.0"),
    ],
)
def test_bad_settings(settings: dict, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        HullDomain(**settings).fit(SQUARE)


def test_a_bad_query() -> None:
    with pytest.raises(ArgumentError, match=r"query: got shape \(1, 3\), expected one row of 2 columns"):
        HullDomain().fit(SQUARE).explain([1.0, 2.0, 3.0])


def test_it_is_imported_on_first_use() -> None:
    assert hullx.HullDomain is HullDomain
