"""The stages that a query may need: rounds of growing capacity, and then of more precision. One table for all drivers."""

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
from hullx.types import Array

# Support slots in the rounds whose pools are in float32, and extra rows of the pool. Supports are 7–46 on MNIST; on CIFAR-10 47
# on average, up to 303. Each size is a program to compile: finer steps save a tenth of the time on MNIST and cost as much in
# compilation.
FLOAT32 = (64, 128, 256, 512)
EXTRA = 32
# The same in the rounds with more precision: at first, and from one of them to the next.
FIRST, GROWTH, EXTRA_LATER = 128, 4, 128
# A stage has up to this factor more slots where it is then the last one.
LITTLE_MORE = 1.5
# The same under tracing: one small stage, then one for any support.
TRACED, WIDE_EXTRA = 128, 64
# Queries in a batch: fewer make a product no cheaper, whose time goes into reading the points. On a CPU a product of 64 is as
# fast per query as any (a tenth slower than 128), and the fewer there are, the less the last, partly filled rounds cost.
SMALLEST_BATCH, TRACED_BATCH, LATER_BATCH = 8, 64, 16
# Bytes of a batch's scores.
SCORE_BYTES = 2**27


class Method(Enum):
    """How a pool is solved, and with which precision it is refined and certified: each is slower than those before."""

    FLOAT32 = "pools in float32, certified in float64"
    FLOAT64 = "pools and all scores in float64"
    SLICED = "pools in float32, certified in slices"
    EXTENDED = "pools, scores and certificates in twice the precision"

    @property
    def precision(self) -> Precision:
        """What refines and certifies. Three slices are float32's digits once and a half."""
        if self is Method.EXTENDED:
            return EXTENDED
        return Slices(3, 2) if self is Method.SLICED else Float64()

    @property
    def narrow(self) -> bool:
        """Whether the pool's matrix is in float32."""
        return self in (Method.FLOAT32, Method.SLICED)

    @property
    def scores(self) -> DTypeLike:
        """The dtype of the scores of all points, where they are no slices."""
        return np.float32 if self.narrow else jax.dtypes.canonicalize_dtype(np.float64)

    @property
    def patience(self) -> int:
        """Rounds without progress after which a query is stuck: with all digits, a row that enters may pay a round later."""
        return 3 if self is Method.EXTENDED else 1


def arithmetic(method: Method, data: DTypeLike) -> np.dtype:
    """The dtype in which residuals and brackets are computed: float64 wherever there is one."""
    return np.dtype(data) if method is Method.SLICED else jax.dtypes.canonicalize_dtype(np.float64)


class PoolSolver(Protocol):
    """A solver of pools: hashable, for it is static under jit."""

    def solve(self, pool: PoolProblem, max_steps: Array) -> tuple[Array, Array]:
        """Weights (P,) on the pool, and the steps that they took."""
        ...


class Stage(NamedTuple):
    """The static shape of one compiled round, and how it solves."""

    capacity: int  # points that may carry weight; a query whose support needs more moves on
    candidates: int  # rows of the pool
    method: Method
    batch: int
    most: int  # points that may carry weight in any stage
    enough: bool = False  # whether no affinely independent support is larger
    # Solves pools in place of the tableau, which polishes its answer.
    solver: PoolSolver | None = None


class Setup(NamedTuple):
    """What a solver asks for.

    - capacity: most points that may carry weight, or None.
    - own: a solver of pools in place of the tableau, or None.
    - extended: whether a traced program has the stage in extended precision; None where supports are small.
    """

    capacity: int | None = None
    own: PoolSolver | None = None
    extended: bool | None = None


