"""Projection of queries onto the convex hull of points, as functions that compose with jit, vmap and grad."""

from hullx.projection.prepared import prepare
from hullx.projection.project import distance, project

__all__ = ["distance", "prepare", "project"]
