"""The result of a projection, and its statuses."""

from __future__ import annotations

import enum
import reprlib
from typing import Any, NamedTuple

import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

# A jax.Array or a numpy.ndarray; functions accept both.
Array = Any
# A number, and an integer: a Python number, or a possibly traced array.
Number = Float[Array, ""] | float
Count = Int[Array, ""] | int


class Status(enum.IntEnum):
    """The status of a query; `Status(i).sentence` describes it, with the remedy.

    Arrays of statuses hold the integers, so `projection.status == Status.CONVERGED` is a mask.

    Example:
        >>> Status(4).sentence
        'the bracket is valid but too wide, because max_iter was reached: raise it'
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
    Status.CONVERGED: "outside the hull, and the certified bracket is within tolerance",
    Status.INSIDE: "inside the hull: a convex combination reproduces every coordinate to its rounding, and no positive "
    "lower bound is proved",
    Status.ROUNDING: "the bracket is valid but too wide, because rounding errors prevent a narrower one",
    Status.CAPACITY: "the bracket is valid but too wide, because the support exceeds the given capacity: raise it, or omit it",
    Status.MAX_ITER: "the bracket is valid but too wide, because max_iter was reached: raise it",
    Status.NONFINITE: "the query or the points contain NaN, infinity, or numbers so large that they overflow: "
    "clean the data, divide them by a power of two, or use float64",
}


def decided(status: Int[Array, "..."]) -> Bool[Array, "..."]:
    """Whether queries are decided, within tolerance or the data's rounding: CONVERGED or INSIDE."""
    return (status == Status.CONVERGED) | (status == Status.INSIDE)


class Projection(NamedTuple):
    """Projections of queries onto the convex hull of points, each with its certificate.

    The fields have the queries' leading shape `...`; d is the dimension, s the number of support slots.

    - distance: an upper bound of the true distance: ‖q − point‖ plus a bound of its rounding error, in units of the data.
      It is NaN where the status is NONFINITE. For a query in the hull it is that error bound, rarely 0.
    - lower: a certified lower bound of the true distance, rounding errors included; 0 if nothing is proved.
    - point: the nearest point found in the hull.
    - support: the rows of the points in the convex combination `point`. Unused slots hold row 0 with weight 0.
    - weights: the coefficients of that combination, ≥ 0, with sum 1.
    - iterations: the number of steps that the solver took.
    - status: members of `Status`, as integers.
    - direction: the unit vector from `point` to the query wherever they differ. Where they coincide after rounding it is 0, or
      the unit vector of their difference before rounding. It is the normal of the hyperplane that proves `lower`;
      `certificate.separating_hyperplane` gives the offset. It is rounded to its own dtype, and therefore proves `lower` up to
      2 eps of that dtype times the largest distance of the query to a point: in exact arithmetic
      min_j ⟨q − x_j, direction⟩ / ‖direction‖ ≥ lower − 2 eps max_j ‖q − x_j‖. That bound is vacuous for a query within
      float64's rounding of the hull: no direction in float64 has as many digits as its `lower`.

    Example:
        >>> found = hullx.project(jnp.array([[2.0, 0.5], [0.5, 0.5]]), square)
        >>> found
        Projection(2 queries in 2 dimensions: 1 outside, 1 inside)
        >>> found.point[0], found.support_size[0]
        (Array([1. , 0.5], dtype=float32), Array(2, dtype=int32))
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
        """Whether each query is certified to lie outside the hull; False if nothing is proved or the bound is NaN."""
        return self.lower > 0

    @property
    def inside(self) -> Bool[Array, "..."]:
        """Whether each query is inside the hull, up to its rounding: status INSIDE."""
        return self.status == Status.INSIDE

    @property
    def decided(self) -> Bool[Array, "..."]:
        """Whether each query is decided, within tolerance or the data's rounding: status CONVERGED or INSIDE."""
        return decided(self.status)

    @property
    def support_size(self) -> Int[Array, "..."]:
        """The number of points with positive weight, for each query."""
        return (self.weights > 0).sum(-1)

    @property
    def sentence(self) -> str:
        """How the queries ended: one sentence for a single query, one line with a count for each status of a batch.

        Example:
            >>> hullx.project(jnp.array([2.0, 0.5]), square).sentence
            'outside the hull, and the certified bracket is within tolerance'
        """
        if not _is_concrete(self):
            return "the status is known only outside jit"
        counts = _counts(self)
        said = {each: each.sentence for each in counts}
        if Status.ROUNDING in counts and self.point.dtype == np.float32:
            said[Status.ROUNDING] += ": use float64"
        if near := int(_near(self).sum()):
            known = "within atol of the hull, and neither outside nor inside is proved"
            far = counts[Status.CONVERGED] - near
            said[Status.CONVERGED] = f"{said[Status.CONVERGED]}; or ({near:,} of them) {known}" if far else known
        if self.status.ndim:
            return "\n".join(f"{counts[each]:,} {each.name}: {text}" for each, text in said.items()) or "no queries"
        return next(iter(said.values()), "the status is unknown")

    def summary(self) -> str:
        """A few lines for a log: counts of each status, distances, the widest relative bracket, support sizes.

        "Outside" counts CONVERGED queries with lower > 0, "within atol" the other CONVERGED ones, "inside" INSIDE, "undecided"
        the rest. `outside` may also hold for an undecided query: its bracket is too wide but excludes 0.

        Example:
            >>> print(hullx.project(jnp.array([[2.0, 0.5], [0.5, 0.5], [3.0, 0.5]]), square).summary())
            3 queries in 2 dimensions: 2 outside, 1 inside
            CONVERGED       2
            INSIDE          1
            distance        min ..., median 1, max 2
            widest bracket  ... of the distance (queries not inside)
            support size    min 2, median 2, max 2
        """
        if not _is_concrete(self):
            return repr(self)
        found = jax.tree.map(np.asarray, self)
        finite = np.isfinite(found.distance)
        far = finite & (found.distance > 0) & ~found.inside & ~_near(found)
        distance = found.distance[far].astype(np.float64)
        width = (distance - found.lower[far]) / distance
        lines = {
            **{each.name: f"{count:,}" for each, count in _counts(found).items()},
            "distance": _quantiles(found.distance[finite]),
            "widest bracket": f"{width.max():.2g} of the distance (queries not inside)" if width.size else "",
            "support size": _quantiles(found.support_size[finite]),
        }
        return "\n".join([_headline(self), *(f"{name:<16}{text}" for name, text in lines.items() if text)])

    def dense_weights(self, n: int) -> Float[Array, "... n"]:
        """The weights as full vectors over n points, zero off the support. For small n: memory grows as (..., s, n).

        Example:
            >>> found = hullx.project(jnp.array([2.0, 0.5]), square)
            >>> found.dense_weights(len(square)) @ square  # the same as found.point
            Array([1. , 0.5], dtype=float32)
        """
        one_hot = self.support[..., None] == jnp.arange(n)
        return jnp.where(one_hot, self.weights[..., None], 0).sum(-2)

    def __repr__(self) -> str:
        """Counts of the queries, or the shapes of fields that are not concrete."""
        try:
            return f"Projection({_headline(self) if _is_concrete(self) else _contents(self)})"
        except Exception:  # deleted buffers or arrays of other hosts, shown by a debugger
            return "Projection(unreadable)"


