"""Projection of whole data sets, run from the host."""

from hullx.sweeping.sweep import sweep
from hullx.sweeping.vertices import Vertices, vertices

__all__ = ["Vertices", "sweep", "vertices"]
