"""The largest scores of each query, for every number of points."""

from __future__ import annotations

import numpy as np
import pytest

from hullx.core.scores import top

ODD = (1153, 3000, 3001, 20_001, 100_003)


@pytest.mark.parametrize("count", [1, 3, 96])
def test_top_is_exact_for_any_number_of_points(count: int, rng: np.random.Generator) -> None:
    for rows in (*range(count, 201, 1 if count == 3 else 17), *ODD):
        scores = rng.normal(size=(2, rows)).astype(np.float32)
        values, columns = map(np.asarray, top(scores, count))
        np.testing.assert_array_equal(values, -np.sort(-scores, axis=1)[:, :count])
        np.testing.assert_array_equal(np.take_along_axis(scores, columns, 1), values)
