"""Small inputs that once failed, each with the right answer and how it is known."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse
from families import POINTS, QUERIES, SMALL
from fields import contradictions
from jitted import project_in_jit
from judge import judged
from near_faces import Near

import hullx
from hullx import Status

Solve = Callable[[np.ndarray, np.ndarray], hullx.Projection]


def project(queries: np.ndarray, points: np.ndarray) -> hullx.Projection:
    return jax.tree.map(np.asarray, hullx.project(queries, points))


def sweep(queries: np.ndarray, points: np.ndarray) -> hullx.Projection:
    return hullx.sweep(queries, points, progress=False)


EAGER = pytest.mark.parametrize("solve", [project, sweep])
ALL = pytest.mark.parametrize("solve", [project, sweep, pytest.param(project_in_jit, marks=pytest.mark.thorough)])


@pytest.mark.thorough
def test_any_number_of_points(rng: np.random.Generator) -> None:
    """Also where it is no multiple of 16. The simplex is the hull: a query at (−1, −1, 0.2) is √2 from it."""
    corners = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
    points = np.concatenate([corners, rng.dirichlet(np.ones(4), 1147).astype(np.float32) @ corners * np.float32(0.9)])
    queries = np.array([[-1, -1, 0.2], [0.25, 0.25, 0.25]], np.float32)
    found = project(queries, points)
    assert found.status.tolist() == [Status.CONVERGED, Status.INSIDE]
    np.testing.assert_allclose(found.distance, [np.sqrt(2), 0], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(hullx.distance(queries, points), found.distance)
    with jax.enable_x64(True):
        # What float64 leaves open goes on elsewhere.
        exact = hullx.sweep(queries.astype(np.float64), points.astype(np.float64), rtol=1e-15, progress=False)
        np.testing.assert_allclose(exact.distance, [np.sqrt(2), 0], rtol=1e-7, atol=1e-7)


@pytest.mark.thorough
@ALL
@pytest.mark.parametrize(("shift", "scale"), [(1e6, 1), (1e8, 1), (1e10, 1), (0, 1e37), (0, 1e60), (0, 1e-60)])
@pytest.mark.usefixtures("x64")
def test_far_from_the_origin_and_in_any_unit(solve: Solve, shift: float, scale: float, rng: np.random.Generator) -> None:
    """Queries 10 spreads away are outside, wherever the origin is and whatever the unit."""
    away = rng.normal(size=(QUERIES, SMALL))
    away *= 10 / np.linalg.norm(away, axis=1, keepdims=True)
    problem = Near((away + shift) * scale, (rng.normal(size=(POINTS, SMALL)) + shift) * scale)
    found = solve(*problem)
    verdict = judged(problem, found)
    assert (verdict.above, verdict.below) == (0, 0)
    assert (found.status == Status.CONVERGED).all(), np.bincount(found.status)
    assert found.outside.all()


TABLES: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "units": lambda rng: rng.normal(size=(POINTS, SMALL)) * [1e-2, 1e6, 1e-3],
    "one long row": lambda rng: rng.normal(size=(POINTS, SMALL)) * np.r_[1e9, np.ones(POINTS - 1)][:, None],
    "shares and milliseconds": lambda rng: rng.uniform([0, 0, 1.69e12], [1, 1, 1.7e12], (POINTS, SMALL)),
    "share, latitude, population": lambda rng: rng.uniform([0, -90, 1e6], [1, 90, 1e9], (POINTS, SMALL)),
    "Hz, tesla, duty": lambda rng: rng.uniform([5e4, 1e-2, 0.1], [5e5, 3e-1, 0.9], (POINTS, SMALL)),
}


@pytest.mark.thorough
@EAGER
@pytest.mark.parametrize("table", TABLES)
@pytest.mark.usefixtures("x64")
def test_members_of_tables_are_decided(solve: Solve, table: str, rng: np.random.Generator) -> None:
    """Convex combinations, rounded: in the hull, or outside by a rounding that rational arithmetic sees as well."""
    points = TABLES[table](rng)
    problem = Near(rng.dirichlet(np.full(POINTS, 0.3), QUERIES) @ points, points)
    found = solve(*problem)
    verdict = judged(problem, found)
    assert (verdict.above, verdict.below, verdict.undecided, verdict.loose) == (0, 0, 0, 0), verdict


@pytest.mark.thorough
@EAGER
def test_one_large_column_does_not_decide_what_is_rounding(solve: Solve, rng: np.random.Generator) -> None:
    """Every duty is at most 0.9 and every field at least 0, so a query beyond is at least that far outside."""
    points = rng.uniform([5e4, 0, 0.1], [5e5, 50, 0.9], (POINTS, SMALL)).astype(np.float32)
    queries = np.repeat(points.mean(0)[None], 5, axis=0)
    queries[0, 2], queries[1, 2], queries[2, 2], queries[3, 1] = 1.5, 0.95, -0.5, -0.5
    found = solve(np.resize(queries, (QUERIES, SMALL)), points)
    assert (found.status[:5] == [Status.CONVERGED] * 4 + [Status.INSIDE]).all(), found.status[:5]
    assert found.outside[:5].tolist() == [True] * 4 + [False]
    assert (found.distance[:4] >= [0.6, 0.0499, 0.6, 0.5]).all()


def test_outside_is_never_inside() -> None:
    """The square's upper edge is y = 1, so the distance is y − 1 exactly, and its gradient is (0, 1)."""
    square = np.array([[0, 0], [1, 0], [0, 1], [1, 1]], np.float32)
    heights = np.float32(1) + np.array([1e-5, 3e-6, 2e-6, 1e-6, 5e-7, 2.4e-7], np.float32)
    queries = np.stack([np.full_like(heights, 0.5), heights], axis=1)
    found, truth = project(queries, square), heights.astype(np.float64) - 1
    assert (found.lower <= truth).all()
    assert (truth <= found.distance).all()
    assert not (found.outside & (found.status == Status.INSIDE)).any(), found.status
    gradient = jax.grad(lambda queries: hullx.distance(queries, square).sum())(jnp.asarray(queries))
    np.testing.assert_allclose(gradient, np.tile([0, 1], (len(queries), 1)), atol=1e-6)


