"""hullx: certified projections onto convex hulls, and tools to study networks outside the hull of their training set.

`hullx.data`, `hullx.geometry`, `hullx.models`, `hullx.probes`, `hullx.runs`, `hullx.spaces` and `hullx.training` are imported
on first use, and so is `HullDomain`. They take longer to import, and some need optional packages (see `hullx.extras`).
"""

import importlib
from typing import TYPE_CHECKING, Any

from hullx import certificate, solvers
from hullx.core.hull import Hull
from hullx.errors import HullxError
from hullx.projection import distance, prepare, project
from hullx.simplex import simplex_lstsq, simplex_qp
from hullx.sweeping import sweep, vertices
from hullx.types import Projection, Status

if TYPE_CHECKING:
    from hullx import data, geometry, models, probes, runs, spaces, training
    from hullx.estimator import HullDomain

    __version__: str

__all__ = [
    "Hull",
    "HullDomain",
    "HullxError",
    "Projection",
    "Status",
    "certificate",
    "data",
    "distance",
    "geometry",
    "models",
    "prepare",
    "probes",
    "project",
    "runs",
    "simplex_lstsq",
    "simplex_qp",
    "solvers",
    "spaces",
    "sweep",
    "training",
    "vertices",
]


def __getattr__(name: str) -> Any:
    """Import a subpackage on first use, or return the installed version."""
    if name == "HullDomain":
        return importlib.import_module("hullx.estimator").HullDomain
    if name in __all__:
        return importlib.import_module(f"hullx.{name}")
    if name == "__version__":
        return _version()
    raise AttributeError(f"module 'hullx' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("hullx")
    except PackageNotFoundError:
        return "0+unknown"
