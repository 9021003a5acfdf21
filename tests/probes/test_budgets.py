"""Budgets and bounds hold for the returned numbers, rounding included. Compiled as users compile."""

from __future__ import annotations

import math
from typing import Any

import jax
import numpy as np
import pytest

from hullx.errors import ArgumentError
from hullx.probes.attacks import APGD, PGD, Budget, apgd, fgsm, nearest_within, pgd
from hullx.probes.attacks.budget import Norm

STANDARDISED = (0 - 0.1307) / 0.3081, (1 - 0.1307) / 0.3081


def linear(weights, images):
    return images.reshape(len(images), -1) @ weights


@pytest.fixture(scope="module")
def problem() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images in [0, 1], many pixels at the ends; a linear network; what it predicts."""
    rng = np.random.default_rng(0)
    images = np.clip(1.4 * rng.random((100, 8, 8, 1)) - 0.2, 0, 1).astype(np.float32)
    weights = rng.normal(size=(64, 5)).astype(np.float32)
    return images, weights, linear(weights, images).argmax(1)


@pytest.mark.thorough
@pytest.mark.parametrize("bounds", [(0.0, 1.0), STANDARDISED])
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_nothing_exceeds_its_budget(problem, norm: Norm, bounds: tuple[float, float]) -> None:
    images, weights, labels = problem
    low, high = bounds
    images = (low + (high - low) * images).astype(np.float32)
    labels = linear(weights, images).argmax(1)
    for share in (8 / 255, 0.3):
        epsilon = np.float32(share * (high - low) * (1.5 if norm == "l2" else 1))
        budget, key = Budget(norm, float(epsilon), bounds), jax.random.key(0)
        for found in (
            fgsm(linear, weights, images, labels, budget=budget),
            pgd(linear, weights, images, labels, key, budget=budget, settings=PGD(steps=5, early_stop=False)),
            apgd(linear, weights, images, labels, key, budget=budget, settings=APGD(steps=5)),
        ):
            attacked = np.asarray(found.images)
            assert (attacked >= np.float32(low)).all()
            assert (attacked <= np.float32(high)).all()
            change = np.abs(attacked.astype(float) - images).reshape(len(images), -1)
            length = change.max(1) if norm == "linf" else np.sqrt((change**2).sum(1))
            assert (length <= float(epsilon)).all()
            assert (np.asarray(found.distance) <= epsilon).all()
            assert length.max() > 0.9 * epsilon  # and the budget is used


@pytest.mark.parametrize("pixels", [1, 63, 784])
@pytest.mark.parametrize("bounds", [(0.0, 1.0), STANDARDISED, (0.0, 255.0)])
def test_the_nearest_point_is_within_l2_budgets(pixels: int, bounds: tuple[float, float], rng: np.random.Generator) -> None:
    """In exact arithmetic, for tiny and for large ε, and nearly all of ε is used."""
    low, high = bounds
    images = np.clip(low + (high - low) * (1.4 * rng.random((300, pixels)) - 0.2), low, high).astype(np.float32)
    changed = (images + (high - low) * rng.normal(size=images.shape) * rng.choice([0.01, 1, 10], (300, 1))).astype(np.float32)
    epsilon = ((high - low) * pixels**0.5 * 10 ** rng.uniform(-6, 0, 300)).astype(np.float32)
    nearest = jax.vmap(lambda changed, image, epsilon: nearest_within(changed, image, "l2", epsilon, bounds))
    found = np.asarray(jax.jit(nearest)(changed, images, epsilon))
    lengths = np.array([math.sqrt(math.fsum(change**2)) for change in found.astype(float) - images])
    assert (lengths <= epsilon.astype(float)).all()
    assert (found >= np.float32(low)).all()
    assert (found <= np.float32(high)).all()
    assert (lengths / epsilon).max() > 0.9999


def test_bounds_are_checked(problem) -> None:
    images, weights, labels = problem
    budget = Budget("linf", 0.1, STANDARDISED)
    assert fgsm(linear, weights, (images - 0.1307) / 0.3081, labels, budget=budget).images.min() > STANDARDISED[0] - 1e-6
    with pytest.raises(
        ArgumentError, match=r"pixels outside \[0, 1\] or NaN.*: divide by their largest value, or give bounds="
    ):
        fgsm(linear, weights, 2 * images, labels, budget=Budget("linf", 0.1))
    with pytest.raises(ArgumentError, match=r"epsilon: got 8, expected at most 1, as pixels are in \[0, 1\]"):
        Budget("linf", 8)
    assert Budget("linf", 8, (0, 255)).epsilon == 8
    wrong: list[Any] = [(1.0, 0.0), (0.0, np.inf), (0.0,), "unit"]
    for bounds in wrong:
        with pytest.raises(ArgumentError, match="bounds: got"):
            Budget("linf", 0.1, bounds)
