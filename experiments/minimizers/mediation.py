"""Mediation within units: does a mediator carry the effect of a change on an outcome?

Each unit is measured under two conditions, such as a test image without and with augmentation. With differences D between the
conditions, and means A over the conditions less their mean over units, the outcome is regressed on the mediators:

    D(outcome) = direct + Σ b · D(mediator) + Σ c · A(mediator)

A mediator's indirect effect is mean D(mediator) · b. The indirect effects and the direct effect add up to the total effect,
mean D(outcome). A mediator that no unit changes carries nothing. Intervals resample units.

The model shows association, not cause: whatever changes with a mediator, unit by unit, is counted as the mediator.

Reference: Judd, Kenny and McClelland (2001), "Estimating and testing mediation and moderation in within-subject designs";
Montoya and Hayes (2017), "Two-condition within-participant statistical mediation analysis".
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from hullx.errors import ArgumentError
from hullx.runs.statistics import RESAMPLES, Estimate


class Mediation(NamedTuple):
    """Effects of the change from the first to the second condition, with intervals.

    - total: mean change of the outcome.
    - indirect: what each mediator carries of it.
    - share: indirect ÷ total. Its interval is wide where the total effect is near 0.
    """

    total: Estimate
    indirect: dict[str, Estimate]
    share: dict[str, Estimate]

    def note(self, mediator: str) -> str:
        """The total effect and a mediator's share, in percent; without the share if the total may be 0."""
        total, share = (f"{each.value:.1%} [{each.low:.1%}, {each.high:.1%}]" for each in (self.total, self.share[mediator]))
        return f"total {total}" + (f", share {share}" if self.total.low * self.total.high > 0 else "")


def mediation(
    outcome: Float[np.ndarray, "n 2"],
    mediators: dict[str, Float[np.ndarray, "n 2"]],
    *,
    confidence: float = 0.95,
    seed: int = 0,
) -> Mediation:
    """Estimate the effects that mediators carry, given each other.

    Args:
        outcome: of each unit under both conditions; units are independent.
        mediators: of each unit under both conditions, by name.

    Raises:
        ArgumentError: shapes differ, or numbers are not finite.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> before, change = rng.normal(size=(2, 1000))
        >>> mediator = np.stack([before, before + 1 + change], 1)
        >>> outcome = np.stack([0 * before, 3 * (1 + change) + 2], 1)  # 3 of 5 by the mediator
        >>> round(mediation(outcome, {"m": mediator}).share["m"].value, 2)
        0.6
    """
    outcome, values = np.asarray(outcome, np.float64), np.stack([np.asarray(each, np.float64) for each in mediators.values()])
    n = len(outcome)
    if outcome.shape != (n, 2) or values.shape[1:] != (n, 2) or not (np.isfinite(outcome).all() and np.isfinite(values).all()):
        shapes = f"got shapes {outcome.shape} and {values.shape[1:]}, or numbers that are not finite"
        raise ArgumentError(f"outcome, mediators: {shapes}, expected (n, 2): drop those")
    drawn = np.random.default_rng(seed).integers(0, n, (RESAMPLES, n))
    found = np.stack([_effects(outcome[rows], values[:, rows]) for rows in (np.arange(n), *drawn)])
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]

    def estimate(samples: np.ndarray) -> Estimate:
        low, high = np.quantile(samples[1:], tails) if n > 1 else (np.nan, np.nan)
        return Estimate(float(samples[0]), float(low), float(high), n)

    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.nan_to_num(found[:, 1:] / found[:, :1], nan=0.0, posinf=np.inf, neginf=-np.inf)
    indirect = {name: estimate(found[:, k]) for k, name in enumerate(mediators, 1)}
    return Mediation(estimate(found[:, 0]), indirect, {name: estimate(shares[:, k]) for k, name in enumerate(mediators)})


def _effects(outcome: np.ndarray, mediators: np.ndarray) -> np.ndarray:
    """The total effect, and the indirect effect of each mediator."""
    change, level = np.diff(mediators, axis=2)[..., 0], mediators.mean(2)
    features = np.column_stack([np.ones(len(outcome)), *change, *(level - level.mean(1, keepdims=True))])
    difference = np.diff(outcome, axis=1)[:, 0]
    slopes = np.linalg.lstsq(features, difference)[0][1 : 1 + len(mediators)]
    return np.array([difference.mean(), *(change.mean(1) * slopes)])
