"""Attacks, decision boundaries and the hull: distances, directions, and the benefit of projection."""
