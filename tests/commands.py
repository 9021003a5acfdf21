"""Commands as their users start them, in this process."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

from hullx.runs.__main__ import main


class Done(NamedTuple):
    """What a command did."""

    status: int
    out: str
    errors: str

    @property
    def folder(self) -> Path:
        """Its run folder."""
        assert self.status == 0, self.errors
        return Path(self.out.splitlines()[-1])


def started(command: Callable[[Sequence[str]], None], *arguments: object) -> Done:
    """A command line's `main` with arguments."""
    out, errors, status = io.StringIO(), io.StringIO(), 0
    # A command may set XLA_FLAGS, which the processes of other tests would inherit.
    with redirect_stdout(out), redirect_stderr(errors), patch.dict(os.environ):
        try:
            command([str(argument) for argument in arguments])
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else 0
    return Done(status, out.getvalue(), errors.getvalue())


def hullx_runs(*arguments: object) -> Done:
    """python -m hullx.runs."""
    return started(main, *arguments)
