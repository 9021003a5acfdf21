"""Embeddings: components against scikit-learn, distances against NNLS, docstrings, and what users may pass."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from commands import Done, started
from oracles import nnls_distance
from sklearn.decomposition import PCA

from experiments import docstring_embeddings, embedding_pairs, principal_coordinates
from hullx import extras, runs
from hullx.command import reading
from hullx.errors import DataError, PackageError

pytestmark = pytest.mark.unoptimised


class Files(NamedTuple):
    """Three files, and what is in them."""

    train: Path
    test: Path
    labels: Path
    points: np.ndarray
    queries: np.ndarray


def start(*arguments: object) -> Done:
    """The experiment's command."""
    return started(importlib.import_module("experiments.embeddings").experiment.main, *arguments)


@pytest.fixture
def files(tmp_path: Path, rng: np.random.Generator) -> Files:
    """Training embeddings of falling variance, test embeddings and labels."""
    points, queries = (rng.standard_normal((count, 12)) / np.arange(1, 13) + 3 for count in (200, 30))
    train, test, labels = (tmp_path / f"{name}.npy" for name in ("train", "test", "labels"))
    np.save(train, points)
    np.save(test, queries)
    np.save(labels, np.repeat(["cat", "dog"], 15))
    return Files(train, test, labels, points, queries)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_components_are_those_of_scikit_learn(dtype: type, rng: np.random.Generator) -> None:
    train = (rng.standard_normal((300, 8)) / np.arange(1, 9) + 5).astype(dtype)
    oracle = PCA().fit(train.astype(np.float64))
    found = principal_coordinates.components(train, (4, 2, 100), 0.9)
    sums = np.cumsum(oracle.explained_variance_ratio_)
    least = int(np.searchsorted(sums, 0.9)) + 1
    assert found.least == least
    assert found.counts == [*sorted({2, 4, least}), 8]
    np.testing.assert_allclose(found.explained, [sums[k - 1] for k in found.counts], rtol=1e-5)
    ours = principal_coordinates.coordinates(found.space, train, 4)
    theirs = oracle.transform(train.astype(np.float64))[:, :4]
    np.testing.assert_allclose(np.abs(ours), np.abs(theirs), atol=2e-5 if dtype == np.float32 else 1e-10)


def test_the_size_of_blocks_and_the_place_of_the_file_change_nothing(tmp_path: Path, rng: np.random.Generator) -> None:
    train = rng.standard_normal((500, 6)).astype(np.float32)
    np.save(tmp_path / "train.npy", train)
    mapped = np.load(tmp_path / "train.npy", mmap_mode="r")
    here, there = (principal_coordinates.components(each, (3,), 0.5) for each in (train, mapped))
    np.testing.assert_array_equal(np.asarray(here.space.basis), np.asarray(there.space.basis))
    expected = principal_coordinates.coordinates(here.space, train, 3)
    on_disk = principal_coordinates.coordinates(there.space, mapped, 3, out=tmp_path / "out.npy")
    assert isinstance(on_disk, np.memmap)
    np.testing.assert_array_equal(on_disk, expected)
    for block in (7, 500, 10_000):
        np.testing.assert_allclose(principal_coordinates.coordinates(here.space, train, 3, block=block), expected, atol=1e-6)


def test_half_precision_is_no_worse_than_its_numbers(rng: np.random.Generator) -> None:
    train = rng.standard_normal((300, 6)).astype(np.float16)
    half, double = (principal_coordinates.components(train.astype(each), (3,), 0.5) for each in (np.float16, np.float64))
    np.testing.assert_allclose(np.asarray(half.space.basis), np.asarray(double.space.basis), atol=1e-5)
    assert principal_coordinates.coordinates(half.space, train, 3).dtype == np.float32


def test_fewer_rows_than_dimensions(rng: np.random.Generator) -> None:
    found = principal_coordinates.components(rng.standard_normal((5, 20)), (2, 4, 5, 8), 0.999_999)
    assert found.counts == [2, 4, 20]
    assert found.explained[-1] == pytest.approx(1)
    assert np.asarray(found.space.variance).shape == (5,)