def _is_concrete(found: Projection) -> bool:
    # jax.tree.map may put any object into the fields.
    fields = found.distance, found.lower, found.point, found.weights, found.status
    known = all(
        isinstance(each, np.ndarray | np.generic | jax.Array) and not isinstance(each, jax.core.Tracer) for each in fields
    )
    if not known or not found.point.ndim or not found.weights.ndim:
        return False
    shapes = {found.lower.shape, found.status.shape, found.point.shape[:-1], found.weights.shape[:-1]}
    return shapes == {found.distance.shape}


def _counts(found: Projection) -> dict[Status, int]:
    status = np.asarray(found.status)
    return {each: count for each in Status if (count := int((status == each).sum()))}


def _near(found: Projection) -> Array:
    """Whether each query is known to be within atol of the hull, and no more."""
    return (np.asarray(found.status) == Status.CONVERGED) & ~(np.asarray(found.lower) > 0)


def _headline(found: Projection) -> str:
    counts, total, dimension = _counts(found), found.status.size, found.point.shape[-1]
    near, converged, inside = int(_near(found).sum()), counts.get(Status.CONVERGED, 0), counts.get(Status.INSIDE, 0)
    parts = {"outside": converged - near, "inside": inside, "within atol": near}
    parts["undecided"] = total - sum(parts.values())
    said = ", ".join(f"{count:,} {name}" for name, count in parts.items() if count)
    queries, dimensions = "query" if total == 1 else "queries", "dimension" if dimension == 1 else "dimensions"
    return f"{total:,} {queries} in {dimension:,} {dimensions}" + (f": {said}" if said else "")


def _contents(found: Projection) -> str:
    for kind, word in ((jax.core.Tracer, "traced"), (jax.ShapeDtypeStruct, "shapes")):
        if isinstance(found.distance, kind) and isinstance(found.point, kind):
            return f"{word}: distance {found.distance.shape}, point {found.point.shape}"
    shown = (getattr(each, "shape", reprlib.repr(each)) for each in found)
    return ", ".join(f"{name} {text}" for name, text in zip(found._fields, shown, strict=True))


def _quantiles(values: np.ndarray) -> str:
    values = values.astype(np.float64)
    with np.errstate(over="ignore"):  # the mean of the two in the middle
        return f"min {values.min():.4g}, median {np.median(values):.4g}, max {values.max():.4g}" if values.size else ""
