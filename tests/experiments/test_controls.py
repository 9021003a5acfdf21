"""Controls have the length of what they control for, and stay within the pixels' range."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.shared import controls
from hullx.errors import ArgumentError

pytestmark = pytest.mark.unoptimised

SHAPE = 8, 8, 1
CONTROLS: dict[str, Callable[..., np.ndarray]] = {
    "random": lambda rows, lengths, seed: controls.random_change(np.random.default_rng(seed), rows, lengths),
    "signs": lambda rows, lengths, seed: controls.random_signs(np.random.default_rng(seed), rows, lengths),
    "contrast": lambda rows, lengths, seed: controls.less_contrast(rows, lengths),
    "blur": lambda rows, lengths, seed: controls.blurred(rows, lengths, SHAPE),
}


@pytest.mark.parametrize("name", CONTROLS)
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 99), black=st.sampled_from([0.0, 0.5]))
def test_lengths_are_those_asked_for(name: str, seed: int, black: float) -> None:
    rng = np.random.default_rng(seed)
    rows = np.where(rng.random((5, 64)) < black, 0, rng.random((5, 64))).astype(np.float32)
    lengths = rng.uniform(0.01, 0.4, 5)
    changed = CONTROLS[name](rows, lengths, seed)
    np.testing.assert_allclose(np.linalg.norm(changed - rows.astype(np.float64), axis=1), lengths, rtol=1e-9)
    assert ((changed >= 0) & (changed <= 1)).all()


def test_a_clipped_gaussian_of_that_length_would_be_too_short(digits: tuple[np.ndarray, np.ndarray]) -> None:
    """What made a control a quarter shorter than its attack."""
    rows, rng = digits[0][:50].astype(np.float64), np.random.default_rng(0)
    direction = rng.standard_normal(rows.shape)
    clipped = np.clip(rows + 2 * direction / np.linalg.norm(direction, axis=1, keepdims=True), 0, 1)
    assert np.linalg.norm(clipped - rows, axis=1).mean() < 1.7
    right = controls.random_change(rng, rows, np.full(50, 2.0))
    np.testing.assert_allclose(np.linalg.norm(right - rows, axis=1), 2)


def test_signs_move_all_pixels_that_have_room_by_one_amount() -> None:
    rows = np.full((1, 64), 0.5)
    change = controls.random_signs(np.random.default_rng(0), rows, np.array([0.8])) - rows
    np.testing.assert_allclose(np.abs(change), 0.1)
    assert 10 < (change > 0).sum() < 54


@pytest.mark.parametrize("name", CONTROLS)
def test_too_long_a_change_is_refused(name: str) -> None:
    control = partial(CONTROLS[name], np.full((2, 64), 0.5), np.array([0.0, 9.0]), 0)
    with pytest.raises(ArgumentError, match="lengths: got 9, but image 1 moves at most"):
        control()
