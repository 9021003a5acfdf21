"""What a round says of a query: the verdict as a function of the evidence alone."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hullx
from hullx import Status, certificate
from hullx.core.pool.solve import Solution
from hullx.core.rounds import Round, conclude
from hullx.core.stages import Method, Setup, Stage, host_stages, next_stages, traced_stages
from hullx.core.state import CROWDED, GOING, STUCK, Goal, final_status, init
from hullx.core.verdict import Evidence, made_progress, verdict

SMALL = Stage(4, 8, Method.FLOAT32, 8)
# A bracket that says nothing, of a query with a support of 3 after 10 steps that made progress.
OPEN = {"upper": 1.0, "lower": 0.5, "inside": False, "size": 3, "idle": 0, "steps": 10}


def judged(evidence: dict[str, float], stage: Stage = SMALL, most: int = 16, atol: float = 0.0) -> int:
    fields = [jnp.asarray(np.asarray(value)[None]) for value in (OPEN | evidence).values()]
    return int(verdict(Evidence(*fields), stage, Goal(1e-6, 100, most, atol))[0])


@pytest.mark.parametrize(
    ("evidence", "expected"),
    [
        ({}, GOING),
        ({"lower": 1.0}, Status.CONVERGED),
        ({"lower": 0.0}, GOING),
        ({"lower": 0.0, "inside": True}, Status.INSIDE),
        ({"lower": 1e-9, "inside": True}, GOING),  # a positive bound excludes INSIDE
        ({"lower": 1.0, "inside": True}, Status.CONVERGED),
        ({"upper": np.nan}, Status.NONFINITE),
        ({"upper": np.inf, "lower": 0.0}, Status.NONFINITE),
        ({"upper": 0.0, "lower": 0.0}, GOING),
        ({"upper": 0.0, "lower": 0.0, "inside": True}, Status.INSIDE),
        ({"idle": 1}, STUCK),
        ({"size": 5}, CROWDED),
        ({"size": 5, "idle": 1}, CROWDED),
        ({"size": 5, "lower": 1.0}, Status.CONVERGED),  # no limit replaces a result within tolerance
        ({"size": 5, "lower": 0.0, "inside": True}, Status.INSIDE),
        ({"steps": 100}, Status.MAX_ITER),
        ({"steps": 100, "idle": 1}, STUCK),  # more steps would not help
        ({"steps": 100, "lower": 1.0}, Status.CONVERGED),
    ],
)
def test_verdict(evidence: dict[str, float], expected: int) -> None:
    assert judged(evidence) == expected


@pytest.mark.parametrize(("steps", "expected"), [(419, GOING), (420, STUCK), (840, Status.MAX_ITER)])
def test_half_of_the_default_steps_need_more_precision(steps: int, expected: int) -> None:
    """The default for 16 points is 840 steps."""
    fields = [jnp.asarray(np.asarray(value)[None]) for value in (OPEN | {"steps": steps}).values()]
    stage, goal = SMALL._replace(half_of_steps=True), Goal(1e-6, 840, 16)
    assert int(verdict(Evidence(*fields), stage, goal)[0]) == expected
    assert int(verdict(Evidence(*fields), SMALL, goal)[0]) == (GOING if steps < 840 else Status.MAX_ITER)


def test_only_float64_before_extended_precision_takes_half_of_the_steps() -> None:
    for extended in (False, True):
        with jax.enable_x64(True):
            stages = traced_stages(8, 500, 128, Setup(extended=extended), rows=512)
        found = [(stage.method, stage.half_of_steps) for stage in stages]
        assert found[:2] == [(Method.FLOAT32, False), (Method.FLOAT64, extended)]
    for own in (None, hullx.solvers.FrankWolfe()):
        for stage in host_stages(512, 128, batch=8, setup=Setup(own=own)):
            assert stage.half_of_steps == (stage.method is Method.FLOAT64 and own is None)


@pytest.mark.parametrize(
    ("evidence", "expected"),
    [
        ({"upper": 0.3, "lower": 0.0}, GOING),
        ({"upper": 0.25, "lower": 0.0}, Status.CONVERGED),
        ({"upper": 0.0, "lower": 0.0}, Status.CONVERGED),
        ({"upper": 0.25, "lower": 0.0, "inside": True}, Status.INSIDE),  # says more
        ({"upper": 8.0, "lower": 7.75}, Status.CONVERGED),
        ({"upper": 8.0, "lower": 7.5}, GOING),
        ({"upper": np.inf, "lower": 0.0}, Status.NONFINITE),
    ],
)
def test_verdict_within_an_absolute_width(evidence: dict[str, float], expected: int) -> None:
    assert judged(evidence, atol=0.25) == expected


def test_a_query_that_may_be_in_the_hull_is_decided_only_within_the_absolute_width() -> None:
    upper, lower = jnp.array([0.25, 0.5, 0.5]), jnp.array([0.0, 0.0, 0.125])
    assert certificate.within(upper, lower, 0.9, 0.25).tolist() == [True, False, True]


def test_extended_precision_is_patient() -> None:
    stage = SMALL._replace(method=Method.EXTENDED)
    assert [judged({"idle": idle}, stage) for idle in (1, 2, 3)] == [GOING, GOING, STUCK]


def test_a_support_of_all_that_may_have_weight_wants_for_capacity_unless_no_independent_one_is_larger() -> None:
    assert judged({}, most=3) == GOING
    assert judged({"idle": 1}, most=3) == CROWDED
    assert judged({"idle": 1}, SMALL._replace(enough=True), most=3) == STUCK


def test_progress_is_a_closer_point_by_a_new_row_or_a_bracket_of_half_the_width() -> None:
    before = Evidence(*[jnp.asarray([1.0])] * 2, *[jnp.asarray([0])] * 4)._replace(lower=jnp.asarray([0.0]))
    cases = [(0.9, 0.0, True, True), (0.9, 0.0, False, False), (1.0, 0.5, False, True), (1.0, 0.4, True, False)]
    for upper, lower, entered, expected in cases:
        assert bool(made_progress(before, *map(jnp.asarray, ([upper], [lower], [entered])))[0]) is expected


def test_what_no_stage_can_settle_has_a_status() -> None:
    found = final_status(np.array([CROWDED, STUCK, GOING, Status.INSIDE, Status.MAX_ITER]))
    assert found.tolist() == [Status.CAPACITY, Status.ROUNDING, Status.ROUNDING, Status.INSIDE, Status.MAX_ITER]


@pytest.mark.parametrize("n", [1, 4, 30, 97, 2000, 60_000])
@pytest.mark.parametrize("d", [1, 3, 64, 95, 784, 3072])
@pytest.mark.parametrize("capacity", [None, 2, 500])
def test_stages_reach_every_support(n: int, d: int, capacity: int | None) -> None:
    most = min(n, d + 1, capacity or n)
    for table in (
        host_stages(n, d, batch=64, setup=Setup(capacity=capacity)),
        traced_stages(64, n, d, Setup(capacity=capacity, extended=True), rows=n),
    ):
        assert max(stage.capacity for stage in table) == most
        assert table[-1].capacity == most
        assert table[-1].method is Method.EXTENDED
        assert all(0 < stage.capacity <= stage.candidates <= n for stage in table)
        assert table[-1].enough == (capacity is None or capacity >= min(n, d + 1))
        # A query that is stuck, or crowded, everywhere meets the last stage, or the widest one.
        now = 0
        while (better := next_stages(table, now)[1]) != now:
            now = better
        assert table[now].method is Method.EXTENDED
        now = 0
        while (wider := next_stages(table, now)[0]) != now:
            now = wider
        assert table[now].capacity == most


@pytest.mark.parametrize(("steps", "kept"), [(0, True), (1, False)])
def test_a_wider_bracket_needs_a_step(steps: int, kept: bool) -> None:
    """Rounds that differ by rounding alone would otherwise replace each other for ever."""
    row, slots = np.zeros(1, np.int32), np.zeros((1, 8), np.int32)
    before = init(row, np.ones((1, 2)), slots, np.dtype(np.float32))._replace(upper=np.ones(1), lower=np.full(1, 0.9))
    vector, one = jnp.ones((1, 2)), jnp.ones(1)
    found = Solution(slots, before.weights, vector, vector, vector, one - 1e-6, one < 0, row + 1, row + steps, one < 0)
    after = conclude(before, Round(found, slots + 1, one / 2), Goal(1e-6, 100, 16), stage=SMALL)
    assert (float(after.lower[0]) == pytest.approx(0.9)) == kept
    assert (int(after.candidates[0, 0]) == 0) == kept  # more precision tries the same candidates again
    assert int(after.status[0]) == STUCK
