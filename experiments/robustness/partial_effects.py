"""Partial rank correlations over networks and images, with intervals that treat both as random."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy import stats

from hullx import runs
from hullx.errors import ArgumentError

RESAMPLES = 2000


def partial_effect(
    x: Float[np.ndarray, "n"],
    outcomes: Float[np.ndarray, "m n"],
    given: Float[np.ndarray, "m n k"],
    *,
    confidence: float = 0.95,
    seed: int = 0,
) -> runs.Estimate:
    """Spearman's partial correlation of x with the outcomes of m networks given k variables, averaged over networks.

    The interval resamples networks and images (pigeonhole bootstrap). Ranks are those of the whole sample. n of the estimate is
    the smaller of the numbers of networks and images. NaN if x or the given variables leave nothing to explain.

    Args:
        x: one number per image.
        outcomes: one number per network and image; networks with constant outcomes are left out.
        given: (m, n, k), or (1, n, k) for variables that all networks share.

    Raises:
        ArgumentError: shapes do not match.

    Reference: Owen (2007), "The pigeonhole bootstrap".
    """
    m, n = outcomes.shape
    if x.shape != (n,) or given.shape[1] != n or given.shape[0] not in (1, m):
        raise ArgumentError(f"given: got {x.shape}, {outcomes.shape} and {given.shape}, expected (n,), (m, n) and (m, n, k)")
    rng, used = np.random.default_rng(seed), np.ptp(outcomes, axis=1) > 0
    if not used.any():
        return runs.Estimate(np.nan, np.nan, np.nan, min(m, n))
    weights = np.concatenate([np.full((1, n), 1 / n), rng.multinomial(n, np.full(n, 1 / n), RESAMPLES) / n])
    ranked, covariates = stats.rankdata(x), stats.rankdata(np.broadcast_to(given, (m, *given.shape[1:])), axis=1)
    found = np.stack([_correlations(ranked, stats.rankdata(outcomes[i]), covariates[i], weights) for i in np.flatnonzero(used)])
    chosen = rng.multinomial(len(found), np.full(len(found), 1 / len(found)), RESAMPLES) / len(found)
    drawn = (chosen * found[:, 1:].T).sum(1)
    low, high = np.nanquantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    return runs.Estimate(float(found[:, 0].mean()), float(low), float(high), min(len(found), n))


def _correlations(x: np.ndarray, y: np.ndarray, given: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Partial correlations (r,) of x and y given (n, k), for weights (r, n) of the images."""
    columns = np.column_stack([x, y, given])
    columns = (columns - columns.mean(0)) / np.maximum(columns.std(0), 1e-12)
    mean = weights @ columns
    products = (columns[:, :, None] * columns[:, None, :]).reshape(len(columns), -1)
    covariance = (weights @ products).reshape(len(weights), columns.shape[1], -1) - mean[:, :, None] * mean[:, None, :]
    across = covariance[:, :2, 2:]
    left = covariance[:, :2, :2] - across @ np.linalg.pinv(covariance[:, 2:, 2:], hermitian=True) @ across.transpose(0, 2, 1)
    squares = left[:, 0, 0] * left[:, 1, 1]
    return left[:, 0, 1] / np.sqrt(np.where(squares > 1e-18, squares, np.nan))
