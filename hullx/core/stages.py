"""The stages of a query: rounds of growing capacity, then of more precision. All drivers share one table."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple, Protocol

import jax
import numpy as np
from jax.typing import DTypeLike

from hullx.core.pool.problem import PoolProblem
from hullx.core.precision.float64 import Float64
from hullx.core.precision.protocol import Precision
from hullx.core.precision.slices import EXTENDED, Slices
from hullx.types import Array, Count

# Support slots of the stages with float32 pools, and extra rows of each pool. Supports have 7–46 points on MNIST, and on
# CIFAR-10 47 on average, up to 303. Each size compiles one program: finer steps save a tenth of the time on MNIST but cost as
# much in compilation.
FLOAT32 = (64, 128, 256, 512)
EXTRA = 32
# The stages with more precision: the first capacity, and its growth from stage to stage. Extra rows of pools: in extended
# precision, few take little time near a hull.
FIRST_LATER, GROWTH_LATER = 128, 4
EXTRA_FLOAT64, EXTRA_EXTENDED = 128, 32
# The last stage may have up to this factor more slots, which saves one more stage.
LAST_STAGE_FACTOR = 1.5
# Under tracing: the capacity of one small stage, and extra rows of a second one for any support.
TRACED_CAPACITY, WIDE_EXTRA = 128, 64
# Queries in a batch. Below SMALLEST_BATCH a product gets no cheaper: its time goes into reading the points. On a CPU a product
# of 64 is about as fast per query as any (a tenth slower than 128), and small batches waste less in the last, partly filled
# rounds.
SMALLEST_BATCH, TRACED_BATCH, LATER_BATCH = 8, 64, 16
# Maximum bytes of a batch's scores.
SCORE_BYTES = 2**27
# The largest number that a counter of steps holds.
MOST_STEPS = 2**31 - 1


class Method(Enum):
    """How a pool is solved, refined and certified; each method is slower than those before."""

    FLOAT32 = "pools in float32, certified in float64"
    FLOAT64 = "pools and all scores in float64"
    SLICED = "pools in float32, certified in slices"
    EXTENDED = "pools, scores and certificates in twice the precision"

    @property
    def precision(self) -> Precision:
        """The precision of refinement and certificate. Three slices have 1.5 times float32's digits."""
        if self is Method.EXTENDED:
            return EXTENDED
        return Slices(3, 2) if self is Method.SLICED else Float64()

    @property
    def narrow(self) -> bool:
        """Whether the pool's matrix is in float32."""
        return self in (Method.FLOAT32, Method.SLICED)

    @property
    def scores(self) -> DTypeLike:
        """The dtype of the scores of all points, unless they are slices."""
        return np.float32 if self.narrow else jax.dtypes.canonicalize_dtype(np.float64)

    @property
    def patience(self) -> int:
        """Rounds without progress until a query is stuck. In extended precision, a new row may help only some rounds later."""
        return 3 if self is Method.EXTENDED else 1


def working_dtype(method: Method, data: DTypeLike) -> np.dtype:
    """The dtype of residuals and brackets: float64 if it is available."""
    return np.dtype(data) if method is Method.SLICED else jax.dtypes.canonicalize_dtype(np.float64)


class PoolSolver(Protocol):
    """A solver of pools; hashable, because it is static under jit."""

    def solve(self, pool: PoolProblem, max_steps: Array) -> tuple[Array, Array]:
        """Weights (P,) on the pool, and the number of steps."""
        ...


class Stage(NamedTuple):
    """The static shape and method of one compiled round."""

    capacity: int  # maximum support size; a query that needs more moves on
    candidates: int  # rows of the pool
    method: Method
    batch: int
    enough: bool = False  # whether no affinely independent support is larger
    # Solves pools instead of the tableau, which then polishes the result.
    solver: PoolSolver | None = None
    half_of_steps: bool = False  # whether a query that took half of the default steps moves to more precision


class Setup(NamedTuple):
    """A solver's settings.

    - capacity: maximum support size, or None.
    - own: a solver of pools instead of the tableau, or None.
    - extended: whether a traced program has a stage in extended precision; None: only if supports are small.
    """

    capacity: int | None = None
    own: PoolSolver | None = None
    extended: bool | None = None


def largest_support(n: int, d: int, setup: Setup) -> int:
    """The maximum number of points with weight: those that can be affinely independent, or the setup's capacity.

    Args:
        n, d: number of points, and their dimension.
    """
    return min(n, d + 1, setup.capacity or n)


