"""Whether the fields of one result agree with each other, as the docstring of `Projection` says."""

from __future__ import annotations

import numpy as np
from near_faces import Near

import hullx
from hullx import Status

# What counts as rounding, in eps of the numbers that are added up.
ROUNDING = 64


def contradictions(problem: Near, found: hullx.Projection, rtol: float, atol: float = 0.0) -> dict[str, int]:
    """Numbers of queries whose fields break a rule, by rule, in extended precision; none where all agree.

    Args:
        problem: finite queries (m, d) and points (n, d).
        found: NumPy arrays, of dtypes that may differ.
        rtol, atol: that were asked for.
    """
    queries, points = (rows.astype(np.longdouble) for rows in problem)
    eps, eps_weights = (float(np.finfo(field.dtype).eps) for field in (found.point, found.weights))
    status, weights, direction = found.status, found.weights.astype(np.longdouble), found.direction.astype(np.longdouble)
    distance, lower = (field.astype(np.longdouble) for field in (found.distance, found.lower))
    used, corners = weights > 0, points[found.support % len(points)]
    # Weights may have fewer digits than the point.
    largest = np.maximum(np.where(used[..., None], np.abs(corners), 0).max(1), np.abs(queries))
    rounding = ROUNDING * max(eps, eps_weights) * largest
    combined = (weights[..., None] * corners).sum(1)
    residual, level = queries - combined, np.linalg.norm(rounding, axis=1)
    length, size = np.linalg.norm(residual, axis=1), np.linalg.norm(direction, axis=1)
    apart = length > level
    unit = residual / np.where(apart, length, 1)[:, None]
    repeated = [len(set(rows[these])) < these.sum() for rows, these in zip(found.support, used, strict=True)]
    inside, converged = status == Status.INSIDE, status == Status.CONVERGED

    broken = {
        "a finite query has NaN, infinity or NONFINITE": (status == Status.NONFINITE) | ~np.isfinite(distance + lower),
        "weights are negative": (weights < 0).any(1),
        "weights do not sum to 1": ~(np.abs(weights.sum(1) - 1) <= 8 * eps_weights),
        "support is not of rows": ((found.support < 0) | (found.support >= len(points))).any(1),
        "support names a row twice": np.array(repeated),
        "unused slots hold another row than 0": (found.support * ~used).any(1),
        "support_size is not the number of positive weights": found.support_size != used.sum(1),
        "point is not weights @ points[support]": ~(np.abs(found.point - combined) <= rounding).all(1),
        "distance is less than ‖q − weights @ points[support]‖": ~(length <= distance + level),
        "direction is 0 where query and point differ": apart & (size == 0),
        "direction is no unit vector": (size != 0) & ~(np.abs(size - 1) <= 8 * eps),
        "direction does not lead from point to query": apart
        & (size != 0)
        & ~(np.linalg.norm(direction - unit, axis=1) <= ROUNDING * eps + 2 * level / np.where(apart, length, 1)),
        "lower is negative": lower < 0,
        "lower is above distance": lower > distance,
        "INSIDE with a positive lower bound": inside & (lower > 0),
        "CONVERGED with too wide a bracket": converged & ~(distance - lower <= (rtol * distance + atol) * (1 + 1e-12)),
        "CONVERGED beyond atol, without being outside": converged & ~found.outside & (distance > atol),
        "outside is not lower > 0": found.outside != (lower > 0),
        "decided is not CONVERGED or INSIDE": found.decided != (inside | converged),
    }
    return {rule: int(where.sum()) for rule, where in broken.items() if where.any()}
