"""Progress on a terminal and in a log file."""

from __future__ import annotations

import io
import re
import sys
import time
from contextlib import redirect_stderr

import pytest

from hullx.runs import progress as display
from hullx.runs.progress import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """120 columns wide; the tests put it in place of standard error, which pytest sets after the fixtures."""
    monkeypatch.setattr(display, "BAR_INTERVAL", 0.0)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    return Terminal()


def test_a_bar_on_a_terminal(terminal: Terminal) -> None:
    with redirect_stderr(terminal), progress("projecting", 2000, "queries") as report:
        report(1000, "990 certified")
    empty, first, half, last = terminal.getvalue().split("\r")
    assert empty == ""
    assert first.rstrip() == f"projecting [{'-' * 30}] 0/2,000 queries"
    assert half.startswith(f"projecting [{'#' * 15}{'-' * 15}] 1,000/2,000 queries, 990 certified, ")
    assert last.startswith("projecting: 2,000 queries in ")
    assert last.endswith("s" + last[len(last.rstrip()) : -1] + "\n")
    assert {len(first), len(half), len(last) - 1} == {119}  # each covers the one before, and none wraps


def test_a_narrow_terminal_shortens_the_bar_before_the_words(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with redirect_stderr(terminal), progress("projecting", 2000, "queries") as report:
        later = time.monotonic() + 100
        monkeypatch.setattr(display.time, "monotonic", lambda: later)
        report(1000, "990 certified")
    shown = terminal.getvalue().split("\r")[2]
    assert re.fullmatch(r"projecting \[#{5,}-{5,}\] 1,000/2,000 queries, 990 certified, 10/s, 100 s left", shown), shown
    assert len(shown) == 79


def test_a_bar_is_wiped_out_when_a_job_fails(terminal: Terminal) -> None:
    with pytest.raises(RuntimeError), redirect_stderr(terminal), progress("projecting", 2, "queries"):
        raise RuntimeError
    assert terminal.getvalue().endswith("\r" + " " * 119 + "\r")


def test_bars_are_drawn_ten_times_a_second(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(display, "BAR_INTERVAL", 3600.0)
    with redirect_stderr(terminal), progress("projecting", 1000, "queries") as report:
        for done in range(1000):
            report(done + 1)
    assert terminal.getvalue().count("\r") == 2  # the first, and the summary


@pytest.mark.parametrize("dumb", [False, True])
def test_lines_elsewhere(dumb: bool, terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = terminal if dumb else io.StringIO()
    monkeypatch.setenv("TERM", "dumb" if dumb else "xterm")
    with redirect_stderr(stream), progress("training", 30, "steps") as report:
        for done in (10, 20, 30, 30):
            report(done, "loss 0.5")
    (line,) = stream.getvalue().splitlines()
    assert line.startswith("training: 30/30 steps, loss 0.5, ")
    assert "done in" in line


def test_a_line_every_interval(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(display, "LOG_INTERVAL", 0.0)
    with progress("training", 30, "steps") as report:
        report(10)
        report(20)
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("training: 10/30 steps, ")
    assert first.endswith(" s left")
    assert second.startswith("training: 20/30 steps, ")


def test_without_standard_error_nothing_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)  # as under pythonw
    monkeypatch.setattr(sys, "stdout", None)
    with progress("training", 1, "steps") as report:
        report(1)
