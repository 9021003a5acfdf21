"""Checks of the settings of `sweep`."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from jax.sharding import Mesh

from hullx.arguments import check_count, is_concrete
from hullx.errors import ArgumentError, ArgumentTypeError
from hullx.projection.arguments import check_tolerances
from hullx.projection.host_arguments import Input
from hullx.types import Projection


def check_settings(
    rtol: float, atol: float, max_iter: int | None, mesh: Any, resume: Any, warm_start: Any, progress: Any, given: Input
) -> None:
    """Check the settings of `sweep`.

    Args:
        given: queries and points, which a warm start must match.

    Raises:
        ArgumentTypeError, ArgumentError: a setting is invalid; the message says what to change.
    """
    for name, value in (("rtol", rtol), ("atol", atol), ("max_iter", max_iter)):
        if not is_concrete(value):
            raise ArgumentTypeError(f"{name}: got a traced number, expected a known one: call sweep outside jit, or project")
    check_tolerances(rtol, atol)
    check_count("max_iter", max_iter, none="a limit that no ordinary problem reaches")
    if mesh is not None and not isinstance(mesh, Mesh):
        raise ArgumentTypeError(f"mesh: got {type(mesh).__name__}, expected a jax.sharding.Mesh: make one with jax.make_mesh")
    if resume is not None and not isinstance(resume, str | os.PathLike):
        raise ArgumentTypeError(f"resume: got {type(resume).__name__}, expected a folder: give its path")
    if not isinstance(progress, bool | str):
        raise ArgumentTypeError(f"progress: got {type(progress).__name__}, expected True, False or a title: give one of them")
    if warm_start is not None:
        _check_start(warm_start, given)


def checked_exclusion(exclude: Any, given: Input, mesh: Any) -> np.ndarray:
    """The excluded row of each query, (m,) int32, or −1.

    Raises:
        ArgumentTypeError, ArgumentError: they are not integers, one per query, of rows of the points; there is only one point;
            or there is a mesh.
    """
    rows, m = np.asarray(exclude), len(given.queries)
    if mesh is not None:
        raise ArgumentError("exclude: got rows and a mesh, expected one of them: omit the mesh")
    if rows.dtype.kind not in "iu":
        raise ArgumentTypeError(f"exclude: got dtype {rows.dtype}, expected integers: give row numbers of the points, or -1")
    if rows.shape != (m,):
        raise ArgumentError(f"exclude: got shape {rows.shape}, expected ({m},), one row per query: give -1 for none")
    if m and (rows.min() < -1 or rows.max() >= given.n):
        raise ArgumentError(
            f"exclude: got rows from {rows.min()} to {rows.max()}, expected -1 to {given.n - 1} for {given.n} points: "
            "give row numbers of the points, or -1 for none"
        )
    if given.n == 1 and (rows >= 0).any():
        raise ArgumentError("exclude: got the only point, expected another one in each hull: add points")
    return rows.astype(np.int32)


def _check_start(start: Any, given: Input) -> None:
    if not isinstance(start, Projection):
        raise ArgumentTypeError(f"warm_start: got {type(start).__name__}, expected a Projection: give what sweep returned")
    support, weights = np.asarray(start.support), np.asarray(start.weights)
    m = len(given.queries)
    if support.ndim != 2 or weights.shape != support.shape or len(support) != m or (m and not support.size):
        raise ArgumentError(
            f"warm_start: got {len(support) if support.ndim else 1} projections, supports of shape {support.shape} and weights "
            f"of shape {weights.shape}, expected one per query, {m}: give a result for the same queries"
        )
    if support.size and (support.min() < 0 or support.max() >= given.n or (weights < 0).any()):
        raise ArgumentError(
            f"warm_start: got rows from {support.min()} to {support.max()} and weights from {np.nanmin(weights)} on, expected "
            f"rows of the {given.n} points and weights of 0 or more: give a result for the same points"
        )
    named = np.sort(np.where(weights > 0, support, ~np.arange(support.shape[1])), axis=1)
    if (np.diff(named, axis=1) == 0).any():
        raise ArgumentError(
            "warm_start: got a support that names a row twice, expected different rows: give what sweep returned"
        )
