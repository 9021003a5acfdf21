"""The default solver: exact active set on a pool of rows.

A query's projection has a small support (7–46 of MNIST's 60,000 points). A round solves exactly on a pool (the current support
and the best candidates), then scores all points along the new residual. That product certifies the answer and finds the
violating rows, the next candidates. The objective falls in every round that finds a violator, so the rounds terminate.
"""

from __future__ import annotations

from dataclasses import dataclass

from hullx.arguments import check_count
from hullx.core.pool import tableau
from hullx.core.pool.problem import PoolProblem
from hullx.errors import ArgumentTypeError
from hullx.types import Array


@dataclass(frozen=True)
class ActiveSet:
    """Exact projection by Wolfe's and Lawson and Hanson's active set.

    Attributes:
        capacity: maximum support size. None means min(n, d + 1), which always suffices. An undecided query that needs more
            ends with Status.CAPACITY and a valid bracket.
        last_resort: whether a program under jit has a last stage in extended precision, for queries within rounding error of
            the hull and for mixed units. Compilation takes some seconds longer. None enables it if min(n, d + 1), or the
            capacity, is at most 128. Outside jit it is always available.

    Raises:
        ArgumentTypeError, ArgumentError: capacity is not an integer ≥ 1, or last_resort is not True, False or None.

    Example:
        >>> hullx.project(jnp.array([2.0, 0.5]), square, solver=ActiveSet()).point
        Array([1. , 0.5], dtype=float32)

    Reference: Wolfe (1976), "Finding the nearest point in a polytope"; Lawson and Hanson (1974), "Solving Least Squares
    Problems", chapter 23.
    """

    capacity: int | None = None
    last_resort: bool | None = None

    def __post_init__(self) -> None:
        check_count("capacity", self.capacity, none="min(n, d + 1)")
        if not isinstance(self.last_resort, bool | None):
            raise ArgumentTypeError(f"last_resort: got {self.last_resort!r}, expected True, False or None: choose one of these")

    def solve(self, pool: PoolProblem, max_steps: Array) -> tuple[Array, Array]:
        """As `Solver`; the solution is exact."""
        found = tableau.solve_pool(pool, max_steps)
        return found.weights, found.steps
