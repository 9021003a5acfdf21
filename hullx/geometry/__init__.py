"""Geometry of a set of points: extent, nearest points, local density and dimension; and the content of random hulls."""

from hullx.geometry.dimension import dimension_by_likelihood, dimension_by_moments, log_density
from hullx.geometry.extent import Extent, extent
from hullx.geometry.neighbours import Neighbours, neighbours, neighbours_within
from hullx.geometry.random_hulls import ball_simplex_inside, gaussian_outside, interval_outside, symmetric_outside

__all__ = [
    "Extent",
    "Neighbours",
    "ball_simplex_inside",
    "dimension_by_likelihood",
    "dimension_by_moments",
    "extent",
    "gaussian_outside",
    "interval_outside",
    "log_density",
    "neighbours",
    "neighbours_within",
    "symmetric_outside",
]
