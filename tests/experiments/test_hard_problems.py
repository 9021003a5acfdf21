"""The suite of hard problems: its generators, its check, and a small run of the benchmark."""

from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from commands import started
from rational import squared_distance

import hullx
from experiments import bench_hard, hard_check, hard_jobs, hard_problems
from experiments.shared import baselines
from hullx import runs

bounds, solved = hard_check.bounds, hard_check.solved
CLASSES, KINDS, draw, spread = hard_problems.CLASSES, hard_problems.KINDS, hard_problems.draw, hard_problems.spread
EACH_CLASS = pytest.mark.parametrize("name", CLASSES)


def answer(query: np.ndarray, points: np.ndarray) -> hard_check.Answer:
    """SciPy's."""
    weights = baselines.nnls(query, points)
    return hard_check.Answer(np.flatnonzero(weights), weights[weights > 0])


def holds(found: hard_check.Bounds, square: Fraction) -> bool:
    """Whether lower ≤ distance ≤ upper, exactly."""
    return Fraction(found.lower) ** 2 <= square <= Fraction(found.upper) ** 2


@EACH_CLASS
@pytest.mark.parametrize(("n", "d"), [(64, 2), (100, 16)])
def test_problems_depend_on_their_arguments_only(name: str, n: int, d: int) -> None:
    first, again, other = draw(name, 3, n, d), draw(name, 3, n, d), draw(name, 4, n, d)
    assert (first.queries.shape, first.points.shape) == ((len(KINDS), d), (n, d))
    assert first.queries.dtype == first.points.dtype == np.float32
    assert np.isfinite(first.queries).all()
    assert np.isfinite(first.points).all()
    np.testing.assert_array_equal(first.queries, again.queries)
    np.testing.assert_array_equal(first.points, again.points)
    assert not np.array_equal(first.queries, other.queries)


def test_classes_are_what_they_say() -> None:
    rng = np.random.default_rng(0)
    points = {name: make(rng, 256, 8) for name, make in CLASSES.items()}
    assert (points["lattice"] == np.round(points["lattice"])).all()
    assert np.isin(points["box"], (0, 1)).any(1).all()
    np.testing.assert_allclose(np.linalg.norm(points["ball"], axis=1), 1)
    for seed, (name, least, most) in itertools.product(range(20), [("needle", 2**6, 2**23), ("skewed", 2**17, 2**23)]):
        rows = CLASSES[name](np.random.default_rng(seed), 256, 8)
        sizes = np.linalg.svd(rows - rows.mean(0), compute_uv=False) if name == "needle" else rows.std(0)
        assert least < sizes.max() / sizes.min() < most
    largest = [np.abs(hard_problems.scaled(np.random.default_rng(seed), 64, 2)).max() for seed in range(200)]
    assert min(largest) < 2**-15
    assert max(largest) > 2**60


@EACH_CLASS
def test_queries_are_where_they_say(name: str) -> None:
    problem = draw(name, 0, 64, 2)
    size = spread(problem.points)
    distance = {
        kind: float(squared_distance(query, problem.points)) ** 0.5 / size
        for kind, query in zip(KINDS, problem.queries, strict=True)
    }
    assert distance["vertex"] == 0
    assert max(distance["on a face"], distance["mixture"]) < 1e-4  # float32's rounding, at up to 100 spreads from 0
    assert distance["just outside, nearer"] < 2**-8 + 1e-4
    assert distance["far"] > 1


@EACH_CLASS
@pytest.mark.parametrize("d", [2, 8])
def test_bounds_hold_exactly_and_are_tight(name: str, d: int) -> None:
    problem = draw(name, 1, 64, d)
    for query in problem.queries:
        found = answer(query, problem.points)
        proved, square = bounds(query, problem.points, found), squared_distance(query, problem.points, found.support.tolist())
        assert holds(proved, square)
        assert solved(proved, spread(problem.points))


@EACH_CLASS
def test_bounds_of_wrong_answers_hold_and_are_found_wrong(name: str, rng: np.random.Generator) -> None:
    problem = draw(name, 2, 64, 8)
    for query in problem.queries:
        right = answer(query, problem.points)
        square = squared_distance(query, problem.points, right.support.tolist())
        # All weights equal, some negative, a direction at random.
        wrong = hard_check.Answer(np.arange(64), rng.normal(size=64) + 0.5, rng.normal(size=8))
        proved = bounds(query, problem.points, wrong)
        assert holds(proved, square)
        if float(proved.upper) < 100 * spread(problem.points):  # far away all answers are nearly right
            assert not solved(proved, spread(problem.points))