def test_first_columns_are_filled_up_with_zeros(rng: np.random.Generator) -> None:
    rows = rng.standard_normal((5, 100))
    for k, d, width in ((2, 100, 64), (2, 10, 10), (70, 100, 70), (64, 100, 64)):
        found = principal_coordinates.first(rows, k, d)
        assert found.shape == (5, width)
        np.testing.assert_array_equal(found[:, :k], rows[:, :k])
        assert not found[:, k:].any()
    assert principal_coordinates.first(rows, 100, 100) is rows


def test_equal_rows_have_no_components() -> None:
    with pytest.raises(DataError, match="all rows are equal"):
        principal_coordinates.components(np.ones((9, 3)), (2,), 0.9)


def test_gaussian_samples_have_the_variances(tmp_path: Path) -> None:
    variance = np.array([4.0, 1.0, 0.0])
    found, mapped = (
        principal_coordinates.gaussian(np.random.default_rng(0), variance, 20_000, out)
        for out in (None, tmp_path / "normal.npy")
    )
    np.testing.assert_allclose(found.var(0), variance, rtol=0.05)
    np.testing.assert_array_equal(found, mapped)
    assert isinstance(mapped, np.memmap)


def test_labels_stay_with_their_rows(files: Files) -> None:
    pair = embedding_pairs.pair_from_files(*files[:3], 10, np.random.default_rng(1))
    assert pair.labels is not None
    rows = [int(np.flatnonzero((files.queries == row).all(1))[0]) for row in pair.tests["test rows"]]
    np.testing.assert_array_equal(pair.labels, ["cat" if row < 15 else "dog" for row in rows])
    assert len(set(rows)) == 10


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("test", np.zeros((30, 11)), "test.npy: got shape (30, 11), expected (m, 12) to match train.npy"),
        ("test", np.zeros(12), "test.npy: got an array of shape (12,), expected (n, d)"),
        ("train", np.full((20, 12), np.nan), "train.npy: row 0 has NaN or infinity"),
        ("train", np.ones((20, 12)), "training embeddings: all rows are equal"),
        ("train", 1e200 * np.eye(12), "images: got vectors with mean squares up to inf, too large for float64"),
        ("train", np.zeros((2, 12)), "train.npy: got 2 rows, expected three or more"),
        ("train", None, "train.npy: there is no such file"),
        ("labels", np.zeros(29), "labels.npy: got labels of shape (29,), expected (30,), one per test row"),
        ("labels", None, "labels.npy cannot be read as .npy"),
        ("labels", np.full(30, np.nan), "labels.npy: got labels of dtype float64, expected integers or strings"),
    ],
)
def test_bad_files_get_one_sentence(name: str, array: np.ndarray | None, message: str, files: Files, tmp_path: Path) -> None:
    path = getattr(files, name)
    path.unlink() if array is None else np.save(path, array)
    flags = "--train", files.train, "--test", files.test, "--labels", files.labels
    done = start(*flags, "--out", tmp_path / "runs")
    assert done.status == 2
    (line,) = done.errors.splitlines()
    assert message in line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--train", "a.npy"), "--train and --test: got one of them, expected both"),
        (("--labels", "a.npy"), "--labels belongs to the rows of --test"),
        (("--components", "0"), "--components: got (0,), expected positive numbers"),
        (("--queries", "0"), "--queries: got 0, expected 1 or more"),
        (("--queries", "-1"), "--queries: got -1, expected 1 or more"),
        (("--network", "mpl"), "--network: 'mpl' is unknown"),
    ],
)
def test_bad_settings_get_one_sentence(arguments: tuple[str, ...], message: str, tmp_path: Path) -> None:
    done = start(*arguments, "--out", tmp_path)
    assert done.status == 2
    (line,) = done.errors.splitlines()
    assert message in line


def test_columns_of_other_names_get_one_sentence(tmp_path: Path) -> None:
    train, test = tmp_path / "train.csv", tmp_path / "test.csv"
    train.write_text("a,b\n1,2\n3,4\n5,7\n")
    test.write_text("b,a\n1,2\n")
    done = start("--train", train, "--test", test, "--out", tmp_path / "runs")
    assert done.status == 2
    (line,) = done.errors.splitlines()
    assert "test.csv: got other columns than train.csv, expected the same names in the same order" in line


