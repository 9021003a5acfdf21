"""Local density and intrinsic dimension from distances to the nearest points.

All functions take distances as in `Neighbours.distance`: (m, k), nearest first.
"""

from __future__ import annotations

import numpy as np
import scipy.special
from jaxtyping import Float

from hullx.arguments import check_count
from hullx.errors import ArgumentError


def log_density(distance: Float[np.ndarray, "m k"], n: int, dimension: int) -> Float[np.ndarray, "m"]:
    """The log density of points by the k-nearest-neighbour estimate: log k − log(n V r_k^d).

    V is the volume of the unit ball, π^(d/2) / Γ(d/2 + 1). For constant density the estimate is k / (k − 1) times too large on
    average.

    Args:
        distance: from `Neighbours`, nearest first; only k and the last distance are used.
        n: number of candidate points; for `neighbours_within`, one less than the number of points.
        dimension: d; for points on a surface, the surface's dimension.

    Returns:
        Natural logarithms of points per unit volume and point, float64; +∞ if the k-th distance is 0.

    Raises:
        ArgumentTypeError, ArgumentError: n or the dimension is not an integer ≥ 1, or the distances are invalid.

    Example:
        >>> log_density(np.array([[0.25], [0.0]]), n=1, dimension=1)  # 1 of 1 point within a quarter: 1 / (2 / 4)
        array([0.69314718,        inf])

    Reference: Loftsgaarden and Quesenberry (1965), "A nonparametric estimate of a multivariate density function".
    """
    check_count("n", n)
    check_count("dimension", dimension)
    _, last = _parts(distance, least=1)
    k = distance.shape[1]
    volume = dimension / 2 * np.log(np.pi) - scipy.special.gammaln(dimension / 2 + 1)
    with np.errstate(divide="ignore"):
        return np.log(k) - np.log(n) - volume - dimension * np.log(last)


def dimension_by_likelihood(distance: Float[np.ndarray, "m k"]) -> Float[np.ndarray, "m"]:
    """The bias-corrected maximum-likelihood local intrinsic dimension: (k − 2) / Σ_{i<k} log(r_k / r_i).

    For constant density in d dimensions, its mean is d and its standard deviation d / √(k − 3). To pool queries, average
    inverses: (k − 1) / (k − 2) / mean(1 / dimension) is the joint maximum-likelihood estimate.

    Args:
        distance: of k ≥ 3 nearest points, nearest first.

    Returns:
        Dimensions, float64, never NaN: 0 if the nearest distance is 0 (drop duplicates first); +∞ if all k are equal and not 0.

    Raises:
        ArgumentError: k is below 3, or the distances are not finite, negative or not in order.

    Example:
        >>> dimension_by_likelihood(np.array([[0.25, 0.5, 0.5, 1.0], [0.0, 0.1, 0.2, 0.3]])).round(4)  # 2 / log 16
        array([0.7213, 0.    ])

    Reference: Levina and Bickel (2004), "Maximum likelihood estimation of intrinsic dimension", section 3;
    MacKay and Ghahramani (2005), "Comments on 'Maximum likelihood estimation of intrinsic dimension'", for averages; Amsaleg et
    al. (2015), "Estimating local intrinsic dimensionality".
    """
    others, last = _parts(distance, least=3)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        found = (distance.shape[1] - 2) / np.log(last[:, None] / others).sum(1)
    return np.where(others[:, 0] > 0, found, 0.0)


def dimension_by_moments(distance: Float[np.ndarray, "m k"]) -> Float[np.ndarray, "m"]:
    """The local intrinsic dimension by the method of moments: μ / (r_k − μ), with μ the mean of the k − 1 smaller distances.

    A single duplicate has little effect. With few neighbours the estimate is somewhat too large.

    Args:
        distance: of k ≥ 2 nearest points, nearest first.

    Returns:
        Dimensions, float64, never NaN: 0 if all distances but the last are 0, and +∞ if all k are equal and not 0.

    Raises:
        ArgumentError: k is below 2, or the distances are not finite, negative or not in order.

    Example:
        >>> dimension_by_moments(np.array([[0.25, 0.5, 0.75, 1.0], [0.0, 0.0, 0.0, 0.0]]))
        array([1., 0.])

    Reference: Amsaleg et al. (2018), "Extreme-value-theoretic estimation of local intrinsic dimensionality".
    """
    others, last = _parts(distance, least=2)
    mean = others.mean(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = mean / (last - mean)
    # The rounded mean of equal distances may differ from them.
    return np.where(last == 0, 0.0, np.where(others[:, 0] == last, np.inf, found))


def _parts(distance: np.ndarray, *, least: int) -> tuple[np.ndarray, np.ndarray]:
    """All distances but the last (m, k − 1), and the last (m,), in float64.

    Raises:
        ArgumentError: there are too few, or they are invalid.
    """
    k = distance.shape[1]
    if k < least:
        raise ArgumentError(f"distance: got {k} per query, expected {least} or more: request more neighbours")
    distance = np.asarray(distance, np.float64)
    if not (np.isfinite(distance).all() and (distance[:, 0] >= 0).all() and (np.diff(distance) >= 0).all()):
        raise ArgumentError(
            "distance: got numbers that are not finite, negative or not ascending, expected distances (m, k), the nearest "
            "first: give those of hullx.geometry.neighbours"
        )
    return distance[:, :-1], distance[:, -1]
