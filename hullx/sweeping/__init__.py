"""Projection of a whole data set, driven from the host."""

from hullx.sweeping.sweep import sweep

__all__ = ["sweep"]