def test_docstrings_are_first_paragraphs(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_a.py").write_text('"""A docstring of a test that is left out."""')
    (tmp_path / "broken.py").write_text("def f(:")
    module = '"""The first paragraph\n    of this module.\n\n    The second."""\n'
    functions = 'def f():\n    "\\d is no escape, and long enough."\ndef g():\n    "Too short."\n'
    (tmp_path / "good.py").write_text(module + functions)
    found = docstring_embeddings.docstrings(tmp_path)
    assert found == {"good.py": ["The first paragraph of this module.", r"\d is no escape, and long enough."]}


def test_test_texts_are_of_other_files_and_new() -> None:
    library = {f"{i}.py": ["a text in every file", f"library {i}", f"more of {i}"] for i in range(20)}
    others = {f"{i}.py": ["a text in every file", f"other {i}"] for i in range(20)}
    parts = docstring_embeddings.divide(np.random.default_rng(0), library, others, 8)
    assert (len(parts.train), len(parts.held_out), len(parts.other)) == (1 + 2 * 12, 8, 8)
    assert not set(parts.train) & {*parts.held_out, *parts.other}
    numbers = [text.rpartition(" ")[2] for text in parts.held_out]
    assert len(set(numbers)) == 8
    assert not {text.rpartition(" ")[2] for text in parts.train[1:]} & set(numbers)
    with pytest.raises(DataError, match="got 20 files with docstrings, expected 22"):
        docstring_embeddings.divide(np.random.default_rng(0), library, others, 11)


def test_a_missing_wordllama_gets_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    with pytest.raises(PackageError, match=r"--docstrings needs wordllama: pip install 'hullx\[embeddings\]'"):
        docstring_embeddings.embed(["a text"])


@pytest.mark.skipif(not extras.installed("wordllama"), reason="wordllama is not installed: pip install 'hullx[embeddings]'")
def test_a_text_is_the_mean_of_its_tokens() -> None:
    one, other, both = docstring_embeddings.embed(["hello", "world", "hello world"])
    np.testing.assert_allclose((one + other) / 2, both, rtol=1e-5, atol=1e-6)


@pytest.mark.experiment
def test_files_in_memory_and_mapped_give_the_same_certified_distances(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = "--train", files.train, "--test", files.test, "--labels", files.labels
    flags = *paths, "--components", 4, "--out", tmp_path / "runs"
    here = runs.Results(start(*flags).folder)
    monkeypatch.setattr(reading, "IN_MEMORY", 0)
    there = runs.Results(start(*flags).folder)
    (data,) = here.names("data")
    found, mapped = here.arrays(data), there.arrays(data)
    for name, values in found.items():
        np.testing.assert_allclose(mapped[name], values, rtol=1e-5, atol=1e-9, err_msg=name)
    assert here.total("undecided")[0] == there.total("undecided")[0] == 0

    ratios = found["test-rows-12 distance"] / [nnls_distance(row, files.points)[0] for row in files.queries]
    np.testing.assert_allclose(ratios, ratios[0], rtol=1e-5)
    pairs = np.linalg.norm(files.points[:, None] - files.points, axis=2)
    np.testing.assert_allclose(1 / ratios[0], pairs.sum() / (200 * 199), rtol=0.01)
    found_by_class = {row.group: row.n for row in here.select(quantity="share inside by class")}
    assert found_by_class == {"class cat": 15, "class dog": 15}


@pytest.mark.experiment
def test_smoke(tmp_path: Path) -> None:
    results = runs.Results(start("--out", tmp_path).folder)
    (data,) = results.names("data")
    assert {path.name for path in (results.folder / "figures").glob("*.png")} == {
        "components.png",
        "mlp-features-of-digits-classes.png",
    }
    shares = [
        results.estimate("share inside", data=data, group=f"test images, {k}").value for k in results.arrays(data)["counts"]
    ]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 0.95
    assert shares[-1] == 0
    assert results.total("undecided")[0] == 0
    assert results.claims[0]["verdict"] == runs.HOLDS
    measured = [claim["measured"] for claim in results.claims]
    assert len(set(measured)) == len(measured) == 6  # one number for each claim