def host_stages(n: int, d: int, *, rows: int, batch: int, setup: Setup) -> list[Stage]:
    """The stages outside tracing: float32, then float64 and extended precision, each up to the largest independent support.

    Args:
        n, d: points, and their dimension.
        rows: of the source, padding included.
        batch: of the first stages.
    """
    independent = min(n, d + 1)
    most = min(independent, setup.capacity or n)
    found = [Stage(size, size + EXTRA, Method.FLOAT32, batch, most, solver=setup.own) for size in _sizes(FLOAT32, most)]
    grown = [FIRST]
    while grown[-1] < most:
        grown.append(GROWTH * grown[-1])
    for method in (Method.FLOAT64, Method.EXTENDED):
        found += [Stage(size, size + EXTRA_LATER, method, min(batch, SMALLEST_BATCH), most) for size in _sizes(grown, most)]
    return [_fit(stage, independent, rows) for stage in found]


def _sizes(sizes: Sequence[int], most: int) -> list[int]:
    """The capacities of stages for supports of at most `most` points: a little more than a size has is given to it."""
    found = list[int]()
    for size in sizes:
        if most <= LITTLE_MORE * size:
            return [*found, most]
        found.append(size)
    return found


def traced_stages(m: int, n: int, d: int, setup: Setup, *, rows: int) -> list[Stage]:
    """The stages of one traced program: a small one, and one for what it leaves, which costs nothing where that is nothing.

    Where the small one has room for any support, only precision can be lacking. Where it has not, the second has more room and
    more precision, and extended precision is a third program to compile, for those who ask for it.

    Args:
        m, n, d: queries, points, and their dimension.
        rows: of the points, padding included.
    """
    independent = min(n, d + 1)
    most = min(independent, setup.capacity or n)
    wide = jax.dtypes.canonicalize_dtype(np.float64) == np.float64
    on_cpu = jax.default_backend() == "cpu"
    batch = min(m, TRACED_BATCH if on_cpu else 1024, max(SCORE_BYTES // (4 * n), 1))
    first, later = min(most, TRACED), min(batch, LATER_BATCH)
    found = [Stage(first, first + EXTRA, Method.FLOAT32 if wide else Method.SLICED, batch, most, solver=setup.own)]
    if most > first:
        found.append(Stage(most, most + WIDE_EXTRA, Method.FLOAT64 if wide else Method.SLICED, later, most))
    extended = most == first if setup.extended is None else setup.extended
    if extended:
        found.append(Stage(most, most + EXTRA_LATER, Method.EXTENDED, later, most))
    return [_fit(stage, independent, rows) for stage in found]


def _fit(stage: Stage, independent: int, rows: int) -> Stage:
    """A stage whose pools have at most as many rows as there are points."""
    return stage._replace(candidates=min(stage.candidates, rows), enough=stage.most == independent)


def batch_size(m: int, most: int, rows: int) -> int:
    """How many of m queries go together: a power of two, as many as are of use and as their scores find room for.

    Args:
        most: batch that the source makes use of.
        rows: of the source.
    """
    batch = SMALLEST_BATCH
    while batch < min(m, most) and 2 * batch * rows * 4 <= SCORE_BYTES:
        batch *= 2
    return batch


def following(stages: list[Stage], now: int) -> tuple[int, int]:
    """Where a query goes on: the stage with more capacity, and the one with more precision; this one if there is none.

    Args:
        now: the stage at which it is, by its place in the table; so are those returned.

    Example:
        >>> first = Stage(64, 96, Method.FLOAT32, 128, 785)
        >>> table = [first, first._replace(capacity=128), first._replace(capacity=128, method=Method.FLOAT64)]
        >>> following(table, 0), following(table, 2)
        ((1, 2), (2, 2))
    """
    here, later = stages[now], range(now + 1, len(stages))
    wider = (i for i in later if stages[i].capacity > here.capacity)
    better = (i for i in later if stages[i].method != here.method and stages[i].capacity >= here.capacity)
    return next(wider, now), next(better, now)


def step_limit(n: int, d: int) -> int:
    """Most steps for a query: an active set takes a small multiple of its support's size in practice, and Lawson and Hanson
    allow 3n; other solvers have limits of their own in each round.

    Args:
        n, d: points, and their dimension.
    """
    return 200 + 40 * min(n, d + 1)
