"""The largest scores of each query, for every number of points."""

from __future__ import annotations

import jax
import numpy as np
import pytest

import hullx
from hullx.core.scores import top

ODD = (1153, 3000, 3001, 20_001, 100_003)


@pytest.mark.parametrize("count", [1, 3, 96])
def test_top_is_exact_for_any_number_of_points(count: int, rng: np.random.Generator) -> None:
    for rows in (*range(count, 201, 1 if count == 3 else 17), *ODD):
        scores = rng.normal(size=(2, rows)).astype(np.float32)
        values, columns = map(np.asarray, top(scores, count))
        np.testing.assert_array_equal(values, -np.sort(-scores, axis=1)[:, :count])
        np.testing.assert_array_equal(np.take_along_axis(scores, columns, 1), values)


@pytest.mark.parametrize("shape", [(1153, 3), (3000, 8), (20_001, 64)])
def test_a_projection_has_a_program_for_any_number_of_points(shape: tuple[int, int]) -> None:
    points = jax.ShapeDtypeStruct(shape, np.float32)
    found = jax.eval_shape(hullx.project, jax.ShapeDtypeStruct((5, shape[1]), np.float32), points)
    assert found.point.shape == (5, shape[1])


def test_projections_onto_an_odd_number_of_points(rng: np.random.Generator) -> None:
    points, queries = rng.normal(size=(1153, 3)).astype(np.float32), 5 * rng.normal(size=(4, 3)).astype(np.float32)
    assert hullx.project(queries, points).decided.all()
