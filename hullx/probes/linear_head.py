"""A network's last, linear layer: in its feature space the region of each class is a polyhedron.

Region c is where (w_c − w_j)·x + b_c − b_j ≥ 0 for all other classes j. It is convex, so all points in the hull of points of
class c are of class c. The plane between two regions separates the hulls of their points. From a point of region c, the nearest
point of another region lies on the nearest of these planes, at distance min_j margin_j / ‖w_c − w_j‖.

Reference: Yousefzadeh (2022), arXiv 2202.04052, on regions of guaranteed class. All functions compute in float64.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from hullx.errors import ArgumentError
from hullx.numerics.norms import gamma
from hullx.types import Array


class Head(NamedTuple):
    """Logits are x · weights + bias."""

    weights: Float[np.ndarray, "k c"]
    bias: Float[np.ndarray, "c"]


class Boundary(NamedTuple):
    """For each of m points, the nearest point on the border of another class's region.

    - distance: to that point, in the features' units.
    - other: the class whose region begins there.
    - point: that point.
    """

    distance: Float[np.ndarray, "m"]
    other: Int[np.ndarray, "m"]
    point: Float[np.ndarray, "m k"]


def head_of(variables: Any, name: str = "head") -> Head:
    """A network's last layer, by the name of its parameters.

    Raises:
        ArgumentError: no layer has that name.

    Example:
        >>> model = hullx.models.MLP(classes=10, width=16)
        >>> head_of(model.init(jax.random.key(0), jnp.zeros((1, 8, 8, 1)))).weights.shape
        (16, 10)
    """
    layers = variables["params"]
    if name not in layers:
        raise ArgumentError(f"name: got {name!r}, expected a linear layer, one of {', '.join(layers)}: choose the last")
    return Head(*(np.asarray(layers[name][part], np.float64) for part in ("kernel", "bias")))


def predicted_class(head: Head, features: Float[Array, "m k"]) -> Int[np.ndarray, "m"]:
    """The predicted class of each point: that of the largest logit.

    Example:
        >>> predicted_class(Head(np.eye(2), np.zeros(2)), np.array([[1.0, 0.0], [1.0, 3.0]]))
        array([0, 1])
    """
    return _logits(head, features).argmax(1)


def boundary(head: Head, features: Float[Array, "m k"]) -> Boundary:
    """The nearest point of another class's region to each point, exact but for rounding.

    Classes with the same weights as the point's own class do not count: no plane is between them.

    Example:
        >>> found = boundary(Head(np.eye(2), np.zeros(2)), np.array([[3.0, 1.0]]))
        >>> found.distance.round(4), found.other, found.point.round(4)
        (array([1.4142]), array([1]), array([[2., 2.]]))
    """
    rows, logits = np.asarray(features, np.float64), _logits(head, features)
    mine = logits.argmax(1)
    across, length = _planes(head)
    margin = logits[np.arange(len(rows)), mine][:, None] - logits
    distance = np.where(length[mine] > 0, margin / np.where(length > 0, length, 1)[mine], np.inf)
    distance[np.arange(len(rows)), mine] = np.inf
    other = distance.argmin(1)
    nearest = distance[np.arange(len(rows)), other]
    step = across[mine, other] / np.maximum(length[mine, other], np.finfo(float).tiny)[:, None]
    return Boundary(nearest, other, rows - np.where(np.isfinite(nearest), nearest, 0)[:, None] * step)


def class_gaps(head: Head, features: Float[Array, "m k"]) -> Float[np.ndarray, "c c"]:
    """Lower bounds on the distances between the hulls of the points predicted as c and as j.

    They are the widths of the slabs between the hulls along w_c − w_j, minus the largest possible rounding error. So a number
    above 0 proves that two hulls are disjoint.

    Returns:
        A symmetric matrix; NaN on its diagonal and for a class that is predicted for no point.

    Example:
        >>> class_gaps(Head(np.eye(2), np.zeros(2)), np.array([[3.0, 1.0], [0.0, 2.0]])).round(4)
        array([[   nan, 2.8284],
               [2.8284,    nan]])
    """
    rows, logits = np.asarray(features, np.float64), _logits(head, features)
    mine, classes = logits.argmax(1), len(head.bias)
    _, length = _planes(head)
    # Each of two logits is a sum of k products and the bias, and their difference rounds once more.
    sizes = np.abs(rows) @ np.abs(head.weights) + np.abs(head.bias)
    lost = float(gamma(rows.shape[1] + 3, np.float64)) * sizes
    found = np.full((classes, classes), np.nan)
    for c in np.unique(mine):
        some = mine == c
        # For each class j, the smallest lead of logit c over logit j among the points predicted as c.
        found[c] = (logits[some, c][:, None] - logits[some] - lost[some, c][:, None] - lost[some]).min(0)
    found = (found + found.T) / np.where(length > 0, length, np.nan) * (1 - 8 * np.finfo(float).eps)
    np.fill_diagonal(found, np.nan)
    return found


def _logits(head: Head, features: Array) -> np.ndarray:
    return np.asarray(features, np.float64) @ head.weights + head.bias


def _planes(head: Head) -> tuple[np.ndarray, np.ndarray]:
    """w_c − w_j, (c, c, k), and their lengths."""
    across = head.weights.T[:, None] - head.weights.T
    return across, np.linalg.norm(across, axis=-1)
