"""Replacements of images before they are classified: the projection onto a hull, a blur, a projection onto components."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

import hullx
from hullx.data import Dataset

PROJECTION, BLUR, COMPONENTS = "projection", "blur", "principal components"
# Training images on which the controls get their length, and the largest width of a blur, in pixels.
HELD_OUT, WIDEST = 500, 4.0
HALVINGS = 30
SOLVER = hullx.solvers.ActiveSet(last_resort=False)


class Replacement(NamedTuple):
    """A differentiable map of rows to rows: `function(parameters, rows)`."""

    function: Callable[[Any, jax.Array], jax.Array]
    parameters: Any


@dataclass(frozen=True)
class Defended:
    """A network applied to replaced images.

    Attributes:
        model: the network.
        replace_rows: a replacement's function.
    """

    model: nn.Module
    replace_rows: Callable[[Any, jax.Array], jax.Array]

    def __call__(self, variables: Any, images: jax.Array) -> jax.Array:
        """Return the logits.

        Args:
            variables: the network's variables, the replacement's parameters, and whether the identity is used as its
                derivative. Both attacks therefore share one program.
            images: a batch of images.
        """
        network, parameters, straight = variables
        rows = images.reshape(len(images), -1)
        replaced = self.replace_rows(parameters, rows)
        moved = jnp.where(straight, rows + jax.lax.stop_gradient(replaced - rows), replaced)
        logits: Any = self.model.apply(network, moved.reshape(images.shape))
        return logits


def replacements(data: Dataset, points: int) -> dict[str, Replacement]:
    """The projection onto the hull of the first training images, and controls that change images by the same mean length.

    Args:
        points: number of images that span the hull; the next `HELD_OUT` decide on the controls.
    """
    spanning, others = data.train.rows[:points], data.train.rows[points : points + HELD_OUT]
    length = float(hullx.sweep(others, spanning, progress=False).distance.mean())
    blur = blur_of_length(others, length, data.train.images.shape[1:])
    mean = spanning.mean(0, dtype=np.float64)
    directions = np.linalg.svd(spanning - mean, full_matrices=False)[2]
    lengths = [np.linalg.norm(left, axis=1).mean() for left in _residuals(others - mean, directions)]
    count = int(np.abs(np.array(lengths) - length).argmin()) + 1
    mean, basis = jnp.asarray(mean, jnp.float32), jnp.asarray(directions[:count], jnp.float32)
    return {
        # Images need their nearest point to float32's rounding, not a certificate in twice its digits.
        PROJECTION: Replacement(lambda points, rows: hullx.project(rows, points, solver=SOLVER).point, jnp.asarray(spanning)),
        BLUR: Replacement(lambda matrix, rows: rows @ matrix, jnp.asarray(blur, jnp.float32)),
        COMPONENTS: Replacement(lambda given, rows: given[0] + (rows - given[0]) @ given[1].T @ given[1], (mean, basis)),
    }


def _residuals(rows: np.ndarray, directions: np.ndarray) -> Any:
    """What the first 1, 2, … directions leave of the rows."""
    left = rows.astype(np.float64)
    for direction in directions:
        left = left - np.outer(left @ direction, direction)
        yield left


def blur_of_length(rows: np.ndarray, length: float, shape: tuple[int, ...]) -> np.ndarray:
    """The matrix (d, d) of a Gaussian blur that changes rows by a mean length; the widest blur if none does."""
    low, high = 0.0, WIDEST
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        change = rows @ blur_matrix(middle, shape) - rows
        low, high = (middle, high) if np.linalg.norm(change, axis=1).mean() < length else (low, middle)
    return blur_matrix(high, shape)


def blur_matrix(width: float, shape: tuple[int, ...]) -> np.ndarray:
    """The matrix of a Gaussian blur of images (height, width, channels) as rows: each side's weights sum to 1.

    Example:
        >>> float(blur_matrix(1.0, (4, 4, 1)).sum(0).round(9).max())
        1.0
    """
    sides = []
    for side in shape[:2]:
        apart = np.arange(side)[:, None] - np.arange(side)
        weights = np.exp(-0.5 * (apart / max(width, 1e-9)) ** 2)
        sides.append(weights / weights.sum(0))
    return np.kron(np.kron(*sides), np.eye(shape[2]))
