"""What is asked of trained models, inside and outside the hull: do they agree, where do labels change, how flat are they?"""

from hullx.extras import require

require(__name__, "flax", "optax")

from hullx.probes import attacks
from hullx.probes.agreement import Agreement, agreement, pairwise, with_majority, with_others
from hullx.probes.crossings import Crossings, crossings
from hullx.probes.flip_points import FlipPoints, flip_points
from hullx.probes.legs import Legs, at, before_surface, behind_surface, class_means, kink, through_surface, within
from hullx.probes.linear_head import Boundary, Head, apart, boundary, called, head_of
from hullx.probes.matching import Matched, matched
from hullx.probes.nearest_hull import NearestHull, nearest_hull
from hullx.probes.places import Place, places
from hullx.probes.predictions import logits
from hullx.probes.samples import Inside, largest_class_share, mixtures, of_neighbours, of_one_class, on_the_surface

__all__ = [
    "Agreement",
    "Boundary",
    "Crossings",
    "FlipPoints",
    "Head",
    "Inside",
    "Legs",
    "Matched",
    "NearestHull",
    "Place",
    "agreement",
    "apart",
    "at",
    "attacks",
    "before_surface",
    "behind_surface",
    "boundary",
    "called",
    "class_means",
    "crossings",
    "flip_points",
    "head_of",
    "kink",
    "largest_class_share",
    "logits",
    "matched",
    "mixtures",
    "nearest_hull",
    "of_neighbours",
    "of_one_class",
    "on_the_surface",
    "pairwise",
    "places",
    "through_surface",
    "with_majority",
    "with_others",
    "within",
]
