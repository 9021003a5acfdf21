"""Mediation on synthetic units, whose mediated share is known."""

from __future__ import annotations

import numpy as np
import pytest

from experiments import mediation
from hullx.errors import ArgumentError


def units(rng: np.random.Generator, n: int, mediated: float, direct: float) -> tuple[np.ndarray, np.ndarray]:
    """Outcome and mediator of n units. The condition moves the mediator by 1, and the outcome by `mediated` through it."""
    mediator = rng.normal(size=(n, 2)) + np.array([0, 1])
    outcome = mediated * mediator + direct * np.array([0, 1]) + 0.5 * rng.normal(size=(n, 2)) + rng.normal(size=(n, 1))
    return outcome, mediator


def test_the_share_of_synthetic_units_is_recovered(rng: np.random.Generator) -> None:
    outcome, mediator = units(rng, 4000, 3.0, 1.0)
    found = mediation.mediation(outcome, {"mediator": mediator})
    assert abs(found.total.value - 4) < 0.2
    assert abs(found.indirect["mediator"].value - 3) < 0.2
    assert abs(found.share["mediator"].value - 0.75) < 0.03
    assert found.total.n == 4000


@pytest.mark.thorough
@pytest.mark.parametrize(("mediated", "direct"), [(2.0, 0.0), (0.0, 2.0), (1.0, 1.0), (-1.0, 2.0)])
def test_intervals_cover_the_indirect_effect(rng: np.random.Generator, mediated: float, direct: float) -> None:
    covered = 0
    for seed in range(60):
        outcome, mediator = units(rng, 40, mediated, direct)
        low, high = mediation.mediation(outcome, {"m": mediator}, seed=seed).indirect["m"][1:3]
        covered += low <= mediated <= high
    assert covered >= 50  # 57 are expected


def test_of_two_mediators_only_the_one_that_matters_carries(rng: np.random.Generator) -> None:
    outcome, mediator = units(rng, 4000, 2.0, 0.0)
    other = mediator + rng.normal(size=mediator.shape)  # changes with the first
    found = mediation.mediation(outcome, {"mediator": mediator, "other": other})
    assert abs(found.share["mediator"].value - 1) < 0.05
    low, high = found.indirect["other"][1:3]
    assert low <= 0 <= high
    assert mediation.mediation(outcome, {"other": other}).indirect["other"].low > 0


def test_what_no_unit_changes_carries_nothing(rng: np.random.Generator) -> None:
    outcome, mediator = units(rng, 30, 2.0, 1.0)
    found = mediation.mediation(outcome, {"constant": np.repeat(mediator[:, :1], 2, axis=1)})
    assert found.indirect["constant"][:3] == (0, 0, 0)


def test_shapes_and_numbers_that_do_not_fit_are_refused() -> None:
    good = np.zeros((5, 2))
    for outcome, mediator in ((good, np.zeros((4, 2))), (good[:, :1], good), (np.full((5, 2), np.nan), good)):
        with pytest.raises(ArgumentError, match="expected"):
            mediation.mediation(outcome, {"m": mediator})
