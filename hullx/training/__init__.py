"""Training of one network, or of an ensemble in one compiled program."""

from hullx.extras import require

require(__name__, "flax", "optax", "orbax.checkpoint")

from hullx.training.checkpoints import load_variables
from hullx.training.fit import Checkpointing, Ensemble, Fit, fit
from hullx.training.guessing import Found, guess, stopped_descent
from hullx.training.history import History
from hullx.training.pattern_search import pattern_search
from hullx.training.steps import Metrics, TrainState, init_state, train_step

__all__ = [
    "Checkpointing",
    "Ensemble",
    "Fit",
    "Found",
    "History",
    "Metrics",
    "TrainState",
    "fit",
    "guess",
    "init_state",
    "load_variables",
    "pattern_search",
    "stopped_descent",
    "train_step",
]
