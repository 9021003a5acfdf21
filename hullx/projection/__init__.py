"""Projection of queries onto the convex hull of points, as pure functions that compose with jit, vmap and grad."""

from hullx.projection.project import distance, project

__all__ = ["distance", "project"]
