"""Hulls with a rounded copy of their points, on any processor."""

from __future__ import annotations

import numpy as np

import hullx
from hullx.core.hull import Hull
from hullx.core.rounded import round_rows


def with_rounded_copy(points: np.ndarray) -> Hull:
    hull = hullx.prepare(points)
    return hull._replace(rounded=round_rows(hull.placed, hull.half_squares))
