"""Attacks, decision boundaries and the hull: how far, in which direction, and what projecting helps."""
