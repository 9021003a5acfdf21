"""Tables: what reading handles and refuses, shares with exact values, losses by formula, and the smoke run."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from commands import started
from oracles import nnls_distance

from experiments import fold_measures, table_reading, tabular
from hullx import runs
from hullx.domain import scaling
from hullx.errors import HullxError

pytestmark = pytest.mark.unoptimised


def write(path: Path, rows: list[str]) -> Path:
    path.write_text("\n".join(rows) + "\n")
    return path


def test_a_csv_with_categories_missing_values_and_a_constant_column(tmp_path: Path) -> None:
    lines = [f"{i % 5},{'red' if i % 2 else 'blue'},5,{'yes' if i % 3 else 'no'},x{i}" for i in range(60)]
    file = write(tmp_path / "t.csv", ["size,colour,same,bought,name", *lines, ",red,5,yes,x", "1,NA,5,no,x", "1,red,5,,x"])
    table = table_reading.read_csv(file, "bought", ("name",))
    assert table.columns == ("size", "colour = blue", "colour = red")
    assert (table.dropped, table.constant, table.rows.shape) == (3, ("same",), (60, 3))
    np.testing.assert_array_equal(table.rows[:, 1] + table.rows[:, 2], 1)
    np.testing.assert_array_equal(table.target[:, 1], [i % 3 > 0 for i in range(60)])
    number = table_reading.read_csv(file, "size", ("name", "same"))
    assert number.target.shape == (60, 5)  # whole numbers of few values are classes


@pytest.mark.parametrize(
    ("lines", "target", "message"),
    [
        (["a,b", *[f"{i},{i}" for i in range(60)]], "c", "--target: got 'c', expected a column of t.csv: a, b"),
        (["a,b", *[f"{i},n{i}" for i in range(60)]], "a", "column 'b' has text with 60 different values"),
        (["a,b", *["1,2.5"] * 60], "b", "all columns are constant"),
        (["a,b", *[f"{i},1.5" for i in range(60)]], "b", "the target is constant"),
        (["a,b", "1,2"], "b", "1 rows have no missing or infinite value, expected at least 50"),
        (["a,b", "1,2,3"], "b", "got a row of 3 cells"),
        (["a,a", "1,2"], "a", "got two columns of one name"),
        (["a,b", *[f"{i},{int(i == 0)}" for i in range(60)]], "b", "class 1 of the target has 1 rows"),
        (["a,b", *[f"{i}e200,{i % 2}" for i in range(60)]], "b", "got a number beyond ±1e+100, whose square overflows"),
        ([], "b", "got an empty file"),
    ],
)
def test_what_cannot_be_used_gets_one_sentence(lines: list[str], target: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(HullxError, match=re.escape(message)):
        table_reading.read_csv(write(tmp_path / "t.csv", lines), target)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--tables", "irs"), "'irs' is unknown: choose among iris, wine"),
        (("--csv", "/nowhere.csv"), "--csv, --target, --drop: got one alone"),
        (("--csv", "/nowhere.csv", "--target", "a"), "/nowhere.csv cannot be read"),
    ],
)
def test_wrong_settings_get_one_line(arguments: tuple[str, ...], message: str, tmp_path: Path) -> None:
    done = started(tabular.experiment.main, *arguments, "--out", tmp_path)
    assert done.status == 2
    assert message in done.errors
    assert len(done.errors.splitlines()) == 1


def test_intervals_of_shares_cover_the_exact_value_in_one_dimension() -> None:
    """A new number is outside the range of n others with probability 2 / (n + 1)."""
    covered, n = 0, 60
    for seed in range(40):
        rng = np.random.default_rng(seed)
        values, outside = rng.normal(size=n), np.zeros((10, n), bool)
        for r in range(10):
            for test in np.split(rng.permutation(n), 5):
                train = np.delete(values, test)
                outside[r, test] = (values[test] < train.min()) | (values[test] > train.max())
        low, high = runs.two_way_interval(outside).interval or (np.nan, np.nan)
        covered += low <= 2 / (4 * n / 5 + 1) <= high
    assert covered >= 38


def test_the_difference_of_losses_is_that_of_the_means_and_clusters_by_row() -> None:
    rng = np.random.default_rng(0)
    values, chosen = rng.normal(size=(8, 60)), rng.random((8, 60)) < 0.5
    found = fold_measures.difference_by_rows(values, chosen)
    np.testing.assert_allclose(found.value, values[chosen].mean() - values[~chosen].mean())
    assert found.low < found.value < found.high
    # The same values in each repetition are no more evidence.
    once, often = values[:1], chosen[:1]
    found = fold_measures.difference_by_rows(np.tile(once, (8, 1)), np.tile(often, (8, 1)))
    np.testing.assert_allclose(found[:4], fold_measures.difference_by_rows(once, often)[:4])
    assert fold_measures.difference_by_rows(values, np.ones_like(chosen)).n == 0


def test_shares_of_all_rows_have_an_exact_interval() -> None:
    found, everything = np.random.default_rng(0).random((10, 60)) < 0.3, np.ones((10, 60), bool)
    assert fold_measures.share_of(found) == runs.two_way_interval(found)
    assert fold_measures.share_of(everything)[:4] == (*runs.share_interval(60, 60)[:3], 10)
    assert fold_measures.share_of(~everything)[:3] == runs.share_interval(0, 60)[:3]
    assert fold_measures.feature_counts(10) == [1, 2, 3, 4, 6, 8, 10]
    apart = fold_measures.difference_from(everything, everything)
    assert apart.low < apart.value == 0 < apart.high
    assert fold_measures.difference_from(found, found).n == 10


def test_gaussian_samples_have_the_covariance_of_the_rows() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(4000, 3)) @ rng.normal(size=(3, 3)) + 5
    found = fold_measures.gaussian_like(rng, rows)
    np.testing.assert_allclose(np.cov(found.T), np.cov(rows.T), atol=0.1 * np.cov(rows.T).max())
    np.testing.assert_allclose(found.mean(0), rows.mean(0), atol=0.2)


@pytest.mark.experiment
def test_tabular(tmp_path: Path) -> None:
    small = ("--tables", "iris", "--explained", 30)
    results = runs.Results(started(tabular.experiment.main, *small, "--out", tmp_path).folder)
    table, (title,) = table_reading.embedded("iris"), results.names("data", group=tabular.ROWS)
    assert title == "iris, 150 rows and 4 columns"
    # The first fold of the first repetition, by NNLS.
    outside = fold_measures.measure_repetition(table, 0, 0, 1e-6)["outside"][0, -1]
    train, test = next(fold_measures.folds(table, 0, 0))
    scale = scaling(table.rows[train], "std")
    for row in test[:6]:
        distance, _ = nnls_distance(scale.place(table.rows[row]), scale.place(table.rows[train]))
        assert outside[row] == (distance > 1e-7)
    counts = results.table(f"{title} counts")
    share = counts["share"][counts["kind"] == tabular.ROWS]
    assert (np.diff(share) > 0).all()
    assert share[-1] == results.estimate(tabular.OUTSIDE, group=tabular.ROWS).value
    assert results.total("undecided", group=tabular.ROWS) == (0, 300)
    assert results.claims[-1]["verdict"] == runs.UNSETTLED  # one table
    figures = {path.name for path in (results.folder / "figures").glob("*.png")}
    assert figures == {"features.png", "losses.png", "iris-features.png"}
