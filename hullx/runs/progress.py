"""A progress display that looks right on a terminal and in a plain log file."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class Report(Protocol):
    """Called with how many items are done and what else is worth saying."""

    def __call__(self, done: int, note: str = "") -> None: ...


class Tally(Protocol):
    """Called with how many queries are done, and how many of those are certified."""

    def __call__(self, done: int, certified: int) -> None: ...


# Seconds between lines in a log file.
LOG_INTERVAL = 15.0


@contextmanager
def progress(title: str, total: int, unit: str, *, shown: bool = True) -> Iterator[Report]:
    """Shows how far a job of `total` items is: a live bar on a terminal, a line every 15 seconds elsewhere.

    Example:
        >>> with progress("training", 3, "steps", shown=False) as report:
        ...     for step in range(3):
        ...         report(step + 1, f"loss {1 / (step + 1):.3f}")
    """
    console = Console(stderr=True)
    start = time.monotonic()

    def rate(done: int) -> float:
        return done / max(time.monotonic() - start, 1e-9)

    if not shown:
        yield lambda done, note="": None
    elif console.is_terminal:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[note]}"))
        with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as bar:
            task = bar.add_task(title, total=total, note="")
            yield lambda done, note="": bar.update(task, completed=done, note=f"{unit}  {note}  {rate(done):,.0f}/s")
        console.print(f"{title}: {total:,} {unit} in {time.monotonic() - start:.1f} s", highlight=False)
    else:
        last, ended = start, False

        def report(done: int, note: str = "") -> None:
            nonlocal last, ended
            now = time.monotonic()
            if not ended and (done >= total or now - last >= LOG_INTERVAL):
                last, ended = now, done >= total
                words = [f"{title}: {done:,}/{total:,} {unit}", note]
                if done:
                    left = (total - done) / rate(done)
                    words += [f"{rate(done):,.0f}/s", f"{left:,.0f} s left" if left else f"done in {now - start:.1f} s"]
                print(", ".join(word for word in words if word), file=console.file, flush=True)

        yield report
