"""Linear least squares in closed form: gradient descent in the limit and after some steps, minimum norm, ridge.

    fit = decompose(features)                         to minimise ‖features · θ − targets‖² in the following ways
    minimum_norm(fit, targets)                        the shortest of the best fits θ
    minimum_norm(fit, targets, start=θ₀)              the best fit nearest to θ₀, the limit of gradient descent from θ₀
    gradient_descent(fit, targets, 1000, start=θ₀)    gradient descent after 1,000 steps
    ridge(fit, targets, 1e-3)                         with a penalty on ‖θ‖²

All of these are θ₀ + Σ f(s) ⟨u, targets − features · θ₀⟩ v over the singular triplets (u, s, v) of the features. They differ
in f: 1/s, (1 − (1 − η s²/n)^t)/s and s/(s² + n λ).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float


class LeastSquares(NamedTuple):
    """The singular triplets of features (n, p) with values above rounding: left (n, r), values (r,), right (r, p)."""

    left: Float[np.ndarray, "n r"]
    values: Float[np.ndarray, "r"]
    right: Float[np.ndarray, "r p"]


def decompose(features: Float[np.ndarray, "n p"]) -> LeastSquares:
    """The singular value decomposition, without values below the rounding of float64, as in `numpy.linalg.pinv`."""
    left, values, right = np.linalg.svd(np.asarray(features, np.float64), full_matrices=False)
    kept = values > np.finfo(np.float64).eps * max(features.shape) * values[0]
    return LeastSquares(left[:, kept], values[kept], right[kept])


def minimum_norm(
    fit: LeastSquares, targets: Float[np.ndarray, "n k"], *, start: Float[np.ndarray, "p k"] | None = None
) -> Float[np.ndarray, "p k"]:
    """The best fit nearest to a start (0 by default): the limit of gradient descent from there.

    Example:
        >>> features, targets = np.array([[1.0, 1.0]]), np.array([[2.0]])
        >>> minimum_norm(decompose(features), targets).ravel().round(6) + 0.0
        array([1., 1.])
    """
    return _filtered(fit, targets, 1 / fit.values, start)


def gradient_descent(
    fit: LeastSquares,
    targets: Float[np.ndarray, "n k"],
    steps: int,
    *,
    rate: float = 1.0,
    start: Float[np.ndarray, "p k"] | None = None,
) -> Float[np.ndarray, "p k"]:
    """The parameters of gradient descent on ‖features · θ − targets‖²/2 after some steps.

    Args:
        rate: learning rate, in units of 1/(largest singular value)²; up to 1 gradient descent never overshoots.
        start: initial parameters, 0 by default.

    Reference: Ali, Kolter and Tibshirani (2019), "A continuous-time view of early stopping for least squares regression".
    """
    relative = rate * (fit.values / fit.values[0]) ** 2
    # 1 − (1 − x)^t without cancellation where x is small.
    with np.errstate(divide="ignore"):
        done = -np.expm1(steps * np.log1p(-relative)) if rate <= 1 else 1 - (1 - relative) ** steps
    return _filtered(fit, targets, done / fit.values, start)


def ridge(fit: LeastSquares, targets: Float[np.ndarray, "n k"], penalty: float) -> Float[np.ndarray, "p k"]:
    """The minimum of ‖features · θ − targets‖²/n + penalty · ‖θ‖².

    Reference: Hoerl and Kennard (1970), "Ridge regression".
    """
    return _filtered(fit, targets, fit.values / (fit.values**2 + len(fit.left) * penalty), None)


def _filtered(fit: LeastSquares, targets: np.ndarray, factors: np.ndarray, start: np.ndarray | None) -> np.ndarray:
    wanted = fit.left.T @ targets
    if start is not None:
        wanted = wanted - fit.values[:, None] * (fit.right @ start)
    found = fit.right.T @ (factors[:, None] * wanted)
    return found if start is None else start + found
