"""What is asked of trained models, inside and outside the hull: do they agree, where do labels change, how flat are they?"""

from hullx.probes.agreement import Agreement, agreement, pairwise, with_majority
from hullx.probes.crossings import Crossings, crossings
from hullx.probes.legs import Legs, at, before_surface, behind_surface, class_means, through_surface, within
from hullx.probes.matching import Matched, matched
from hullx.probes.predictions import logits
from hullx.probes.samples import Inside, largest_class_share, mixtures, of_neighbours, of_one_class, on_the_surface

__all__ = [
    "Agreement",
    "Crossings",
    "Inside",
    "Legs",
    "Matched",
    "agreement",
    "at",
    "before_surface",
    "behind_surface",
    "class_means",
    "crossings",
    "largest_class_share",
    "logits",
    "matched",
    "mixtures",
    "of_neighbours",
    "of_one_class",
    "on_the_surface",
    "pairwise",
    "through_surface",
    "with_majority",
    "within",
]
