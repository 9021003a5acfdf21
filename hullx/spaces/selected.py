"""A subset of another space's coordinates, chosen on training images by QR with column pivoting."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy
from jaxtyping import Float, Int

from hullx.arguments import check_count
from hullx.errors import ArgumentError
from hullx.spaces.space import Images, Space, batches
from hullx.types import Array


@partial(jax.tree_util.register_dataclass, data_fields=("of", "chosen"), meta_fields=("dimension",))
@dataclass(frozen=True)
class Selected:
    """A subset of another space's coordinates, made by `selected`.

    Attributes:
        of: the other space.
        chosen: indices of the coordinates, (k,).
        dimension: dimension of the other space.
    """

    of: Any
    chosen: Int[Array, "k"]
    dimension: int

    def __call__(self, images: Float[Array, "n h w c"]) -> Float[Array, "n k"]:
        """The chosen coordinates."""
        return self.of(images)[:, self.chosen]

    def inverse(self, vectors: Float[Array, "n k"]) -> Float[Array, "n h w c"]:
        """The images whose other coordinates are 0."""
        whole = jnp.zeros((len(vectors), self.dimension), vectors.dtype)
        return self.of.inverse(whole.at[:, self.chosen].set(vectors))


def selected(space: Space, order: Int[np.ndarray, "d"], k: int) -> Selected:
    """The first k of a space's coordinates in a given order, such as from `pivots`.

    Raises:
        ArgumentError: the space has fewer coordinates.

    Example:
        >>> images = hullx.data.load("digits").train.images
        >>> space = hullx.spaces.Wavelets((8, 8, 1), "haar")
        >>> selected(space, pivots(space, images), 20)(images).shape
        (1437, 20)
    """
    check_most(k, len(order), "coefficients")
    return Selected(space, np.asarray(order[:k], np.int32), len(order))


def pivots(space: Space, images: Images) -> Int[np.ndarray, "d"]:
    """A space's coordinates in the order of QR with column pivoting: each column is farthest from the span of earlier ones.

    The matrix has one uncentred row per training image. Its triangular factor is computed in batches, which gives the same
    pivots in memory independent of the number of images.

    Args:
        space: such as `Wavelets`.
        images: training images, as for `rows`; read once.

    Example:
        >>> images = np.array([1.0, 3.0, 0.1], np.float32).reshape(1, 1, 3, 1)
        >>> int(pivots(hullx.spaces.Pixels((1, 3, 1)), images)[0])
        1

    Reference: Businger and Golub (1965), "Linear least squares solutions by Householder transformations"; for
    wavelet coefficients of training images: Yousefzadeh (2021), arXiv 2101.09849; the factor in batches: Demmel et al. (2012),
    "Communication-optimal parallel and sequential QR and LU factorizations".
    """
    factor: Any = None
    for vectors in batches(space, images, batch=4096):
        some = vectors.astype(np.float64)
        factor = np.linalg.qr(some if factor is None else np.concatenate([factor, some]), mode="r")
    return scipy.linalg.qr(factor, mode="r", pivoting=True)[-1]


def check_most(k: int, most: int, what: str) -> None:
    """Check that a space has at least k coordinates.

    Raises:
        ArgumentError: it has fewer.
    """
    check_count("k", k)
    if k > most:
        raise ArgumentError(f"k: got {k}, expected at most {most:,}, the number of {what}")
