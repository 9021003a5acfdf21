"""The stages that a query may need: rounds of growing capacity, and then of more digits."""

from __future__ import annotations

from hullx.core.stage import Method, Stage
from hullx.sweeping.sources import Points

# Scores of a batch are one array of float32: at most this many bytes.
SCORE_BYTES = 2**27
# Fewer queries than these make a product no cheaper: reading the points is what takes the time.
SMALLEST_BATCH = 32
# Support slots, and rows of the pool, in the rounds in float32. Supports are 7–46 on MNIST; on CIFAR-10 47 on average, up to
# 303. Each pair is a program to compile: finer steps save a tenth of the time on MNIST and cost as much in compilation.
FLOAT32 = ((64, 96), (128, 160), (256, 288))


def stages(n: int, d: int, m: int, source: Points) -> list[Stage]:
    """Rounds of growing capacity in float32, then in float64 up to the largest affinely independent support, twice.

    Args:
        n, d, m: points, their dimension, and queries.
        source: whose padded rows bound the candidates, and whose batch bounds that of the first stages.
    """
    most, batch = min(n, d + 1), batch_of(m, source)
    sizes = [FLOAT32[1][0]]
    while sizes[-1] < most:
        sizes.append(4 * sizes[-1])
    ladder = [Stage(*size, Method.FLOAT32, batch) for size in FLOAT32]
    for method in (Method.FLOAT64, Method.FACTORED):
        ladder += [Stage(slots, slots + 128, method, SMALLEST_BATCH) for slots in sizes]
    return [fitted(stage, most, source) for stage in ladder]


def batch_of(m: int, source: Points) -> int:
    """How many of m queries go together: as many as the source makes use of, and as their scores find room for."""
    batch = SMALLEST_BATCH
    while batch < min(m, source.batch) and 2 * batch * source.rows * 4 <= SCORE_BYTES:
        batch *= 2
    return batch


def fitted(stage: Stage, most: int, source: Points) -> Stage:
    """A stage no larger than the problem, whose supports have at most so many points.

    Args:
        most: min(n, d + 1).
    """
    return stage._replace(capacity=min(stage.capacity, most), candidates=min(stage.candidates, source.rows))


def following(ladder: list[Stage], now: int) -> tuple[int, int]:
    """Where a query goes on: the stage with more capacity, and the one that copes with more; this one if there is none.

    Args:
        now: the stage at which it is, by its place in the ladder; so are those returned.

    Example:
        >>> first = Stage(64, 96, Method.FLOAT32, 128)
        >>> ladder = [first, first._replace(capacity=128), first._replace(capacity=128, method=Method.FLOAT64)]
        >>> following(ladder, 0), following(ladder, 2)
        ((1, 2), (2, 2))
    """
    here, later = ladder[now], range(now + 1, len(ladder))
    wider = (i for i in later if ladder[i].capacity > here.capacity)
    better = (i for i in later if ladder[i].method != here.method and ladder[i].capacity >= here.capacity)
    return next(wider, now), next(better, now)
