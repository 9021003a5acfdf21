"""What a solver is: it solves pools, small sets of rows given by their products.

All else comes from hullx, and is the same for all solvers: which rows are in the pool (column generation), batches, a last
exact step on the rows that the solver gave weight, and the certificate, from one product with all points. So a solver need not
be exact: what it leaves open, the next round finds.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from jaxtyping import Float, Int

from hullx.core.pool.problem import PoolProblem
from hullx.types import Array


@runtime_checkable
class Solver(Protocol):
    """A frozen dataclass of settings: hashable, for it is static under jit.

    - capacity: most points that may carry weight; None for min(n, d + 1). A query that needs more, and is not decided, ends
      with Status.CAPACITY and a valid bracket.
    """

    @property
    def capacity(self) -> int | None: ...

    def solve(self, pool: PoolProblem, max_steps: Int[Array, ""]) -> tuple[Float[Array, "P"], Int[Array, ""]]:
        """Weights on a pool, at least as good as those that it comes with, and how many steps they took.

        Args:
            pool: of one query, in coordinates without units; hullx maps the function over queries.
            max_steps: most steps.

        Returns:
            Weights, whose sum need not be 1, and steps; what is not finite, or sums to 0, counts as the weights at hand.
        """
        ...
