"""Attacks that are asked for wrongly: one sentence each."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hullx.errors import ArgumentError, HullxError
from hullx.probes import attacks
from hullx.probes.attacks import Budget

pytestmark = pytest.mark.unoptimised

KEY = jax.random.key(0)


def linear(head: Any, images: Any) -> jax.Array:
    return jnp.matmul(images.reshape(len(images), -1), head[0], precision="highest") + head[1]


GOOD: dict[str, Any] = {"budget": Budget("linf", 0.1), "apply": linear, "images": np.full((3, 2, 2, 1), 0.5, np.float32)}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"images": np.full((3, 2, 2, 1), 255.0)}, r"images: got pixels outside \[0, 1\] or NaN"),
        ({"images": np.full((3, 2, 2, 1), np.nan)}, r"images: got pixels outside \[0, 1\] or NaN"),
        ({"images": np.ones((3, 2, 2, 1), int)}, "images: got dtype int64, expected a real floating dtype"),
        ({"images": np.full(3, 0.5)}, r"images: got shape \(3,\), expected \(n, ...\)"),
        ({"labels": np.zeros(4, int)}, r"labels: got shape \(4,\), expected \(3,\): give one label per image"),
        ({"labels": np.zeros(3)}, "labels: got dtype float"),
        ({"labels": np.full(3, 2)}, "labels: got some outside 0 to 1"),
        ({"key": 0}, "key: got int, expected one key"),
        ({"budget": 0.1}, "budget: got float, expected a Budget"),
        ({"budget": Budget("linf", np.full(2, 0.1))}, r"epsilon: got shape \(2,\), expected \(\) or \(3,\)"),
        ({"steps": 0}, "steps: got 0, expected an integer of at least 1"),
        ({"restarts": 0}, "restarts: got 0, expected an integer of at least 1"),
        ({"restarts": 2, "random_start": False}, "restarts: got 2, expected 1, because all attempts start at the image"),
        ({"loss": "hinge"}, "loss: got 'hinge', expected one of cross_entropy, margin, dlr, targeted"),
        ({"loss": "dlr"}, "loss: got 'dlr' for 2 classes, expected three or more"),
        ({"step_size": -0.1}, "step_size: got -0.1, expected finite numbers above 0"),
        ({"step_size": np.ones(3)}, r"step_size: got shape \(3,\), expected \(\) or \(40,\)"),
        ({"settings": attacks.APGD()}, r"settings: got APGD, expected PGD: give PGD\(steps=…\)"),
        ({"apply": "linear"}, "apply: got str, expected a hashable function"),
        ({"apply": lambda variables, images: images}, r"apply: got \(1, 2, 2, 1\) for one image, expected logits \(1, k\)"),
    ],
)
def test_wrong_arguments_get_one_sentence(wrong: dict[str, Any], message: str) -> None:
    arguments = {"labels": np.zeros(3, int), "key": KEY} | GOOD | wrong
    head = np.ones((4, 2), np.float32), np.zeros(2, np.float32)
    fields = {field.name for field in dataclasses.fields(attacks.PGD)}
    settings = attacks.PGD(**{name: arguments.pop(name) for name in fields & set(arguments)})
    with pytest.raises(HullxError, match=message) as caught:
        attacks.pgd(arguments.pop("apply"), head, **{"settings": settings, **arguments})
    assert len(str(caught.value).splitlines()) == 1


def test_a_budget_in_grey_levels_is_noticed() -> None:
    with pytest.raises(HullxError, match=r"epsilon: got 8, expected at most 1, as pixels are in \[0, 1\]: divide it by 255"):
        Budget("linf", 8)
    assert Budget("l2", 8).epsilon == 8


@pytest.mark.parametrize("epsilon", [0, -1, np.nan, np.inf, "a tenth", np.array([0.1, 0])])
def test_a_budget_is_above_zero(epsilon: Any) -> None:
    with pytest.raises(ArgumentError, match=r"epsilon: got .*, expected finite numbers above 0"):
        Budget("l2", epsilon)


def test_there_are_two_norms() -> None:
    with pytest.raises(ArgumentError, match="norm: got 'l1', expected one of linf, l2"):
        Budget("l1", 0.1)  # pyright: ignore[reportArgumentType]
