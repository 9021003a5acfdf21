"""`hullx TRAIN TEST`: every kind of file, what is printed and written, and errors of one sentence."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from commands import Done, started

import hullx
from hullx.command.main import main

pytestmark = pytest.mark.unoptimised

TRAIN = pd.DataFrame({"age": [0.0, 1.0, 0.0, 1.0], "height": [0.0, 0.0, 1.0, 1.0]})
TEST = pd.DataFrame({"height": [0.5, 0.5, 3.0], "age": [2.0, 0.5, 0.5]})


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("hullx.command.main.keep_compiled", lambda: None)  # a setting of the whole process
    np.save("train.npy", TRAIN.to_numpy())
    np.save("test.npy", TEST[["age", "height"]].to_numpy())
    return tmp_path


def write(table: pd.DataFrame, name: str) -> str:
    if name.endswith(".csv"):
        table.to_csv(name, index=False)
    elif name.endswith(".parquet"):
        table.to_parquet(name)
    elif name.endswith(".npz"):
        np.savez(name, table.to_numpy())
    else:
        np.save(name, table.to_numpy())
    return name


def fails(*arguments: object) -> str:
    """The one line that a command prints before it ends with status 2."""
    done = started(main, *arguments)
    assert done.status == 2
    assert done.errors.count("\n") == 1, done.errors
    return done.errors


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_columns_are_matched_by_name(kind: str, folder: Path) -> None:
    extra = TEST.assign(label=[1, 2, 3])
    done = started(main, write(TRAIN, f"train.{kind}"), write(extra, f"test.{kind}"), "--out", "rows.csv")
    assert done.status == 0, done.errors
    assert "ignored columns" in done.out
    assert "label" in done.out
    with Path("rows.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    assert [row["verdict"] for row in rows] == ["outside", "inside", "outside"]
    np.testing.assert_allclose([float(rows[0]["distance"]), float(rows[2]["distance"])], [1, 2], rtol=1e-6)
    assert [row["first_feature"] for row in rows] == ["age", "", "height"]
    assert all(float(row["lower"]) <= float(row["distance"]) for row in rows)


@pytest.mark.parametrize("kind", ["npy", "npz"])
def test_what_is_printed(kind: str, folder: Path) -> None:
    done = started(main, write(TRAIN, f"train.{kind}"), write(TEST.reindex(columns=["age", "height"]), f"test.{kind}"))
    assert done.status == 0, done.errors
    lines = done.out.splitlines()
    assert lines[0].startswith(f"test.{kind} and the hull of 4 × 2 train.{kind}")
    assert max(map(len, lines)) <= 80
    assert "outside              2 of 3 rows    66.7%" in lines
    assert "inside               1 of 3 rows    33.3%" in lines
    assert "undecided            0 of 3 rows     0.0%" in lines
    distances = next(line for line in lines if line.startswith("distance")).split()[1:]
    assert (distances[0], distances[3], distances[6]) == ("1", "1.5", "2")
    assert any(line.split() == ["0", "50.0%", "1"] for line in lines)
    assert "projecting: 3/3 queries" in done.errors


def test_the_same_numbers_as_sweep_with_a_scale(folder: Path, rng: np.random.Generator) -> None:
    train, test = rng.normal(size=(40, 2)) * [1, 1e9], rng.normal(size=(12, 2)) * [1, 1e9]
    np.save("a.npy", train)
    np.save("b.npy", test)
    assert "use --scale std" in started(main, "a.npy", "b.npy").out.replace("\n", " ")
    started(main, "a.npy", "b.npy", "--scale", "std", "--out", "rows.csv")
    table = pd.read_csv("rows.csv")
    expected = hullx.sweep((test - train.mean(0)) / train.std(0), (train - train.mean(0)) / train.std(0), progress=False)
    np.testing.assert_array_equal(table["verdict"] == "outside", expected.outside)
    np.testing.assert_allclose(table["distance"][expected.outside], expected.distance[expected.outside], rtol=2e-6)


def test_resume_and_a_page(folder: Path) -> None:
    first = started(main, "train.npy", "test.npy", "--resume", "kept", "--html", "page.html")
    again = started(main, "train.npy", "test.npy", "--resume", "kept")
    assert first.status == again.status == 0, again.errors
    assert first.out == again.out
    assert list(Path("kept").glob("queries-*"))
    page = Path("page.html").read_text()
    assert "<svg" in page
    assert "http" not in page
    drawn = ElementTree.fromstring(page[page.index("<svg") : page.index("</svg>") + 6])
    assert len(drawn.findall("rect")) == 40
    assert sum(float(bar.get("height", 0)) > 0 for bar in drawn.findall("rect")) == 2
    assert page.count("<table>") == 3
    assert "resume" in fails("test.npy", "train.npy", "--resume", "kept")


def test_missing_values_and_constant_columns(folder: Path) -> None:
    write(TRAIN.assign(city=1.0), "train.csv")
    Path("test.csv").write_text("age,height,city\n0.5,0.5,1\n,0.5,1\n0.5,NA,1\n")
    said = fails("train.csv", "test.csv")
    assert said == (
        "error: test.csv: 2 of 3 rows have missing or infinite values (the first is row 1, column 'age'): fill them, or leave "
        "them out with --drop-missing\n"
    )
    done = started(main, "train.csv", "test.csv", "--drop-missing", "--out", "rows.csv")
    assert "inside               1 of 1 rows   100.0%" in done.out
    assert "constant columns" in done.out
    assert list(pd.read_csv("rows.csv")["row"]) == [0]


def test_training_rows_keep_their_numbers_where_rows_are_left_out(folder: Path) -> None:
    Path("train.csv").write_text("a,b\n,1\n0,0\n0,1\nNA,2\n1,0\n")
    Path("test.csv").write_text("a,b\n5,0\n")
    assert started(main, "train.csv", "test.csv", "--drop-missing", "--out", "rows.csv").status == 0
    assert list(pd.read_csv("rows.csv")["heaviest_train_row"]) == [4]


def test_a_first_line_with_a_missing_value_is_no_header(folder: Path) -> None:
    Path("train.csv").write_text("0,0\n1,NA\n0,1\n1,0\n")
    Path("test.csv").write_text("NA,1\n0.2,0.2\n")
    done = started(main, "train.csv", "test.csv", "--drop-missing", "--out", "rows.csv")
    assert "inside               1 of 1 rows" in done.out
    assert list(pd.read_csv("rows.csv")["row"]) == [1]


def test_an_index_among_the_columns_is_noted(folder: Path) -> None:
    TRAIN.to_csv("train.csv")
    TEST.to_csv("test.csv")
    assert "train.csv: a column has no name" in " ".join(started(main, "train.csv", "test.csv").out.split())
    assert "has no name" not in started(main, "train.csv", "test.csv", "--drop", "").out


def test_a_reader_that_stops_early(folder: Path) -> None:
    write(TRAIN, "train.csv")
    write(TEST, "test.csv")
    script = "from hullx.command.main import main; main(['train.csv', 'test.csv', '--out', 'rows.csv'])"
    command = [sys.executable, "-W", "error", "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        running.stdout.close()
        _, errors = running.communicate()
    assert (running.returncode, "Traceback" in errors) == (0, False), errors
    assert Path("rows.csv").exists()


def test_missing_values_of_parquet(folder: Path) -> None:
    write(TRAIN, "train.parquet")
    write(TEST.astype({"age": "Float64"}).assign(age=pd.array([2, None, 1], "Int64")), "test.parquet")
    assert "1 of 3 rows have missing" in fails("train.parquet", "test.parquet")


def test_text_columns(folder: Path) -> None:
    for kind in ("csv", "parquet"):
        train = write(TRAIN.assign(city="Oslo"), f"train.{kind}")
        test = write(TEST.assign(city="Rome"), f"test.{kind}")
        assert "column 'city' is no number" in fails(train, test)
        assert started(main, train, test, "--drop", "city").status == 0


def test_bad_files(folder: Path) -> None:
    Path("bad.npy").write_bytes(b"no array")
    Path("ragged.csv").write_text("a,b\n1,2\n3\n")
    Path("empty.csv").write_text("")
    Path("twice.csv").write_text("a,a\n1,2\n")
    Path("words.csv").write_text("a,b\n1_0,2\n")
    Path("bad.parquet").write_bytes(b"nothing")
    np.savez("two.npz", a=np.eye(2), b=np.eye(2))
    np.save("line.npy", np.zeros(3))
    np.save("three.npy", np.zeros((4, 3)))
    for name, said in {
        "none.npy": "none.npy: there is no such file",
        "train.txt": "expected one of .npy, .npz, .csv, .parquet",
        "bad.npy": "bad.npy cannot be read as .npy",
        "ragged.csv": "ragged.csv: row 1 has 1 cells, expected 2",
        "twice.csv": "twice.csv: two columns have the name 'a'",
        "words.csv": "words.csv: column 'a' is no number ('1_0' in row 0)",
        "empty.csv": "empty.csv: the file is empty",
        "bad.parquet": "bad.parquet cannot be read as .parquet",
        "two.npz": "two.npz holds the arrays a, b: name one, as in two.npz:a",
        "two.npz:c": "got array 'c', expected one of a, b",
        "line.npy": "line.npy: got an array of shape (3,), expected (n, d)",
        "three.npy": "test.npy: got 2 columns, expected 3, as in three.npy",
    }.items():
        assert said in fails(name, "test.npy"), name
    assert started(main, "two.npz:a", "test.npy").status == 0


def test_bad_options(folder: Path) -> None:
    assert "--scale: invalid choice: 'x'" in fails("train.npy", "test.npy", "--scale", "x")
    assert "the following arguments are required: TEST: see hullx --help" in fails("train.npy")
    assert "--drop: got 'x', expected a column of train.npy or test.npy" in fails("train.npy", "test.npy", "--drop", "x")
    assert "rtol: got 2.0" in fails("train.npy", "test.npy", "--rtol", 2)


def test_images_are_flattened(folder: Path) -> None:
    np.save("images.npy", np.zeros((3, 2, 1), np.uint8))
    assert "the hull of 3 × 2 images.npy" in started(main, "images.npy", "test.npy").out


@pytest.mark.thorough
def test_a_large_file_stays_on_disk(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small: Done = started(main, "train.npy", "test.npy")
    monkeypatch.setattr("hullx.command.reading.IN_MEMORY", 0)
    mapped = started(main, "train.npy", "test.npy")
    assert mapped.status == 0, mapped.errors
    assert mapped.out == small.out


def test_python_m_hullx() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hullx", "--help"], capture_output=True, text=True, env={**os.environ, "COLUMNS": "80"}
    )
    assert done.returncode == 0, done.stderr
    assert "usage: hullx" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
