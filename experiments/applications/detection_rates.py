"""AUROC and false-positive rates of scores over networks and images, resampled together so that differences are paired.

Scores are higher for more unfamiliar images. AUROC is the probability that an unfamiliar image has a higher score than a
familiar one, where ties count half. FPR is the share of unfamiliar images that pass as familiar at the lowest threshold that
accepts at least 95% of the familiar ones: familiar images are the positive class, as in Sun et al. (2022).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from sklearn.metrics import roc_auc_score

from hullx import runs
from hullx.errors import ArgumentError

RESAMPLES, ACCEPTED = 2000, 0.95


class Draws(NamedTuple):
    """Weights of networks, familiar and unfamiliar images, with sum 1 in each column; the first column has equal weights."""

    networks: Float[np.ndarray, "m r"]
    familiar: Float[np.ndarray, "n r"]
    unfamiliar: Float[np.ndarray, "n r"]


class Rates(NamedTuple):
    """Numbers by draw; the first is the observed one. `n` counts the independent units behind them.

    - auroc, fpr: means over networks.
    """

    auroc: Float[np.ndarray, "r"]
    fpr: Float[np.ndarray, "r"]
    n: int


def draw(rng: np.random.Generator, networks: int, images: int) -> Draws:
    """Draws of networks and images with replacement; use the same for all scores and sets.

    Familiar and unfamiliar images are drawn independently of each other, so they must not come from the same source images.
    """

    def weights(count: int) -> np.ndarray:
        drawn = rng.multinomial(count, np.full(count, 1 / count), RESAMPLES)
        return np.ascontiguousarray(np.concatenate([np.ones((1, count)), drawn]).T) / count

    return Draws(weights(networks), weights(images), weights(images))


def rates(familiar: Float[np.ndarray, "m n"], unfamiliar: Float[np.ndarray, "m n"], draws: Draws) -> Rates:
    """AUROC and FPR of each draw, averaged over networks.

    Args:
        familiar, unfamiliar: scores by network and image; one row for scores without a network.

    Raises:
        ArgumentError: shapes do not match the draws, or scores are not finite.
    """
    m, images = familiar.shape
    if unfamiliar.shape != (m, images) or m not in (1, len(draws.networks)) or images != len(draws.familiar):
        raise ArgumentError(f"scores: got shapes {familiar.shape} and {unfamiliar.shape}, expected those of the draws")
    if not (np.isfinite(familiar).all() and np.isfinite(unfamiliar).all()):
        raise ArgumentError("scores: got numbers that are not finite, expected finite ones: drop those images")
    found = np.array([_of_network(*pair, draws) for pair in zip(familiar, unfamiliar, strict=True)])
    weights = draws.networks if m > 1 else np.ones((1, draws.networks.shape[1]))
    auroc, fpr = np.einsum("mr,mkr->kr", weights, found)
    return Rates(auroc, fpr, images if m == 1 else min(m, images))


def _of_network(familiar: np.ndarray, unfamiliar: np.ndarray, draws: Draws) -> tuple[np.ndarray, np.ndarray]:
    observed = roc_auc_score(np.repeat([0, 1], len(familiar)), np.append(familiar, unfamiliar))
    order, other = np.argsort(familiar, kind="stable"), np.argsort(unfamiliar, kind="stable")
    familiar, unfamiliar, weights = familiar[order], unfamiliar[other], draws.unfamiliar[other]
    below, passed = (np.pad(each.cumsum(0), ((1, 0), (0, 0))) for each in (draws.familiar[order], weights))
    left, right = (below[np.searchsorted(familiar, unfamiliar, side)] for side in ("left", "right"))
    auroc = np.einsum("nr,nr->r", left + right, weights) / 2
    auroc[0] = observed  # equal up to rounding
    # The lowest threshold that accepts enough. Sums are multiples of 1/n, so that the slack only absorbs their rounding.
    threshold = familiar[(below[1:] >= ACCEPTED - 0.5e-6).argmax(0)]
    return auroc, passed[np.searchsorted(unfamiliar, threshold, "right"), np.arange(len(threshold))]


def mean(several: list[Rates]) -> Rates:
    """The mean over a fixed list of sets."""
    return Rates(
        np.mean([each.auroc for each in several], 0), np.mean([each.fpr for each in several], 0), min(e.n for e in several)
    )


def estimate(values: Float[np.ndarray, "r"], n: int, unit: str = "share") -> runs.Estimate:
    """The observed number, the first, with the percentile interval of the others."""
    low, high = np.quantile(values[1:], [0.025, 0.975])
    return runs.Estimate(float(values[0]), float(low), float(high), n, unit)


def difference(a: Rates, b: Rates) -> runs.Estimate:
    """AUROC of a minus AUROC of b, paired by networks and images, in units of 1."""
    return estimate(a.auroc - b.auroc, min(a.n, b.n), "%")
