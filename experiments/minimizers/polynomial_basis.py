"""Bases of polynomials in several variables, as features for linear models."""

from __future__ import annotations

from itertools import product
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int

Family = Literal["legendre", "monomial"]


class Basis(NamedTuple):
    """Polynomials at n points.

    - values: (n, p), one polynomial per column.
    - degree: (p,), the total degree of each.
    """

    values: Float[np.ndarray, "n p"]
    degree: Int[np.ndarray, "p"]


def polynomials(points: Float[np.ndarray, "n d"], degree: int, family: Family = "legendre") -> Basis:
    """All products of powers, or of Legendre polynomials, of the coordinates with total degree at most `degree`.

    Args:
        points: any points; Legendre polynomials are orthonormal for the uniform distribution on [−1, 1]^d.
        degree: 0 or more; there are (degree + d choose d) polynomials, in ascending degree.

    Example:
        >>> polynomials(np.array([[0.5, 2.0]]), 2, "monomial").values
        array([[1.  , 2.  , 0.5 , 4.  , 1.  , 0.25]])
    """
    dimension = points.shape[1]
    powers = [each for each in product(range(degree + 1), repeat=dimension) if sum(each) <= degree]
    powers = np.array(sorted(powers, key=lambda each: (sum(each), each)))
    if family == "legendre":
        one = np.polynomial.legendre.legvander(points, degree) * np.sqrt(2 * np.arange(degree + 1) + 1)
    else:
        one = points[..., None] ** np.arange(degree + 1)
    values = np.prod([one[:, i, powers[:, i]] for i in range(dimension)], axis=0)
    return Basis(values, powers.sum(1))
