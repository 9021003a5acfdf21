"""Losses that attacks maximise, from logits and right labels: larger for predictions farther from the right label."""

from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
import optax
from jaxtyping import Float, Int

from hullx.types import Array

# Keeps the quotient finite where the three largest logits are equal.
TINY = 1e-12


def cross_entropy(logits: Float[Array, "n k"], labels: Int[Array, "n"]) -> Float[Array, "n"]:
    """−log of the right label's probability, in nats, ≥ 0.

    Its gradient vanishes where the right label's probability rounds to 1. Those of the other losses do not.

    Example:
        >>> cross_entropy(jnp.zeros((1, 2)), jnp.array([0])).round(4)
        Array([0.6931], dtype=float32)
    """
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels)


def margin(logits: Float[Array, "n k"], labels: Int[Array, "n"]) -> Float[Array, "n"]:
    """max_{j≠y} z_j − z_y: above 0 where the prediction is wrong (Carlini and Wagner 2017, f_6 without targets).

    Example:
        >>> margin(jnp.array([[2.0, 0.5, 1.0]]), jnp.array([0]))
        Array([-1.], dtype=float32)
    """
    right = jnp.arange(logits.shape[1]) == labels[:, None]
    return jnp.where(right, -jnp.inf, logits).max(1) - jnp.where(right, logits, 0).sum(1)


def dlr(logits: Float[Array, "n k"], labels: Int[Array, "n"]) -> Float[Array, "n"]:
    """(max_{j≠y} z_j − z_y) / (z_π1 − z_π3), the difference of logits ratio: −1 to 1, invariant to scale and shift.

    π orders the logits from the largest. At least three classes are needed.

    Example:
        >>> dlr(jnp.array([[2.0, 0.0, 1.0]]), jnp.array([0]))
        Array([-0.5], dtype=float32)

    Reference: Croce and Hein (2020), "Reliable evaluation of adversarial robustness with an ensemble of diverse parameter-free
    attacks", equation 6.
    """
    ordered = jnp.sort(logits, axis=1)
    return margin(logits, labels) / (ordered[:, -1] - ordered[:, -3] + TINY)


def towards(logits: Float[Array, "k"], label: Int[Array, ""], other: Int[Array, ""]) -> Float[Array, ""]:
    """z_j − z_y of one image: a loss that leads to class j only.

    Example:
        >>> towards(jnp.array([2.0, 0.5, 1.0]), 0, 1)
        Array(-1.5, dtype=float32)
    """
    return logits[other] - logits[label]


# The loss of attempts that aim at one class each.
TARGETED = "targeted"
LOSSES: dict[str, Callable[[Array, Array], Array]] = {"cross_entropy": cross_entropy, "margin": margin, "dlr": dlr}
