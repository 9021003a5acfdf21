"""Parts of the queries in parallel threads, so that solves of one part overlap with products of another."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import CancelledError, ThreadPoolExecutor, as_completed
from threading import Lock

import numpy as np

from hullx.core.results import concatenate
from hullx.jax_settings import eagerly, with_jax_defaults
from hullx.runs.progress import Tally
from hullx.types import Projection


def run_in_threads(run: Callable[[slice, Tally], Projection], threads: int, tally: Tally) -> Projection:
    """Run equal parts in threads; keep the queries' order.

    The parts are interleaved, so that slow queries are spread evenly.
    An exception in any part, or Ctrl-C, ends the others at their next tally.

    Args:
        run: projects the queries of a slice, and calls its tally with the numbers of finished and of certified queries.
        threads: 1 or more.
        tally: called with the sums over all parts, by one thread at a time.
    """
    if threads == 1:
        return run(slice(None), tally)
    parts = [slice(first, None, threads) for first in range(threads)]
    counts = np.zeros((threads, 2), int)
    lock, stopped, found = Lock(), False, {}

    @with_jax_defaults  # each thread has its own JAX settings
    def one(part: int) -> None:
        def further(done: int, certified: int) -> None:
            if stopped:
                raise CancelledError
            with lock:
                counts[part] = done, certified
                tally(*map(int, counts.sum(0)))

        # Same settings as in the caller's thread, so that threads share compiled programs.
        with eagerly():
            found[part] = run(parts[part], further)

    with ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(one, part) for part in range(threads)]
        try:
            for future in as_completed(futures):
                future.result()
        finally:
            stopped = True
    return concatenate([found.pop(part) for part in range(threads)], parts)
