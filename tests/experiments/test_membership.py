"""Probabilities of random hulls: the exact ones against others' computations, and the experiment that measures them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from commands import started
from scipy.optimize import linprog
from scipy.spatial import ConvexHull
from scipy.stats import binom

from experiments import distributions, membership, random_hull_trials
from experiments import random_hull_probabilities as probabilities
from hullx import runs
from hullx.errors import ArgumentError
from hullx.runs import tables

pytestmark = pytest.mark.unoptimised

RTOL = 1e-6


def test_gaussian_probabilities_are_those_of_closed_forms() -> None:
    for n in (1, 2, 3, 10, 100, 1000):
        np.testing.assert_allclose(probabilities.gaussian_outside(n, 1), probabilities.interval_outside(n), rtol=1e-12)
        for d in range(1, 13):
            np.testing.assert_allclose(
                probabilities.gaussian_outside(n, d, scale=0), probabilities.symmetric_outside(n, d), rtol=1e-11
            )
    # A point in a triangle of others: 2 g_3(−1/4), of three correlations −1/3 (Sheppard 1899).
    np.testing.assert_allclose(1 - probabilities.gaussian_outside(3, 2), 1 / 4 - 3 / (2 * np.pi) * np.arcsin(1 / 3), rtol=1e-12)
    assert (
        probabilities.gaussian_outside(5, 5)
        == probabilities.gaussian_outside(1, 2)
        == probabilities.symmetric_outside(4, 4)
        == 1
    )


@pytest.mark.parametrize("scale", [0.1, 1.0, 3.0])
def test_the_terms_of_the_gaussian_formula_sum_to_one_half(scale: float) -> None:
    for n in (6, 31, 400):
        terms = [probabilities._term(n, k, scale**2) for k in range(n + 1)]
        np.testing.assert_allclose([sum(terms[::2]), sum(terms[1::2])], 0.5, rtol=1e-11)


def test_another_quadrature_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = [(n, d, scale) for n in (25, 200, 1000) for d in (2, 6, 12, 24) for scale in (0.5, 1.0, 3.0)]
    found = [probabilities.gaussian_outside(n, d, scale=scale) for n, d, scale in wanted]
    monkeypatch.setattr(probabilities, "STEP", 1 / 57)
    monkeypatch.setattr(probabilities, "REACH", 11.0)
    np.testing.assert_allclose([probabilities.gaussian_outside(n, d, scale=scale) for n, d, scale in wanted], found, rtol=1e-11)


@pytest.mark.parametrize(("n", "d", "scale"), [(10, 2, 1.0), (6, 2, 1.5), (20, 3, 1.0), (12, 3, 0.7)])
def test_gaussian_probabilities_are_those_of_quickhull(n: int, d: int, scale: float, rng: np.random.Generator) -> None:
    points, queries = rng.standard_normal((1500, n, d)), scale * rng.standard_normal((1500, 20, d))
    faces = [ConvexHull(x).equations for x in points]  # normals that point outwards, and offsets
    beyond = [np.einsum("fd,qd->qf", f[:, :-1], q) + f[:, -1] > 0 for f, q in zip(faces, queries, strict=True)]
    shares = [each.any(1).mean() for each in beyond]
    error = np.std(shares) / np.sqrt(len(shares))
    assert abs(np.mean(shares) - probabilities.gaussian_outside(n, d, scale=scale)) < 3.5 * error


def test_symmetric_and_ball_probabilities() -> None:
    for n, d in ((1, 1), (3, 2), (20, 10), (1000, 480), (10_000, 5000)):
        np.testing.assert_allclose(probabilities.symmetric_outside(n, d), binom.cdf(d - 1, n - 1, 0.5), rtol=1e-10)
    np.testing.assert_allclose(
        [probabilities.ball_simplex_inside(d) for d in (1, 2, 3)], [1 / 3, 35 / (48 * np.pi**2), 9 / 715], rtol=1e-12
    )


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: probabilities.interval_outside(0), "n"),
        (lambda: probabilities.symmetric_outside(3, 0), "d"),
        (lambda: probabilities.gaussian_outside(3, -1), "d"),
        (lambda: probabilities.gaussian_outside(3, 1, scale=-1.0), "scale"),
        (lambda: probabilities.gaussian_outside(3, 1, scale=np.nan), "scale"),
        (lambda: probabilities.ball_simplex_inside(0), "d"),
    ],
)
def test_what_is_no_number_of_points_or_dimensions_is_refused(call, name: str) -> None:
    with pytest.raises(ArgumentError, match=f"^{name}: got .*, expected .*: "):
        call()


def inside(query: np.ndarray, points: np.ndarray) -> bool:
    """By linear programming, for what is not on the boundary."""
    constraints = np.vstack([points.T, np.ones(len(points))])
    return linprog(np.zeros(len(points)), A_eq=constraints, b_eq=[*query, 1], method="highs").status == 0


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("law", "query", "n", "d"),
    [
        (distributions.FULL, distributions.NEW, 30, 3),
        (distributions.CURVE, distributions.NEW, 40, 3),
        (distributions.BALL, distributions.NEW, 50, 3),
        (distributions.CUBE, distributions.ORIGIN, 10, 5),
        (distributions.CAUCHY, distributions.ORIGIN, 20, 10),
    ],
)
def test_answers_are_those_of_linear_programming(law: str, query: str, n: int, d: int) -> None:
    """Of the same draws without their padding, which is with copies of a point and zeros."""
    setting = distributions.Setting(law, query, n, d, np.nan)
    queries, points = (
        np.asarray(each) for each in random_hull_trials.draw_trials(random_hull_trials.trials(0, setting), np.arange(30))
    )
    assert (points[:, n:] == points[:, :1]).all()
    assert not points[:, :, d:].any()
    assert not queries[:, d:].any()
    assert points.dtype == np.float64
    wanted = [inside(q[:d], x[:n, :d]) for q, x in zip(queries, points, strict=True)]
    assert 0 < sum(wanted) < 30
    np.testing.assert_array_equal(
        random_hull_trials.decide_trials(0, setting, 30, RTOL),
        np.where(wanted, random_hull_trials.INSIDE, random_hull_trials.OUTSIDE),
    )


@pytest.mark.thorough
def test_a_subspace_is_asked_as_in_its_own_dimensions() -> None:
    setting = distributions.Setting(distributions.SUBSPACE, distributions.NEW, 40, 12, np.nan)
    kind = random_hull_trials.trials(0, setting)
    np.testing.assert_allclose(kind.fixed @ kind.fixed.T, np.eye(4), atol=1e-14)
    queries, points = (np.asarray(each) @ kind.fixed.T for each in random_hull_trials.draw_trials(kind, np.arange(30)))
    wanted = [inside(q, x[:40]) for q, x in zip(queries, points, strict=True)]
    assert 0 < sum(wanted) < 30
    np.testing.assert_array_equal(
        random_hull_trials.decide_trials(0, setting, 30, RTOL),
        np.where(wanted, random_hull_trials.INSIDE, random_hull_trials.OUTSIDE),
    )


@pytest.mark.thorough
def test_copies_zeros_and_other_trials_change_no_answer(rng: np.random.Generator) -> None:
    setting = distributions.Setting(distributions.FULL, distributions.NEW, 25, 3, np.nan)
    kind = random_hull_trials.trials(3, setting)
    said = random_hull_trials.decide_trials(3, setting, kind.batch + 20, RTOL)
    np.testing.assert_array_equal(random_hull_trials.decide_trials(3, setting, 20, RTOL), said[:20])
    queries, points = (np.asarray(each) for each in random_hull_trials.draw_trials(kind, np.arange(kind.batch)))
    rows = np.concatenate([rng.permutation(25), rng.integers(0, 25, kind.size - 25)])
    columns = rng.permutation(kind.width)
    again = random_hull_trials.decide(queries[:, columns], points[:, rows][:, :, columns], RTOL)
    np.testing.assert_array_equal(again, said[: kind.batch])


@pytest.mark.thorough
@pytest.mark.parametrize(("n", "d"), [(7, 2), (12, 3), (30, 5)])
def test_all_vertices_are_those_of_quickhull(n: int, d: int) -> None:
    setting = distributions.Setting(distributions.BALL, distributions.ALL, n, d, np.nan)
    points = np.asarray(random_hull_trials.draw_trials(random_hull_trials.trials(0, setting), np.arange(60))[1])[:, :n, :d]
    assert (np.linalg.norm(points, axis=2) <= 1).all()
    wanted = [len(ConvexHull(x).vertices) == n for x in points]
    assert 0 < sum(wanted) < 60
    np.testing.assert_array_equal(
        random_hull_trials.decide_trials(0, setting, 60, RTOL),
        np.where(wanted, random_hull_trials.INSIDE, random_hull_trials.OUTSIDE),
    )


@pytest.fixture(scope="module")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> runs.Results:
    """The experiment; fewer trials in the ball cannot exclude a difference of five points."""
    grid = "--counts", 8, 16, 32, 64, "--dimensions", 1, 2, 5, 12, "--trials", 200, "--ball-trials", 100
    command = (*grid, "--out", tmp_path_factory.mktemp("runs"))
    return runs.Results(started(membership.experiment.main, *command).folder)


@pytest.mark.experiment
def test_the_experiment_covers_what_is_known(smoke: runs.Results) -> None:
    table = smoke.table("shares")
    undecided, asked = smoke.total("undecided")
    assert (undecided, asked) == (0, table["trials"].sum())
    assert [claim["verdict"] for claim in smoke.claims] == [runs.HOLDS] * 6 + [runs.FAILS]
    exact = distributions.with_exact_values(table)
    assert len(exact["exact"]) > 25
    assert np.isfinite(exact["exact"]).all()
    assert set(exact["data"]) == {
        distributions.FULL,
        distributions.SUBSPACE,
        distributions.CUBE,
        distributions.BALL,
        *(f"{law}: {distributions.ORIGIN}" for law in (distributions.FULL, distributions.CUBE, distributions.CAUCHY)),
        f"{distributions.BALL}: {distributions.ALL}",
    }
    (row,) = smoke.select(data=distributions.FULL, group="n = 32, d = 2", quantity="share")
    mine = (table["data"] == distributions.FULL) & (table["n"] == 32) & (table["d"] == 2)
    assert (
        row.value == table["share"][mine] == distributions.outcomes(table, distributions.FULL, distributions.NEW, 2, 32).mean()
    )
    np.testing.assert_allclose(table["exact"][mine], 1 - probabilities.gaussian_outside(32, 2))
    assert {path.name for path in (smoke.folder / "figures").glob("*.png")} == {"exact.png", "laws.png", "vertices.png"}


@pytest.mark.parametrize(("shift", "verdict"), [(0.0, runs.HOLDS), (0.1, runs.FAILS)])
@pytest.mark.experiment
def test_exact_values_that_are_wrong_are_not_covered(smoke: runs.Results, shift: float, verdict: str, tmp_path: Path) -> None:
    table = smoke.table("shares")
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "shares.csv").write_bytes(tables.from_columns(table | {"exact": table["exact"] + shift}))
    (tmp_path / "config.json").write_bytes((smoke.folder / "config.json").read_bytes())
    assert next(iter(membership.claims(runs.Results(tmp_path)))).verdict == verdict


def test_presets_ask_each_thing_once() -> None:
    for config in membership.PRESETS.values():
        settings = distributions.settings(config)
        names = {runs.slug(f"{each.data}, {each.group}") for each in settings}
        assert len(names) == len(settings)
        assert config.at in config.counts
        assert max(each.n for each in settings) <= random_hull_trials.SIZES[-1]
        assert max(each.d for each in settings) <= random_hull_trials.WIDTHS[-1]
