"""lower ≤ true distance ≤ distance on hulls without one of their rows, in rational arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
from families import EDGE, FAMILIES
from judge import Verdict, judged
from near_faces import Near

import hullx


def excluded_brackets(families: list[str], seeds: range, dtype: type, *, disk: bool) -> Verdict:
    """The verdict of rational arithmetic on hulls without the row that weighs most for the first query."""
    found = Verdict()
    for family in families:
        for seed in seeds:
            queries, points = FAMILIES[family](seed, dtype)
            row = int(hullx.sweep(queries, points, progress=False).support[0, 0])
            source = [points[:7], points[7:]] if disk else points
            answer = hullx.sweep(queries, source, exclude=np.full(len(queries), row), progress=False)
            assert not ((answer.support == row) & (answer.weights > 0)).any()
            renumbered = answer._replace(support=answer.support - (answer.support > row))
            found = found.plus(judged(Near(queries, np.delete(points, row, 0)), renumbered))
    return found


@pytest.mark.thorough
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_brackets_hold_in_rational_arithmetic(dtype: type) -> None:
    found = excluded_brackets(["mixed columns, d = 3", "near-duplicates, d = 3"], range(2), dtype, disk=False)
    assert found.queries > 0
    assert (found.above, found.below, found.loose) == (0, 0, 0)


@pytest.mark.slow
@pytest.mark.parametrize("disk", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_brackets_of_every_family_hold(dtype: type, disk: bool) -> None:
    found = excluded_brackets([family for family in FAMILIES if family != EDGE], range(3), dtype, disk=disk)
    print(f"\n{found}")
    assert found.queries > 3000
    assert (found.above, found.below, found.loose) == (0, 0, 0)
