"""Measures of a minimizer that are said to predict generalization: margin, norms, distance from the start, sharpness.

They describe one network. `jax.vmap` over its variables gives those of an ensemble's members. Jiang et al. (2020), "Fantastic
generalization measures and where to find them", compare such measures.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jax import lax
from jaxtyping import Float, Int

from hullx.types import Array

# Power iterations: each reduces the error of the largest eigenvalue by the squared ratio of the two largest.
POWER = 30


def margins(logits: Float[Array, "n k"], labels: Int[Array, "n"]) -> Float[Array, "n"]:
    """The logit of the true class minus the largest other logit: positive if the prediction is right.

    Example:
        >>> margins(jnp.array([[2.0, 0.5, 1.0]]), jnp.array([0]))
        Array([1.], dtype=float32)
    """
    right = jnp.arange(logits.shape[1]) == labels[:, None]
    return jnp.where(right, logits, 0).sum(1) - jnp.where(right, -jnp.inf, logits).max(1)


def layer_norms(params: Any) -> tuple[Float[Array, "l"], Float[Array, "l"]]:
    """Frobenius and spectral norms of each layer's kernel, input units by output units.

    A convolution's kernel counts as the matrix of its patches.
    """
    kernels = [leaf for path, leaf in jax.tree_util.tree_leaves_with_path(params) if path[-1].key == "kernel"]
    matrices = [kernel.reshape(-1, kernel.shape[-1]) for kernel in kernels]
    return (
        jnp.stack([jnp.sqrt((matrix**2).sum()) for matrix in matrices]),
        jnp.stack([jnp.linalg.norm(matrix, 2) for matrix in matrices]),
    )


def parameter_norm(params: Any) -> Float[Array, ""]:
    """The Euclidean norm of all parameters."""
    return optax.tree.norm(params)


def distance_from(params: Any, initial: Any) -> Float[Array, ""]:
    """The distance of the parameters from their initial values (Nagarajan and Kolter 2019)."""
    return optax.tree.norm(optax.tree.sub(params, initial))


def lipschitz_estimate(model: nn.Module, variables: Any, images: Float[Array, "n h w c"]) -> Float[Array, ""]:
    """The largest spectral norm of the logits' Jacobian at some images: a lower bound on the Lipschitz constant."""

    def one(image: Array) -> Array:
        jacobian: Any = jax.jacrev(lambda pixels: cast(Array, model.apply(variables, pixels[None], train=False))[0])(image)
        return jnp.linalg.norm(jacobian.reshape(jacobian.shape[0], -1), 2)

    return lax.map(one, images).max()


def loss_of(model: nn.Module, variables: Any, images: Array, labels: Array) -> Callable[[Any], Array]:
    """The mean cross-entropy of the data as a function of the parameters."""
    others = {name: each for name, each in variables.items() if name != "params"}

    def loss(params: Any) -> Array:
        logits: Any = model.apply({"params": params, **others}, images, train=False)
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    return loss


def sharpness(loss: Callable[[Any], Array], params: Any, key: Array) -> Float[Array, ""]:
    """The eigenvalue of the loss's Hessian that is largest in absolute value, by power iteration.

    Reference: Hochreiter and Schmidhuber (1997), "Flat minima"; Pearlmutter (1994), "Fast exact multiplication by the Hessian".
    """

    def product(vector: Any) -> Any:
        return jax.jvp(jax.grad(loss), (params,), (vector,))[1]

    def unit(vector: Any) -> Any:
        norm = optax.tree.norm(vector)
        return jax.tree.map(lambda leaf: leaf / jnp.where(norm > 0, norm, 1), vector)

    vector = unit(optax.tree.random_like(key, params, jax.random.normal))
    vector = lax.fori_loop(0, POWER, lambda _, vector: unit(product(vector)), vector)
    return optax.tree.vdot(vector, product(vector))


def ascent(loss: Callable[[Any], Array], params: Any, radius: float) -> Float[Array, ""]:
    """The increase of the loss within a radius of the parameters, to first order: L(w + ρ ∇L/‖∇L‖) − L(w).

    Reference: Foret et al. (2021), "Sharpness-aware minimization", equation 2.
    """
    gradient = jax.grad(loss)(params)
    norm = optax.tree.norm(gradient)
    step = jax.tree.map(lambda leaf: radius * leaf / jnp.where(norm > 0, norm, 1), gradient)
    return loss(optax.tree.add(params, step)) - loss(params)
