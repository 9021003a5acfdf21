"""What wrong arguments and bad numbers get, in `project` and in `sweep`: one clear sentence, or the right answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import families
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jitted import project_in_jit

import hullx
from hullx import HullxError, Status
from hullx.solvers import ActiveSet, FrankWolfe, ProjectedGradient, Sketching

pytestmark = pytest.mark.unoptimised
QUERY, POINTS = np.zeros(3, np.float32), np.eye(3, dtype=np.float32)
DISTANCE = 3**-0.5


def with_a(value: float) -> np.ndarray:
    return np.where(POINTS > 0, value, 0).astype(np.float32)


WRONG: dict[str, tuple[Any, Any, type, str]] = {
    "points are a vector": (QUERY, POINTS[0], ValueError, r"points: got shape \(3,\), expected \(n, d\)"),
    "points are empty": (QUERY, POINTS[:0], ValueError, r"points: got shape \(0, 3\), expected at least one"),
    "dimensions differ": (QUERY[:2], POINTS, ValueError, r"queries: got shape \((1, )?2,?\), expected \(\.\.\., 3\)"),
    "a scalar query": (np.float32(1), POINTS, ValueError, r"queries: got shape \(\)"),
    "integers beyond float64": (QUERY, POINTS.astype(int) + 2**60, TypeError, r"points: got .*integer"),
    "complex points": (QUERY, POINTS.astype(complex), TypeError, r"points: got dtype complex128"),
    "objects": (QUERY, POINTS.astype(object), TypeError, r"points: got dtype object"),
    "a ragged list": (QUERY, [[0.0, 0.0, 0.0], [1.0]], TypeError, r"points: got parts of shapes .* make all rows equally long"),
    "a string": (QUERY, "points.npy", TypeError, r"points: got 'points.npy', expected numbers"),
    "long doubles": (QUERY.astype(np.longdouble), POINTS, TypeError, r"queries: got dtype .* \(extended precision\).*astype"),
    "masked points": (QUERY, np.ma.masked_less(POINTS, 0.5), TypeError, r"points: got a masked array.*points.filled\(0\)"),
    "masked queries": (np.ma.masked_less(QUERY, 0.5), POINTS, TypeError, r"queries: got a masked array"),
    "NaN in points": (
        QUERY,
        with_a(np.nan),
        ValueError,
        "points: got NaN or infinity, expected finite numbers: drop those rows",
    ),
    "NaN in points of JAX": (QUERY, jnp.asarray(with_a(np.nan)), ValueError, "points: got NaN or infinity"),
    "infinity in points": (QUERY, with_a(-np.inf), ValueError, "points: got NaN or infinity"),
    "infinity in points of JAX": (QUERY, jnp.asarray(with_a(-np.inf)), ValueError, "points: got NaN or infinity"),
    "subnormal points": (
        QUERY,
        with_a(1e-40),
        ValueError,
        "points: got no number larger than 1e-40, too small for float32 .*multiply",
    ),
    "subnormal points of JAX": (
        QUERY,
        jnp.asarray(with_a(1e-40)),
        ValueError,
        "no number larger than 1e-40, too small for float32",
    ),
    "huge points": (
        QUERY,
        with_a(3e38),
        ValueError,
        "points: got numbers as large as 3e.38, too large for float32: divide",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_argument_is_named_with_a_remedy(name: str) -> None:
    query, points, error, message = WRONG[name]
    with pytest.raises(error, match=message) as raised:
        hullx.project(query, points)
    assert isinstance(raised.value, HullxError)
    if np.ndim(query):
        with pytest.raises(error, match=message):
            hullx.sweep(query[None], points, progress=False)


PARTS: dict[str, tuple[Any, type, str]] = {
    "a list of numbers": ([0.0, 1.0], ValueError, r"points: got shape \(2,\), expected \(n, d\)"),
    "no parts": ([], ValueError, "points: got an empty sequence"),
    "parts without rows": ([POINTS[:0], POINTS[:0]], ValueError, "points: got 2 arrays without rows"),
    "a part of another width": ([POINTS, POINTS[:, :2]], ValueError, r"points\[1\]: got shape \(3, 2\), expected \(n, 3\)"),
    "a masked part": ([POINTS, np.ma.masked_less(POINTS, 0.5)], TypeError, r"points\[1\]: got a masked array"),
    "a complex part": ([POINTS, POINTS.astype(complex)], TypeError, r"points\[1\]: got dtype complex128"),
    "a part with NaN": ([POINTS, with_a(np.nan)], ValueError, "points: got NaN or infinity"),
    "subnormal parts": ([with_a(1e-40)], ValueError, "points: got no number larger than 1e-40"),
}


@pytest.mark.parametrize("name", PARTS)
def test_wrong_parts(name: str) -> None:
    points, error, message = PARTS[name]
    with pytest.raises(error, match=message) as raised:
        hullx.sweep(QUERY[None], points, progress=False)
    assert isinstance(raised.value, HullxError)


@pytest.mark.parametrize("solve", [hullx.project, hullx.distance, hullx.sweep], ids=["project", "distance", "sweep"])
@pytest.mark.parametrize(
    ("setting", "error", "message"),
    [
        *(({"rtol": value}, ValueError, f"rtol: got {value}, expected 0 or more") for value in (1, 1.0, -1e-6, np.nan, np.inf)),
        *(({"rtol": value}, TypeError, "rtol: got .*, expected one number: 1e-6") for value in (None, "1e-6", True, [1e-6])),
        *(
            ({"atol": value}, ValueError, f"atol: got {value}, expected 0 or more, and finite")
            for value in (-1e-6, np.nan, np.inf)
        ),
        ({"atol": [0.1]}, TypeError, "atol: got .*, expected one number: 0 asks"),
        *(({"max_iter": value}, ValueError, f"max_iter: got {value}, expected an integer of at least 1") for value in (0, -1)),
        *(
            ({"max_iter": value}, TypeError, "max_iter: got .* expected an integer of at least 1")
            for value in (np.nan, 2.5, "9", True)
        ),
    ],
)
def test_settings_that_make_no_sense(solve, setting: dict, error: type, message: str) -> None:
    with pytest.raises(error, match=message) as raised:
        solve(QUERY[None], POINTS, **setting)
    assert isinstance(raised.value, HullxError)


@pytest.mark.parametrize(
    ("setting", "error", "message"),
    [
        ({"mesh": 4}, TypeError, "mesh: got int, expected a jax.sharding.Mesh: make one with jax.make_mesh"),
        (
            {"mesh": jax.make_mesh((1,), ("rows",))},
            ValueError,
            r"mesh: got axes \('rows',\), expected 'points', 'queries' or both",
        ),
        ({"resume": True}, TypeError, "resume: got bool, expected a folder"),
        ({"progress": 3}, TypeError, "progress: got int, expected True, False or a title"),
        ({"warm_start": "x"}, TypeError, "warm_start: got str, expected a Projection"),
    ],
)
def test_settings_of_a_sweep_that_make_no_sense(setting: dict, error: type, message: str) -> None:
    with pytest.raises(error, match=message) as raised:
        hullx.sweep(QUERY[None], POINTS, progress=setting.pop("progress", False), **setting)
    assert isinstance(raised.value, HullxError)


def test_a_warm_start_of_other_queries_or_points_is_refused() -> None:
    mine = hullx.sweep(np.stack([QUERY] * 4), POINTS, progress=False)
    for queries, start, message in (
        (QUERY[None], mine, "warm_start: got 4 projections, .* expected one per query, 1"),
        (
            np.stack([QUERY] * 4),
            mine._replace(support=mine.support[:, :0], weights=mine.weights[:, :0]),
            r"warm_start: got 4 projections, supports of shape \(4, 0\)",
        ),
        (np.stack([QUERY] * 4), mine._replace(support=mine.support + 3), "warm_start: got rows from 3 to 5 .* of the 3 points"),
        (np.stack([QUERY] * 4), mine._replace(weights=-mine.weights), "warm_start: .* weights of 0 or more"),
        (np.stack([QUERY] * 4), mine._replace(support=0 * mine.support), "warm_start: got a support that names a row twice"),
    ):
        with pytest.raises(ValueError, match=message):
            hullx.sweep(queries, POINTS, warm_start=start, progress=False)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ActiveSet(capacity=0), "capacity: got 0, expected an integer of at least 1"),
        (lambda: FrankWolfe(capacity=-1), "capacity: got -1"),
        (lambda: ProjectedGradient(steps=0), "steps: got 0"),
        (lambda: Sketching(capacity=0), "capacity: got 0"),
        (lambda: hullx.project(QUERY, POINTS, solver="simplex"), r"solver: got 'simplex', expected one of .*active_set"),
    ],
)
def test_solvers_that_cannot_work(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


class Unhashable(list):
    def solve(self) -> None: ...


@pytest.mark.parametrize(
    ("solver", "message"),
    [
        (3, "solver: got int"),
        (ActiveSet, r"got the class ActiveSet, .*: make an object of it, ActiveSet\(\)"),
        (Unhashable(), "no hash"),
    ],
)
def test_what_is_no_solver(solver: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        hullx.project(QUERY, POINTS, solver=solver)


def test_sweep_is_not_for_jit() -> None:
    with pytest.raises(TypeError, match=r"queries: got a traced value, .* call it outside jit; hullx.project works under jit"):
        jax.jit(lambda queries: hullx.sweep(queries, POINTS).distance)(QUERY[None])


@pytest.mark.thorough
def test_nan_points_under_jit_make_every_lane_nonfinite() -> None:
    for bad in (np.nan, np.inf):
        points = np.resize(POINTS, (families.POINTS, 3))
        points[0, 0] = bad
        result = project_in_jit(np.zeros((families.QUERIES, 3), np.float32), points)
        assert (result.status == Status.NONFINITE).all()
        assert np.isnan(result.distance).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_one_bad_query_does_not_spoil_its_batch(bad: float, rng: np.random.Generator) -> None:
    queries = rng.normal(size=(9, 3)).astype(np.float32)
    clean = queries.copy()
    queries[4, 1] = bad
    for solve in (hullx.project, lambda q, x: hullx.sweep(q, x, progress=False)):
        result, expected = solve(queries, POINTS), solve(clean, POINTS)
        good = np.arange(9) != 4
        assert result.status[4] == Status.NONFINITE
        assert np.isnan(result.distance[4])
        assert np.isnan(result.lower[4])
        np.testing.assert_allclose(result.distance[good], expected.distance[good], rtol=1e-6)
        np.testing.assert_array_equal(result.status[good], expected.status[good])


@pytest.mark.parametrize("limit", [2**31, 2**40, 2**63, 2**100])
def test_more_steps_than_a_counter_holds(limit: int) -> None:
    for solve in (hullx.project, lambda *given, **settings: hullx.sweep(*given, progress=False, **settings)):
        np.testing.assert_allclose(solve(QUERY[None], POINTS, max_iter=limit).distance, DISTANCE, rtol=1e-6)


def test_no_query_at_all_with_a_folder(tmp_path: Path) -> None:
    for _ in range(2):
        assert hullx.sweep(np.zeros((0, 3), np.float32), POINTS, resume=tmp_path, progress=False).distance.shape == (0,)


STRICT = {
    "promotion": lambda: jax.numpy_dtype_promotion("strict"),
    "rank": lambda: jax.numpy_rank_promotion("raise"),
    "transfers": lambda: jax.transfer_guard("disallow"),
    "NaN": lambda: jax.debug_nans(True),
}


@pytest.mark.thorough
@pytest.mark.parametrize("setting", STRICT)
def test_strict_settings_of_jax(setting: str) -> None:
    points, query = jnp.asarray(POINTS), jnp.asarray(QUERY)
    with STRICT[setting]():
        distance = hullx.project(query, points).distance
        # Compiled, for eager differentiation is itself a transfer.
        slopes = jax.jit(jax.grad(hullx.distance, argnums=(0, 1)))(query, points)
        assert hullx.sweep(QUERY[None], POINTS, progress=False).status[0] == Status.CONVERGED
    np.testing.assert_allclose(distance, DISTANCE, rtol=1e-5)
    np.testing.assert_allclose(slopes[0], -np.full(3, DISTANCE), rtol=1e-5)


def test_float16_is_promoted() -> None:
    result = hullx.project(QUERY.astype(np.float16), POINTS.astype(np.float16))
    assert result.distance.dtype == np.float32
    np.testing.assert_allclose(result.distance, DISTANCE, rtol=1e-4)
    parts = [part.astype(np.float16) for part in (POINTS[:1], POINTS[1:])]
    np.testing.assert_allclose(hullx.sweep(QUERY[None], parts, progress=False).distance, DISTANCE, rtol=1e-6)


@pytest.mark.parametrize("layout", ["F", "reversed", "strided", "broadcast"])
def test_layouts(layout: str, tmp_path: Path) -> None:
    """However an array lies in memory or in a file."""
    rows = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)
    views = {
        "F": np.asfortranarray(rows),
        "reversed": rows[::-1, ::-1],
        "strided": np.repeat(rows, 2, 1)[:, ::2],
        "broadcast": np.broadcast_to(rows[:1], (12, 3)),
    }
    points = views[layout]
    expected = hullx.sweep(3 * rows[:4], np.ascontiguousarray(points), progress=False)
    np.save(tmp_path / "rows.npy", points)
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    for given in (points, mapped, [points]):
        np.testing.assert_allclose(hullx.sweep(3 * rows[:4], given, progress=False).distance, expected.distance, rtol=1e-12)
