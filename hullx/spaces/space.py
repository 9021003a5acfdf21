"""The protocol of spaces, and `rows`, which maps data sets in chunks of one shape by one compiled program."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Float

from hullx.arguments import check_array, check_count
from hullx.errors import ArgumentError
from hullx.jax_settings import with_jax_defaults
from hullx.numerics.aligned import aligned
from hullx.numerics.batching import fill
from hullx.runs.atomic import UNFINISHED, unwritten
from hullx.types import Array

# Images mapped at once. On a CPU larger batches are no faster, and a network's activations take memory.
BATCH = 256
# The mesh's axis over which images are spread, as in `hullx.training.fit`.
DATA = "data"

Images: TypeAlias = Float[Array, "n h w c"] | Sequence[Float[Array, "_ h w c"]]


@runtime_checkable
class Space(Protocol):
    """A map from images to the vectors whose hull is taken: pure, differentiable, and a pytree, for use under jit.

    Any such callable is a space; hullx's spaces are frozen dataclasses registered with JAX.
    """

    def __call__(self, images: Float[Array, "n h w c"], /) -> Float[Array, "n k"]:
        """The images' vectors."""
        ...


@runtime_checkable
class Invertible(Space, Protocol):
    """A space with an inverse: exact, or the nearest image with that vector."""

    def inverse(self, vectors: Float[Array, "n k"], /) -> Float[Array, "n h w c"]:
        """The vectors' images."""
        ...


@with_jax_defaults
def rows(
    space: Space, images: Images, *, batch: int = BATCH, mesh: Mesh | None = None, out: str | Path | None = None
) -> Float[np.ndarray, "n k"]:
    """The vectors of a data set, one per row, for `hullx.sweep`.

    Args:
        space: the target space.
        images: floating-point array (n, h, w, c), n ≥ 1, NumPy's or JAX's. A `numpy.memmap` or a sequence of arrays
            (n_i, h, w, c) is read in chunks and may exceed memory.
        batch: images per batch.
        mesh: devices whose axis "data" shards each batch; None for JAX's default device.
        out: a file (.npy) for vectors that exceed memory, written atomically.

    Returns:
        (n, k) in the space's dtype; a `numpy.memmap` if `out` is given.

    Raises:
        ArgumentTypeError, ArgumentError: images of wrong dtype or shape, a mesh without that axis, or an error of the space.
        StorageError: the file cannot be written.

    Example:
        >>> digits = hullx.data.load("digits")
        >>> train, test = (rows(hullx.spaces.Crop(4), split.images) for split in (digits.train, digits.test))
        >>> hullx.sweep(test, train, progress=False).point.shape
        (360, 16)
    """
    parts = _parts(images)
    count, place, found, path = sum(map(len, parts)), 0, None, None
    try:
        for vectors in batches(space, images, batch=batch, mesh=mesh):
            if found is None:
                shape = count, vectors.shape[1]
                if out is None:
                    found = aligned(shape) if vectors.dtype == np.float32 else np.empty(shape, vectors.dtype)
                else:
                    path = Path(f"{out}{UNFINISHED}")
                    found = _begun(path, shape, vectors.dtype)
            found[place : place + len(vectors)] = vectors
            place += len(vectors)
        assert found is not None  # there is an image
        if out is None or path is None:
            return found
        _finish(found, path, Path(out))
    finally:
        if path is not None:
            path.unlink(missing_ok=True)
    return np.load(out, mmap_mode="r")


def batches(
    space: Space, images: Images, *, batch: int = BATCH, mesh: Mesh | None = None
) -> Iterator[Float[np.ndarray, "_ k"]]:
    """`rows` as an iterator over batches, with the same arguments."""
    check_count("batch", batch)
    sharding = None if mesh is None else _spread(mesh)
    size = batch if sharding is None else -(-batch // sharding.mesh.shape[DATA]) * sharding.mesh.shape[DATA]
    if sharding is not None:
        space = jax.device_put(space, NamedSharding(sharding.mesh, PartitionSpec()))
    for part in _parts(images):
        for start in range(0, len(part), size):
            chunk = np.ascontiguousarray(part[start : start + size])
            with jax.enable_x64(chunk.dtype == np.float64):
                given = fill(chunk, size) if len(part) > size or sharding is not None else chunk
                found = np.asarray(_apply(space, given if sharding is None else jax.device_put(given, sharding)))[: len(chunk)]
            yield found  # the caller's code runs with its own x64 setting


@jax.jit
def _apply(space: Any, images: Array) -> Array:
    return space(images)


def _parts(images: Any) -> list[np.ndarray]:
    parts = list(images) if isinstance(images, list | tuple) else [images]
    for i, part in enumerate(parts):
        name = f"images[{i}]" if len(parts) > 1 else "images"
        check_array(name, part)
        if part.ndim != 4 or part.shape[1:] != parts[0].shape[1:]:
            said = f"{name}: got shape {part.shape}, expected (n, height, width, channels), of one size"
            raise ArgumentError(f"{said}: add the missing axes, or resize them")
    if not sum(map(len, parts)):
        raise ArgumentError("images: got none, expected one or more: give images")
    return parts


def _spread(mesh: Mesh) -> NamedSharding:
    if DATA not in mesh.axis_names:
        raise ArgumentError(f"mesh: got axes {mesh.axis_names}, expected one named {DATA!r}: make it with jax.make_mesh")
    return NamedSharding(Mesh(mesh.devices, mesh.axis_names), PartitionSpec(DATA))  # with automatic axes


def _finish(found: np.ndarray, path: Path, out: Path) -> None:
    try:
        found.flush()  # pyright: ignore[reportAttributeAccessIssue]
        os.replace(path, out)
    except OSError as error:
        raise unwritten(out, error) from error


def _begun(path: Path, shape: tuple[int, int], dtype: np.dtype) -> np.ndarray:
    try:
        return np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    except OSError as error:
        raise unwritten(path, error) from error
