"""Projection of many queries outside jit, for `project` and `sweep`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import jax
import numpy as np

from hullx.core.coarse_start import CoarsePoints, coarse_of_hull, coarse_start
from hullx.core.hull import Hull
from hullx.core.parallel import run_in_threads
from hullx.core.queue import Start, Work, run_queue
from hullx.core.results import empty, record
from hullx.core.sources import HostSource
from hullx.core.sources.device import DeviceSource
from hullx.core.stages import SMALLEST_BATCH, Setup, Stage, batch_size, host_stages
from hullx.core.state import Goal, QueryState, subset, to_host
from hullx.numerics.batching import fill
from hullx.runs.progress import Tally
from hullx.types import Projection, decided

# Small problems run all rounds of a stage in one program, because the host takes about a millisecond per round. Limits: queries
# and entries of the points, or terms in a product of queries by points. (Measured at 1,000 × 64 and 4,000 × 16: 1.1 to 2.2
# times as fast as rounds from the host, for 64 to 1,024 queries.)
FEW_QUERIES, FEW_NUMBERS, FEW_TERMS = 1024, 2**19, 2**24
# Up to this many queries of a small problem take less time than compilation saves (`numerics.compilation`).
FEWEST_QUERIES = 32


class Problem(NamedTuple):
    """A source of points, and the settings of the projection onto them.

    - source: the points.
    - d: their dimension, including columns of zeros.
    - coarse: the points in their principal directions, for a coarse start, or None.
    - setup: the solver's settings.
    """

    source: HostSource
    d: int
    coarse: CoarsePoints | None = None
    setup: Setup = Setup()


def on_device(hull: Hull, setup: Setup, *, queries: int) -> Problem:
    """The problem of a prepared hull, on its device, for a number of queries."""
    few = queries <= FEWEST_QUERIES and queries * hull.placed.size <= FEW_TERMS
    return Problem(DeviceSource(hull, few=few), hull.points.shape[1], coarse_of_hull(hull), setup)


def quiet(done: int, certified: int) -> None:
    """A `Tally` without output."""


def solve(
    queries: np.ndarray,
    problem: Problem,
    goal: Goal,
    *,
    start: Start | None = None,
    tally: Tally = quiet,
    excluded: np.ndarray | None = None,
) -> Projection:
    """Project queries in as many threads as the source allows; return NumPy arrays.

    Args:
        queries: raw, (m, d), of as many columns as the points or fewer; missing columns are 0.
        start: the initial supports; None for the nearest points.
        tally: called with the numbers of finished and of certified queries.
        excluded: (m,) int32, for each query a row of the points that does not belong to its hull, or −1; None for no query.
    """
    source, (m, d) = problem.source, queries.shape
    if not m:
        return empty(0, d, queries.dtype)
    if d < problem.d:
        queries = np.pad(queries, ((0, 0), (0, problem.d - d)))
    one_program = start is None and _fits_one_program(m, problem)
    if one_program and excluded is None:
        excluded = np.full(m, -1, np.int32)  # with and without excluded rows, problems share programs

    def run(part: slice, tally: Tally) -> Projection:
        left_out = None if excluded is None else excluded[part]
        return _solve_part(queries[part], problem, goal, start and start.part(part), tally, one_program, left_out)

    found = run_in_threads(run, max(min(source.threads, m // SMALLEST_BATCH), 1), tally)
    point, direction = (np.ascontiguousarray(field[:, :d]) for field in (found.point, found.direction))
    return found._replace(point=point, direction=direction)


def _fits_one_program(m: int, problem: Problem) -> bool:
    """Whether one program runs all rounds of the first stage: on accelerators, and for small problems."""
    source, numbers = problem.source, problem.source.rows * problem.d
    if not isinstance(source, DeviceSource):
        return False
    few = m * numbers <= FEW_TERMS or (m <= FEW_QUERIES and numbers <= FEW_NUMBERS)
    # A single query is limited by reading the points, which one program reads least often.
    return not source.on_cpu or m == 1 or (few and problem.coarse is None)


def _solve_part(
    queries: np.ndarray,
    problem: Problem,
    goal: Goal,
    start: Start | None,
    tally: Tally,
    one_program: bool,
    excluded: np.ndarray | None,
) -> Projection:
    source, m = problem.source, len(queries)
    batch = batch_size(m, source.batch, source.scored)
    stages = host_stages(source.rows, problem.d, batch=batch, setup=problem.setup)
    result = empty(m, problem.d, queries.dtype)

    def keep(state: QueryState) -> None:
        nonlocal result
        result = record(result, state, float(source.frame.scale))

    if one_program and isinstance(source, DeviceSource):
        left, first, certified_first = list[QueryState](), 0, 0
        for state in _search(queries, source, goal, stages[0], excluded):
            over = state.status >= 0
            keep(subset(state, over))
            left.append(subset(state, ~over))
            first, certified_first = first + int(over.sum()), certified_first + int(decided(state.status).sum())
            tally(first, certified_first)

        def further(done: int, certified: int) -> None:
            tally(first + done, certified_first + certified)

        undecided = jax.tree.map(lambda *fields: np.concatenate(fields), *left)
        if len(undecided.row):
            run_queue(queries[undecided.row], Work(source, stages, goal, keep, further), undecided=undecided)
        return result
    if start is None and problem.coarse is not None:
        start = coarse_start(queries, problem.coarse, goal, tally, excluded)
    run_queue(queries, Work(source, stages, goal, keep, tally), start=start, excluded=excluded)
    return result


def _search(
    queries: np.ndarray, source: DeviceSource, goal: Goal, stage: Stage, excluded: np.ndarray | None
) -> Iterator[QueryState]:
    """The states after the first stage, part by part, from programs of few sizes."""
    size = program_size(len(queries), source.sizes)
    stage = stage._replace(batch=min(size, batch_size(size, source.batch, source.scored)))
    for first in range(0, len(queries), size):
        part = queries[first : first + size]
        left_out = None if excluded is None else fill(excluded[first : first + size], size)
        state = source.search(fill(part, size), len(part), goal, stage, left_out)
        found = to_host(state, len(part))
        yield found._replace(row=np.arange(first, first + len(part)))


def program_size(m: int, sizes: Sequence[int]) -> int:
    """The number of queries of the programs for m queries: the next size above, or below if more than half were padding.

    Example:
        >>> [program_size(m, (1, 32, 256)) for m in (1, 2, 32, 40, 200, 257)]
        [1, 32, 32, 32, 256, 256]
    """
    above = next((size for size in sizes if size >= m), sizes[-1])
    below = max(size for size in sizes if size <= m)
    return below if below > 1 and above > 2 * m else above
