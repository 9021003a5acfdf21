"""Flip points: for each image, the nearest point where another class has the same, largest logit.

    min ‖x − x̂‖   subject to   z_c(x̂) = z_j(x̂),   z_k(x̂) ≤ z_c(x̂) for all other classes k

where c is the predicted class of the image x, and j ranges over all other classes. `search` describes the method. The distance
is that of a point found and verified, so it is an upper bound of the least distance.

Reference: Yousefzadeh and O'Leary (2019), "Interpreting neural networks using flip points", arXiv 1903.08789, eq. 3–5.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from hullx.arguments import check_count
from hullx.jax_settings import with_jax_defaults
from hullx.numerics.batching import fill
from hullx.probes.flip_points.arguments import check_apply, checked_images, checked_others, checked_region
from hullx.probes.flip_points.program import Apply, Searched, search
from hullx.probes.flip_points.regions import HullRegion
from hullx.types import Array

# Images per search program, and images per evaluation of labels.
TOGETHER, CALLED = 32, 512
# The top two logits of a flip point differ by at most this share of the range of all logits.
TOLERANCE = 1e-4


class FlipPoints(NamedTuple):
    """The flip points of m images.

    - points: in the images' shape and dtype; the image itself where none was found.
    - distance: from `origin` to the points in the images' units, ≥ 0; infinite where none was found.
    - called: c, the predicted class of the origin.
    - other: j, the class with an equal logit.
    - origin: where the distance starts: the image, or with `within` its projection onto the hull.
    - gap: `|z_c − z_j|` at the returned points, divided by the range of all logits (for two classes: their range at the
      origin); ≥ 0, NaN where that range is 0.
    - verified: whether a point was found and its gap is at most 1e-4; then c and j are the top two.
    - steps: gradients of the network taken, over all starts.
    """

    points: Float[np.ndarray, "m *shape"]
    distance: Float[np.ndarray, "m"]
    called: Int[np.ndarray, "m"]
    other: Int[np.ndarray, "m"]
    origin: Float[np.ndarray, "m *shape"]
    gap: Float[np.ndarray, "m"]
    verified: Bool[np.ndarray, "m"]
    steps: Int[np.ndarray, "m"]


@with_jax_defaults
def flip_points(
    apply: Apply,
    variables: Any,
    images: Float[Array, "m *shape"],
    *,
    classes: int = 10,
    steps: int = 40,
    within: tuple[float, float] | Float[Array, "n d"] | None = (0.0, 1.0),
    towards: Float[Array, "t *shape"] | None = None,
    key: Array | None = None,
) -> FlipPoints:
    """The nearest point found to each image where its class and another share the largest logit.

    hullx runs several searches per image and returns the nearest point. A step takes one gradient of the network, with matrix
    products in full precision. Networks are not convex, so a nearer point may exist: more searches (`classes`, `towards`,
    `key`) may find it.

    Args:
        apply: maps variables and images `(b, *shape)` to logits (b, k), k ≥ 2, such as a Flax model's `apply`; static. Any
            hashable function that JAX can differentiate. The logits of an image must not depend on the other images.
        variables: its first argument.
        images: finite, floating point, m ≥ 1, with at least one axis after the first.
        classes: number of most likely classes to consider, the image's own included, 2 or more. Each other one gives one
            start. The search may find further classes.
        steps: most steps of a search, 1 or more; few searches need all of them.
        within: a range (low, high) of all coordinates; or points (n, d), where d is the size of an image, whose convex hull
            confines the search; None for no limits. An image outside the hull is replaced by its projection onto it, which is
            the origin of distances and has the class c. One start is the nearest of these points of another class.
        towards: other images, such as the training set. One start is the nearest of another class, or its projection onto the
            range or hull.
        key: doubles the starts, with new ones at random places around an image. Results depend on key and image row.

    Returns:
        `FlipPoints` of NumPy arrays, in the dtype that images and float32 promote to; float64 needs jax.enable_x64.

    Raises:
        ArgumentTypeError, ArgumentError: images, `within` or `towards` have a wrong type or shape or are not finite, images lie
            outside the range, the range is empty, or a number is too small.

    Example:
        >>> found = flip_points(lambda weights, images: images @ weights, jnp.eye(2), np.array([[0.8, 0.2]], np.float32))
        >>> found.points.round(3), found.distance.round(4), found.other, found.verified
        (array([[0.5, 0.5]], dtype=float32), array([0.4243], dtype=float32), array([1]), array([ True]))
    """
    rows = checked_images("images", images)
    check_count("classes", classes, least=2)
    check_count("steps", steps)
    total, shape = check_apply(apply, variables, rows), rows.shape[1:]
    region = checked_region(rows, within)
    found: list[FlipPoints] = []
    with jax.default_matmul_precision("highest"):
        others = None
        if towards is not None or isinstance(region, HullRegion):
            found_others = checked_others(rows, towards) if towards is not None else np.asarray(within, rows.dtype)
            others = _with_labels(apply, variables, found_others.reshape(-1, *shape))
        for first in range(0, len(rows), TOGETHER):
            some = rows[first : first + TOGETHER]
            size, full = len(some), fill(some, min(TOGETHER, len(rows)))
            keys = None if key is None else _keys(key, jnp.arange(first, first + len(full)))
            searched = search(variables, full, region, others, keys, apply=apply, classes=min(classes, total), steps=int(steps))
            part = _verified(apply, variables, Searched(*map(np.asarray, searched)))
            found.append(FlipPoints(*(field[:size] for field in part)))
    return FlipPoints(*(np.concatenate(fields) for fields in zip(*found, strict=True)))


_logits = jax.jit(lambda apply, variables, images: apply(variables, images), static_argnums=0)
_keys = jax.jit(jax.vmap(jax.random.fold_in, (None, 0)))


def _verified(apply: Apply, variables: Any, found: Searched) -> FlipPoints:
    """The result for points found, from logits of the points as they are returned."""
    logits = np.asarray(_logits(apply, variables, found.points), np.float64)
    # At a flip point the range of two logits is near 0; for two classes the range at the origin serves.
    ranged = logits if logits.shape[1] > 2 else np.asarray(_logits(apply, variables, found.origin), np.float64)
    extent = ranged.max(1) - ranged.min(1)
    at, rest = np.arange(len(logits)), logits.copy()
    rest[at, found.called] = -np.inf
    other = rest.argmax(1)
    gap = np.abs(logits[at, found.called] - rest[at, other]) / np.where(extent > 0, extent, np.nan)
    length = np.linalg.norm((found.points.astype(np.float64) - found.origin).reshape(len(at), -1), axis=1)
    distance = np.where(found.exists, length, np.inf).astype(found.points.dtype)
    return FlipPoints(
        found.points, distance, found.called, other, found.origin, gap, found.exists & (gap <= TOLERANCE), found.steps
    )


def _with_labels(apply: Apply, variables: Any, images: Array) -> tuple[Array, Array]:
    """Images as rows, and their predicted classes."""
    size = min(CALLED, len(images))
    parts = [fill(images[i : i + size], size) for i in range(0, len(images), size)]
    labels = np.concatenate([np.asarray(_logits(apply, variables, part)).argmax(1) for part in parts])[: len(images)]
    return jnp.asarray(images.reshape(len(images), -1)), jnp.asarray(labels)
