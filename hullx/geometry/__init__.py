"""Geometry of a set of points: extent, nearest points, local density and dimension."""

from hullx.geometry.dimension import dimension_by_likelihood, dimension_by_moments, log_density
from hullx.geometry.extent import Extent, extent
from hullx.geometry.neighbours import Neighbours, neighbours, neighbours_within

__all__ = [
    "Extent",
    "Neighbours",
    "dimension_by_likelihood",
    "dimension_by_moments",
    "extent",
    "log_density",
    "neighbours",
    "neighbours_within",
]
