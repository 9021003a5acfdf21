"""lower ≤ true distance ≤ distance, judged in rational arithmetic, on every path by which an answer can come.

Some thousand queries in the quick suite; `pytest -m slow -n 0 -s` on this file judges 100,000.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from near_faces import Near, near
from rational import proves, squared_distance

import hullx
from hullx import Status
from hullx.core import driver, stages
from hullx.core.stages import Method
from hullx.numerics.conversion import upcast

DIMENSIONS = (3, 10)
# How far a direction, rounded to its dtype, may fall short of what `lower` claims, in units of the farthest point's distance.
SHORT = 2


def projected(solver: str, max_iter: int | None = None) -> Callable[[Near], hullx.Projection]:
    return lambda problem: jax.tree.map(np.asarray, hullx.project(*problem, solver=solver, max_iter=max_iter))


def jitted(solver: hullx.solvers.ActiveSet) -> Callable[[Near], hullx.Projection]:
    project = jax.jit(partial(hullx.project, solver=solver))
    return lambda problem: jax.tree.map(np.asarray, project(*problem))


def swept(**settings) -> Callable[[Near], hullx.Projection]:
    return lambda problem: hullx.sweep(*problem, progress=False, **settings)


def by_method(method: Method) -> Callable[[Near], hullx.Projection]:
    """A sweep with one stage only."""

    def solve(problem: Near) -> hullx.Projection:
        with pytest.MonkeyPatch.context() as patch:
            one = lambda *given, **more: [each for each in stages.host_stages(*given, **more) if each.method is method][:1]  # noqa: E731
            patch.setattr(driver, "host_stages", one)
            return hullx.sweep(*problem, progress=False)

    return solve


def as_for_many(problem: Near) -> hullx.Projection:
    """A sweep by the programs of more queries (`numerics.compilation`)."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(driver, "FEWEST_QUERIES", 0)
        return hullx.sweep(*problem, progress=False)


def on_disk(problem: Near) -> hullx.Projection:
    return hullx.sweep(problem.queries, [problem.points[:7], problem.points[7:]], progress=False)


def on_a_mesh(problem: Near) -> hullx.Projection:
    return hullx.sweep(*problem, mesh=jax.make_mesh((1, 1), ("points", "queries")), progress=False)


def warm(problem: Near) -> hullx.Projection:
    moved = problem._replace(points=problem.points[::-1])
    return hullx.sweep(*problem, warm_start=hullx.sweep(*moved, progress=False), progress=False)


PATHS: dict[str, Callable[[Near], hullx.Projection]] = {
    "project": projected("active_set"),
    "project in jit": jitted(hullx.solvers.ActiveSet()),
    "project in jit without a last resort": jitted(hullx.solvers.ActiveSet(last_resort=False)),
    "project by sketching": projected("sketching"),
    "project by frank_wolfe": projected("frank_wolfe", 30),
    "project by projected_gradient": projected("projected_gradient", 40),
    "sweep": swept(),
    "sweep as for many queries": as_for_many,
    **{f"sweep, {method.value}": by_method(method) for method in (Method.FLOAT32, Method.FLOAT64, Method.EXTENDED)},
    "sweep from disk": on_disk,
    "sweep over a mesh": on_a_mesh,
    "sweep with a warm start": warm,
}
# One for each way in which a bracket is computed; the quick suite has time for the first two.
QUICK = [
    ("project", np.float32, DIMENSIONS),
    ("sweep", np.float32, DIMENSIONS[1:]),
    ("project", np.float64, DIMENSIONS[1:]),
    ("sweep", np.float64, DIMENSIONS[1:]),
    ("sweep as for many queries", np.float64, DIMENSIONS[1:]),
    ("sweep, pools, scores and certificates in twice the precision", np.float64, DIMENSIONS[1:]),
    ("sweep from disk", np.float32, DIMENSIONS[1:]),
    ("sweep over a mesh", np.float64, DIMENSIONS[1:]),
]


