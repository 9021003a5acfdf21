"""Principal components of training images in another space."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy
from jaxtyping import Float

from hullx.arguments import check_count
from hullx.errors import ArgumentError
from hullx.spaces.selected import check_most
from hullx.spaces.space import Images, Space, batches
from hullx.types import Array


@partial(jax.tree_util.register_dataclass, data_fields=("of", "mean", "basis", "variance"), meta_fields=())
@dataclass(frozen=True)
class Principal:
    """Coordinates along the directions of largest variance; `pca` computes them.

    Attributes:
        of: the space of the original vectors.
        mean: mean of its vectors, (d,).
        basis: orthonormal directions, one per column, (d, k).
        variance: along each direction, in squared units of the vectors, (k,).
    """

    of: Any
    mean: Float[Array, "d"]
    basis: Float[Array, "d k"]
    variance: Float[Array, "k"]

    def __call__(self, images: Float[Array, "n h w c"]) -> Float[Array, "n k"]:
        """The coordinates."""
        return jnp.matmul(self.of(images) - self.mean, self.basis, precision=jax.lax.Precision.HIGHEST)

    def inverse(self, vectors: Float[Array, "n k"]) -> Float[Array, "n h w c"]:
        """The images of the points with these coordinates in the affine subspace through the mean."""
        back = jnp.matmul(vectors, self.basis.T, precision=jax.lax.Precision.HIGHEST)
        return self.of.inverse(self.mean + back)


def pca(space: Space, images: Images, k: int) -> Principal:
    """The exact k principal components of training images in a space, from the covariance's eigenvectors in float64.

    The entry of largest magnitude of each direction is positive.

    Args:
        space: the space of the vectors, such as `Pixels`.
        images: training images, as for `rows`; read once.
        k: from 1 to the number of dimensions, and at most the number of images.

    Raises:
        ArgumentError: k is too large, or vectors are too large for their dtype.

    Example:
        >>> digits = hullx.data.load("digits")
        >>> found = pca(hullx.spaces.Pixels((8, 8, 1)), digits.train.images, 10)
        >>> found(digits.test.images).shape
        (360, 10)

    Reference: Jolliffe (2002), "Principal component analysis", chapter 2.
    """
    check_count("k", k)
    count, shift, total, products = 0, np.zeros((1, 0)), np.zeros(0), np.zeros((0, 0))
    dtype = np.dtype(np.float32)
    for vectors in batches(space, images, batch=2048):
        if not count:  # shift by one vector, because a large mean costs precision of the variance
            shift, dtype, d = vectors[:1].astype(np.float64), vectors.dtype, vectors.shape[1]
            total, products = np.zeros(d), np.zeros((d, d))
        apart = vectors.astype(np.float64) - shift
        with np.errstate(over="ignore", invalid="ignore"):  # checked below
            count, total, products = count + len(apart), total + apart.sum(0), products + apart.T @ apart
    d, most = len(products), min(count, len(products))
    if k > most:
        said = f"k: got {k} for {count:,} images of {d:,} dimensions, expected at most {most:,}"
        raise ArgumentError(f"{said}: request fewer components")
    largest = np.diag(products).max() / count  # NaN if one is
    if not largest <= np.finfo(dtype).max:
        said = f"images: got vectors with mean squares up to {largest:.3g}, too large for {dtype}"
        raise ArgumentError(f"{said}: divide them by a power of two")
    mean = total / count
    variance, basis = scipy.linalg.eigh(products / count - np.outer(mean, mean), subset_by_index=[d - k, d - 1])
    basis = basis[:, ::-1]
    basis = basis * np.sign(basis[np.abs(basis).argmax(0), np.arange(k)])
    return Principal(space, *(each.astype(dtype) for each in (shift[0] + mean, basis, np.maximum(variance[::-1], 0))))


def components(space: Principal, k: int) -> Principal:
    """The first k of a space's components, equal to those of `pca` with k.

    Raises:
        ArgumentError: the space has fewer components.

    Example:
        >>> found = Principal(None, jnp.zeros(3), jnp.eye(3), jnp.ones(3))
        >>> components(found, 2).basis.shape
        (3, 2)
    """
    check_most(k, space.basis.shape[1], "components")
    return Principal(space.of, space.mean, space.basis[:, :k], space.variance[:k])
