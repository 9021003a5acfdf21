"""Yardsticks of points against SciPy."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.spatial

from hullx.geometry import nearest_distances

# Of 1,000 points and of 20 the rows are padded, of 1,024 they are not.
SIZES = 20, 1000, 1024


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nearest_points_are_scipy_s(n: int, dtype: type, rng: np.random.Generator) -> None:
    """Also of queries about the centre, from which all points are far."""
    points = rng.standard_normal((n, 12)).astype(dtype)
    queries = (rng.standard_normal((40, 12)) * np.repeat([0.0, 0.1, 1.0, 3.0], 10)[:, None] + points.mean(0)).astype(dtype)
    expected = scipy.spatial.KDTree(points).query(queries)[0]
    np.testing.assert_allclose(nearest_distances(queries, points), expected, rtol=1e-5)
