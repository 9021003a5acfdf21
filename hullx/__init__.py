"""hullx: certified projections onto convex hulls, and experiments on how networks behave outside their training set's."""

from hullx import certificate, solvers
from hullx.errors import HullxError
from hullx.projection import distance, project
from hullx.sweeping import sweep
from hullx.types import Projection, Status

__all__ = ["HullxError", "Projection", "Status", "certificate", "distance", "project", "solvers", "sweep"]
