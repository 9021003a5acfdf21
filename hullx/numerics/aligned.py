"""Arrays that JAX uses without a copy."""

from __future__ import annotations

import math

import numpy as np


def aligned(shape: tuple[int, ...]) -> np.ndarray:
    """An empty float32 array aligned to 64 bytes. JAX on a CPU uses aligned arrays without a copy.

    Example:
        >>> aligned((3, 5)).ctypes.data % 64
        0
    """
    room = np.empty(4 * math.prod(shape) + 64, np.uint8)
    start = -room.ctypes.data % 64
    return room[start : start + 4 * math.prod(shape)].view(np.float32).reshape(shape)
