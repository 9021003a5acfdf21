"""Points inside the hull of a training set, with weights that prove it.

The weights of a convex combination prove that it is inside, so each sample includes them: support (s, k) are rows of the
training set, and weights (s, k) are ≥ 0 and sum to 1. Points deep inside mix many images or several classes. The function that
draws the points determines how much they mix, so compare only samples with the same mixing.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

import hullx
from hullx.errors import ArgumentError

# Points computed at a time: each mixes k rows of d numbers.
BLOCK = 256


class Inside(NamedTuple):
    """s points of the hull, as rows and as convex combinations of the training set."""

    points: Float[np.ndarray, "s d"]
    support: Int[np.ndarray, "s k"]
    weights: Float[np.ndarray, "s k"]


def mixtures(
    rng: np.random.Generator, rows: Float[np.ndarray, "n d"], count: int, k: int, *, concentration: float = 1.0
) -> Inside:
    """Random convex combinations of k training points each, from any classes.

    Args:
        concentration: of the weights' symmetric Dirichlet distribution; 1 is uniform on the simplex, less favours its corners.

    Example:
        >>> rows = hullx.data.load("digits", train_size=100).train.rows
        >>> inside = mixtures(np.random.default_rng(0), rows, 8, 5)
        >>> bool((hullx.sweep(inside.points, rows, progress=False).distance < 1e-6).all())  # inside, up to rounding
        True
    """
    _check_size(len(rows), k)
    support = np.stack([rng.choice(len(rows), k, replace=False) for _ in range(count)])
    return _mix(rng, rows, support, concentration)


def of_one_class(
    rng: np.random.Generator,
    rows: Float[np.ndarray, "n d"],
    labels: Int[np.ndarray, "n"],
    count: int,
    k: int,
    *,
    concentration: float = 1.0,
) -> Inside:
    """Like `mixtures`, but of k points of one class; classes are drawn by their frequency."""
    members = {label: np.flatnonzero(labels == label) for label in np.unique(labels)}
    _check_size(min(map(len, members.values())), k)
    chosen = labels[rng.integers(0, len(labels), count)]
    support = np.stack([rng.choice(members[label], k, replace=False) for label in chosen])
    return _mix(rng, rows, support, concentration)


def of_neighbours(
    rng: np.random.Generator, rows: Float[np.ndarray, "n d"], count: int, k: int, *, concentration: float = 1.0
) -> Inside:
    """Like `mixtures`, but of a random training point and its k − 1 nearest neighbours."""
    _check_size(len(rows), k)
    centres = rng.integers(0, len(rows), count)
    squares = np.einsum("nd,nd->n", rows, rows)
    nearness = rows[centres] @ rows.T - squares / 2
    return _mix(rng, rows, np.argsort(-nearness, axis=1, kind="stable")[:, :k], concentration)


def on_the_surface(found: hullx.Projection) -> Inside:
    """The projections of outside points: points on the hull's surface, each with its support.

    Args:
        found: the points' projections, from `hullx.sweep`.
    """
    outside = np.asarray(found.outside)
    return Inside(*(np.asarray(field)[outside] for field in (found.point, found.support, found.weights)))


def largest_class_share(sample: Inside, labels: Int[np.ndarray, "n"]) -> Float[np.ndarray, "s"]:
    """The weight of each point's heaviest class; 1 if only one class is mixed."""
    of_class = [np.where(labels[sample.support] == label, sample.weights, 0).sum(1) for label in np.unique(labels)]
    return np.max(of_class, axis=0)


def _mix(rng: np.random.Generator, rows: np.ndarray, support: np.ndarray, concentration: float) -> Inside:
    weights = rng.dirichlet(np.full(support.shape[1], concentration), len(support))
    blocks = [slice(start, start + BLOCK) for start in range(0, len(support), BLOCK)]
    points = [np.einsum("sk,skd->sd", weights[block], rows[support[block]]).astype(rows.dtype) for block in blocks]
    return Inside(np.concatenate(points), support, weights)


def _check_size(n: int, k: int) -> None:
    if not 1 <= k <= n:
        raise ArgumentError(f"k: got {k}, expected 1 to {n}, the number of points to mix: lower it")
