"""hullx.project under jit, for tests that share programs: those of one shape and dtype compile once."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import numpy as np

import hullx

_project = jax.jit(hullx.project)


def project_in_jit(queries: np.ndarray, points: np.ndarray) -> hullx.Projection:
    """With the default settings, which are constants; NumPy arrays."""
    return jax.tree.map(np.asarray, _project(queries, points))


@partial(jax.jit, static_argnames="solver")
def _project_with(queries: Any, points: Any, rtol: Any, atol: Any, max_iter: Any, *, solver: str) -> hullx.Projection:
    return hullx.project(queries, points, rtol=rtol, atol=atol, max_iter=max_iter, solver=solver)


def project_with_arguments(
    queries: np.ndarray,
    points: np.ndarray,
    *,
    max_iter: int,
    rtol: float = 1e-6,
    atol: float = 0.0,
    solver: str = "active_set",
) -> hullx.Projection:
    """With tolerances and limit as arguments of the program; NumPy arrays."""
    return jax.tree.map(np.asarray, _project_with(queries, points, rtol, atol, max_iter, solver=solver))