WEIGHTS_QUERY = np.array([-8.84928568e-07, 8.1561609e-07, -2.53329131e-06], np.float32)
WEIGHTS_POINTS = np.array(
    [
        [4.18833079e-10, 3.05754005e-10, 2.33670361e-10],
        [-5.65588687e-10, 3.67676278e-10, 9.69847553e-12],
        [-7.54374757e-11, -9.57461932e-09, -2.22567902e-08],
        [3.91249966e-12, -7.28958213e-12, -1.09209308e-11],
        [0.00073628471, 0.000425732142, 0.000662753533],
        [-1.42452061e-09, 2.22707488e-08, -3.98579232e-08],
        [-1.89031104e-12, 5.61997931e-12, -6.26362634e-12],
        [-9.1851006e-11, 3.28135435e-10, 2.14781512e-10],
        [-0.00133625336, -0.00024457174, 0.000905780122],
        [0.0253017768, 0.0253104195, -0.0120576555],
        [-0.000155581758, 0.000237750239, -0.000122045094],
        [-3.6498725e-12, -7.50020488e-13, 3.71307369e-13],
        [2.52127393e-07, 4.18028606e-07, -2.67901925e-07],
        [-3.72617546e-06, -1.31907718e-05, 1.89157311e-06],
        [-3.72012143e-11, -1.44890461e-10, 8.0204253e-11],
        [-3.97948396e-10, -2.44761211e-09, 8.64103372e-11],
        [-8.4439796e-07, 1.75580709e-07, -1.50298752e-06],
        [-0.000327301736, 0.000325264904, 0.000242703594],
        [1.42843304e-09, 6.87037871e-10, 1.09081899e-09],
        [-0.333139598, 0.0159328878, 0.124667913],
        [-0.00303522334, -0.0019551781, 0.00329237967],
        [-0.000192547726, 9.37371515e-05, 6.75113624e-05],
        [3.15798027e-10, 2.38996989e-10, 1.84959492e-10],
        [-7.58183387e-06, 3.86583924e-05, -9.3718867e-05],
    ],
    np.float32,
)
CAPACITY_QUERY = np.array([0.819472611, -0.241622314, -0.11879535], np.float32)
CAPACITY_POINTS = np.array(
    [
        [-0.532206833, 0.190918446, 0.82480669],
        [-0.150295019, 0.0767954811, 0.985654056],
        [0.580191612, 0.774780154, -0.251184136],
        [0.696370304, -0.323991895, -0.640388668],
        [-0.803834379, 0.434855282, -0.405895501],
        [-0.559429765, -0.404360533, 0.723554373],
        [0.23056294, -0.95377624, 0.192747533],
        [0.824302435, -0.361202091, -0.435957044],
        [0.790529788, 0.0580489486, 0.609666228],
        [0.246028662, 0.0622263327, 0.967263043],
        [0.700984418, -0.707779586, -0.0875724554],
        [0.319415003, -0.817213893, 0.479724407],
        [0.798932493, -0.517560959, -0.306329101],
        [-0.0514325611, 0.524946451, -0.849579871],
        [0.347447902, -0.109849878, 0.931242704],
        [0.173813194, -0.983890593, -0.0418120883],
        [0.237702459, 0.861883521, -0.447944522],
        [0.239489496, -0.385198057, -0.891216695],
        [0.555580795, 0.39447847, -0.73192668],
        [0.87814492, -0.233577132, 0.417496353],
        [-0.288476855, -0.362673759, -0.886142671],
        [-0.20928593, -0.401311368, -0.891711056],
        [-0.347112715, 0.937800825, -0.00650609843],
        [0.636205018, 0.009383508, 0.771462977],
    ],
    np.float32,
)


