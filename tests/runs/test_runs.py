"""The pattern of an experiment, by one that computes next to nothing: folders, cached values, command lines, the gallery."""

from __future__ import annotations

import errno
import json
import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from commands import Done, hullx_runs, started
from toy import Config, Drawn, after, computed, experiment

from hullx import runs
from hullx.errors import ArgumentError, ArgumentTypeError
from hullx.runs import cache
from hullx.runs.compilation import CACHE, KNOWN, QUICK, keep_compiled
from hullx.runs.folder import start


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    computed.clear()
    monkeypatch.setitem(after, "do", lambda name: None)


def toy(out: Path, *arguments: object) -> Done:
    return started(experiment.main, *arguments, "--out", out)


@pytest.mark.parametrize("script", [False, True])
def test_a_run_as_its_user_starts_it(script: bool, tmp_path: Path) -> None:
    here = Path(__file__).parents[1]
    program, start_in = ([here / "toy.py"], tmp_path) if script else (["-m", "toy"], here)
    command = (sys.executable, *program, "--out", tmp_path)
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=start_in)
    folder = Path(done.stdout.splitlines()[-1])
    assert folder.parent == tmp_path / "toy"
    flags = runs.Results(folder).json("provenance.json")["xla_flags"]
    assert (QUICK in flags) == (version("jaxlib") in KNOWN)  # XLA knows them, otherwise it would have ended the process
    assert not done.stderr
    # The program's module has the name by which it can be imported.
    assert hullx_runs("judge", folder).status == 0
    assert (folder / "results.csv").read_bytes() == (toy(tmp_path).folder / "results.csv").read_bytes()


@pytest.mark.parametrize(("arguments", "quick"), [((), 1), (("--seed", 3), 1), (("--size", 30), 0), (("large",), 0)])
def test_smoke_compiles_quickly_with_its_own_settings(
    arguments: tuple[object, ...], quick: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called = list[None]()
    monkeypatch.setattr("hullx.runs.experiment.compile_quickly", lambda: called.append(None))
    assert toy(tmp_path, *arguments).status == 0
    assert len(called) == quick


def test_a_run_leaves_a_complete_folder(tmp_path: Path) -> None:
    done = toy(tmp_path, "large", "--seed", 3)
    results = runs.Results(done.folder)
    assert results.json("config.json") | {"settings": {}} == {"module": "toy", "preset": "large", "settings": {}}
    assert (results.config["size"], results.config["seed"], results.config["names"]) == (50, 3, ["a", "b"])
    known = results.json("provenance.json")
    assert known["seconds"] >= 0
    assert known["versions"]["jax"]
    numbers = results.table("numbers a")["number"]
    np.testing.assert_array_equal(numbers, runs.generator(3, "a").normal(1, 1, 50))
    assert results.estimate("number", group="a") == runs.mean_interval(numbers)
    assert [claim["queries"] for claim in results.claims] == [50, 50]
    names = {path.name for path in done.folder.iterdir()} - {"lock"}
    wanted = {"config.json", "provenance.json", "results.csv", "claims.json", "tables", "figures", "metrics.jsonl"}
    assert names == wanted  # and no cache any more
    assert "share positive" in done.out
    assert "0 of 50" in done.out
    assert [json.loads(line)["name"] for line in (done.folder / "metrics.jsonl").read_text().splitlines()] == ["a", "b"]
    # Who asks for less sees the same of it.
    alone = runs.Results(toy(tmp_path, "large", "--seed", 3, "--names", "b").folder)
    np.testing.assert_equal(alone.rows, results.select(group="b"))


class Killed(BaseException):
    """No exception that anything catches."""


def test_a_killed_run_goes_on_to_the_same_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("--names", "a", "b", "c", "--size", 30)
    whole = toy(tmp_path / "whole", *names).folder
    for last in "abc":

        def kill(name: str, last: str = last) -> None:
            if name == last:
                raise Killed

        computed.clear()
        with monkeypatch.context() as patch:
            patch.setitem(after, "do", kill)
            with pytest.raises(Killed):
                toy(tmp_path / last, *names)
        (folder,) = (tmp_path / last).glob("*/*")
        (folder / "results.csv.1.part").write_text("half")
        assert "unfinished" in hullx_runs("list", tmp_path / last).out
        assert hullx_runs("resume", folder).folder == folder
        assert computed == ["a", "b", "c"]  # nothing twice
        for name in ("results.csv", "claims.json"):
            assert (folder / name).read_bytes() == (whole / name).read_bytes()
        assert not list(folder.rglob("*.part"))
        assert len(runs.Results(folder).json("provenance.json")["resumed"]) == 1
    assert "is finished" in hullx_runs("resume", folder).errors


def test_a_damaged_piece_is_computed_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> None:
        raise RuntimeError("a fault of the code")

    with monkeypatch.context() as patch:
        patch.setitem(after, "do", fail)
        with pytest.raises(RuntimeError) as raised:
            toy(tmp_path)
    assert "resume with: python -m hullx.runs resume" in raised.value.__notes__[0]
    (folder,) = tmp_path.glob("*/*")
    (piece,) = (folder / "cache").iterdir()
    data = piece.read_bytes()
    piece.write_bytes(data[:100] + bytes([data[100] ^ 1]) + data[101:])
    with pytest.warns(RuntimeWarning, match=rf"{piece.name} is damaged: recomputing 'numbers a'"):
        assert hullx_runs("resume", folder).status == 0
    assert computed == ["a", "a", "b"]
    assert (folder / "results.csv").read_bytes() == (toy(tmp_path).folder / "results.csv").read_bytes()


def test_pieces_come_back_as_they_were(tmp_path: Path) -> None:
    value = {
        "one": Drawn("x", np.arange(3, dtype=np.int16)),
        "nothing": None,
        "numbers": [1, 0.1, float("inf"), True, np.float64(2.5)],
        "pair": ("a", jnp.ones((2, 1))),
        "words": np.array(["x", "yz"]),
    }
    back = cache.unpacked(cache.packed(value))
    assert back.keys() == value.keys()
    assert isinstance(back["one"], Drawn)
    assert back["one"].numbers.dtype == np.int16
    assert back["numbers"] == value["numbers"]
    assert isinstance(back["pair"], tuple)
    assert isinstance(back["pair"][1], np.ndarray)
    assert back["words"].tolist() == ["x", "yz"]
    with pytest.raises(ArgumentTypeError, match="a cached value holds set, expected numbers"):
        cache.packed({"x": {1}})
    run = start("experiments.none", "smoke", Config(), tmp_path)
    assert run.cached("a piece", lambda: 1) == 1
    with pytest.raises(ArgumentError, match="'A piece' is already the name of a cached value"):
        run.resume_dir("A piece")
    run.record("number", 1)
    with pytest.raises(ArgumentError, match="is already recorded"):
        run.record("number", 2)
    assert start("experiments.none", "smoke", Config(), tmp_path).folder != run.folder


def test_an_interrupt_and_a_full_disk_end_with_what_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A shell starts what it puts in the background deaf to it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with monkeypatch.context() as patch:
            patch.setitem(after, "do", lambda name: signal.raise_signal(signal.SIGINT))
            done = toy(tmp_path)
    finally:
        signal.signal(signal.SIGINT, before)
    assert done.status == 130
    *_, said, how = done.errors.splitlines()
    folder = Path(said.partition("interrupted; partial results are in ")[2])
    assert (folder / "tables" / "numbers-a.csv").exists()
    assert how == f"resume with: python -m hullx.runs resume {folder}"
    assert hullx_runs("resume", folder).folder == folder

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setitem(after, "do", lambda name: patch.setattr("os.fsync", full))
        done = toy(tmp_path)
    assert done.status == 2
    (line,) = done.errors.splitlines()
    assert "cannot be written (No space left on device): free disk space" in line
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("smok",), "unknown preset 'smok': choose one of smoke, large"),
        (("--sise", "1"), "unknown argument '--sise': the flags are --seed, --rtol,"),
        (("--size", "many"), "Error parsing --size: invalid literal for int() with base 10: 'many': see --help"),
        (("--out",), "Missing value for argument '--out'. Expected 1 values: see --help"),
        (("--names", "mpl"), "--names: 'mpl' is unknown: choose among a, b, c, d"),
        (("--out", "/proc/nowhere"), "cannot be written (No such file or directory): free disk space or choose another folder"),
    ],
)
def test_a_wrong_command_line_gets_one_line(arguments: tuple[str, ...], message: str, tmp_path: Path) -> None:
    done = started(experiment.main, *arguments, *(() if "--out" in arguments else ("--out", tmp_path)))
    assert done.status == 2
    assert message in done.errors
    assert len(done.errors.splitlines()) == 1
    assert not list(tmp_path.glob("*/*"))  # what computes nothing leaves nothing


