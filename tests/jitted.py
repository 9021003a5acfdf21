"""hullx.project under jit, for tests that share programs: those of one shape and dtype compile once."""

from __future__ import annotations

import jax
import numpy as np

import hullx

_project = jax.jit(hullx.project)


def project_in_jit(queries: np.ndarray, points: np.ndarray) -> hullx.Projection:
    """With the default settings; NumPy arrays."""
    return jax.tree.map(np.asarray, _project(queries, points))
