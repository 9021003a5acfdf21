"""Controls for changes of images: other changes of the same size, within the pixels' range [0, 1].

Each function returns images at given Euclidean distances from the originals, one distance per image. The range restricts a
change: a random change inside the range points inwards on average, so its mean cosine with a direction is not 0. These controls
share that effect with the change that they control for.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from scipy import ndimage

from hullx.errors import ArgumentError

# Halvings of the interval of the step's size: float64 holds no more digits.
HALVINGS = 60
# Largest blur, in pixels.
WIDEST = 8.0

Rows = Float[np.ndarray, "m d"]
Lengths = Float[np.ndarray, "m"]


def random_change(rng: np.random.Generator, rows: Rows, lengths: Lengths) -> Rows:
    """Images moved in random Gaussian directions.

    Args:
        rows: images in [0, 1].
        lengths: Euclidean length of each change.

    Raises:
        ArgumentError: the range leaves no room for a change of this length in the drawn direction.

    Example:
        >>> rows = np.full((2, 100), 0.9)
        >>> moved = random_change(np.random.default_rng(0), rows, np.array([0.5, 2.0]))
        >>> np.linalg.norm(moved - rows, axis=1).round(9), bool((moved <= 1).all())
        (array([0.5, 2. ]), True)
    """
    return _moved(rows, rng.standard_normal(rows.shape), lengths)


def random_signs(rng: np.random.Generator, rows: Rows, lengths: Lengths) -> Rows:
    """Images whose pixels all move by one amount, with random signs: the control for attacks in the L∞ norm.

    Args, Raises: as for `random_change`.
    """
    return _moved(rows, rng.choice([-1.0, 1.0], rows.shape), lengths)


def less_contrast(rows: Rows, lengths: Lengths) -> Rows:
    """Images moved towards their own mean brightness.

    Raises:
        ArgumentError: an image is nearer to its mean than its length.
    """
    rows = rows.astype(np.float64)
    direction = rows.mean(1, keepdims=True) - rows
    norms = np.linalg.norm(direction, axis=1)
    _check(norms, lengths, "towards their mean brightness")
    return rows + direction * (lengths / np.maximum(norms, 1e-30))[:, None]


def blurred(rows: Rows, lengths: Lengths, shape: tuple[int, ...]) -> Rows:
    """Images blurred by a Gaussian, whose width gives the change its length.

    Args:
        shape: of an image, (height, width, channels).

    Raises:
        ArgumentError: no blur changes an image by its length.
    """

    def blur(row: np.ndarray, width: float) -> np.ndarray:
        return ndimage.gaussian_filter(row.reshape(shape), (width, width, 0), mode="nearest").ravel()

    def size(row: np.ndarray, width: float) -> float:
        return float(np.linalg.norm(blur(row, width) - row))

    def one(row: np.ndarray, length: float) -> np.ndarray:
        low, high = 0.0, WIDEST
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            low, high = (middle, high) if size(row, middle) < length else (low, middle)
        return blur(row, high)

    rows = rows.astype(np.float64)
    _check(np.array([size(row, WIDEST) for row in rows]), lengths, f"by a blur of {WIDEST:g} pixels")
    return np.stack([one(row, length) for row, length in zip(rows, lengths, strict=True)])


def _moved(rows: Rows, direction: Rows, lengths: Lengths) -> Rows:
    """clip(x + t · direction, 0, 1) with the t that gives each change its length, by bisection."""
    rows = rows.astype(np.float64)
    room = np.linalg.norm(np.where(direction > 0, 1 - rows, np.where(direction < 0, rows, 0)), axis=1)
    _check(room, lengths, "in a random direction")

    def moved(t: np.ndarray) -> np.ndarray:
        return np.clip(rows + t[:, None] * direction, 0, 1)

    smallest = np.abs(np.where(direction == 0, np.inf, direction)).min(1)
    return moved(_bisect(lambda t: np.linalg.norm(moved(t) - rows, axis=1), lengths, 1 / smallest))


def _bisect(size: Callable[[np.ndarray], np.ndarray], wanted: np.ndarray, high: np.ndarray) -> np.ndarray:
    """The t in [0, high] at which a rising function reaches what is wanted."""
    low = np.zeros_like(high)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        short = size(middle) < wanted
        low, high = np.where(short, middle, low), np.where(short, high, middle)
    return high


def _check(room: np.ndarray, lengths: np.ndarray, what: str) -> None:
    if (short := room < lengths).any():
        i = int(short.argmax())
        raise ArgumentError(f"lengths: got {lengths[i]:.3g}, but image {i} moves at most {room[i]:.3g} {what}: lower it")
