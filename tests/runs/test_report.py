"""The report of runs is one page that needs nothing else, and a series of experiments ends with it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from commands import Done, hullx_runs, started
from toy import experiment

from hullx import runs
from hullx.runs.gallery import keep
from hullx.runs.series import run_series

BROWSERS = "chromium", "chromium-browser", "google-chrome", "chrome"


def toy(out: Path, *arguments: object) -> Done:
    return started(experiment.main, *arguments, "--out", out)


def test_a_report_has_all_of_a_run(tmp_path: Path) -> None:
    folder = toy(tmp_path, "--names", "a").folder
    page = tmp_path / "report.html"
    assert hullx_runs("report", "--out", page, folder).out == f"{page}\n"
    text = page.read_text()
    assert "An experiment that computes next to nothing: are numbers positive?" in text
    (claim,) = runs.Results(folder).claims
    for word in ("a is positive", claim["verdict"], "1 seed", "nobody", "share positive", "data:image/png;base64,"):
        assert word in text
    assert "&#34;seed&#34;: 0" in text or '"seed": 0' in text  # settings
    assert "http" not in text


def test_kept_results_have_a_report_too(tmp_path: Path) -> None:
    keep(toy(tmp_path / "runs").folder, tmp_path / "kept")
    page = tmp_path / "report.html"
    assert hullx_runs("report", tmp_path / "kept", "--out", page).status == 0
    assert page.read_text().count("<section>") == 1


def test_of_several_runs_the_newest_finished_one_is_shown(tmp_path: Path) -> None:
    toy(tmp_path, "--names", "a")
    toy(tmp_path, "--names", "b")
    unfinished = toy(tmp_path, "--names", "c").folder
    known = (unfinished / "provenance.json").read_text()
    (unfinished / "provenance.json").write_text(known.replace('"seconds"', '"began"'))
    toy(tmp_path, "large", "--names", "d")
    page = tmp_path / "report.html"
    assert hullx_runs("report", tmp_path, "--out", page).status == 0
    text = page.read_text()
    shown = [f"{name} is positive" in text for name in "abcd"]
    assert shown == [False, True, False, True]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(("nowhere",), "nowhere has no finished run and no kept results"), (("--wrong",), "unknown argument '--wrong'")],
)
def test_without_runs_there_is_one_line(
    arguments: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = hullx_runs("report", *arguments)
    assert done.status == 2
    assert message in done.errors
    assert len(done.errors.splitlines()) == 1


@pytest.mark.skipif(not any(map(shutil.which, BROWSERS)), reason="no Chromium is installed")
@pytest.mark.parametrize("size", ["1200,1000", "390,844"])
def test_a_browser_shows_it_without_scrolling_sideways(size: str, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    assert hullx_runs("report", "--out", page, toy(tmp_path).folder).status == 0
    script = "document.title = document.documentElement.scrollWidth <= innerWidth ? 'fits' : 'is too wide'"
    page.write_text(page.read_text().replace("</body>", f"<script>{script}</script></body>"))
    (browser, *_) = filter(None, map(shutil.which, BROWSERS))
    command = (browser, "--headless", "--no-sandbox", "--disable-gpu", f"--window-size={size}", "--dump-dom", page.as_uri())
    shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    assert "<title>fits</title>" in shown


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an experiment that works and one that fails."""
    text = (Path(__file__).parents[1] / "toy.py").read_text()
    (tmp_path / "works.py").write_text(text)
    (tmp_path / "fails.py").write_text(text.replace("runs.known(", "raise ValueError('on purpose')\n    runs.known("))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("works", "fails"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


@pytest.mark.thorough
def test_a_series_goes_on_after_failures_and_repeats_nothing(modules: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = modules / "runs"
    assert run_series(["fails", "works"], "smoke", ("--names", "a"), out=out) == ["fails"]
    said = capsys.readouterr().out
    assert "[1/2] fails, smoke: started" in said
    assert said.endswith(f"report: {out / 'report.html'}\n")
    assert "a is positive" in (out / "report.html").read_text()
    (folder,) = (out / "works").iterdir()
    assert run_series(["works"], "smoke", out=out) == []
    assert f"works, smoke: finished in {folder}" in capsys.readouterr().out
    # An interrupted run is resumed.
    known = (folder / "provenance.json").read_text()
    (folder / "provenance.json").write_text(known.replace('"seconds"', '"began"'))
    assert run_series(["works"], "smoke", out=out) == []
    assert list((out / "works").iterdir()) == [folder]
    assert '"resumed"' in (folder / "provenance.json").read_text()
    assert run_series(["works"], "paper", out=out) == []
    assert "has no such preset" in capsys.readouterr().out
