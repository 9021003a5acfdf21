"""Exact probabilities that random hulls contain a point, as references for measured shares.

Each is a float64 in [0, 1], for n points drawn independently from one continuous distribution in R^d. n and d are positive
integers; otherwise the function raises an ArgumentError.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import numpy as np
from scipy.optimize import brentq
from scipy.special import erfcx, gammaln, log_ndtr, wofz

from hullx.errors import ArgumentError

# On the lines chosen below, both integrands fall from their peak at least as fast as exp(−x²/2), which is 3e-18 at 9. They are
# analytic, so the error of the trapezoidal rule falls exponentially with 1 / step (Trefethen and Weideman 2014).
REACH, STEP = 9.0, 1 / 32


def interval_outside(n: int) -> float:
    """The probability that a new sample on the line is outside the range of n samples: 2 / (n + 1), for any distribution.

    The sample is outside if it is the largest or the smallest of all n + 1.

    Example:
        >>> interval_outside(9)
        0.2
    """
    _check(n=n)
    return 2 / (n + 1)


def symmetric_outside(n: int, d: int) -> float:
    """The probability that 0 is outside the hull of n points symmetric about 0 in R^d: 2^{−(n−1)} Σ_{k<d} C(n−1, k).

    The formula holds if x is as likely as −x and any d of the points are linearly independent. Relative error below 1e-10 for n
    up to 10,000.

    Example:
        >>> round(symmetric_outside(4, 2), 12), symmetric_outside(3, 3)
        (0.5, 1.0)

    Reference: Wendel (1962), "A problem in geometric probability".
    """
    _check(n=n, d=d)
    logs = [_log_choose(n - 1, k) - (n - 1) * np.log(2) for k in range(min(d, n))]
    return 1.0 if n <= d else float(np.exp(logs).sum())


def gaussian_outside(n: int, d: int, *, scale: float = 1.0) -> float:
    """The probability that σ x is outside the hull of x_1 … x_n, where x, x_1 … x_n are standard Gaussian in R^d.

        2 (b_{n,d−1}(σ²) + b_{n,d−3}(σ²) + …),   b_{n,k}(r) = C(n, k) g_k(−r / (1 + k r)) g_{n−k}(r / (1 + k r))

    where g_m(r) is the probability that m Gaussians of mean 0 and covariance r + δ_ij are all negative. If σ = 1, the Gaussian
    may have any mean and any covariance of rank d, in a space of any dimension: affine maps preserve the probability.

    Relative error below 1e-10 for n up to 1,000, d up to 24 and σ from 0 to 3. In this range other quadrature steps give the
    same result, and the formula's identities hold: the b of even k sum to ½, and so do those of odd k.

    Args:
        n, d: points and dimensions.
        scale: σ, 0 or more; 0 gives `symmetric_outside`.

    Example:
        >>> round(gaussian_outside(9, 1), 12), round(gaussian_outside(200, 6), 6)
        (0.2, 0.57076)

    Reference: Kabluchko and Zaporozhets (2020), "Absorption probabilities for Gaussian polytopes and regular spherical
    simplices", arXiv 1704.04968; Balestriero, Pesenti and LeCun (2021), arXiv 2110.09485, theorem 4.
    """
    _check(n=n, d=d)
    if not 0 <= scale < np.inf:
        raise ArgumentError(f"scale: got {scale}, expected a finite number ≥ 0: divide two standard deviations")
    return 1.0 if n <= d else min(2 * sum(_term(n, k, scale**2) for k in range(d - 1, -1, -2)), 1.0)


def ball_simplex_inside(d: int) -> float:
    """The probability that the simplex of d + 1 points, uniform in a ball in R^d, contains one more such point.

        2^{−d} C(d + 1, (d + 1)/2)^{d+1} / C((d + 1)², (d + 1)²/2),   C by Γ

    So all of d + 2 such points are vertices of their hull with probability 1 − (d + 2) times this number.

    Example:
        >>> round(ball_simplex_inside(2) * 48 * np.pi**2, 9)  # Sylvester's four points in a disc
        35.0

    Reference: Kingman (1969), "Random secants of a convex body".
    """
    _check(d=d)
    m = d + 1
    return float(np.exp(m * _log_choose(m, m / 2) - d * np.log(2) - _log_choose(m**2, m**2 / 2)))


def _term(n: int, k: int, r: float) -> float:
    """b_{n,k}(r) of `gaussian_outside`, for k from 0 to n."""
    return float(np.exp(_log_choose(n, k) + _log_internal(k, r) + _log_external(n - k, r / (1 + k * r))))


def _log_external(m: int, r: float) -> float:
    """log g_m(r) for r ≥ 0, g_m(r) = ∫ Φ(√r x)^m φ(x) dx, about the peak of the integrand."""
    s = np.sqrt(r)

    def slope(x: float) -> float:  # of the integrand's logarithm, which is concave; Φ'/Φ (t) = √(2/π) / erfcx(−t/√2)
        return float(m * s * np.sqrt(2 / np.pi) / erfcx(-s * x / np.sqrt(2)) - x)

    top, step = _root(slope, m * s + 1), STEP / np.sqrt(1 + r)
    x = top + np.arange(-REACH, REACH + step, step)
    logs = m * log_ndtr(s * x) - x**2 / 2
    return float(logs.max() + np.log(np.exp(logs - logs.max()).sum() * step / np.sqrt(2 * np.pi)))


def _log_internal(k: int, r: float) -> float:
    """log g_k(−r / (1 + k r)), the analytic continuation: √(1 + k r) ∫ (w(√(r/2) z) / 2)^k φ(z) dz, w Faddeeva's function.

    This is the integral above with Φ(i y) = exp(y²/2) w(y/√2) / 2, without the growing factor. On the real line large numbers
    would cancel. On the parallel line through the saddle on the imaginary axis, no value exceeds the peak at the saddle.
    """
    y = np.sqrt(r / 2)

    def slope(c: float) -> float:  # of −log of the integrand at i c, where w is erfcx
        return float(k * y * (2 / np.sqrt(np.pi) / erfcx(y * c) - 2 * y * c) - c)

    z = np.arange(-REACH, REACH + STEP, STEP) + 1j * _root(slope, 2 * k * y + 1)
    logs = k * np.log(wofz(y * z) / 2) - z**2 / 2
    peak = logs.real.max()
    return float(peak + np.log(np.sqrt(1 + k * r) * np.exp(logs - peak).real.sum() * STEP / np.sqrt(2 * np.pi)))


def _root(slope: Callable[[float], float], most: float) -> float:
    """The root of a falling slope in [0, most]; 0 if the slope is nowhere positive there."""
    return cast(float, brentq(slope, 0.0, most)) if slope(0.0) > 0 else 0.0


def _log_choose(n: float, k: float) -> float:
    return float(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1))


def _check(**numbers: int) -> None:
    for name, number in numbers.items():
        if number != int(number) or number < 1:
            raise ArgumentError(f"{name}: got {number}, expected a positive integer: count points or dimensions")
