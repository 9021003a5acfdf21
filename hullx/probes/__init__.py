"""Measurements on trained models, inside and outside the hull: agreement, attacks, flip points, the linear last layer."""

from hullx.extras import require

require(__name__, "flax", "optax")

from hullx.probes import attacks
from hullx.probes.agreement import Agreement, agreement, pairwise, with_majority, with_others
from hullx.probes.flip_points import FlipPoints, flip_points
from hullx.probes.linear_head import Boundary, Head, boundary, class_gaps, head_of, predicted_class
from hullx.probes.nearest_hull import NearestHull, nearest_hull
from hullx.probes.predictions import logits

__all__ = [
    "Agreement",
    "Boundary",
    "FlipPoints",
    "Head",
    "NearestHull",
    "agreement",
    "attacks",
    "boundary",
    "class_gaps",
    "flip_points",
    "head_of",
    "logits",
    "nearest_hull",
    "pairwise",
    "predicted_class",
    "with_majority",
    "with_others",
]
