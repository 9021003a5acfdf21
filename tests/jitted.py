"""hullx.project under jit. Its settings are arguments, so tests of one shape and dtype share a program."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import numpy as np

import hullx
from hullx.core.stages import step_limit


@partial(jax.jit, static_argnames="solver")
def _project(queries: Any, points: Any, rtol: Any, atol: Any, max_iter: Any, *, solver: Any) -> hullx.Projection:
    return hullx.project(queries, points, rtol=rtol, atol=atol, max_iter=max_iter, solver=solver)


def project_in_jit(
    queries: np.ndarray,
    points: np.ndarray,
    *,
    rtol: float = 1e-6,
    atol: float = 0.0,
    max_iter: int | None = None,
    solver: Any = "active_set",
) -> hullx.Projection:
    """The answers as NumPy arrays."""
    limit = step_limit(min(len(points), points.shape[1] + 1)) if max_iter is None else max_iter
    return jax.tree.map(np.asarray, _project(queries, points, rtol, atol, limit, solver=solver))
