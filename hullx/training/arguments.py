"""Checks of the arguments of `fit`, and the fingerprint of a run."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh

from hullx.arguments import check_count, finite_and_max
from hullx.data.dataset import Split
from hullx.errors import ArgumentError, ArgumentTypeError
from hullx.runs.fingerprint import digest
from hullx.training.config import Ensemble, FitConfig
from hullx.training.steps import DATA, MEMBERS, Adversary, EpochConfig, TrainState
from hullx.types import Array


def check_fit(key: Array, model: nn.Module, optimizer: Any, train: Split, test: Split | None, config: FitConfig) -> None:
    """Check the arguments of `fit`.

    Raises:
        ArgumentTypeError, ArgumentError: an argument is invalid; the message says what to change.
    """
    if not isinstance(key, jax.Array) or not jnp.issubdtype(key.dtype, jax.dtypes.prng_key) or key.ndim > 1:
        raise ArgumentError("key must be jax.random.key(seed), or jax.random.split(key, m) for an ensemble")
    if not isinstance(optimizer, optax.GradientTransformation):
        got = type(optimizer).__name__
        raise ArgumentTypeError(f"optimizer: got {got}, expected an optax optimizer: give one such as optax.adam(1e-3)")
    if not isinstance(config, FitConfig):
        raise ArgumentTypeError(f"config: got {type(config).__name__}, expected a FitConfig: give FitConfig(epochs=…)")
    if not isinstance(config.ensemble, Ensemble):
        got = type(config.ensemble).__name__
        raise ArgumentTypeError(f"ensemble: got {got}, expected an Ensemble: give Ensemble(rate=…)")
    until, mesh = config.until, config.mesh
    check_count("epochs", config.epochs)
    check_count("batch", config.batch)
    if until is not None and (not isinstance(until, int | float | np.number) or not 0 <= until <= 1):
        raise ArgumentError(f"until: got {until!r}, expected a share of the training images, from 0 to 1")
    for name, split in (("train", train), ("test", test)):
        if split is not None:
            _check_images(name, split, augment=config.augment is not None)
    n, labels = len(train.images), np.shape(train.labels)
    if labels not in ((n,), (*key.shape, n)):
        expected = f"({n},)" + (f" or ({len(key)}, {n})" if key.ndim else "")
        raise ArgumentError(f"train.labels has shape {labels}: for {n} images it must be {expected}")
    if mesh is not None and not isinstance(mesh, Mesh):
        raise ArgumentTypeError(f"mesh: got {type(mesh).__name__}, expected a jax.sharding.Mesh: make one with jax.make_mesh")
    sizes = {} if mesh is None else dict(mesh.shape)
    together = min(config.batch, n)
    for axis, count, what in ((DATA, together, "the batch"), (MEMBERS, len(key) if key.ndim else 0, "the number of keys")):
        if count % sizes.pop(axis, 1):
            raise ArgumentError(f"{what}, {count}, must be a multiple of the mesh's {axis!r} axis, {mesh and mesh.shape[axis]}")
    if sizes:
        raise ArgumentError(f"mesh has axes {', '.join(map(repr, sizes))}, expected only {DATA!r} and {MEMBERS!r}")
    _check_labels(model, train)


def as_split(name: str, given: Any) -> Split:
    """A split as it is, or a pair of arrays as a split.

    Raises:
        ArgumentTypeError: it is neither.
    """
    if isinstance(given, Split):
        return given
    if not isinstance(given, tuple) or len(given) != 2:
        raise ArgumentTypeError(f"{name}: got {type(given).__name__}, expected a Split or a pair of arrays (images, labels)")
    images: Any
    images, labels = given
    if not isinstance(images, jax.Array):
        images = np.asarray(images)
        images = images.astype(np.float32) if images.dtype == np.float64 else images
    return Split(images, np.asarray(labels))  # pyright: ignore[reportArgumentType]


def _check_images(name: str, split: Split, *, augment: bool) -> None:
    images = split.images
    expected = "(n, height, width, channels)" + ("" if augment else " or (n, d)")
    if not hasattr(images, "dtype") or images.ndim not in ((4,) if augment else (2, 4)) or not len(images):
        raise ArgumentError(f"{name}.images has shape {np.shape(images)}: it must be {expected} with n ≥ 1")
    if jnp.issubdtype(images.dtype, jnp.floating) and not finite_and_max(images).finite:
        raise ArgumentError(f"{name}.images hold NaN or infinity: drop or repair those images")


def _check_labels(model: nn.Module, train: Split) -> None:
    outputs = jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), jnp.asarray(train.images[:1]))[0]).shape[-1]
    least, most = train.labels.min(), train.labels.max()
    if not np.issubdtype(train.labels.dtype, np.integer) or least < 0 or most >= outputs:
        raise ArgumentError(
            f"train.labels go from {least} to {most} as {train.labels.dtype}, but the model's {outputs} outputs need "
            f"integers from 0 to {outputs - 1}"
        )


def one_each(name: str, value: Any, key: Array) -> Array:
    """One finite float32 number per network.

    Args:
        name: the argument's name, for the message.
        value: one number, or (m,).
        key: one key, or (m,).

    Raises:
        ArgumentError: the shape is neither () nor (m,), or a number is not finite.

    Example:
        >>> one_each("rate", 0.5, jax.random.split(jax.random.key(0), 3))
        Array([0.5, 0.5, 0.5], dtype=float32)
    """
    if np.shape(value) not in ((), key.shape):
        raise ArgumentError(f"{name} has shape {np.shape(value)}: give one number{f' or {len(key)}' if key.ndim else ''}")
    if not np.isfinite(np.asarray(value, np.float32)).all():
        raise ArgumentError(f"{name} is {value}: give finite numbers")
    return jnp.broadcast_to(jnp.asarray(value, jnp.float32), key.shape)


def started(state: TrainState, start: Any, key: Array, optimizer: optax.GradientTransformation) -> TrainState:
    """An initial state with given variables.

    Args:
        state: a random initial state.
        start: variables of the same layers and shapes.
        key: one key, or (m,).
        optimizer: its state is initialised for those variables.

    Raises:
        ArgumentError: the variables belong to another model or number of members, or are not finite.
    """
    expected, got = (jax.tree.map(np.shape, variables) for variables in (state.variables, start))
    if expected != got:
        raise ArgumentError(
            f"start has {_shapes(got)}, expected {_shapes(expected)}: give variables of this model, one per key"
        )
    if not all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(start)):
        raise ArgumentError("start holds NaN or infinity: use variables of a run that has not diverged")
    variables = jax.tree.map(lambda leaf, drawn: jnp.array(leaf, drawn.dtype), start, state.variables)
    init = jax.vmap(optimizer.init) if key.ndim else optimizer.init
    return state._replace(variables=variables, optimizer=init(variables["params"]))


def _shapes(tree: Any) -> str:
    leaves = jax.tree_util.tree_leaves_with_path(tree, is_leaf=lambda each: isinstance(each, tuple))
    return ", ".join(f"{jax.tree_util.keystr(path, simple=True, separator='/')} {shape}" for path, shape in leaves)


def fingerprint(key: Array, train: Split, config: EpochConfig, rates: Array, scales: Array, start: Any) -> dict[str, Any]:
    """Everything that determines a run: hashes and descriptions by name, stored with checkpoints.

    Args:
        key, train: as given to `fit`.
        config: of an epoch.
        rates, scales: one per network.
        start: initial variables, or None.
    """
    model, optimizer, augment, adversary = config.model, config.optimizer, config.augment, config.adversary
    params = {"kernel": jnp.ones((2, 3)), "bias": jnp.ones(3)}
    images, update = jnp.ones((2, *train.images.shape[1:])), optax.with_extra_args_support(optimizer).update
    known = {"value": jnp.float32(1), "grad": params, "value_fn": optax.tree.norm}
    return {
        "key": digest([np.asarray(jax.random.key_data(key))]),
        "model": _plain(repr(model)),
        "optimizer": _program(lambda: update(params, optimizer.init(params), params, **known)),
        "images": digest([np.asarray(train.images)]),
        "labels": digest([np.asarray(train.labels)]),
        "batch": config.batch,
        "augment": None if augment is None else _plain(repr(augment)) + _program(lambda: augment(jax.random.key(0), images)),
        "layout": config.layout.value,
        "rate": digest([np.asarray(rates)]),
        "scale": digest([np.asarray(scales)]),
        **({} if start is None else {"start": digest([np.asarray(leaf) for leaf in jax.tree.leaves(start)])}),
        **({} if adversary is None else {"adversary": _against(adversary, model, images)}),
    }


def _against(adversary: Adversary, model: nn.Module, images: Array) -> str:
    """A description of an adversary."""
    variables = {name: each for name, each in model.init(jax.random.key(0), images).items() if name != "representations"}
    labels = jnp.zeros(len(images), jnp.int32)
    return _plain(repr(adversary)) + _program(lambda: adversary(variables, images, labels, jax.random.key(0)))


def _program(function: Callable[[], Any]) -> str:
    """A hash of a function's operations and constants.

    Optax transformations and augmentations are closures without readable settings.
    """
    program = jax.make_jaxpr(function)()
    return digest([np.frombuffer(_plain(str(program)).encode(), np.uint8), *map(np.asarray, program.consts)])


def _plain(text: str) -> str:
    """A description without memory addresses, which differ between processes."""
    return re.sub(r" at 0x[0-9a-f]+", "", text)
