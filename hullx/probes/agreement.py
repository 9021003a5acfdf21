"""Agreement of classifiers: networks that all fit the training set may predict different labels elsewhere.

pairwise    share of pairs of members that give a point the same label
chance      expected agreement of independent labels with the members' label frequencies
κ           (pairwise − chance) / (1 − chance): 1 for full agreement, 0 for chance (Cohen 1960; over pairs: Light 1971)
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from hullx.errors import ArgumentError

# Bootstrap resamples of members and points for an interval.
RESAMPLES = 400


class Agreement(NamedTuple):
    """Mean pairwise agreement of m members on n points, in [0, 1], and κ, in [−1, 1], with 95% intervals."""

    pairwise: float
    pairwise_low: float
    pairwise_high: float
    kappa: float
    kappa_low: float
    kappa_high: float
    members: int
    points: int


def pairwise(labels: Int[np.ndarray, "m n"], classes: int) -> Float[np.ndarray, "n"]:
    """Share of pairs of members that agree, for each point.

    Example:
        >>> pairwise(np.array([[0, 1], [0, 2], [0, 1]]), classes=3)
        array([1.        , 0.33333333])
    """
    members = _checked(labels, classes)
    votes = np.stack([(labels == k).sum(0) for k in range(classes)])
    return (votes * (votes - 1)).sum(0) / (members * (members - 1))


def with_majority(labels: Int[np.ndarray, "m n"], classes: int) -> Float[np.ndarray, "n"]:
    """Share of members that give the most frequent label, for each point."""
    members = _checked(labels, classes)
    return np.stack([(labels == k).sum(0) for k in range(classes)]).max(0) / members


def with_others(labels: Int[np.ndarray, "m n"]) -> Float[np.ndarray, "m"]:
    """Share of points on which a member agrees with another, averaged over the others, for each member.

    Example:
        >>> with_others(np.array([[0, 1], [0, 2], [0, 1]]))
        array([0.75, 0.5 , 0.75])
    """
    members = _checked(labels, int(labels.max(initial=0)) + 1)
    same = np.stack([(labels == mine).mean(1) for mine in labels])
    return (same.sum(1) - 1) / (members - 1)


def agreement(labels: Int[np.ndarray, "m n"], classes: int, *, rng: np.random.Generator, confidence: float = 0.95) -> Agreement:
    """Mean pairwise agreement and κ, with two-way bootstrap intervals over members and points.

    A member drawn twice forms no pair with itself, because it always agrees. The intervals are slightly too
    long, not too short.

    Args:
        labels: of each member for each point, from 0 to classes − 1.
        rng: draws the resamples.

    Reference: Owen (2007), "The pigeonhole bootstrap".
    """
    members, n = _checked(labels, classes), labels.shape[1]
    of_members, of_points = (
        np.stack([np.ones(size), *(np.bincount(rng.integers(0, size, size), minlength=size) for _ in range(RESAMPLES))])
        for size in (members, n)
    )
    # A resample of one member has no pairs.
    several = (of_members > 0).sum(1) > 1
    pair, kappa = _agreements(labels, classes, of_members[several], of_points[several])
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    pair_low, pair_high = np.quantile(pair[1:], tails).tolist()
    kappa_low, kappa_high = np.nanquantile(kappa[1:], tails).tolist()
    return Agreement(float(pair[0]), pair_low, pair_high, float(kappa[0]), kappa_low, kappa_high, members, n)


def _agreements(
    labels: np.ndarray, classes: int, of_members: np.ndarray, of_points: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Pairwise agreement and κ, (r,) each, for weights of members (r, m) and of points (r, n)."""
    shares = of_points / of_points.sum(1, keepdims=True)
    same = np.stack([shares @ (labels == mine).T for mine in labels], 1)  # (r, m, m)
    frequent = np.stack([shares @ (labels == k).T for k in range(classes)], 2)  # (r, m, k)
    by_chance = frequent @ frequent.transpose(0, 2, 1)
    pairs = of_members[:, :, None] * of_members[:, None] * (1 - np.eye(len(labels)))
    pairs /= pairs.sum((1, 2), keepdims=True)
    observed, chance = (pairs * same).sum((1, 2)), (pairs * by_chance).sum((1, 2))
    return observed, (observed - chance) / np.where(chance < 1, 1 - chance, np.nan)


def _checked(labels: np.ndarray, classes: int) -> int:
    if labels.ndim != 2 or len(labels) < 2 or not labels.shape[1]:
        raise ArgumentError(f"labels: got shape {labels.shape}, expected (members, points) with two members or more")
    if labels.min() < 0 or labels.max() >= classes:
        raise ArgumentError(f"labels: got {labels.min()} to {labels.max()}, expected 0 to {classes - 1}: raise classes")
    return len(labels)
