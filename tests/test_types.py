"""What a Projection says of itself: as a repr, a sentence and a summary; and that it stays a pytree of arrays."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hullx
from hullx import Projection, Status


def projection(status: Any, *, dtype: Any = np.float32, dimension: int = 2) -> Projection:
    """Queries at distances 1, 2, ... with brackets of 1%, and 0 support for NONFINITE."""
    status = np.asarray(status, np.int32)
    distance = np.arange(1, status.size + 1, dtype=dtype).reshape(status.shape)
    weights = np.zeros((*status.shape, 3), dtype)
    weights[..., 0] = 1
    vector = np.ones((*status.shape, dimension), dtype)
    found = Projection(distance, distance * dtype(0.99), vector, weights.astype(int), weights, status, status, vector)
    mark = np.where(status == Status.NONFINITE, np.nan, 1).astype(dtype)
    lower = np.where(status == Status.INSIDE, 0, found.lower * mark).astype(dtype)
    return found._replace(distance=distance * mark, lower=lower, weights=weights * mark[..., None])


@pytest.mark.parametrize(
    ("status", "dimension", "expected"),
    [
        (0, 784, "Projection(1 query in 784 dimensions: 1 outside)"),
        ([1], 1, "Projection(1 query in 1 dimension: 1 inside)"),
        ([0] * 60 + [1] * 3 + [4], 784, "Projection(64 queries in 784 dimensions: 60 outside, 3 inside, 1 undecided)"),
        ([[0, 5], [2, 3]], 2, "Projection(4 queries in 2 dimensions: 1 outside, 3 undecided)"),
        ([0] * 1200, 2, "Projection(1,200 queries in 2 dimensions: 1,200 outside)"),
        ([], 2, "Projection(0 queries in 2 dimensions)"),
    ],
)
def test_repr_counts_queries(status: Any, dimension: int, expected: str) -> None:
    found = projection(status, dimension=dimension)
    assert repr(found) == str(found) == expected
    assert repr(jax.tree.map(jnp.asarray, found)) == expected


def test_repr_names_queries_that_are_only_known_to_be_near() -> None:
    found = projection([0, 0, 1])
    found = found._replace(lower=np.array([0.99, 0, 0], np.float32))
    assert repr(found) == "Projection(3 queries in 2 dimensions: 1 outside, 1 inside, 1 within atol)"
    assert (
        "2 CONVERGED: outside the hull, and the certified bracket is within tolerance; or (1 of them) within" in found.sentence
    )
    near = jax.tree.map(lambda field: field[1], found)
    assert near.sentence == "within atol of the hull, and neither outside nor inside is proved"


def test_repr_of_what_holds_no_numbers() -> None:
    found = projection([0, 1])
    seen = []
    shapes = jax.eval_shape(jax.jit(lambda each: seen.append(repr(each)) or each), found)
    assert seen == ["Projection(traced: distance (2,), point (2, 2))"]
    assert repr(shapes) == "Projection(shapes: distance (2,), point (2, 2))"
    assert shapes.summary() == repr(shapes)
    assert shapes.sentence == "the status is known only outside jit"
    jax.vmap(lambda each: seen.append(repr(each)) or each)(found)
    assert seen[-1] == "Projection(traced: distance (), point (2,))"


class Broken:
    @property
    def shape(self) -> tuple[int]:
        raise RuntimeError

    def __repr__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    "content", [None, object(), 0, 1.5, "x", [1], (), Broken(), jnp.zeros, np.zeros(()), np.ones((2, 3, 4))]
)
def test_repr_never_fails(content: Any) -> None:
    found = projection([0, 1])
    for mangled in (jax.tree.map(lambda _: content, found), *(found._replace(**{name: content}) for name in found._fields)):
        assert repr(mangled).startswith("Projection(")
        assert len(repr(mangled)) < 400
        assert mangled.summary()
    assert repr(Projection(*[0] * 8)).startswith("Projection(distance 0, lower 0,")


def test_repr_of_deleted_arrays() -> None:
    found = jax.tree.map(jnp.array, projection([0, 1]))
    found.status.delete()
    assert repr(found) == "Projection(unreadable)"


def test_it_is_a_pytree() -> None:
    found = projection([0, 1, 2])
    for same in (
        jax.tree.map(lambda field: field, found),
        jax.jit(lambda each: each)(found),
        jax.vmap(lambda each: each)(found),
    ):
        assert type(same) is Projection
        jax.tree.map(np.testing.assert_array_equal, same, found)
    assert repr(jax.tree.map(lambda field: field[0], found)) == "Projection(1 query in 2 dimensions: 1 outside)"
    assert jax.jit(lambda each: (each.inside, each.outside, each.decided))(found)[0].tolist() == [False, True, False]


def test_masks() -> None:
    found = projection([0, 1, 2, 3, 4, 5])
    assert found.inside.tolist() == [False, True, False, False, False, False]
    assert found.outside.tolist() == [True, False, True, True, True, False]
    assert found.decided.tolist() == [True, True, False, False, False, False]


def test_float64_is_advised_to_float32_only() -> None:
    assert "float64" not in Status.ROUNDING.sentence
    assert projection(2).sentence == Status.ROUNDING.sentence + ": use float64"
    assert projection(2, dtype=np.float64).sentence == Status.ROUNDING.sentence
    for status in set(Status) - {Status.ROUNDING}:
        assert projection(status).sentence == status.sentence
    assert "omit it" in Status.CAPACITY.sentence


def test_sentences_of_a_batch() -> None:
    assert projection([4, 0, 0, 2]).sentence.splitlines() == [
        f"2 CONVERGED: {Status.CONVERGED.sentence}",
        f"1 ROUNDING: {Status.ROUNDING.sentence}: use float64",
        f"1 MAX_ITER: {Status.MAX_ITER.sentence}",
    ]
    assert projection([1]).sentence == f"1 INSIDE: {Status.INSIDE.sentence}"
    assert projection([]).sentence == "no queries"


def test_summary() -> None:
    assert projection([0, 0, 1, 5]).summary().splitlines() == [
        "4 queries in 2 dimensions: 2 outside, 1 inside, 1 undecided",
        "CONVERGED       2",
        "INSIDE          1",
        "NONFINITE       1",
        "distance        min 1, median 2, max 3",
        "widest bracket  0.01 of the distance (queries not inside)",
        "support size    min 1, median 1, max 1",
    ]
    assert projection([]).summary() == "0 queries in 2 dimensions"
    assert projection(5).summary().splitlines() == ["1 query in 2 dimensions: 1 undecided", "NONFINITE       1"]
    assert "bracket" not in projection([1, 1]).summary()


def test_summary_is_narrow() -> None:
    found = projection(np.tile(np.arange(6), 20_000))
    found = found._replace(distance=found.distance * np.float32(1.2345678e-20), lower=found.lower * np.float32(1e-22))
    assert max(map(len, found.summary().splitlines())) <= 80


def test_of_real_projections() -> None:
    points = np.eye(3, dtype=np.float32)
    queries = np.array([[1, 0, 0], [0, 0, 0], [np.nan, 0, 0]], np.float32)
    for found in (hullx.project(queries, points), hullx.sweep(queries, points, progress=False)):
        assert repr(found) == "Projection(3 queries in 3 dimensions: 1 outside, 1 inside, 1 undecided)"
        assert "support size    min 1, median 2, max 3" in found.summary()
        assert jax.jit(lambda _, found=found: jnp.zeros(len(found.summary())))(0).size
