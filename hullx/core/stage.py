"""Stages: how many points may carry weight, and with how many digits a round computes."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple, Protocol

import numpy as np
from jax.typing import DTypeLike

from hullx.core.digits.digits import Digits
from hullx.core.digits.plain import Plain
from hullx.core.digits.sliced import Sliced
from hullx.core.pool.equations import Equations
from hullx.types import Array


class Method(Enum):
    """How a pool is solved, and with how many digits it is refined and certified: each is slower than those before."""

    FLOAT32 = "tableau in float32"
    FLOAT64 = "tableau in float64"
    FACTORED = "a new factorization each step in float64"
    # Of the data's dtype alone, with twice its digits where they are needed.
    SLICED = "tableau in float32, certified in slices"
    REFINED = "tableau, all points scored in slices"
    LAST = "a new factorization each step, all points scored in slices"

    @property
    def factors(self) -> bool:
        """Whether the pool's matrix is factorized anew each step."""
        return self in (Method.FACTORED, Method.LAST)

    @property
    def digits(self) -> Digits:
        """What refines and certifies. Three slices are float32's digits once and a half, five are twice those of any dtype."""
        if self is Method.SLICED:
            return Sliced(3, 2)
        return Sliced(5, 2) if self.slices else Plain()

    @property
    def slices(self) -> bool:
        """Whether all points are scored in slices."""
        return self in (Method.REFINED, Method.LAST)

    def gram(self, data: DTypeLike) -> DTypeLike:
        """The dtype of the pool's matrix."""
        if self.slices:
            return data
        return np.float32 if self in (Method.FLOAT32, Method.SLICED) else np.float64

    @property
    def scored(self) -> type:
        """Of the scores of all points, where they are no slices."""
        return np.float64 if self is Method.FACTORED else np.float32


class PoolSolver(Protocol):
    """A solver of pools: hashable, for it is static under jit."""

    def solve(self, pool: Equations, max_steps: Array) -> tuple[Array, Array]:
        """Weights (P,) on the pool, and the steps that they took."""
        ...


class Stage(NamedTuple):
    """The static shape of one compiled round, and how it solves."""

    capacity: int  # points that may carry weight; a support that needs more is for another stage
    candidates: int  # rows of the pool
    method: Method
    batch: int
    # Solves pools in place of the tableau, which is left with what that one found.
    solver: PoolSolver | None = None
