"""What sources have in common whose rows the host gathers for each pool: solves and certificates on rows at hand."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp

from hullx.core import rounds
from hullx.core.hull import Frame
from hullx.core.rounds import Method, Pool, Solution
from hullx.numerics.batching import lockstep, over_first
from hullx.types import Array

pools = jax.jit(jax.vmap(rounds.pool))


def solve(
    frame: Frame,
    queries: Array,
    rows: Array,
    start: Pool,
    left: Array,
    active: Array | int,
    *,
    method: Method,
    together: int | None = None,
) -> Solution:
    """The exact solves of a batch on their pools, `together` at a time.

    Args:
        queries, rows: raw: (b, d), and the pools' members (b, c, d).
        start: the pools, of which `rows` are the members.
        left: most steps of each query, (b,).
        active: how many of the b queries count.
        together: divides b; None for `lockstep`.
    """

    def one(query: Array, rows: Array, start: Pool, steps: Array) -> Solution:
        def raw(slots: Array) -> Array:
            return rows[slots]

        def placed(slots: Array) -> Array:
            return frame.place(rows[slots].astype(jnp.float64))

        return rounds.solve(frame, query, start, steps, method=method, raw=raw, placed=placed)

    together = together or lockstep(rows[0].size * 4, len(rows))
    return over_first(one, (queries, rows, start, left), active, together)


def certify(frame: Frame, queries: Array, rows: Array, directions: Array, others: Array, active: Array | int) -> Array:
    """The lower bounds of a batch, (b,), in the frame's units.

    Args:
        queries: raw, (b, d).
        rows: the candidates, raw: (b, c, d).
        directions: (b, d) float64, of length 1.
        others: (b,) float32: no point that is not a candidate scores higher (`rounds.lower_bound`).
        active: how many of the b queries count.
    """
    together = lockstep(rows[0].size * 4, len(rows))
    largest = over_first(partial(rounds.largest, frame), (rows, directions), active, together)
    return rounds.lower_bound(frame, queries, directions, largest, others)