def host_stages(rows: int, d: int, *, batch: int, setup: Setup) -> list[Stage]:
    """The stages outside tracing: float32, then float64 and extended precision, each up to the largest independent support.

    Args:
        rows, d: number of points and their dimension, both including padding.
        batch: batch size of the first stages.
    """
    most = largest_support(rows, d, setup)
    found = [Stage(size, size + EXTRA, Method.FLOAT32, batch, solver=setup.own) for size in _capacities(FLOAT32, most)]
    grown = [FIRST_LATER]
    while grown[-1] < most:
        grown.append(GROWTH_LATER * grown[-1])
    # Steps of other solvers do not count as those of the tableau.
    half, small = setup.own is None, min(batch, SMALLEST_BATCH)
    for method, extra, half_of_steps in ((Method.FLOAT64, EXTRA_FLOAT64, half), (Method.EXTENDED, EXTRA_EXTENDED, False)):
        found += [Stage(size, size + extra, method, small, half_of_steps=half_of_steps) for size in _capacities(grown, most)]
    return _fitted(found, rows, largest_support(rows, d, Setup()) == most)


def _capacities(sizes: Sequence[int], most: int) -> list[int]:
    """The capacities of stages for supports of at most `most` points."""
    found = list[int]()
    for size in sizes:
        if most <= LAST_STAGE_FACTOR * size:
            return [*found, most]
        found.append(size)
    return found


def traced_stages(m: int, n: int, d: int, setup: Setup, *, rows: int) -> list[Stage]:
    """The stages of one traced program: a small one, and later ones that cost nothing if no query needs them.

    If the small stage has capacity for any support, a query can lack only precision. If not, the second stage has more
    capacity and more precision; extended precision is a third stage to compile, on request.

    Args:
        m, n, d: number of queries, of points, and their dimension.
        rows: number of rows of the points, including padding.
    """
    most = largest_support(n, d, setup)
    wide = jax.dtypes.canonicalize_dtype(np.float64) == np.float64
    on_cpu = jax.default_backend() == "cpu"
    batch = min(m, TRACED_BATCH if on_cpu else 1024, max(SCORE_BYTES // (4 * n), 1))
    first, later = min(most, TRACED_CAPACITY), min(batch, LATER_BATCH)
    found = [Stage(first, first + EXTRA, Method.FLOAT32 if wide else Method.SLICED, batch, solver=setup.own)]
    extended = most == first if setup.extended is None else setup.extended
    if most > first:
        half = wide and extended and setup.own is None
        found.append(Stage(most, most + WIDE_EXTRA, Method.FLOAT64 if wide else Method.SLICED, later, half_of_steps=half))
    if extended:
        found.append(Stage(most, most + EXTRA_EXTENDED, Method.EXTENDED, later))
    return _fitted(found, rows, largest_support(n, d, Setup()) == most)


def _fitted(stages: list[Stage], rows: int, enough: bool) -> list[Stage]:
    """The stages with pools of at most as many rows as the points."""
    return [stage._replace(candidates=min(stage.candidates, rows), enough=enough) for stage in stages]


def batch_size(m: int, most: int, scored: int) -> int:
    """The batch size for m queries: a power of two, limited by the source and by SCORE_BYTES.

    Args:
        most: largest batch that the source can use.
        scored: number of points that one program scores.
    """
    batch = SMALLEST_BATCH
    while batch < min(m, most) and 2 * batch * scored * 4 <= SCORE_BYTES:
        batch *= 2
    return batch


def next_stages(stages: list[Stage], now: int) -> tuple[int, int]:
    """Indices of the next stage with more capacity, and of the next with more precision; `now` if there is none.

    Args:
        now: index of the current stage.

    Example:
        >>> first = Stage(64, 96, Method.FLOAT32, 128)
        >>> table = [first, first._replace(capacity=128), first._replace(capacity=128, method=Method.FLOAT64)]
        >>> next_stages(table, 0), next_stages(table, 2)
        ((1, 2), (2, 2))
    """
    here, later = stages[now], range(now + 1, len(stages))
    wider = (i for i in later if stages[i].capacity > here.capacity)
    better = (i for i in later if stages[i].method != here.method and stages[i].capacity >= here.capacity)
    return next(wider, now), next(better, now)


def step_limit(most: Count) -> Count:
    """The default maximum of steps per query.

    In practice an active set takes a small multiple of its support's size; Lawson and Hanson allow 3n. Other solvers have
    their own limits per round.

    Args:
        most: number of points that can be affinely independent.
    """
    return 200 + 40 * most
