"""The configuration of `fit`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jax.sharding import Mesh
from jaxtyping import Float

from hullx.training.steps import Adversary, Augment
from hullx.types import Array


@dataclass(frozen=True)
class Ensemble:
    """Differences between the members of an ensemble, besides keys and labels.

    Attributes:
        rate: factor on all updates, one number or (m,): the learning rate, for an optimizer with learning rate 1.
        scale: factor on the initial kernels, one number or (m,).
        share_batches: whether members see the same augmented batches in the same order, so that their first layer is one wide
            product. Otherwise each member has its own order.

    Example:
        >>> digits, keys = hullx.data.load("digits", train_size=256), jax.random.split(jax.random.key(0), 2)
        >>> rates = Ensemble(rate=np.array([0.0, 0.1]))
        >>> config = FitConfig(epochs=2, batch=64, ensemble=rates, title=None)
        >>> fitted = fit(keys, MLP(classes=10), optax.sgd(1.0), digits.train, config)
        >>> fitted.history.loss.shape  # epochs, steps, members
        (2, 4, 2)
    """

    rate: Float[Array, "..."] | float = 1.0
    scale: Float[Array, "..."] | float = 1.0
    share_batches: bool = True


@dataclass(frozen=True)
class Checkpointing:
    """The folder of checkpoints, and their interval.

    Attributes:
        folder: a run resumes from the last checkpoint in this folder.
        seconds: minimum time between checkpoints, which are written after epochs and at the end; 0 for every epoch.

    Example:
        >>> Checkpointing("runs/mnist", seconds=60)  # for FitConfig(checkpoint=…)
        Checkpointing(folder='runs/mnist', seconds=60)
    """

    folder: str | Path
    seconds: float = 10.0


@dataclass(frozen=True)
class FitConfig:
    """How `fit` trains.

    Attributes:
        epochs: passes over the data, including those in a checkpoint.
        batch: images per step; each epoch drops an incomplete last batch, with different images each time.
        augment: changes a batch, such as `hullx.data.CropFlip()`.
        adversary: (variables, images, labels, key) → images, which perturbs each batch against each current network, for
            adversarial training with an attack of `hullx.probes.attacks`. Accuracies on whole splits exclude it.
        until: stop when every member that has not diverged classifies this share of the training images correctly, 0 to 1.
        ensemble: differences between members; `rate` and `scale` also apply to a single network.
        mesh: devices with axes "data" (shards each batch), "members" (shards the ensemble), or both.
        checkpoint: a folder, or `Checkpointing`. A run resumes from the last checkpoint there, with bitwise identical losses
            on the same machine with the same JAX. Only `epochs` and `until` may change.
        title: title of the progress display; None for no display.

    Example:
        >>> FitConfig(epochs=40, batch=64).until is None
        True
    """

    epochs: int
    batch: int = 128
    augment: Augment | None = None
    adversary: Adversary | None = None
    until: float | None = None
    ensemble: Ensemble = Ensemble()
    mesh: Mesh | None = None
    checkpoint: str | Path | Checkpointing | None = None
    title: str | None = "training"
