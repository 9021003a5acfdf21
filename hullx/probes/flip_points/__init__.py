"""Flip points: the nearest point to each image where two classes share the largest logit.

found = flip_points(model.apply, variables, images)
found.distance[found.verified]
"""

from hullx.probes.flip_points.points import FlipPoints, flip_points

__all__ = ["FlipPoints", "flip_points"]
