"""R² of predictions on held-out groups.

Numbers of one group (networks of one family) are dependent, so groups are held out as a whole. The least-squares line of all
other groups predicts each group, and the interval resamples whole groups.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Shaped

from hullx.errors import ArgumentError
from hullx.runs.statistics import RESAMPLES, Estimate


class HeldOut(NamedTuple):
    """Sums of squares for each of g groups, sorted by name.

    - errors: residuals of the line through the other groups.
    - totals: residuals of the mean of the other groups.
    """

    errors: Float[np.ndarray, "g"]
    totals: Float[np.ndarray, "g"]


def held_out(x: Float[np.ndarray, "n k"], y: Float[np.ndarray, "n"], groups: Shaped[np.ndarray, "n"]) -> HeldOut:
    """Least-squares errors for each group, fitted to all other groups.

    Args:
        x: predictors, (n,) or (n, k).
        y: targets.
        groups: the group name of each number; two or more groups.

    Raises:
        ArgumentError: there is only one group, or numbers are not finite.

    Example:
        >>> x, groups = np.arange(6.0), np.repeat(["a", "b", "c"], 2)
        >>> r2(held_out(x, 2 * x + 1, groups)).value
        1.0

    Reference: Jiang et al. (2020), "Fantastic generalization measures and where to find them", for the question.
    """
    x = np.asarray(x, np.float64).reshape(len(y), -1)
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ArgumentError("x, y: got numbers that are not finite: drop those")
    names = np.unique(groups)
    if len(names) < 2:
        raise ArgumentError(f"groups: got {len(names)}, expected two or more: add numbers of another group")
    errors, totals = [], []
    for name in names:
        mine, others = groups == name, groups != name
        features = np.column_stack([np.ones(len(x)), (x - x[others].mean(0)) / np.maximum(x[others].std(0), 1e-300)])
        line = np.linalg.lstsq(features[others], y[others])[0]
        errors.append(((y[mine] - features[mine] @ line) ** 2).sum())
        totals.append(((y[mine] - y[others].mean()) ** 2).sum())
    return HeldOut(np.array(errors), np.array(totals))


def r2(one: HeldOut, *, less: HeldOut | None = None, confidence: float = 0.95, seed: int = 0) -> Estimate:
    """1 − errors / totals: 1 for a perfect prediction, 0 if no better than the mean, negative if worse. n counts groups.

    Args:
        less: errors of another prediction for the same groups, whose value is subtracted.
    """
    other = HeldOut(one.totals, one.totals) if less is None else less
    drawn = np.random.default_rng(seed).integers(0, len(one.errors), (RESAMPLES, len(one.errors)))
    drawn = np.concatenate([np.arange(len(one.errors))[None], drawn])
    gain = (other.errors[drawn].sum(1) - one.errors[drawn].sum(1)) / one.totals[drawn].sum(1)
    low, high = np.quantile(gain[1:], [(1 - confidence) / 2, (1 + confidence) / 2])
    return Estimate(float(gain[0]), float(low), float(high), len(one.errors))
