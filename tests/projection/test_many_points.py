"""lower ≤ true distance ≤ distance, in rational arithmetic, where extended precision scores only some of many points."""

from __future__ import annotations

import numpy as np
import pytest
from judge import Verdict, judged
from near_faces import INNER, near, with_inner_points

import hullx
from hullx.core import driver, stages
from hullx.core.scores import FEW
from hullx.core.stages import Method


@pytest.mark.thorough
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_brackets_hold(dtype: type, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = stages.host_stages(INNER, 3, batch=8, setup=stages.Setup())
    last = [stage for stage in plan if stage.method is Method.EXTENDED]
    assert all(FEW * stage.candidates <= INNER for stage in last)
    found = Verdict()
    for seed in range(3):
        problem = with_inner_points(near(seed, 3, dtype), seed)
        found = found.plus(judged(problem, hullx.sweep(*problem, progress=False)))
    monkeypatch.setattr(driver, "host_stages", lambda *_, **__: last)
    for seed in range(3, 5):
        problem = with_inner_points(near(seed, 3, dtype), seed)
        found = found.plus(judged(problem, hullx.sweep(*problem, progress=False)))
    assert found.above == found.below == found.loose == 0
    assert found.queries > 100
    assert found.share < 0.1
