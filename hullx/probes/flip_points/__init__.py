"""Flip points: of each image the nearest point at which a network is of two minds.

found = flip_points(model.apply, variables, images)
found.distance[found.verified]
"""

from hullx.probes.flip_points.points import FlipPoints, flip_points

__all__ = ["FlipPoints", "flip_points"]
