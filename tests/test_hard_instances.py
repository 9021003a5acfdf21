"""Every solver on every hard instance: no wrong CONVERGED ever, brackets that hold the truth, and next to none undecided."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

import jax
import numpy as np
import pytest
from hard_instances import FAMILIES, Hard

import hullx
from hullx import Status

SEEDS = range(2)
# First-order methods get some steps: what they prove must hold, but little is decided by them.
LIMITS = {"active_set": None, "sketching": None, "frank_wolfe": 100, "projected_gradient": 100}
EXACT = [name for name, limit in LIMITS.items() if limit is None]
QUICK = "active_set"  # the solver that the quick suite has time for


def marked(names: Iterable[str]) -> list:
    """All but the default solver among the slow tests."""
    return [name if name == QUICK else pytest.param(name, marks=pytest.mark.slow) for name in names]


def instances(name: str) -> list[Hard]:
    return [FAMILIES[name](np.random.default_rng(seed)) for seed in SEEDS]


def exact_bracket(query: np.ndarray, points: np.ndarray, projection) -> tuple[Fraction, Fraction]:
    """Squares of bounds that the weights and the direction prove, in rational numbers, without any rounding."""
    q = [Fraction(float(value)) for value in query]
    rows = [[Fraction(float(value)) for value in row] for row in points]
    weights = [Fraction(float(value)) for value in projection.weights]
    total, zero = sum(weights, Fraction(0)), Fraction(0)
    support = projection.support.tolist()
    point = [sum((w * rows[i][k] for w, i in zip(weights, support, strict=True)), zero) / total for k in range(len(q))]
    upper = sum(((a - b) * (a - b) for a, b in zip(q, point, strict=True)), zero)
    normal = [Fraction(float(value)) for value in projection.direction]
    length = sum((value * value for value in normal), zero)
    slab = min(sum(((a - b) * u for a, b, u in zip(q, row, normal, strict=True)), zero) for row in rows)
    return upper, slab * slab / length if slab > 0 else zero


def check_truth(hard: Hard, result: hullx.Projection) -> None:
    """The bracket holds the planted answer."""
    slack = hard.uncertainty + 1e-14 * hard.truth
    assert not (result.lower > hard.truth + slack).any()
    assert not (result.distance < hard.truth - slack).any()
    assert (result.lower <= result.distance).all()
    converged = result.status == Status.CONVERGED
    assert (result.distance - result.lower <= 1e-6 * result.distance)[converged].all()


def test_every_solver_is_tried() -> None:
    assert set(LIMITS) == set(hullx.solvers.BY_NAME)


@pytest.fixture(scope="module", params=marked(LIMITS))
def solver(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def solved(solver: str) -> dict[str, list[hullx.Projection]]:
    """All instances by one compiled program."""
    project = jax.jit(lambda queries, points: hullx.project(queries, points, solver=solver, max_iter=LIMITS[solver]))
    with jax.enable_x64(True):
        return {
            name: [jax.tree.map(np.asarray, project(hard.queries, hard.points)) for hard in instances(name)]
            for name in FAMILIES
        }


@pytest.mark.parametrize("name", FAMILIES)
def test_brackets_hold_the_truth(solved, name: str) -> None:
    for hard, result in zip(instances(name), solved[name], strict=True):
        check_truth(hard, result)


@pytest.mark.parametrize("name", FAMILIES)
def test_brackets_hold_in_rational_arithmetic(solved, name: str) -> None:
    """The claimed bracket overlaps the one that weights and direction prove exactly, wherever the truth may lie in that."""
    hard, result = instances(name)[0], solved[name][0]
    for lane in (0, 9, 30):
        mine = jax.tree.map(lambda field, lane=lane: field[lane], result)
        upper, lower = exact_bracket(hard.queries[lane], hard.points, mine)
        assert Fraction(float(mine.lower) ** 2) <= upper * (1 + Fraction(1, 2**50)) + Fraction(1, 10**40)
        assert lower <= Fraction(float(mine.distance) ** 2) * (1 + Fraction(1, 2**50))
        # The distance claimed is no smaller than that of the point claimed, by more than the weights' own rounding.
        size = np.abs(hard.points - hard.points.mean(0)).max() + np.abs(hard.queries[lane] - hard.points.mean(0)).max()
        assert float(upper) ** 0.5 <= mine.distance + 1e-15 * size * hard.points.shape[1]


@pytest.mark.parametrize("solver", marked(EXACT), indirect=True, scope="module")
def test_hardly_any_is_left_undecided(solved) -> None:
    statuses = np.concatenate([result.status for results in solved.values() for result in results])
    assert np.mean(statuses <= Status.INSIDE) >= 0.999


@pytest.mark.slow
def test_sweep_agrees() -> None:
    statuses = []
    for name in FAMILIES:
        hard = instances(name)[0]
        result = hullx.sweep(hard.queries, hard.points, progress=False)
        check_truth(hard, result)
        statuses.append(result.status)
    assert np.mean(np.concatenate(statuses) <= Status.INSIDE) >= 0.999


@pytest.mark.parametrize(
    "names", [list(FAMILIES)[::4], pytest.param(list(FAMILIES), marks=pytest.mark.slow)], ids=["some", "all"]
)
def test_brackets_are_valid_in_float32(names: list[str]) -> None:
    """Without x64 the data are rounded; the bracket is that of the rounded data, whatever its width."""
    project = jax.jit(hullx.project)
    for name in names:
        hard = instances(name)[0]
        with np.errstate(over="ignore"):
            queries, points = hard.queries.astype(np.float32), hard.points.astype(np.float32)
        if not (np.isfinite(queries).all() and np.isfinite(points).all()):
            continue
        result = jax.tree.map(np.asarray, project(queries, points))
        assert result.distance.dtype == np.float32
        truth = hullx.sweep(queries.astype(np.float64), points.astype(np.float64), progress=False)
        known = np.isfinite(result.distance)
        assert (result.lower <= truth.distance)[known].all(), name
        assert (truth.lower <= result.distance)[known].all(), name
