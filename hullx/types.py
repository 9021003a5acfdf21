"""What a projection returns, and the words for how it ended."""

from __future__ import annotations

import enum
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Bool, Float, Int

# A jax.Array or a numpy.ndarray; the functions that take one take the other.
Array = Any
# A number, and a whole one: Python's, or an array that may be traced.
Number = Float[Array, ""] | float
Count = Int[Array, ""] | int


class Status(enum.IntEnum):
    """How a query ended; `Status(i).sentence` says it in words, with the remedy.

    Arrays of statuses hold the integers, so `projection.status == Status.CONVERGED` is a mask.

    Example:
        >>> Status(4).sentence
        'the bracket is valid but wider than rtol, because max_iter was reached: raise it'
    """

    CONVERGED = 0
    INSIDE = 1
    ROUNDING = 2
    CAPACITY = 3
    MAX_ITER = 4
    NONFINITE = 5

    @property
    def sentence(self) -> str:
        """One sentence for the reader of a table or a log."""
        return _SENTENCES[self]


_SENTENCES = {
    Status.CONVERGED: "outside the hull, and the certified bracket is within rtol",
    Status.INSIDE: "inside the hull, or no farther from it than the rounding level of the data",
    Status.ROUNDING: "the bracket is valid but wider than rtol, because the arithmetic resolves no more: use float64",
    Status.CAPACITY: "the bracket is valid but wider than rtol, because the support outgrew the solver's capacity: raise it",
    Status.MAX_ITER: "the bracket is valid but wider than rtol, because max_iter was reached: raise it",
    Status.NONFINITE: "the query or the points hold NaN or infinity, or numbers so large that they overflow in computing: "
    "clean the data, divide them by a power of two, or use float64",
}


def decided(status: Int[Array, "..."]) -> Bool[Array, "..."]:
    """Whether queries are settled, within rtol or the data's rounding: CONVERGED or INSIDE."""
    return (status == Status.CONVERGED) | (status == Status.INSIDE)


class Projection(NamedTuple):
    """Projections of queries onto the convex hull of points, each with its certificate.

    The fields have the queries' leading shape `...`; s is the number of support slots.

    - distance: an upper bound of the true distance, namely ‖q − point‖ plus a bound of its own rounding error;
      units of the data; NaN where the status is NONFINITE. For a query on the hull it is that bound, hardly ever 0.
    - lower: a certified lower bound of the true distance, rounding errors included; 0 where none can be given.
    - point: the nearest point found in the hull.
    - support: rows of points whose convex combination `point` is. Unused slots hold row 0 with weight 0.
    - weights: ≥ 0, sum to 1.
    - iterations: steps that the solver took.
    - status: members of `Status`.
    - direction: the unit vector from `point` to the query, zero where they coincide. It is the normal of the hyperplane that
      proves `lower`; `certificate.separating_hyperplane` gives the offset. Rounded to its own dtype, it proves it up to
      2 eps of that dtype times the largest distance of the query to a point: in exact arithmetic
      min_j ⟨q − x_j, direction⟩ / ‖direction‖ ≥ lower − 2 eps max_j ‖q − x_j‖. That is less than nothing for a query within
      float64's rounding of the hull, whose `lower` has more digits than any direction in float64.

    Example:
        >>> found = hullx.project(jnp.array([2.0, 0.5]), square)
        >>> bool(found.lower <= 1 <= found.distance), found.point, found.support_size
        (True, Array([1. , 0.5], dtype=float32), Array(2, dtype=int32))
    """

    distance: Float[Array, "..."]
    lower: Float[Array, "..."]
    point: Float[Array, "... d"]
    support: Int[Array, "... s"]
    weights: Float[Array, "... s"]
    iterations: Int[Array, "..."]
    status: Int[Array, "..."]
    direction: Float[Array, "... d"]

    @property
    def outside(self) -> Bool[Array, "..."]:
        """Whether each query is certified to lie outside the hull; False where nothing is proved, NaN included."""
        return self.lower > 0

    @property
    def decided(self) -> Bool[Array, "..."]:
        """Whether each query is settled, within rtol or the data's rounding: status CONVERGED or INSIDE."""
        return decided(self.status)

    @property
    def support_size(self) -> Int[Array, "..."]:
        """How many points carry positive weight, for each query."""
        return (self.weights > 0).sum(-1)

    def dense_weights(self, n: int) -> Float[Array, "... n"]:
        """The weights as full vectors over n points, zero off the support: for small n, as it takes memory for (..., s, n).

        Example:
            >>> found = hullx.project(jnp.array([2.0, 0.5]), square)
            >>> found.dense_weights(len(square)) @ square  # the same as found.point
            Array([1. , 0.5], dtype=float32)
        """
        one_hot = self.support[..., None] == jnp.arange(n)
        return jnp.where(one_hot, self.weights[..., None], 0).sum(-2)
