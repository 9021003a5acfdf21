"""The problem of a pool: the complete input of a pool solver."""

from __future__ import annotations

from typing import NamedTuple

from jaxtyping import Bool, Float

from hullx.types import Array


class PoolProblem(NamedTuple):
    """The projection of a query q within a pool of P rows, about current weights w: with p = Σ w_i x_i and r = q − p,

        minimise ‖q − Σ a_i x_i‖²/2 = ‖r‖²/2 − ⟨a − w, t⟩ + ⟨a − w, G (a − w)⟩/2   subject to   a ≥ 0, Σ a = 1

    - gram: G, ⟨x_i − x_0, x_j − x_0⟩.
    - scores: t, ⟨x_i − x_0, r⟩.
    - weights: w ≥ 0, of sum 1, the first not 0.
    - square: ‖r‖²; 0 in extended precision, where the tableau does not need it.
    - closed: rows that must have weight 0, because they repeat others.

    In extended precision gram and scores are pairs of arrays (`numerics.extended.Pair`).
    """

    gram: Float[Array, "P P"]
    scores: Float[Array, "P"]
    weights: Float[Array, "P"]
    square: Float[Array, ""]
    closed: Bool[Array, "P"]
