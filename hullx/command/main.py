"""The command line of `hullx TRAIN TEST`."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from hullx.command.matching import matched
from hullx.command.page import page
from hullx.command.reading import read
from hullx.command.report import report, table, text
from hullx.domain import SCALES, scaling, spans_differ
from hullx.errors import ArgumentError, HullxError
from hullx.runs import atomic
from hullx.runs.command import stop
from hullx.runs.compilation import keep_compiled
from hullx.sweeping import sweep

DESCRIPTION = (
    "Which rows of TEST are outside the convex hull of the rows of TRAIN, how far, and in which features? A row is inside if a "
    "mixture of training rows reproduces it. Every distance has a certified bracket. Files are .npy (above 1 GB read in "
    "chunks, without --scale and --drop), .npz (FILE.npz:NAME for one of several arrays), .csv or .parquet (needs pyarrow)."
)


class Parser(ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """Exit with status 2."""
        stop(f"{message}: see hullx --help")


def parser() -> ArgumentParser:
    """The command's options."""
    found = Parser(prog="hullx", description=DESCRIPTION, allow_abbrev=False)
    found.add_argument("train", metavar="TRAIN", help="table of training rows")
    found.add_argument("test", metavar="TEST", help="table of rows to test")
    found.add_argument(
        "--scale",
        choices=SCALES,
        default="none",
        help="units of the columns: as they are, standard deviations, or quartile ranges",
    )
    found.add_argument("--drop", action="append", default=[], metavar="COLUMN", help="leave out a column; may be repeated")
    found.add_argument("--drop-missing", action="store_true", help="leave out rows with missing values")
    found.add_argument("--rtol", type=float, default=1e-6, help="relative width of each bracket (default 1e-6)")
    found.add_argument("--out", type=Path, metavar="FILE.csv", help="write one line per test row")
    found.add_argument("--html", type=Path, metavar="FILE.html", help="write the report as one page")
    found.add_argument("--resume", type=Path, metavar="FOLDER", help="keep finished batches there, and resume from them")
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command line; the process's own if None."""
    given = parser().parse_args(arguments)
    keep_compiled()
    try:
        tables = read(given.train, given.drop), read(given.test, given.drop)
        unknown = [column for column in given.drop if not any(column in each.dropped for each in tables)]
        if unknown:
            raise ArgumentError(f"--drop: got {unknown[0]!r}, expected a column of {tables[0].name} or {tables[1].name}")
        pair = matched(*tables, drop_missing=given.drop_missing)
        if given.scale == "none" and spans_differ(pair.train):
            pair.notes.append("spans of columns differ by more than 1e6, and the largest decides the distance: use --scale std")
        scaled = scaling(pair.train, given.scale)
        train, test = scaled.place(pair.train), scaled.place(pair.test)
        found = sweep(test, train, rtol=given.rtol, resume=given.resume, progress="projecting")
        names = Path(given.test).name, Path(given.train).name
        units = "" if given.scale == "none" else f", scale {given.scale}"
        said = report(
            f"{names[0]} and the hull of {len(train):,} × {len(pair.columns):,} {names[1]}{units}", pair, train, found
        )
        if given.out:
            atomic.write(given.out, table(pair, found))
        if given.html:
            atomic.write(given.html, page(said).encode())
        _print(text(said))
    except HullxError as error:
        stop(str(error))
    except KeyboardInterrupt:
        again = f": the same command resumes from {given.resume}" if given.resume else ""
        print(f"interrupted{again}", file=sys.stderr)
        sys.exit(130)


def _print(lines: str) -> None:
    """Print to a reader that may stop early, such as `head`."""
    try:
        print(lines, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python fails when it ends
