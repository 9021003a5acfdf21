"""lower ≤ true distance ≤ distance on the hulls of `families`, in rational arithmetic, and the share of undecided queries.

`pytest -m slow -n 0 -s` on this file judges 100,000 queries and prints a table for each path and dtype.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import numpy as np
import pytest
from families import EDGE, FAMILIES
from jitted import project_in_jit
from judge import Verdict, judged
from near_faces import Near

import hullx
from hullx.solvers import ActiveSet


class Path(NamedTuple):
    """A way to an answer, and the largest share of undecided queries in float32 and in float64."""

    solve: Callable[..., hullx.Projection]
    undecided: tuple[float, float]
    x64: bool = True  # for float64 data


def on_a_mesh(queries: np.ndarray, points: np.ndarray, **settings) -> hullx.Projection:
    mesh = jax.make_mesh((1, 1), ("points", "queries"))
    return hullx.sweep(queries, points, mesh=mesh, progress=False, **settings)


def from_disk(queries: np.ndarray, points: np.ndarray, **settings) -> hullx.Projection:
    return hullx.sweep(queries, [points[:7], points[7:]], progress=False, **settings)


PATHS = {
    "project": Path(hullx.project, (0.02, 0.005)),
    # The data are taken in full, the bracket is rounded outwards to float32.
    "project of float64 with x64 off": Path(hullx.project, (1.0, 0.02), x64=False),
    "jit": Path(project_in_jit, (0.05, 0.05)),
    "jit without a last resort": Path(jax.jit(partial(hullx.project, solver=ActiveSet(last_resort=False))), (1.0, 1.0)),
    "sweep": Path(partial(hullx.sweep, progress=False), (0.02, 0.005)),
    "sweep from disk": Path(from_disk, (0.02, 0.005)),
    "sweep over a mesh": Path(on_a_mesh, (0.02, 0.005)),
}
BOTH = [(path, dtype) for path in PATHS for dtype in (np.float32, np.float64) if PATHS[path].x64 or dtype is np.float64]
SLOW_SEEDS = range(100, 109)
# Paths that miss their target, and the share of undecided queries that they may not exceed. Without x64, float32 has too few
# digits for columns that differ by six orders of magnitude. In float64, distances of 1e-24 of the hull's size are too small for
# brackets of 1e-6.
MISSED = {
    ("jit", np.float32): 0.18,
    **{(path, np.float64): 0.008 for path in ("project", "sweep", "sweep from disk", "sweep over a mesh")},
}
# The same for "1,000 copies of each" alone: distances of 1e-7 to 2e-6 of the hull's size are too small for float32's brackets.
COPIES_MISSED = {("jit", np.float32): 0.06}
# One shape for the quick suite, and what was wrong first.
QUICK = [
    "offset of 1e8 spreads",
    "1,000 copies of each",
    "mixed columns, d = 3",
    "mixed rows",
    "raw table of 3 columns",
    "near-duplicates, d = 3",
]
QUICK_SEEDS = range(3)


def answered(path: str, problem: Near, **settings) -> hullx.Projection:
    with jax.enable_x64(PATHS[path].x64 and problem.points.dtype == np.float64):
        return jax.tree.map(np.asarray, PATHS[path].solve(*problem, **settings))


def most(path: str, dtype: type) -> float:
    """The share of undecided queries that a path may not exceed."""
    return MISSED.get((path, dtype), PATHS[path].undecided[dtype is np.float64])


def verdict(path: str, family: str, dtype: type, seeds: range, **settings) -> Verdict:
    """Over all seeds of a family."""
    found = Verdict()
    for seed in seeds:
        problem = FAMILIES[family](seed, dtype)
        found = found.plus(judged(problem, answered(path, problem, **settings)))
    return found


def line(name: str, found: Verdict) -> str:
    return (
        f"{name:40s} {found.queries:7,} queries, undecided {found.share:7.2%}, lower bounds wrong {found.above}, "
        f"upper bounds wrong {found.below}, INSIDE by a loose combination {found.loose}"
    )


@pytest.mark.thorough
def test_wrong_brackets_are_seen() -> None:
    """Whatever the answer's own proof: by a thousandth too high or too low is too much."""
    problem = FAMILIES["heavy tails, d = 3"](0, np.float64)
    found = answered("sweep", problem)
    outside = int(found.outside.sum())
    assert outside > 20
    high = judged(problem, found._replace(lower=found.distance * 1.001, distance=found.distance * 1.002))
    low = judged(problem, found._replace(lower=found.lower * 0.998, distance=found.lower * 0.999))
    assert (high.above, high.below) == (len(problem.queries), 0)
    assert low.above == 0
    assert low.below >= outside


@pytest.mark.thorough
@pytest.mark.parametrize(("path", "dtype"), BOTH)
def test_brackets_hold(path: str, dtype: type) -> None:
    found = {family: verdict(path, family, dtype, QUICK_SEEDS) for family in QUICK}
    wrong = {family: one for family, one in found.items() if one.above or one.below}
    assert not wrong, wrong
    # Most points lie on the faces here: all of them are scored with all digits, wherever they are.
    target = PATHS[path].undecided[dtype is np.float64]
    assert found["1,000 copies of each"].share <= COPIES_MISSED.get((path, dtype), target)


@pytest.mark.slow
@pytest.mark.parametrize(("path", "dtype"), BOTH)
def test_a_hundred_thousand_brackets(path: str, dtype: type) -> None:
    title, total = f"{path}, {dtype.__name__}", Verdict()
    print(f"\n{title}")
    for family in FAMILIES:
        if family != EDGE:
            found = verdict(path, family, dtype, SLOW_SEEDS)
            total = total.plus(found)
            print(line(f"  {family}", found), flush=True)
    print(line(f"  total of {title}", total), flush=True)
    assert total.queries * len(BOTH) >= 100_000
    assert (total.above, total.below) == (0, 0)
    assert total.share <= most(path, dtype)
    if (path, dtype) in MISSED:
        target = PATHS[path].undecided[dtype is np.float64]
        assert total.share > target, "the target is met: take the path out of MISSED"
        pytest.xfail(f"{total.share:.2%} of the queries are undecided, the target is {target:.1%}")


@pytest.mark.slow
@pytest.mark.parametrize(("path", "dtype"), BOTH)
def test_the_ends_of_a_dtypes_range(path: str, dtype: type) -> None:
    """An error refuses what cannot be computed with; what is answered holds."""
    found, refused = Verdict(), 0
    for seed in SLOW_SEEDS:
        try:
            found = found.plus(verdict(path, EDGE, dtype, range(seed, seed + 1)))
        except hullx.HullxError:
            refused += 1
    print(f"\n{line(f'{path}, {dtype.__name__}, {EDGE}', found)}, hulls refused {refused} of {len(SLOW_SEEDS)}", flush=True)
    assert (found.above, found.below) == (0, 0)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("path", ["project", "sweep"])
def test_a_tolerance_of_0(path: str, dtype: type) -> None:
    """Brackets hold where all is asked for that the arithmetic can give; few queries outside are decided then."""
    total = Verdict()
    for family in FAMILIES:
        total = total.plus(verdict(path, family, dtype, SLOW_SEEDS[:2], rtol=0.0)) if family != EDGE else total
    print(f"\n{line(f'{path}, {dtype.__name__}, rtol = 0', total)}", flush=True)
    assert (total.above, total.below) == (0, 0)
