"""Coordinates of embeddings along the principal components of the training rows, and Gaussian samples of their covariance.

Arrays are read in blocks. Results for a memory map are memory maps too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from hullx import spaces
from hullx.errors import DataError

# Rows at a time.
BLOCK = 4096
# Sweeps compile once for each width, which takes longer than products with some columns of zeros.
WIDTH = 64


@partial(jax.tree_util.register_dataclass, data_fields=(), meta_fields=())
@dataclass(frozen=True)
class Vectors:
    """The space of embeddings, given as images (n, 1, 1, d), in float32 or float64."""

    def __call__(self, images: jax.Array) -> jax.Array:
        """The embeddings as rows."""
        return images.reshape(len(images), -1).astype(jnp.promote_types(images.dtype, jnp.float32))


class Components(NamedTuple):
    """Numbers of components, and the space of the first ones.

    - space: all min(n, d) components.
    - counts: in ascending order; the last is d, for the embeddings themselves.
    - least: the fewest that explain a share of the variance.
    - explained: the share of the variance that each of the counts explains.
    """

    space: spaces.Principal
    counts: list[int]
    least: int
    explained: list[float]


def components(train: Float[np.ndarray, "n d"], counts: Sequence[int], share: float) -> Components:
    """The principal components of training rows.

    Args:
        counts: wanted numbers; those below min(n, d) are kept.
        share: of the variance; the fewest components that explain it are added.

    Raises:
        DataError: all rows are equal.
    """
    most, d = min(train.shape), train.shape[1]
    space = spaces.pca(Vectors(), _as_images(train), most)
    sums = np.cumsum(np.asarray(space.variance, np.float64))
    if not sums[-1] > 0:
        raise DataError("training embeddings: all rows are equal, expected different ones")
    explained = sums / sums[-1]
    least = int((explained < share).sum()) + 1
    kept = [*sorted({k for k in (*counts, least) if k < most}), d]
    return Components(space, kept, least if least < most else d, [float(explained[min(k, most) - 1]) for k in kept])


def coordinates(
    space: spaces.Principal, rows: Float[np.ndarray, "n d"], k: int, *, out: Path | None = None, block: int = BLOCK
) -> Float[np.ndarray, "n k"]:
    """The first k coordinates of rows, read `block` at a time; a memory map of `out` if that is given."""
    return spaces.rows(spaces.components(space, k), _as_images(rows), out=out, batch=block)


def first(rows: Float[np.ndarray, "n w"], k: int, d: int) -> Float[np.ndarray, "n w"]:
    """The first k of at most d columns, in memory, with zeros up to `WIDTH` columns; all d columns as they are."""
    if k == d:
        return rows
    found = np.zeros((len(rows), max(k, min(WIDTH, d))), rows.dtype)
    found[:, :k] = rows[:, :k]
    return found


def gaussian(
    rng: np.random.Generator, variance: Float[np.ndarray, "k"], count: int, out: Path | None = None
) -> Float[np.ndarray, "count k"]:
    """Gaussian samples, whose coordinates have these variances, in float32; a memory map of `out` if that is given."""
    shape, deviations = (count, len(variance)), np.sqrt(variance).astype(np.float32)
    kept = np.empty(shape, np.float32) if out is None else np.lib.format.open_memmap(out, "w+", np.float32, shape)
    for start in range(0, count, BLOCK):
        part = kept[start : start + BLOCK]
        part[:] = rng.standard_normal(part.shape, dtype=np.float32) * deviations
    return kept


def _as_images(rows: np.ndarray) -> np.ndarray:
    """Rows (n, d) as images (n, 1, 1, d) without a copy."""
    return rows.reshape(len(rows), 1, 1, -1)