def test_weights_sum_to_one() -> None:
    """Points of sizes 1e-12 to 0.3 around the query, which is in the hull."""
    found = project(WEIGHTS_QUERY[None], WEIGHTS_POINTS)
    assert found.status == Status.INSIDE
    assert contradictions(Near(WEIGHTS_QUERY[None], WEIGHTS_POINTS), found, 1e-6) == {}


def test_capacity_does_not_replace_an_answer() -> None:
    """A query in the hull of a cap of the sphere, with d + 1 support slots by default."""
    found = project(CAPACITY_QUERY[None], CAPACITY_POINTS)
    assert found.status == Status.INSIDE
    assert contradictions(Near(CAPACITY_QUERY[None], CAPACITY_POINTS), found, 1e-6) == {}


@pytest.mark.thorough
@pytest.mark.parametrize("max_iter", [1, 2, 3, 5])
def test_a_distance_has_a_direction_and_a_gradient(max_iter: int, rng: np.random.Generator) -> None:
    """Also where too few steps prove nothing."""
    points = rng.normal(size=(POINTS, SMALL)).astype(np.float32)
    queries = 1.5 * rng.normal(size=(QUERIES, SMALL)).astype(np.float32)
    found = hullx.project(queries, points, max_iter=max_iter)
    gradient = jax.grad(lambda queries: hullx.distance(queries, points, max_iter=max_iter).sum())(jnp.asarray(queries))
    open_ = np.asarray(found.status) != Status.INSIDE
    for vectors in (found.direction, gradient):
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1)[open_], 1, atol=1e-6)


@pytest.mark.thorough
@pytest.mark.usefixtures("x64")
def test_the_last_line_counts_what_is_certified(capsys: pytest.CaptureFixture[str]) -> None:
    """Differences of two cubes that are 1e-12 apart: the last resort decides."""
    cube = np.array([[x, y, z] for x in (-1.0, 1) for y in (-1.0, 1) for z in (-1.0, 1)])
    differences = (cube[:, None] - (cube + np.array([0, 0, 2 + 1e-12]))).reshape(-1, 3)
    found = hullx.sweep(np.zeros((1, 3)), differences)
    assert found.status == Status.CONVERGED
    np.testing.assert_allclose(found.distance, -differences[:, 2].max(), rtol=1e-6)
    assert "1/1 queries, 1 certified" in capsys.readouterr().err


@pytest.mark.parametrize("solve", [project, sweep])
def test_a_sparse_matrix_is_told_what_to_do(solve: Solve) -> None:
    """numpy.asarray makes an array of one object of it."""
    rows = scipy.sparse.csr_matrix(np.eye(30, SMALL, dtype=np.float32))
    for queries, points in ((rows[:2], rows[2:]), (rows[:2].toarray(), rows[2:]), (rows[:2], rows[2:].toarray())):
        with pytest.raises(hullx.HullxError, match="toarray"):
            solve(queries, points)
