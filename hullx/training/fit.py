"""`fit`: train one network, or an ensemble in one compiled program, with checkpoints, early stopping and a history.

    fitted = fit(key, model, optimizer, data.train, FitConfig(epochs=3, checkpoint="runs/mnist"), test=data.test)
    fitted = fit(jax.random.split(key, 32), model, optimizer, data.train, FitConfig(epochs=3))

`hullx.training.steps` has the compiled functions; this file has the loop around them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from hullx.data.dataset import Split
from hullx.jax_settings import with_jax_defaults
from hullx.runs.progress import progress
from hullx.training.arguments import as_split, check_fit, fingerprint, one_each, started
from hullx.training.checkpoints import opened
from hullx.training.config import Checkpointing, FitConfig
from hullx.training.history import History, check_finite, note, reached, stacked, summary, unstacked
from hullx.training.steps import (
    MEMBERS,
    Data,
    EpochConfig,
    Layout,
    Metrics,
    TrainState,
    epoch,
    evaluate,
    init_state,
)
from hullx.types import Array


class Fit(NamedTuple):
    """The last state, and the history.

    In an ensemble the state's arrays have members on the first axis, the history's on the last.

    - state: its `variables` are for `model.apply`.
    - history: losses and accuracies by epoch.
    """

    state: TrainState
    history: History


@with_jax_defaults
def fit(
    key: Array,
    model: nn.Module,
    optimizer: optax.GradientTransformation,
    train: Split | tuple[Array, Array],
    config: FitConfig,
    *,
    test: Split | tuple[Array, Array] | None = None,
    start: Any = None,
    on_epoch: Callable[[dict[str, Any]], None] | None = None,
) -> Fit:
    """Train a network, or an ensemble of networks.

    Args:
        key: one key, or an array (m,) of keys for m networks that are trained together.
        model: a Flax linen module from images to logits, called with `train=`.
        optimizer: an Optax optimizer; schedules count steps, len(images) // batch per epoch. Optimizers that look at the loss,
            such as `optax.lbfgs`, get it as `value`, `grad` and `value_fn`.
        train: images (n, h, w, c) float32, or rows (n, d) for models that take them, such as `MLP`; and labels (n,), integers
            below the model's outputs, or (m, n), one row per ensemble member. A `Split` or a pair of arrays.
        config: how to train, see `FitConfig`.
        test: a split for evaluation after each epoch.
        start: initial variables instead of random ones, such as another run's `fitted.state.variables`; for an ensemble with
            a leading axis of members. `ensemble.scale` does not apply to them.
        on_epoch: called after each epoch with its metrics by name, such as `run.metric` for metrics.jsonl.

    Returns:
        A `Fit` of state and history. In an ensemble the state's arrays have m members on the first axis, the history's on the
        last. After a member diverges, its history is NaN.

    Raises:
        DivergedError: the loss is not finite (in an ensemble: for all members); the last checkpoint precedes it.
        CheckpointError: the folder holds something else, is in use by another process, or holds a damaged checkpoint.
        ArgumentTypeError, ArgumentError: arguments have wrong types or values, or are inconsistent.

    Example:
        >>> digits = hullx.data.load("digits")
        >>> model, optimizer, config = MLP(classes=10), optax.adam(1e-3), FitConfig(epochs=20, title=None)
        >>> fitted = fit(jax.random.key(0), model, optimizer, digits.train, config, test=digits.test)
        >>> bool(fitted.history.test_accuracy[-1] > 0.95)
        True
    """
    train, test = as_split("train", train), None if test is None else as_split("test", test)
    check_fit(key, model, optimizer, train, test, config)
    layout = Layout.ONE if not key.ndim else Layout.SHARED if config.ensemble.share_batches else Layout.OWN
    rates, scales = (one_each(name, getattr(config.ensemble, name), key) for name in ("rate", "scale"))
    checkpoint, until = config.checkpoint, config.until
    checkpoints = checkpoint if isinstance(checkpoint, Checkpointing) or checkpoint is None else Checkpointing(checkpoint)
    mesh = None if config.mesh is None else Mesh(config.mesh.devices, config.mesh.axis_names)  # with automatic axes

    batch = min(config.batch, len(train.images))
    settings = EpochConfig(model, optimizer, batch, config.augment, config.adversary, layout, mesh)
    programs = _Programs(partial(epoch, config=settings), partial(evaluate, model=model, layout=layout, mesh=mesh))
    data = _Data(
        _on_device(train, key, mesh), None if test is None else _on_device(test, key, mesh), _members(rates, key, mesh)
    )
    first = _begun(key, scales, jnp.asarray(train.images[:1]), model=model, optimizer=optimizer)
    if start is not None:
        first = started(first, start, key, optimizer)
    state = _members(first, key, mesh)
    whose = partial(fingerprint, key, train, settings, rates, scales, start)

    rows, last = list[History](), time.monotonic()
    with nullcontext() if checkpoints is None else opened(checkpoints.folder, whose()) as saved:
        if saved is not None and (found := saved.restore(state)) is not None:
            state, record = found
            rows = unstacked(History(**record))
        title = f"{config.title}, resuming at epoch {len(rows) + 1}" if rows else f"{config.title}"
        with progress(title, config.epochs * len(train.images), "images", shown=config.title is not None) as report:
            while len(rows) < config.epochs and not reached(rows, until):
                state, row = _epoch(programs, state, data, len(rows), until)
                rows.append(row)
                ended = len(rows) == config.epochs or reached(rows, until)
                if checkpoints is not None and saved is not None and (ended or time.monotonic() - last >= checkpoints.seconds):
                    saved.save(len(rows), state, stacked(rows)._asdict())
                    last = time.monotonic()
                if on_epoch is not None:
                    on_epoch(summary(rows))
                report(len(rows) * len(train.images), note(rows))
    return Fit(state, stacked(rows))


class _Programs(NamedTuple):
    """The compiled epoch and evaluation of a model."""

    epoch: Callable[..., tuple[TrainState, Metrics]]
    evaluate: Callable[..., Metrics]


class _Data(NamedTuple):
    """The data of every epoch."""

    train: Data
    test: Data | None
    rates: Array


def _epoch(programs: _Programs, state: TrainState, data: _Data, done: int, until: float | None) -> tuple[TrainState, History]:
    """Run one epoch; return the state and its row of the history.

    Raises:
        DivergedError: no member has finite losses.
    """
    state, metrics = programs.epoch(state, data.train, data.rates)
    loss, accuracy = (np.asarray(values) for values in metrics)
    check_finite(loss, done)
    unknown = Metrics(*(np.full(loss.shape[1:], np.nan, np.float32),) * 2)

    def measured(split: Data | None) -> Metrics:
        return unknown if split is None else jax.tree.map(np.asarray, programs.evaluate(state.variables, split))

    return state, History(loss, accuracy, *measured(data.train if until is not None else None), *measured(data.test))


@partial(jax.jit, static_argnames=("model", "optimizer"))
def _begun(key: Array, scales: Array, image: Array, *, model: nn.Module, optimizer: optax.GradientTransformation) -> TrainState:
    """The initial states of all members."""

    def one(key: Array, scale: Array) -> TrainState:
        return init_state(key, model, optimizer, image, scale)

    return (jax.vmap(one) if key.ndim else one)(key, scales)


def _on_device(split: Split, key: Array, mesh: Mesh | None) -> Data:
    labels = jnp.broadcast_to(jnp.asarray(split.labels), (*key.shape, len(split.images)))
    images = jax.device_put(jnp.asarray(split.images), None if mesh is None else NamedSharding(mesh, PartitionSpec()))
    return Data(images, _members(labels, key, mesh))


def _members(fields: Any, key: Array, mesh: Mesh | None) -> Any:
    """Place arrays with one row per member, sharded over the mesh's axis "members"."""
    if mesh is None:
        return jax.device_put(fields)
    spread = PartitionSpec(MEMBERS) if key.ndim and MEMBERS in mesh.axis_names else PartitionSpec()
    return jax.device_put(fields, NamedSharding(mesh, spread))
