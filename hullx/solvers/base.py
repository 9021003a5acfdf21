"""The protocol of solvers, which solve pools: small sets of rows, given by their inner products.

hullx provides the rest for all solvers: the choice of pool rows (column generation), batches, a last exact step on the rows
with weight, and the certificate, from one product with all points. A solver may be inexact, because later rounds correct it.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from jaxtyping import Float, Int

from hullx.core.pool.problem import PoolProblem
from hullx.types import Array


@runtime_checkable
class Solver(Protocol):
    """A frozen dataclass of settings, hashable because it is static under jit.

    - capacity: maximum support size; None for min(n, d + 1). An undecided query that needs more ends with
      Status.CAPACITY and a valid bracket.
    """

    @property
    def capacity(self) -> int | None: ...

    def solve(self, pool: PoolProblem, max_steps: Int[Array, ""]) -> tuple[Float[Array, "P"], Int[Array, ""]]:
        """Weights on a pool, at least as good as the initial ones, and the number of steps.

        Args:
            pool: the pool of one query, in dimensionless coordinates; hullx maps the function over queries.
            max_steps: maximum number of steps.

        Returns:
            Weights, whose sum need not be 1, and steps. The initial weights replace weights that are not finite or sum to 0.
        """
        ...
