"""Training of one network, or of an ensemble in one compiled program."""

from hullx.extras import require

require(__name__, "flax", "optax", "orbax.checkpoint")

from hullx.training.checkpoints import load_variables
from hullx.training.config import Checkpointing, Ensemble, FitConfig
from hullx.training.fit import Fit, fit
from hullx.training.history import History
from hullx.training.steps import Metrics, TrainState, init_state, train_step

__all__ = [
    "Checkpointing",
    "Ensemble",
    "Fit",
    "FitConfig",
    "History",
    "Metrics",
    "TrainState",
    "fit",
    "init_state",
    "load_variables",
    "train_step",
]