def test_help_shows_the_docstring_and_the_meaning_of_every_field() -> None:
    done = started(experiment.main, "large", "--help")
    assert done.status == 0
    for word in (
        "computes next to nothing",
        "--names",
        "how many numbers",
        "seed of all random choices",
        "50",
        "--out",
    ):
        assert word in " ".join(done.out.split())


def test_runs_are_listed_shown_judged_and_drawn_anew(tmp_path: Path) -> None:
    folder = toy(tmp_path).folder
    (line,) = [line for line in hullx_runs("list", tmp_path).out.splitlines() if "smoke-" in line]
    assert "2 holds in part" in line
    assert "finished" in line
    assert hullx_runs("show", folder).out.splitlines()[-1] == str(folder)
    (figure,) = (folder / "figures").glob("*.png")
    before = figure.read_bytes()
    figure.unlink()
    assert hullx_runs("redraw", folder).out == f"{figure}\n"
    assert figure.read_bytes() == before
    # Other verdicts need no other numbers than those in the folder.
    text = (folder / "results.csv").read_text().splitlines(keepends=True)
    text[2] = "toy,a,,share positive,1.0,0.96,1.0,100,share\n"
    (folder / "results.csv").write_text("".join(text))
    computed.clear()
    assert hullx_runs("judge", folder).status == 0
    assert [claim["verdict"] for claim in runs.Results(folder).claims] == [runs.HOLDS, runs.IN_PART]
    assert not computed
    for arguments, message in (
        (("show", tmp_path), "is not a run folder: config.json is missing or damaged"),
        (("sho",), "unknown command 'sho': choose one of list, show"),
        (("show",), "show takes one folder"),
    ):
        done = hullx_runs(*arguments)
        assert (done.status, len(done.errors.splitlines())) == (2, 1)
        assert message in done.errors


def test_settings_of_another_version_are_refused(tmp_path: Path) -> None:
    run = start("toy", "smoke", Config(), tmp_path)
    path = run.folder / "config.json"
    path.write_text(path.read_text().replace('"size"', '"count"'))
    assert "to another version of the experiment (count, size differ)" in hullx_runs("resume", run.folder).errors


@pytest.mark.parametrize("chosen", [None, "elsewhere"])
def test_programs_stay_in_the_users_cache_folder(chosen: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {name: getattr(jax.config, name) for name in (CACHE, "jax_persistent_cache_min_compile_time_secs")}
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    try:
        jax.config.update(CACHE, chosen)
        keep_compiled()
        assert getattr(jax.config, CACHE) == (chosen or str(tmp_path / "hullx" / "jax"))
    finally:
        for name, value in settings.items():
            jax.config.update(name, value)
