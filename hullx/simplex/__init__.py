"""Least squares and quadratic programs over the probability simplex, with certificates."""

from hullx.simplex.least_squares import SimplexFit, simplex_lstsq
from hullx.simplex.quadratic import SimplexMinimum, simplex_qp
from hullx.simplex.uniqueness import WeightRange

__all__ = ["SimplexFit", "SimplexMinimum", "WeightRange", "simplex_lstsq", "simplex_qp"]
