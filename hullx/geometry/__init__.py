"""Yardsticks of a set of points."""

from hullx.geometry.extent import Extent, extent, nearest_distances

__all__ = ["Extent", "extent", "nearest_distances"]
