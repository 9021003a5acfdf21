"""Projection of whole data sets, run from the host."""

from hullx.sweeping.sweep import sweep

__all__ = ["sweep"]