class Found(NamedTuple):
    """What rational arithmetic says of some answers."""

    queries: int
    decided: int
    above: int  # lower bounds above the distance
    below: int  # upper bounds below it
    unproved: int  # directions that do not prove what they should


def judged(path: str, dtype: type, dimensions: Sequence[int], seeds: range) -> Found:
    """All answers of a path for some seeds."""
    found = Found(0, 0, 0, 0, 0)
    for dimension in dimensions:
        for seed in seeds:
            problem = near(seed, dimension, dtype)
            with jax.enable_x64(dtype is np.float64):
                result = PATHS[path](problem)
            for i, query in enumerate(problem.queries):
                # The largest weights are a start; first-order methods have more of them than a face has corners.
                heaviest = np.argsort(-result.weights[i])[: dimension + 1]
                heaviest = heaviest[result.weights[i][heaviest] > 0]
                square = squared_distance(query, problem.points, result.support[i][heaviest])
                lower, upper = float(result.lower[i]), float(result.distance[i])
                short = SHORT * float(np.finfo(result.direction.dtype).eps)
                found = Found(
                    found.queries + 1,
                    found.decided + int(result.status[i] <= Status.INSIDE),
                    found.above + (Fraction(lower) ** 2 > square),
                    found.below + (Fraction(upper) ** 2 < square),
                    found.unproved + (not proves(query, problem.points, result.direction[i], lower, short)),
                )
    return found


@pytest.mark.parametrize(
    ("path", "dtype", "dimensions"),
    [pytest.param(*case, marks=() if case in QUICK[:2] else pytest.mark.thorough) for case in QUICK],
)
def test_brackets_hold_in_rational_arithmetic(path: str, dtype: type, dimensions: Sequence[int]) -> None:
    found = judged(path, dtype, dimensions, range(8))
    assert (found.above, found.below, found.unproved) == (0, 0, 0), found
    # A hair from a face float64 decides, by itself or with more digits; a sweep of float32 data works in float64.
    assert found.decided >= (0.5 if path == "project" and dtype is np.float32 else 0.99) * found.queries


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("path", PATHS)
def test_a_hundred_thousand_brackets(path: str, dtype: type) -> None:
    found = judged(path, dtype, DIMENSIONS, range(100, 174))
    print(f"\n{path}, {dtype.__name__}: {found}", flush=True)
    assert (found.above, found.below, found.unproved) == (0, 0, 0)


@pytest.mark.thorough
@pytest.mark.parametrize("narrow", ["float32", "bfloat16"])
def test_subnormal_numbers_keep_their_value_in_a_wider_dtype(narrow: str) -> None:
    """Compiled code takes a subnormal float32 for 0, also where it is to become an ordinary float64."""
    numbers = [[0, 0], [1.25e-40, -3e-41], [1, 0.5], [-0.0, 2e-40], [0, 0]]  # of test_any_input's shape
    with jax.enable_x64(True):
        points = jnp.asarray(np.array(numbers).astype(jnp.dtype(narrow)))
        queries = jnp.array([[1.25e-31, -1e-33], [2e-40, 1e-40], [-1, 2e-40]])
        exact = np.asarray(points).astype(np.float64)
        assert np.count_nonzero(exact) >= 4
        for project in (hullx.project, jax.jit(hullx.project)):
            result = project(queries, points)
            for query, lower, upper in zip(np.asarray(queries), result.lower, result.distance, strict=True):
                assert Fraction(float(lower)) ** 2 <= squared_distance(query, exact) <= Fraction(float(upper)) ** 2
        # The conversion is differentiable, at 0 and at subnormal numbers as elsewhere.
        slope = jax.grad(lambda narrow: upcast(narrow, np.dtype(np.float64)).sum())(points)
        np.testing.assert_array_equal(slope.astype(np.float64), 1)
