"""Sources of points: in arrays, on a device, on disk, on a mesh of devices."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from hullx.core.hull import Frame
from hullx.core.stages import Stage
from hullx.core.state import Goal, QueryState
from hullx.types import Array


class HostSource(Protocol):
    """Points for the driver outside jit: the rounds of `core.rounds`, in one program or in several.

    - frame: dimensionless coordinates.
    - rows: padded number of points, the maximum number of candidates.
    - scored: number of points that one program scores.
    - batch: largest useful number of queries per call.
    - threads: maximum number of parallel calls.
    """

    frame: Frame
    rows: int
    scored: int
    batch: int
    threads: int

    def nearest(self, queries: np.ndarray, count: int, excluded: np.ndarray | None = None) -> Array: ...

    def advance(self, state: QueryState, active: np.ndarray, goal: Goal, stage: Stage) -> QueryState: ...
