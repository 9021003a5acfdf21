"""The expected distance of a Gaussian sample to the hull of n other samples, from their covariance alone.

Distance of q to conv{x_1 … x_n}, all N(0, Σ) in d dimensions:

    min over weights w  max over ‖u‖ ≤ 1   uᵀq − Σ_j w_j uᵀx_j

Both sets are convex and the objective is bilinear with a Gaussian matrix. Gordon's comparison theorem replaces this matrix by
two Gaussian vectors, g in d and h in n dimensions (Thrampoulidis, Oymak and Hassibi 2015, "The Gaussian min-max theorem in the
presence of convexity"), and both problems concentrate at the same value:

    min over w  max over ‖u‖ ≤ 1   uᵀ(q − ‖w‖ Σ^½ g) − ‖Σ^½ u‖ hᵀw

Given β = ‖w‖, this is the distance of q − β Σ^½ g, whose covariance is (1 + β²) Σ, to the ellipsoid with semi-axes m √λ_i. Here
m is the largest hᵀw, and λ_i are the eigenvalues of Σ. The largest is at w_j ∝ (h_j − t)₊ for some threshold t, which
determines β and m. Sums over many samples and over many dimensions are replaced by their means:

    f₁ = n E(h − t)₊,  f₂ = n E(h − t)₊²,  β² = f₂ / f₁²,  m = t + f₂ / f₁
    distance² = (1 + β²) Σ_i λ_i μ² / (m² λ_i + μ)²   with μ from   (1 + β²) Σ_i m² λ_i² / (m² λ_i + μ)² = 1

The distance is the least over t. No number is fitted. It is accurate if many eigenvalues contribute.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.optimize import brentq, minimize_scalar
from scipy.stats import norm

from hullx.errors import ArgumentError

# Range of thresholds. Below it, all weights are equal up to 1/LOWEST².
LOWEST = -30.0


def expected_distance(variances: Float[np.ndarray, "d"], n: int) -> float:
    """The distance of a Gaussian sample to the hull of n others, by Gordon's comparison.

    Args:
        variances: eigenvalues of the covariance, in any order; not all 0.
        n: number of samples that span the hull.

    Example:
        >>> distance = expected_distance(np.ones(100_000), 10)  # 10 orthogonal points: all weights are 1/10
        >>> bool(abs(distance / np.sqrt(100_000 * (1 + 1 / 10)) - 1) < 0.01)
        True

    Raises:
        ArgumentError: n is below 2, or the variances are negative, not finite or all 0.
    """
    variances = np.asarray(variances, np.float64)
    if n < 2 or not np.isfinite(variances).all() or (variances < 0).any() or not variances.any():
        raise ArgumentError(f"n, variances: got n = {n}, expected 2 or more and variances ≥ 0, one of them > 0")
    variances = variances[variances > 0]
    # The largest threshold leaves one point: ‖w‖ = 1.
    highest = brentq(lambda t: _weights(t, n)[0] - 1, LOWEST, norm.isf(1 / n) + 10)
    found = minimize_scalar(
        lambda t: _to_ellipsoid(variances, *_weights(t, n)), bounds=(LOWEST, highest), method="bounded", options={"xatol": 1e-9}
    )
    return float(found.fun)


def _weights(t: float, n: int) -> tuple[float, float]:
    """β² and m for weights proportional to (h_j − t)₊."""
    density, tail = norm.pdf(t), norm.sf(t)
    first, second = density - t * tail, (1 + t * t) * tail - t * density  # E(h − t)₊ and E(h − t)₊²
    return float(second / (n * first**2)), float(t + second / first)


def _to_ellipsoid(variances: np.ndarray, squared: float, m: float) -> float:
    """The root mean square distance of a sample with covariance (1 + β²) Σ to the ellipsoid with semi-axes m √λ."""
    axes, spread = m * m * variances, (1 + squared) * variances

    def beyond(logarithm: float) -> float:
        """How far the nearest point is beyond the ellipsoid, for a multiplier."""
        return float((axes * spread / (axes + np.exp(logarithm)) ** 2).sum()) - 1

    low, high = np.log(axes.max()) - 60, np.log(axes.max()) + 60
    if beyond(low) <= 0:
        return 0.0
    multiplier = np.exp(float(brentq(beyond, low, high)))  # pyright: ignore[reportArgumentType]
    return float(np.sqrt((spread * (multiplier / (axes + multiplier)) ** 2).sum()))
