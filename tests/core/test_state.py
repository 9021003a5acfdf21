"""The state of queries between rounds."""

from __future__ import annotations

import numpy as np

from hullx.core.state import QueryState, init, pad_slots


def test_a_cut_keeps_every_point_with_weight(rng: np.random.Generator) -> None:
    """Support slots are unordered; once, a cut lost those at the end, and some queries stayed undecided."""
    rows, queries = np.arange(20), np.zeros((20, 3))
    state = init(rows, queries, rng.integers(0, 100, (20, 40)), np.float64)
    weights = np.zeros((20, 40))
    for row in weights:
        row[rng.permutation(40)[:8]] = rng.dirichlet(np.ones(8))
    state = state._replace(support=rng.permuted(np.tile(np.arange(40), (20, 1)), axis=1), weights=weights)
    cut = pad_slots(state, 9)
    assert cut.support.shape == cut.weights.shape == cut.candidates.shape == (20, 9)
    for row in range(20):
        assert held(state, row) == held(cut, row)


def held(state: QueryState, row: int) -> dict[int, float]:
    support, weights = np.asarray(state.support)[row], np.asarray(state.weights)[row]
    return {int(point): float(weight) for point, weight in zip(support, weights, strict=True) if weight}
