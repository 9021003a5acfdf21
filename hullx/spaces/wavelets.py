"""The two-dimensional periodic discrete wavelet transform of images, with PyWavelets' filters, by matrix products.

Each level of an axis is one matrix, low-pass above high-pass filters; an image x becomes A x Bᵀ, in its dtype. For even lengths
and orthogonal wavelets these matrices are orthonormal and preserve distances. Odd lengths repeat their last pixel, as in
PyWavelets' mode "periodization".

Reference: Daubechies (1992), "Ten lectures on wavelets"; Mallat (1989), "A theory for multiresolution signal decomposition".
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from hullx.arguments import check_count
from hullx.errors import ArgumentError
from hullx.extras import require
from hullx.spaces.pixels import check_shape
from hullx.types import Array

MODE = "periodization"


@partial(jax.tree_util.register_dataclass, data_fields=(), meta_fields=("shape", "wavelet", "levels"))
@dataclass(frozen=True)
class Wavelets:
    """All coefficients of an orthonormal transform, by channel, in the order of Mallat's layout.

    The coarse image is in the upper left corner. Each level adds details across columns on the right, across rows below, and
    across both.

    Attributes:
        shape: height, width and channels.
        wavelet: PyWavelets name of an orthogonal wavelet, such as "haar", "db2", "db4", "sym4".
        levels: each halves height and width, which must be multiples of 2^levels; None for the maximum.

    Raises:
        ArgumentError: the wavelet is unknown or not orthogonal, or the sizes are not multiples of 2^levels.
        PackageError: PyWavelets is not installed.

    Example:
        >>> images = hullx.data.load("digits").test.images
        >>> space = Wavelets((8, 8, 1), "haar")
        >>> np.allclose(space.inverse(space(images)), images, atol=1e-6)
        True
    """

    shape: tuple[int, int, int]
    wavelet: str = "haar"
    levels: int | None = None

    def __post_init__(self) -> None:
        """Check the settings."""
        if not _known(self.wavelet).orthogonal:
            said = f"wavelet: got {self.wavelet!r}, expected an orthogonal wavelet"
            raise ArgumentError(f"{said}: choose haar, db2, sym4, coif1 …")
        height, width, _ = self.shape
        most = min(_halvings(height), _halvings(width))
        if self.levels is None:
            object.__setattr__(self, "levels", most)
        check_count("levels", self.levels, least=0)
        if self.depth > most:
            said = f"levels: got {self.levels} for images of {height} × {width}, expected at most {most}"
            raise ArgumentError(f"{said}: use fewer levels, or crop or pad the images")

    @property
    def depth(self) -> int:
        """The number of levels."""
        return self.levels or 0

    def __call__(self, images: Float[Array, "n h w c"]) -> Float[Array, "n k"]:
        """The coefficients.

        Raises:
            ArgumentError: the images have another shape.
        """
        check_shape(self.shape, images)
        found, *details = wavedec2(images, self.wavelet, self.depth)
        for below, right, both in details:
            upper, lower = jnp.concatenate([found, right], 2), jnp.concatenate([below, both], 2)
            found = jnp.concatenate([upper, lower], 1)
        return found.reshape(len(images), -1)

    def inverse(self, vectors: Float[Array, "n k"]) -> Float[Array, "n h w c"]:
        """The images, exact up to rounding."""
        height, width, _ = self.shape
        found, details = vectors.reshape(-1, *self.shape), []
        for level in range(self.depth):
            h, w = height >> level + 1, width >> level + 1
            upper, lower = found[:, :h], found[:, h : 2 * h]
            details.insert(0, (lower[:, :, :w], upper[:, :, w : 2 * w], lower[:, :, w : 2 * w]))
            found = upper[:, :, :w]
        return waverec2([found, *details], self.wavelet, self.shape[:2])


def wavedec2(images: Float[Array, "n h w c"], wavelet: str, levels: int) -> list[Any]:
    """PyWavelets' `wavedec2(images, wavelet, "periodization", levels, axes=(1, 2))`: coarse images, then details.

    Args:
        images: of any height and width.
        wavelet: PyWavelets name of a discrete wavelet.
        levels: 0 or more.

    Returns:
        The coarse images (n, h', w', c), then for each level, coarsest first, three arrays of details: across rows, across
        columns, across both.

    Raises:
        ArgumentError: the wavelet is unknown, or levels is invalid.

    Example:
        >>> coarse, (rows, columns, both) = wavedec2(jnp.ones((1, 4, 4, 1)), "haar", 1)
        >>> coarse.shape, float(coarse[0, 0, 0, 0].round(5)), float(jnp.abs(rows).max())
        ((1, 2, 2, 1), 2.0, 0.0)
    """
    check_count("levels", levels, least=0)
    _known(wavelet)
    found, details = jnp.asarray(images), []
    for _ in range(levels):
        _, height, width, _ = found.shape
        both = _product(found, _analysis(height, wavelet), _analysis(width, wavelet))
        h, w = (height + 1) // 2, (width + 1) // 2
        found = both[:, :h, :w]
        details.insert(0, (both[:, h:, :w], both[:, :h, w:], both[:, h:, w:]))
    return [found, *details]


def waverec2(coefficients: list[Any], wavelet: str, size: tuple[int, int]) -> Float[Array, "n h w c"]:
    """The images from their coefficients; the inverse of `wavedec2`.

    Args:
        coefficients: the result of `wavedec2`.
        wavelet: its wavelet.
        size: height and width of the images.

    Raises:
        ArgumentError: the wavelet is unknown.

    Example:
        >>> images = jnp.arange(15.0).reshape(1, 3, 5, 1)
        >>> np.allclose(waverec2(wavedec2(images, "db2", 2), "db2", (3, 5)), images, atol=1e-5)
        True
    """
    _known(wavelet)
    found, *details = coefficients
    sizes = [size]
    for _ in details[1:]:
        sizes.insert(0, ((sizes[0][0] + 1) // 2, (sizes[0][1] + 1) // 2))
    for (below, right, both), (height, width) in zip(details, sizes, strict=True):
        upper, lower = jnp.concatenate([found, right], 2), jnp.concatenate([below, both], 2)
        whole = jnp.concatenate([upper, lower], 1)
        found = _product(whole, _synthesis(height, wavelet), _synthesis(width, wavelet))
    return found


def _product(images: Array, rows: np.ndarray, columns: np.ndarray) -> Array:
    """rows · image · columnsᵀ for each image and channel."""
    dtype = images.dtype
    half = jnp.einsum("nhwc,kh->nkwc", images, jnp.asarray(rows, dtype), precision=jax.lax.Precision.HIGHEST)
    return jnp.einsum("nkwc,lw->nklc", half, jnp.asarray(columns, dtype), precision=jax.lax.Precision.HIGHEST)


@cache
def _analysis(n: int, wavelet: str) -> np.ndarray:
    """Low-pass rows above high-pass rows, (2 ⌈n/2⌉, n)."""
    return np.concatenate(_pywt().dwt(np.eye(n), wavelet, MODE, axis=0))


@cache
def _synthesis(n: int, wavelet: str) -> np.ndarray:
    """The inverse of `_analysis`, (n, 2 ⌈n/2⌉)."""
    one = np.eye((n + 1) // 2)
    return np.concatenate([_pywt().idwt(*pair, wavelet, MODE, axis=0)[:n] for pair in ((one, None), (None, one))], axis=1)


def _pywt() -> Any:  # which has no types
    """PyWavelets.

    Raises:
        PackageError: it is not installed.
    """
    require("hullx.spaces.Wavelets", "pywt")
    import pywt

    return pywt


def _known(name: Any) -> Any:
    library = _pywt()
    if name not in library.wavelist(kind="discrete"):
        raise ArgumentError(f"wavelet: got {name!r}, expected a discrete wavelet of PyWavelets: choose haar, db2, sym4 …")
    return library.Wavelet(name)


def _halvings(size: int) -> int:
    """How often a size can be halved.

    Example:
        >>> _halvings(28), _halvings(32), _halvings(7)
        (2, 5, 0)
    """
    return (size & -size).bit_length() - 1
