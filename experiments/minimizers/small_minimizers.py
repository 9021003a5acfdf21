"""Minimizers of small networks: training to a loss of zero, curvatures, alignment of hidden units, and paths between them.

Networks have one hidden layer of tanh units and one output; the loss is the mean squared error to targets ±1. A hidden unit can
change places with another, and the signs of all its weights can change, without any change of the function.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import scipy.optimize
from jax import lax
from jax.flatten_util import ravel_pytree

from hullx.models import MLP
from hullx.types import Array

RATE, NEWTON, START, DAMPING = 1e-2, 60, 1e-3, 10.0  # of Adam; steps of Levenberg and Marquardt, first damping and its factor
BENT = 16  # points of a curve at which its loss is minimised


def outputs(model: MLP, params: Any, images: Array) -> Array:
    """The network's output for each image."""
    found: Any = model.apply({"params": params}, images, train=False)
    return found[:, 0]


def squared_loss(model: MLP, params: Any, images: Array, targets: Array, weights: Array | float = 1.0) -> Array:
    """The mean squared error, with weights of the images."""
    weights = jnp.broadcast_to(weights, targets.shape)
    return (weights * (outputs(model, params, images) - targets) ** 2).sum() / weights.sum()


@partial(jax.jit, static_argnames=("model", "steps"))
def train(key: Array, images: Array, targets: Array, weights: Array, *, model: MLP, steps: int) -> Any:
    """The parameters after steps of Adam on all images, from random ones."""
    params = jax.tree.map(lambda leaf: leaf.astype(images.dtype), model.init(key, images[:1])["params"])
    return _descend(lambda each: squared_loss(model, each, images, targets, weights), params, steps)


@partial(jax.jit, static_argnames="model")
def finish(params: Any, images: Array, targets: Array, *, model: MLP) -> tuple[Any, Array]:
    """A minimizer near some parameters, and its loss, by the steps of Levenberg (1944) and Marquardt (1963)."""
    first, restored = ravel_pytree(params)

    def residual(flat: Array) -> Array:
        return outputs(model, restored(flat), images) - targets

    def step(state: tuple[Array, Array], _: None) -> tuple[tuple[Array, Array], None]:
        flat, damping = state
        error, jacobian = residual(flat), jax.jacrev(residual)(flat)
        matrix = jacobian @ jacobian.T
        ridge = damping * jnp.trace(matrix) / len(matrix) * jnp.eye(len(matrix))
        moved = flat - jacobian.T @ jnp.linalg.solve(matrix + ridge, error)
        better = (residual(moved) ** 2).sum() < (error**2).sum()
        return (jnp.where(better, moved, flat), jnp.where(better, damping / DAMPING, damping * DAMPING)), None

    (flat, _), _ = lax.scan(step, (first, jnp.asarray(START, first.dtype)), None, NEWTON)
    return restored(flat), (residual(flat) ** 2).mean()


@partial(jax.jit, static_argnames="model")
def curvatures(params: Any, images: Array, targets: Array, *, model: MLP) -> Array:
    """The eigenvalues of the loss's exact Hessian, ascending."""
    flat, restored = ravel_pytree(params)
    return jnp.linalg.eigvalsh(jax.hessian(lambda each: squared_loss(model, restored(each), images, targets))(flat))


def align(first: Any, second: Any) -> Any:
    """The second network with its hidden units ordered and signed to be as near as possible to those of the first.

    Reference: Ainsworth, Hayase and Srinivasa (2023), "Git Re-Basin: merging models modulo permutation symmetries".
    """

    def units(params: Any) -> np.ndarray:
        return np.vstack([params["dense_1"]["kernel"], params["dense_1"]["bias"], params["head"]["kernel"].T])

    products = units(first).T @ units(second)
    rows, order = scipy.optimize.linear_sum_assignment(-np.abs(products))
    signs = np.where(products[rows, order] < 0, -1.0, 1.0)
    dense, head = second["dense_1"], second["head"]
    return {
        "dense_1": {"kernel": dense["kernel"][:, order] * signs, "bias": dense["bias"][order] * signs},
        "head": {"kernel": head["kernel"][order] * signs[:, None], "bias": head["bias"]},
    }


def point(first: Any, middle: Any, second: Any, t: Array) -> Any:
    """The point at t in [0, 1] of a quadratic Bézier curve; straight if the middle is that of both ends."""
    weights = (1 - t) ** 2, 2 * t * (1 - t), t**2
    return jax.tree.map(lambda *each: sum(w * x for w, x in zip(weights, each, strict=True)), first, middle, second)


def halfway(first: Any, second: Any) -> Any:
    """The middle of a straight path."""
    return jax.tree.map(lambda a, b: (a + b) / 2, first, second)


@partial(jax.jit, static_argnames=("model", "steps"))
def bend(first: Any, second: Any, images: Array, targets: Array, *, model: MLP, steps: int) -> Any:
    """The middle of a curve between two networks along which the mean loss is low, by Adam from the straight path.

    Reference: Garipov et al. (2018), "Loss surfaces, mode connectivity, and fast ensembling of DNNs".
    """
    places = (jnp.arange(BENT) + 0.5) / BENT

    def loss(middle: Any) -> Array:
        return lax.map(lambda t: squared_loss(model, point(first, middle, second, t), images, targets), places).mean()

    return _descend(loss, halfway(first, second), steps)


@partial(jax.jit, static_argnames="model")
def along(first: Any, middle: Any, second: Any, images: Array, targets: Array, places: Array, *, model: MLP) -> Array:
    """The mean squared error and the share of wrong signs at places of a curve: (places, 2)."""

    def one(t: Array) -> Array:
        found = outputs(model, point(first, middle, second, t), images)
        return jnp.stack([((found - targets) ** 2).mean(), (found * targets <= 0).mean()])

    return lax.map(one, places)


def _descend(loss: Any, params: Any, steps: int) -> Any:
    optimizer = optax.adam(optax.cosine_decay_schedule(RATE, steps))

    def step(state: tuple[Any, Any], _: None) -> tuple[tuple[Any, Any], None]:
        params, memory = state
        updates, memory = optimizer.update(jax.grad(loss)(params), memory, params)
        return (optax.apply_updates(params, updates), memory), None

    return lax.scan(step, (params, optimizer.init(params)), None, steps)[0][0]
