"""Every solver on every hard instance: no wrong CONVERGED ever, brackets that hold the truth, and next to none undecided."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

import jax
import numpy as np
import pytest
from hard_instances import DIMENSION, FAMILIES, Hard
from rational import squared_distance

import hullx
from hullx import Status

SEEDS = range(2)
QUICK = "active_set"  # the solver that the quick suite has time for


def marked(names: Iterable[str]) -> list:
    """All but the default solver among the slow tests."""
    return [name if name == QUICK else pytest.param(name, marks=pytest.mark.slow) for name in names]


def instances(name: str) -> list[Hard]:
    return [FAMILIES[name](np.random.default_rng(seed)) for seed in SEEDS]


def check_truth(hard: Hard, result: hullx.Projection) -> None:
    """The bracket holds the planted answer."""
    slack = hard.uncertainty + 1e-14 * hard.truth
    assert not (result.lower > hard.truth + slack).any()
    assert not (result.distance < hard.truth - slack).any()
    assert (result.lower <= result.distance).all()
    converged = result.status == Status.CONVERGED
    assert (result.distance - result.lower <= 1e-6 * result.distance)[converged].all()


@pytest.fixture(scope="module", params=marked(hullx.solvers.BY_NAME))
def solver(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def solved(solver: str) -> dict[str, list[hullx.Projection]]:
    """All instances by one compiled program."""

    def project(hard: Hard) -> hullx.Projection:
        return jax.tree.map(np.asarray, hullx.project(hard.queries, hard.points, solver=solver))

    with jax.enable_x64(True):
        return {name: [project(hard) for hard in instances(name)] for name in FAMILIES}


@pytest.mark.thorough
@pytest.mark.parametrize("name", FAMILIES)
def test_brackets_hold_the_truth(solved, name: str) -> None:
    for hard, result in zip(instances(name), solved[name], strict=True):
        check_truth(hard, result)


@pytest.mark.thorough
@pytest.mark.parametrize("name", FAMILIES)
def test_brackets_hold_in_rational_arithmetic(solved, name: str) -> None:
    hard, result = instances(name)[0], solved[name][0]
    for lane in (0, 9, 30):
        used = result.weights[lane] > 0
        square = squared_distance(hard.queries[lane], hard.points, result.support[lane][used][:DIMENSION])
        assert Fraction(float(result.lower[lane])) ** 2 <= square <= Fraction(float(result.distance[lane])) ** 2


@pytest.mark.thorough
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


@pytest.mark.thorough
@pytest.mark.parametrize(
    "names", [list(FAMILIES)[::4], pytest.param(list(FAMILIES), marks=pytest.mark.slow)], ids=["some", "all"]
)
def test_brackets_are_valid_in_float32(names: list[str]) -> None:
    """Without x64 the data are rounded; the bracket is that of the rounded data, and nearly always within rtol."""
    statuses = []
    for name in names:
        hard = instances(name)[0]
        with np.errstate(over="ignore"):
            queries, points = hard.queries.astype(np.float32), hard.points.astype(np.float32)
        if not (np.isfinite(queries).all() and np.isfinite(points).all()):
            continue
        result = jax.tree.map(np.asarray, hullx.project(queries, points))
        assert result.distance.dtype == np.float32
        with jax.enable_x64(True):
            truth = jax.tree.map(np.asarray, hullx.project(queries.astype(np.float64), points.astype(np.float64)))
        known = np.isfinite(result.distance)
        assert (result.lower <= truth.distance)[known].all(), name
        assert (truth.lower <= result.distance)[known].all(), name
        statuses.append(result.status)
    assert np.mean(np.concatenate(statuses) <= Status.INSIDE) >= 0.99
