"""Where the points of a sweep live: on a device, on disk, on a mesh of devices."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from hullx.core.hull import Frame
from hullx.core.rounds import Batch, Round
from hullx.core.stage import Stage
from hullx.types import Array


class Points(Protocol):
    """Points for a sweep, wherever they are: rounds of `core.rounds`, whether in one program or in several.

    - frame: coordinates without units.
    - rows: padded number of points, the most candidates there can be.
    - batch: most queries that it is worth giving to one call.
    - threads: how many may call it side by side.
    """

    frame: Frame
    rows: int
    batch: int
    threads: int

    def nearest(self, queries: np.ndarray, count: int) -> Array: ...

    def advance(self, batch: Batch, left: np.ndarray, active: Array, stage: Stage) -> Round: ...
