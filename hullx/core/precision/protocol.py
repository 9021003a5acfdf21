"""The protocol of precisions: refinement on a support, and a lower bound along its residual."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike
from jaxtyping import Float

from hullx.core.hull import Frame
from hullx.core.pool.tableau import Solved
from hullx.numerics import extended
from hullx.numerics.extended import Pair
from hullx.numerics.loops import loop_start
from hullx.numerics.pairs import Numbers, high, minus, plus, product, select, times
from hullx.types import Array

# Refinement steps on the support's equations. From float32 weights, the first gains about seven digits; the others recover the
# digits lost to the condition number.
REFINEMENTS = 3
# Conjugate gradients in pairs: the number of steps, and the relative residual at which the system counts as solved.
GRADIENTS, SOLVED = 4, 1e-2


class Refined(NamedTuple):
    """A query's projection on its support.

    - weights: (k,).
    - point: (d,) raw.
    - direction: (d,) from the point to the query, of length 1; zero where they coincide.
    - along: the direction in full precision, for `slab`.
    - upper: upper bound of the distance, in the frame's units.
    - inside: whether the point reproduces every coordinate of the query to its rounding (`certificate.reproduces`).
    """

    weights: Array
    point: Array
    direction: Array
    along: Any
    upper: Array
    inside: Array


class Precision(Protocol):
    """Functions of one query (d,) and of rows, all raw, in the dtype of the arithmetic."""

    def refine(self, frame: Frame, query: Array, rows: Array, solved: Solved, gram: Numbers, rtol: Array) -> Refined:
        """The projection on a support, from approximate weights.

        Args:
            rows: the support's points, (k, d).
            solved: weights, (k,), and N of the rows with weight, (k, k).
            gram: (k, k), ⟨x_i − x_0, x_j − x_0⟩, about one row of the pool.
            rtol: the wanted relative width of the bracket.
        """
        ...

    def slab(self, frame: Frame, query: Array, rows: Array, along: Any) -> Array:
        """A lower bound of the slab between the query and some rows along its residual, in the frame's units; at least 0."""
        ...


def _conjugate_gradients(used: Array, scores: Pair, inverse: Pair, gram: Pair) -> Array:
    """The step δ on the rows in use with G δ = t up to a constant, by conjugate gradients in pairs, preconditioned by N.

    If columns differ by ten orders of magnitude, N may be wrong by half, but only in few directions. Conjugate gradients need
    about as many steps as such directions (Golub and Van Loan 2013, section 11.5).
    """

    def dot(a: Pair, b: Pair) -> Array:
        terms = times(a, b)
        return extended.total(jnp.concatenate([terms.high, terms.low])).high

    def scaled(factor: Array, vector: Pair) -> Pair:
        return times(vector, Pair(jnp.broadcast_to(factor, vector.high.shape), jnp.zeros_like(vector.high)))

    def divide(a: Array, b: Array) -> Array:
        return jnp.where(b > 0, a / jnp.where(b > 0, b, 1), 0)

    def again(_: Array, state: tuple[Pair, Pair, Pair, Array]) -> tuple[Pair, Pair, Pair, Array]:
        step, left, direction, size = state
        image = select(used, product(gram, direction), 0)
        # The rest of a solved system is rounding.
        length = jnp.where(size > SOLVED * first, divide(size, dot(direction, image)), 0)
        step, left = plus(step, scaled(length, direction)), minus(left, scaled(length, image))
        conditioned = product(inverse, left)
        more = dot(left, conditioned)
        return step, left, plus(conditioned, scaled(divide(more, size), direction)), more

    left = select(used, scores, 0)
    conditioned = product(inverse, left)
    first = dot(left, conditioned)
    start = jax.tree.map(jnp.zeros_like, left), left, conditioned, first
    return high(lax.fori_loop(0, GRADIENTS, again, loop_start(start, scores.high, gram.high))[0])


def without_noise(weights: Float[Array, "k"], dtype: DTypeLike, power: int = 1) -> Float[Array, "k"]:
    """The weights, or 0 where they are below eps^power / 4 of the dtype, the rounding of their sum 1.

    Points that enter through rounding get such weights. Where all other points are 0, as pixels often are, they alone decide a
    coordinate, and hide that a combination reproduces the query. A query that needs so small a weight needs more precision.
    """
    return jnp.where(weights > float(jnp.finfo(dtype).eps) ** power / 4, weights, 0)


def correction(weights: Float[Array, "k"], scores: Numbers, inverse: Numbers, gram: Numbers) -> Float[Array, "k"]:
    """The step that makes the scores of rows with weight equal, shortened to keep the weights ≥ 0.

    Iterative refinement (Higham 2002, chapter 12): the scores are accurate; a step changes them by its product with the Gram
    matrix, for which a few digits suffice. An inverse in pairs needs no such steps.

    Args:
        scores: ⟨x_i − p, r⟩ at the weights, (k,); a constant may be added.
    """
    used, plain = weights > 0, high(scores)
    if isinstance(inverse, Pair):
        step = _conjugate_gradients(used, scores, inverse, gram)
    else:
        narrow = gram.dtype

        def again(_: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
            step, left = state
            more = inverse @ jnp.where(used, left - weights @ left, 0).astype(narrow)
            return step + more, left - gram @ more

        step, _ = lax.fori_loop(0, REFINEMENTS, again, loop_start((jnp.zeros_like(plain), plain), plain, gram))
    step = jnp.where(used & jnp.isfinite(step), step, 0)
    step = step * jnp.minimum(jnp.where(step < 0, weights / -step, jnp.inf).min(), 1)
    # N1 = 0: if a step changes the sum of the weights noticeably, N consists of rounding errors, so discard the step.
    return jnp.where(jnp.abs(step.sum()) < 2.0**-6, step, 0)
