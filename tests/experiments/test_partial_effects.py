"""Partial correlations over networks agree with SciPy's ranks for one network, and their intervals cover."""

from __future__ import annotations

import numpy as np
import pytest

from experiments import partial_effects
from hullx import runs
from hullx.errors import ArgumentError


def test_one_network_gives_the_known_partial_correlation() -> None:
    rng = np.random.default_rng(0)
    given = rng.normal(size=(200, 3))
    x, y = given[:, 0] + rng.normal(size=200), given[:, 1] - given[:, 0] + rng.normal(size=200)
    found = partial_effects.partial_effect(x, np.stack([y, y]), given[None])
    known = runs.partial_rank_correlation(x, y, given)
    np.testing.assert_allclose(found.value, known.value, rtol=1e-9)
    # Equal networks: the interval is that of images alone.
    np.testing.assert_allclose([found.low, found.high], [known.low, known.high], atol=0.04)
    assert found.n == 2


def test_without_given_variables_it_is_the_rank_correlation() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=100)
    outcomes = np.stack([x + rng.normal(size=100) for _ in range(3)])
    found = partial_effects.partial_effect(x, outcomes, np.empty((1, 100, 0)))
    np.testing.assert_allclose(found.value, np.mean([runs.rank_correlation(x, y).value for y in outcomes]), rtol=1e-9)


@pytest.mark.thorough
def test_what_acts_only_through_the_given_variable_has_no_partial_effect() -> None:
    """The share of intervals that hold 0 is at least about 95%."""
    covered = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        given = rng.normal(size=150)
        x = given + rng.normal(size=150)
        outcomes = given + 0.5 * rng.normal(size=150) + rng.normal(size=(10, 150))
        low, high = partial_effects.partial_effect(x, outcomes, given[None, :, None]).interval or (np.nan, np.nan)
        covered += low <= 0 <= high
    assert covered >= 35


def test_networks_with_constant_outcomes_are_left_out() -> None:
    x = np.arange(50.0)
    found = partial_effects.partial_effect(x, np.stack([x, np.zeros(50)]), np.empty((1, 50, 0)))
    assert (round(found.value, 9), found.n) == (1, 1)
    assert np.isnan(partial_effects.partial_effect(x, np.zeros((2, 50)), np.empty((1, 50, 0))).value)
    with pytest.raises(ArgumentError, match="given: got"):
        partial_effects.partial_effect(x, np.zeros((2, 50)), np.empty((3, 50, 0)))