def test_an_answer_just_outside_the_tolerance_is_wrong() -> None:
    points, query = np.array([[0.0, 0], [1, 0], [0, -1]], np.float32), np.array([0.5, 1], np.float32)
    for error, right in ((1e-8, True), (1e-3, False)):
        proved = bounds(query, points, hard_check.Answer(np.array([0, 1]), np.array([0.5 + error, 0.5 - error])))
        assert solved(proved, spread(points)) == right
    assert not solved(hard_check.Bounds(1.0, 1 + 2 * hard_check.RTOL, 10.0), 1.0)
    assert solved(hard_check.Bounds(1.0, 1 + 2 * hard_check.RTOL, 10.0), 1.0, np.float32)


@pytest.mark.parametrize("weights", [[0.0, 0.0], [-1.0, -1.0], [np.nan, 1.0], [np.inf, 1.0]])
def test_no_weights_solve_nothing(weights: list[float]) -> None:
    points = np.eye(2, dtype=np.float32)
    found = bounds(points[0], points, hard_check.Answer(np.arange(2), np.array(weights)))
    assert (found.lower, found.upper, hard_check.gap(found)) == (0, np.inf, 1)
    assert not solved(found, 1.0)


def test_a_direction_proves_what_rounded_weights_do_not() -> None:
    points, query = np.array([[-1.0, 0], [1, 0], [0, -1]], np.float32), np.array([0, 1e-3], np.float32)
    rounded = hard_check.Answer(np.array([0, 1]), np.array([0.5, 0.5 + 1e-6]))
    assert hard_check.gap(bounds(query, points, rounded)) > 1e-4
    assert bounds(query, points, rounded._replace(direction=np.array([0.0, 1]))).lower == pytest.approx(1e-3, rel=1e-7)


def test_jobs_in_processes() -> None:
    problems = [draw("ball", seed, 64, 2) for seed in range(3)]
    found = hard_jobs.run_peer("scipy nnls", problems, 60, 1e-6)
    assert (found.bounds.shape, found.remark) == ((3, 8, 3), "")
    assert solved(hard_check.Bounds(*np.moveaxis(found.bounds, 2, 0)), 1.0).all()
    assert (found.seconds > 0).all()
    stopped = hard_jobs.run_peer("scipy nnls", problems, -1, 1e-6)
    assert stopped.remark == "stopped after -1 s"
    assert len(stopped.bounds) < 3
    assert np.isnan(stopped.bounds[-1, -1]).all()


@pytest.mark.experiment
def test_a_small_run(tmp_path: Path) -> None:
    done = started(bench_hard.experiment.main, "--classes", "box", "scaled", "--repeats", 4, "--out", tmp_path)
    results = runs.Results(done.folder)
    assert {row.group for row in results.rows} == {"hullx.sweep float64", "scipy nnls", bench_hard.ALL_CALLS}
    assert all(row.value == 1 and row.n == 4 for row in results.select(quantity=bench_hard.SOLVED, group=bench_hard.ALL_CALLS))
    assert all(row.value == 1 for row in results.select(quantity=bench_hard.RIGHT))
    # Four problems settle nothing.
    assert [claim["verdict"] for claim in results.claims] == [runs.UNSETTLED] * 3
    assert len(results.table("problems")["class"]) == 16
    assert {path.name for path in (done.folder / "figures").glob("*.png")} == {"solved.png", "seconds.png"}


@pytest.mark.thorough
@pytest.mark.parametrize(("seed", "n", "d"), [(32, 1024, 16), (35, 1024, 16), (59, 16384, 16), (2, 16384, 2), (11, 16384, 2)])
def test_queries_in_skewed_hulls_are_decided(seed: int, n: int, d: int) -> None:
    """Runs of the benchmark left these open: supports were cut between two stages, or rows entered and left in float64."""
    problem = draw("skewed", seed, n, d)
    found = hullx.sweep(problem.queries.astype(np.float64), problem.points.astype(np.float64), progress=False)
    assert found.decided.all()
