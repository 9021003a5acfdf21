"""Spaces: maps from images (n, h, w, c) to vectors (n, k), in which hulls are taken; some have an inverse.

    space = hullx.spaces.Wavelets((28, 28, 1), "db2")
    train, test = (hullx.spaces.rows(space, split.images) for split in (data.train, data.test))
    hullx.sweep(test, train)

Each is a pure, differentiable function and a pytree: `jax.jit`, `jax.grad` and `hullx.distance` compose with it. `rows` maps
whole data sets, in chunks. `Features` and `layers` need Flax and are imported on first use.
"""

import importlib
from typing import TYPE_CHECKING, Any

from hullx.spaces.pixels import Crop, Pixels, SmoothSubsample
from hullx.spaces.principal import Principal, components, pca
from hullx.spaces.selected import Selected, pivots, selected
from hullx.spaces.space import Invertible, Space, rows
from hullx.spaces.wavelets import Wavelets, wavedec2, waverec2

if TYPE_CHECKING:
    from hullx.spaces.features import Features, layers

__all__ = [
    "Crop",
    "Features",
    "Invertible",
    "Pixels",
    "Principal",
    "Selected",
    "SmoothSubsample",
    "Space",
    "Wavelets",
    "components",
    "layers",
    "pca",
    "pivots",
    "rows",
    "selected",
    "wavedec2",
    "waverec2",
]


def __getattr__(name: str) -> Any:
    """Import network layers on first use, because they need Flax."""
    if name in ("Features", "layers"):
        return getattr(importlib.import_module("hullx.spaces.features"), name)
    raise AttributeError(f"module 'hullx.spaces' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
