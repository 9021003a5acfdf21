"""Flip points: the nearest images that a classifier can no more call what it calls an image.

    min ‖x − x̂‖   subject to   z_c(x̂) = z_j(x̂),   z_k(x̂) ≤ z_c(x̂) for all other classes k

with c what the network calls the image x, over all other classes j. How they are found is said in `search`; a
distance is that of a point that was found and verified, so an upper bound of the least one.

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

# Images searched for together, and images that are called what they are together.
TOGETHER, CALLED = 32, 512
# A flip point's top two logits differ by no more than this share of all logits' range.
TOLERANCE = 1e-4


class FlipPoints(NamedTuple):
    """The flip points of m images.

    - points: of the images' shape and dtype; the image itself where none was found.
    - distance: from `origin` to them in the images' units, ≥ 0; infinite where none was found.
    - called: c, what the network calls the origin.
    - other: j, the class whose logit is as large.
    - origin: what the distance is taken from: the image, or with `within` its projection onto the hull.
    - gap: |z_c − z_j| by the range of all logits (of two classes: their range at the origin), at the points as they are
      returned; ≥ 0, NaN where that range is 0.
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
    """The nearest point found to each image where its class and another have equal logits and no class a larger one.

    Several searches are made for an image, and the nearest point kept. A search takes one gradient of the network a step, and
    its products are of full precision. Networks are not convex, so that something nearer may have been missed: more searches
    (`classes`, `towards`, `key`) find it with some luck.

    Args:
        apply: variables and images (b, *shape) to logits (b, k), k ≥ 2, such as a Flax model's `apply`; static: any hashable
            function of which JAX can take the gradient. What an image's logits are must not depend on the others.
        variables: its first argument.
        images: finite, m ≥ 1, of at least one axis after the first, floating point.
        classes: how many of the most likely classes are considered, the image's own among them, 2 or more; each of the others
            is one start. Other classes are found on the way as well.
        steps: most steps of a search, 1 or more; few need so many.
        within: a range (low, high) of all coordinates; or points (n, d), d being the numbers of an image, to whose convex hull
            the search is confined; None for no limits. An image outside the hull is replaced by its projection onto it, from
            which distances are taken and whose class is c. One start goes to the nearest of these points of another class.
        towards: other images, such as the training set; one start goes to the nearest that is called otherwise, or to
            its projection onto where the search is confined.
        key: adds as many starts again, from random places around an image. Its results depend on it and on the image's row.

    Returns:
        `FlipPoints` of NumPy arrays, in the dtype that images and float32 promote to, float64 only with jax.enable_x64.

    Raises:
        ArgumentTypeError, ArgumentError: images, `within` or `towards` are of a wrong type, shape or not finite, images lie
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
    """The points with what the network says of them, asked once more, as they are returned."""
    logits = np.asarray(_logits(apply, variables, found.points), np.float64)
    # Of two logits that are to be equal the range says nothing: then it is that at the origin.
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
    """Images as rows, and what the network calls them."""
    size = min(CALLED, len(images))
    parts = [fill(images[i : i + size], size) for i in range(0, len(images), size)]
    labels = np.concatenate([np.asarray(_logits(apply, variables, part)).argmax(1) for part in parts])[: len(images)]
    return jnp.asarray(images.reshape(len(images), -1)), jnp.asarray(labels)
