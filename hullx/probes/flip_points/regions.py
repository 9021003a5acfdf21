"""Convex regions of the search for flip points: all of space, a box, the hull of points.

The nearest point to x in a set C that also satisfies linear constraints A y ≤ b is

    y(λ) = P_C(x − Aᵀλ),   where λ ≥ 0,   A y(λ) ≤ b,   λ·(A y(λ) − b) = 0

where P_C is the projection onto C. Only the few multipliers λ are unknown. y(λ) is piecewise smooth, and a region computes it
and its derivative. Newton's method for λ then solves a sequence of small problems.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Float

import hullx
from hullx.types import Array

# Passes over the multipliers of one Newton step.
SWEEPS = 20
# Least diagonal of Newton's matrix, for constraints along whose unit normal the set leaves little room.
DAMPING = 1e-4


class Region(Protocol):
    """A convex set."""

    @property
    def newton_steps(self) -> int:
        """Steps of Newton's method for the multipliers; each calls `tangents` once."""
        ...

    def project(self, points: Float[Array, "l d"]) -> Float[Array, "l d"]:
        """The nearest points of the set."""
        ...

    def tangents(self, points: Float[Array, "l d"], directions: Float[Array, "l q d"]) -> tuple[Array, Array]:
        """The nearest points of the set (l, d), and their derivatives in given directions (l, q, d)."""
        ...


class Everywhere(NamedTuple):
    """All of space."""

    @property
    def newton_steps(self) -> int:
        return 0

    def project(self, points: Float[Array, "l d"]) -> Float[Array, "l d"]:
        return points

    def tangents(self, points: Float[Array, "l d"], directions: Float[Array, "l q d"]) -> tuple[Array, Array]:
        return points, directions


class Box(NamedTuple):
    """The box in which all coordinates lie between two numbers."""

    low: Float[Array, ""]
    high: Float[Array, ""]

    @property
    def newton_steps(self) -> int:
        return 8

    def project(self, points: Float[Array, "l d"]) -> Float[Array, "l d"]:
        return jnp.clip(points, self.low, self.high)

    def tangents(self, points: Float[Array, "l d"], directions: Float[Array, "l q d"]) -> tuple[Array, Array]:
        # A coordinate at a limit counts as free, so Newton's steps are too short, not too long.
        free = (points >= self.low) & (points <= self.high)
        return self.project(points), jnp.where(free[:, None], directions, 0)


class HullRegion(NamedTuple):
    """The convex hull of points, one per row."""

    points: Float[Array, "n d"]

    @property
    def newton_steps(self) -> int:
        return 2

    def project(self, points: Float[Array, "l d"]) -> Float[Array, "l d"]:
        # Flip points are verified by their logits, to 1e-4; extended precision would double the time to compile.
        return hullx.project(points, self.points, solver=hullx.solvers.ActiveSet(last_resort=False)).point

    def tangents(self, points: Float[Array, "l d"], directions: Float[Array, "l q d"]) -> tuple[Array, Array]:
        found, push = jax.linearize(self.project, points)
        return found, jax.vmap(push, 1, 1)(directions)


def multipliers(
    region: Region,
    start: Float[Array, "l d"],
    normals: Float[Array, "l q d"],
    limits: Float[Array, "l q"],
    stretch: Float[Array, "l"] | float = 1.0,
) -> tuple[Float[Array, "l q"], Float[Array, "l d"], Float[Array, "l"]]:
    """λ of the nearest points of a region to `start` where normals · y ≤ limits, and y of the last λ but one.

    If no such point exists, λ is large, and y lies at the edge of the region in that direction. Newton's method starts from
    the λ without the region, scaled by `stretch`. That λ is cheap, because `start` is in the region.

    Args:
        start: points of the region.
        normals: of length 1, or 0 for an unused constraint.
        limits: of each constraint; 0 where the normal is 0.
        stretch: expected ratio of λ to its value without a region, for example from a similar problem.

    Returns:
        λ, y of the last λ but one, and the ratio of λ to its value without a region.

    Example:
        >>> square, normal = Box(jnp.float32(0), jnp.float32(1)), jnp.array([[[0.6, 0.8]]])
        >>> _, point, _ = multipliers(square, jnp.array([[0.3, 0.9]]), normal, jnp.array([[0.2]]))
        >>> point.round(4)  # of the line through (1/3, 0) and (0, 1/4), which is nearest in the square at one of its sides
        Array([[0.  , 0.25]], dtype=float32)
    """
    counted = jnp.any(normals != 0, -1)

    def improved(found: Array, reached: Array, moved: Array) -> Array:
        matrix = jnp.einsum("lqd,lrd->lqr", normals, moved, precision="highest")
        over = jnp.einsum("lqd,ld->lq", normals, reached, precision="highest") - limits
        wanted = over + jnp.einsum("lqr,lr->lq", matrix, found, precision="highest")
        return jnp.where(counted, _nonnegative(matrix, wanted, found), 0)

    def newton(_: int, state: tuple[Array, Array]) -> tuple[Array, Array]:
        found = state[0]
        reached, moved = region.tangents(start - combined(found, normals), normals)
        return improved(found, reached, moved), reached

    free = improved(jnp.zeros_like(limits), start, normals)
    if not region.newton_steps:
        return free, start - combined(free, normals), jnp.ones_like(limits[:, 0])
    begun = jnp.broadcast_to(stretch, limits[:, 0].shape)[:, None] * free
    found, reached = lax.fori_loop(0, region.newton_steps, newton, (begun, start))
    total = free.sum(1)
    return found, reached, jnp.where(total > 0, found.sum(1) / jnp.where(total > 0, total, 1), 1)


def combined(multipliers: Float[Array, "l q"], normals: Float[Array, "l q d"]) -> Float[Array, "l d"]:
    """Aᵀλ."""
    return jnp.einsum("lq,lqd->ld", multipliers, normals, precision="highest")


def _nonnegative(matrix: Array, wanted: Array, start: Array) -> Array:
    """min ½ μᵀ M μ − wᵀ μ over μ ≥ 0, by coordinate descent."""
    diagonal = jnp.maximum(jnp.diagonal(matrix, axis1=1, axis2=2), DAMPING)

    def sweep(_: int, found: Array) -> Array:
        for i in range(wanted.shape[1]):
            left = wanted[:, i] - (matrix[:, i] * found).sum(-1)
            found = found.at[:, i].set(jnp.maximum(found[:, i] + left / diagonal[:, i], 0))
        return found

    return lax.fori_loop(0, SWEEPS if wanted.shape[1] > 1 else 1, sweep, start)
