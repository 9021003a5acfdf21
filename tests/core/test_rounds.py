"""Rounds on points with a rounded copy: where the copy leaves doubts, float32 decides."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from rounded_hulls import with_rounded_copy

import hullx
from hullx.core import rounds

pytestmark = pytest.mark.unoptimised


@pytest.mark.thorough
def test_doubtful_queries_are_scored_in_float32(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    """More of them than are scored at a time: most points lie so close to the face that rounded scores exclude none."""
    points = rng.normal(size=(2000, 4)).astype(np.float32)
    points[:, 0] = -1e-4 * rng.random(2000)
    points[:4, 0] = 0
    queries = np.concatenate([np.full((100, 1), 2.0), 0.1 * rng.normal(size=(100, 3))], 1).astype(np.float32)
    scored = list[int]()
    score = rounds._score_precisely

    def counted(source, given, doubtful, found, stage):
        jax.debug.callback(lambda count: scored.append(int(count)), doubtful.sum())
        return score(source, given, doubtful, found, stage)

    monkeypatch.setattr(rounds, "_score_precisely", counted)
    jax.clear_caches()
    found = hullx.sweep(queries, with_rounded_copy(points), progress=False)
    jax.effects_barrier()
    assert sum(scored) > 50
    plain = hullx.sweep(queries, points, progress=False)
    assert (found.status == 0).all()
    np.testing.assert_allclose(found.distance, plain.distance, rtol=2e-6)
