"""Adversarial attacks: small changes of images that make a network misclassify them.

    attacked = pgd(model.apply, variables, images, labels, key, budget=Budget("linf", 8 / 255))
    attacked.success.mean()

Images are in [0, 1], or in other `bounds`, in any layout. A network is any function from variables and images to logits. If you
put normalisation of images into that function, budgets are in pixel units.
"""

from hullx.probes.attacks.apgd import APGD, apgd
from hullx.probes.attacks.attacked import Attacked
from hullx.probes.attacks.bisection import smallest_budget
from hullx.probes.attacks.budget import Budget, drawn_within, moved, nearest_within, steepest
from hullx.probes.attacks.deepfool import DeepFool, deepfool
from hullx.probes.attacks.gradient import PGD, fgsm, pgd
from hullx.probes.attacks.losses import cross_entropy, dlr, margin

__all__ = [
    "APGD",
    "PGD",
    "Attacked",
    "Budget",
    "DeepFool",
    "apgd",
    "cross_entropy",
    "deepfool",
    "dlr",
    "drawn_within",
    "fgsm",
    "margin",
    "moved",
    "nearest_within",
    "pgd",
    "smallest_budget",
    "steepest",
]
