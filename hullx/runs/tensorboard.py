"""Metrics for TensorBoard, by the optional package tensorboardX."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hullx.extras import require


class Board(NamedTuple):
    """Curves in a folder for `tensorboard --logdir`."""

    writer: Any  # tensorboardX.SummaryWriter

    def draw(self, metrics: Mapping[str, Any]) -> None:
        """Add one point per curve, at `step` if given.

        Strings become part of the curve names. A list of numbers, one per ensemble member, becomes several curves. Other values
        are ignored.
        """
        words = [each for value in metrics.values() for each in np.atleast_1d(np.asarray(value)) if isinstance(each, str)]
        for name, value in metrics.items():
            numbers = np.atleast_1d(np.asarray(value))
            if name == "step" or numbers.ndim > 1 or not np.issubdtype(numbers.dtype, np.number):
                continue
            for i, number in enumerate(numbers):
                tag = "/".join([*words, name, *([str(i)] if len(numbers) > 1 else [])])
                self.writer.add_scalar(tag, float(number), metrics.get("step"))
        self.writer.flush()


def find_board() -> Callable[[Path], Board]:
    """The constructor of boards for folders.

    Raises:
        PackageError: tensorboardX is not installed.
    """
    require("--tensorboard", "tensorboardX")
    from tensorboardX import SummaryWriter  # pyright: ignore[reportMissingImports]

    return lambda folder: Board(SummaryWriter(str(folder)))
