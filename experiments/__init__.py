"""Experiments: one file, one question. Start one with `python -m experiments.<name> [smoke|cpu|paper]`."""

from hullx.extras import require

require("experiments", "flax", "optax", "matplotlib", "tyro", "rich", "sklearn", extra="experiments")
