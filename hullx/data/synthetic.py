"""Synthetic baselines for data."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def gaussian_like(rng: np.random.Generator, points: Float[np.ndarray, "n d"], count: int) -> Float[np.ndarray, "count d"]:
    """Gaussian samples with the mean and covariance of the points, and so the same principal-component spectrum.

    Hull properties of these samples depend only on dimension and spectrum. Deviations of the
    data come from their structure.

    Args:
        points: one per row.
        count: number of samples; they have the points' dtype but at most float32 precision.

    Example:
        >>> rows = hullx.data.load("digits").train.rows
        >>> samples = gaussian_like(np.random.default_rng(0), rows, 5000)
        >>> bool(abs(np.cov(samples.T) - np.cov(rows.T)).max() < 0.01)
        True
    """
    mean = points.mean(0, dtype=np.float64)
    centred = points - mean.astype(points.dtype)
    variances, axes = np.linalg.eigh((centred.T @ centred).astype(np.float64) / len(points))
    root = (axes * np.sqrt(np.maximum(variances, 0))).T.astype(np.float32)
    normal = rng.standard_normal((count, len(mean)), dtype=np.float32)
    return (normal @ root + mean.astype(np.float32)).astype(points.dtype)
