"""Projection of whole data sets, driven from the host."""

from hullx.sweeping.sweep import sweep

__all__ = ["sweep"]
