"""A progress display for terminals and plain log files."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Report(Protocol):
    """Called with the number of finished items and a note."""

    def __call__(self, done: int, note: str = "") -> None: ...


class Tally(Protocol):
    """Called with the numbers of finished and of certified queries."""

    def __call__(self, done: int, certified: int) -> None: ...


# Seconds between lines in a log file, and between updates of the bar on a terminal.
LOG_INTERVAL, BAR_INTERVAL = 15.0, 0.1
# Maximum characters in the bar.
BAR = 30


@contextmanager
def progress(title: str, total: int, unit: str, *, shown: bool = True) -> Iterator[Report]:
    """Show the progress of a job of `total` items on standard error: a live bar on a terminal, else a line every 15 seconds.

    Example:
        >>> with progress("training", 3, "steps", shown=False) as report:
        ...     for step in range(3):
        ...         report(step + 1, f"loss {1 / (step + 1):.3f}")
    """
    if not shown:
        yield lambda done, note="": None
    elif sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        with _bar(title, total, unit) as report:
            yield report
    else:
        yield _log(title, total, unit)


@contextmanager
def _bar(title: str, total: int, unit: str) -> Iterator[Report]:
    """Redraw one line; replace it by a summary when the job ends."""
    start = time.monotonic()
    drawn = start - BAR_INTERVAL

    def draw(line: str, end: str = "") -> None:
        room = shutil.get_terminal_size().columns - 1  # a full line would wrap
        print(f"\r{line[:room]:<{room}}", end=end, file=sys.stderr, flush=True)

    def report(done: int, note: str = "") -> None:
        nonlocal drawn
        now = time.monotonic()
        if now - drawn >= BAR_INTERVAL:
            drawn = now
            words = _words(done, total, unit, note, now - start)
            # The bar shrinks before the words do.
            size = max(min(BAR, shutil.get_terminal_size().columns - len(f"{title} [] {words}") - 1), 0)
            filled = size * min(done, total) // max(total, 1)
            draw(f"{title} [{'#' * filled}{'-' * (size - filled)}] {words}")

    report(0)
    try:
        yield report
    except BaseException:
        draw("", end="\r")
        raise
    draw(f"{title}: {total:,} {unit} in {time.monotonic() - start:.1f} s", end="\n")


def _log(title: str, total: int, unit: str) -> Report:
    """Print whole lines, the last one when all items are done."""
    start = last = time.monotonic()
    ended = False

    def report(done: int, note: str = "") -> None:
        nonlocal last, ended
        now = time.monotonic()
        if not ended and (done >= total or now - last >= LOG_INTERVAL):
            last, ended = now, done >= total
            print(f"{title}: {_words(done, total, unit, note, now - start)}", file=sys.stderr, flush=True)

    return report


def _words(done: int, total: int, unit: str, note: str, seconds: float) -> str:
    """Items done, the note, the rate and the time left.

    Example:
        >>> _words(30, 120, "queries", "29 certified", 10.0)
        '30/120 queries, 29 certified, 3/s, 30 s left'
    """
    words = [f"{done:,}/{total:,} {unit}", note]
    if done:
        rate = done / max(seconds, 1e-9)
        left = max(total - done, 0) / rate
        words += [f"{rate:,.0f}/s", f"{left:,.0f} s left" if left else f"done in {seconds:.1f} s"]
    return ", ".join(word for word in words if word)
