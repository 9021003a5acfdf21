"""The stages that a query of `project` may need: most are decided by the first, which alone is compiled for them."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from hullx.core.stage import Method, Stage
from hullx.solvers import ActiveSet, Solver

# Points that may carry weight in the first stage, with room in the pool for so many more; supports are 7–46 on MNIST, 47 on
# average on CIFAR-10 and up to 303.
FIRST, ROOM = 64, 32
# The same in the one stage of a program that has no others.
TRACED = 128
# The same in the stages for those that outgrow it, each of which has three times the slots of the one before, and in the last,
# which has all digits.
WIDER, WIDE_ROOM, LAST_ROOM = 3, 64, 128
# Queries that go together: a product of 64 is nearly as fast for each on two CPU cores as any (a tenth slower than 128), and
# the fewer there are, the less the last, partly filled rounds cost. Later stages have few queries as a rule.
CPU_BATCH, BATCH, LATER_BATCH, LAST_BATCH = 64, 1024, 16, 8
# Bytes of a batch's scores.
SCORE_BYTES = 2**28


def step_limit(solver: Solver, n: int, d: int) -> int:
    """Most steps for a query: an active set takes a small multiple of its support's size in practice, and Lawson and Hanson
    allow 3n; other solvers have limits of their own in each round.

    Args:
        n, d: points, and their dimension.
    """
    return 200 + 40 * min(n, d + 1) if isinstance(solver, ActiveSet) else 2**30


def slots(n: int, d: int, capacity: int | None) -> int:
    """How many points may carry weight: min(n, d + 1) always suffice, but more than 64 + d/8 are used only if asked for.

    Args:
        n, d: points, and their dimension.
        capacity: what was asked for.

    Example:
        >>> slots(60_000, 784, None), slots(60_000, 784, 300), slots(4, 2, 300)
        (162, 300, 4)
    """
    return min(n, d + 1, FIRST + d // 8) if capacity is None else min(n, capacity)


def stages(solver: Solver, m: int, n: int, d: int, dtype: DTypeLike, *, traced: bool = False) -> list[Stage]:
    """The stages for m queries and n points of d coordinates.

    Args:
        dtype: of the data.
        traced: all of them become one program, which is to be small: one stage, and the last resort only if it is asked for.
    """
    most, double = slots(n, d, solver.capacity), dtype == jnp.float64
    method = Method.FLOAT32 if double else Method.SLICED
    batch = min(m, CPU_BATCH if jax.default_backend() == "cpu" else BATCH, max(SCORE_BYTES // (4 * n), 1))
    own = None if isinstance(solver, ActiveSet) else solver
    if traced:
        only = most if solver.capacity else min(most, TRACED)
        one = Stage(only, min(n, only + ROOM), method, batch, own)
        last = one._replace(method=Method.REFINED, batch=min(batch, LAST_BATCH))
        return [one, last] if isinstance(solver, ActiveSet) and solver.last_resort else [one]
    # A little more than a stage has is better given to it than to another one.
    sizes = [most if most <= 1.5 * FIRST else FIRST]
    while sizes[-1] < most:
        sizes.append(most if most <= 1.5 * WIDER * sizes[-1] else WIDER * sizes[-1])
    found = [Stage(sizes[0], min(n, sizes[0] + ROOM), method, batch, own)]
    found += [Stage(slots, min(n, slots + WIDE_ROOM), method, min(batch, LATER_BATCH), own) for slots in sizes[1:]]
    return [*found, Stage(most, min(n, most + LAST_ROOM), Method.LAST, min(batch, LAST_BATCH))]
