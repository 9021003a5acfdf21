"""Training as pure functions: state, step, epoch (one compiled scan over data on the device) and evaluation.

    state = init_state(key, model, optimizer, images)
    state, metrics = train_step(state, images, labels, model=model, optimizer=optimizer)

A model is a Flax linen module whose call takes images and `train=`; images are NHWC float32, labels integers from 0 on.
`hullx.training.fit` calls them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Float, Int

from hullx.types import Array

# Images per batch in evaluation.
EVALUATED = 500
# Mesh axes that shard the images of a batch and the members of an ensemble.
DATA, MEMBERS = "data", "members"

Augment = Callable[[Array, Array], Array]
# (variables, images, labels, key) → images: perturbed against the current network.
Adversary = Callable[[Any, Array, Array, Array], Array]


class TrainState(NamedTuple):
    """The state of training, with a leading axis of members in an ensemble."""

    step: Int[Array, ""]  # steps taken
    variables: Any  # the model's params and other collections such as batch_stats
    optimizer: Any  # Optax's state
    key: Array  # for the order of batches and randomness in the network


class Metrics(NamedTuple):
    """Mean cross entropy in nats, and accuracy from 0 to 1."""

    loss: Float[Array, "..."]
    accuracy: Float[Array, "..."]


def init_state(
    key: Array, model: nn.Module, optimizer: optax.GradientTransformation, images: Float[Array, "b ..."], scale: Any = 1.0
) -> TrainState:
    """A network's initial state.

    Args:
        key: one key, split into one for the parameters and one kept in the state.
        model: a Flax linen module from images to logits.
        optimizer: an Optax optimizer.
        images: any batch of the right shape.
        scale: factor on the initial kernels.

    Example:
        >>> images = jnp.zeros((5, 8, 8, 1))
        >>> state = init_state(jax.random.key(0), MLP(classes=10), optax.sgd(0.1), images)
        >>> state.variables["params"]["head"]["kernel"].shape
        (64, 10)
    """
    init_key, own_key = jax.random.split(key)
    variables = dict(model.init(init_key, images[:1]))
    variables.pop("representations", None)

    def scaled(path: tuple[Any, ...], leaf: Array) -> Array:
        return leaf * scale if path[-1].key == "kernel" else leaf

    variables["params"] = jax.tree_util.tree_map_with_path(scaled, variables["params"])
    return TrainState(jnp.zeros((), jnp.int32), variables, optimizer.init(variables["params"]), own_key)


def train_step(
    state: TrainState,
    images: Float[Array, "b ..."],
    labels: Int[Array, "b"],
    rate: Any = 1.0,
    *,
    model: nn.Module,
    optimizer: optax.GradientTransformation,
    adversary: Adversary | None = None,
) -> tuple[TrainState, Metrics]:
    """One step on one batch: the next state, and the batch's loss and accuracy before the step.

    Args:
        state: state of one network.
        labels: integers below the model's outputs.
        rate: factor on the optimizer's updates: the learning rate, for an optimizer with learning rate 1.
        model, optimizer: as for `init_state`.
        adversary: perturbs the images against the current network, for example by projected gradient ascent (Madry et al.
            2018); loss and accuracy are those of the perturbed images.

    Example:
        >>> model, optimizer, images, labels = MLP(classes=10), optax.sgd(0.1), jnp.ones((5, 8, 8, 1)), jnp.arange(5)
        >>> state = init_state(jax.random.key(0), model, optimizer, images)
        >>> step = jax.jit(partial(train_step, model=model, optimizer=optimizer))
        >>> state, first = step(state, images, labels)
        >>> state, second = step(state, images, labels)
        >>> int(state.step), bool(second.loss < first.loss)
        (2, True)
    """
    params, others = state.variables["params"], {name: each for name, each in state.variables.items() if name != "params"}
    dropout_key = jax.random.fold_in(jax.random.split(state.key)[0], state.step)
    if adversary is not None:
        images = lax.stop_gradient(adversary(state.variables, images, labels, jax.random.split(dropout_key)[1]))

    def loss(params: Any) -> tuple[Array, tuple[Array, Any]]:
        logits, changed = model.apply(
            {"params": params, **others}, images, train=True, mutable=list(others), rngs={"dropout": dropout_key}
        )
        entropy = optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()
        return entropy, ((logits.argmax(1) == labels).mean(dtype=jnp.float32), changed)

    (entropy, (accuracy, changed)), gradient = jax.value_and_grad(loss, has_aux=True)(params)
    # Some optimizers look at the loss, such as optax.polyak_sgd, or call it, such as optax.lbfgs.
    known = {"value": entropy, "grad": gradient, "value_fn": lambda params: loss(params)[0]}
    updates, optimizer_state = optax.with_extra_args_support(optimizer).update(gradient, state.optimizer, params, **known)
    params = optax.apply_updates(params, jax.tree.map(lambda update: rate * update, updates))
    following = TrainState(state.step + 1, {"params": params, **changed}, optimizer_state, state.key)
    return following, Metrics(entropy, accuracy)


class Data(NamedTuple):
    """A split on the device."""

    images: Float[Array, "n ..."]
    labels: Int[Array, "... n"]  # in an ensemble one row per member


class Layout(Enum):
    """One network or an ensemble, with shared or separate batches."""

    ONE = "one network"
    SHARED = "members that share their batches"
    OWN = "members with batches of their own"


@dataclass(frozen=True)
class EpochConfig:
    """How an epoch trains; static under jit.

    Attributes:
        model, optimizer: as for `init_state`.
        batch: images per step, from 1 to n.
        augment: changes a batch.
        adversary: as for `train_step`.
        layout: one network or an ensemble.
        mesh: devices, as for `fit`.
    """

    model: nn.Module
    optimizer: optax.GradientTransformation
    batch: int
    augment: Augment | None = None
    adversary: Adversary | None = None
    layout: Layout = Layout.ONE
    mesh: Mesh | None = None


@partial(jax.jit, static_argnames="config", donate_argnames="state")
def epoch(state: TrainState, data: Data, rate: Any, *, config: EpochConfig) -> tuple[TrainState, Metrics]:
    """One pass over the data in random order without an incomplete last batch: one compiled scan.

    Args:
        state: donated. Its key and step determine the order; members that share batches use the first member's.
        data: images (n, h, w, c) and labels (n,), or (m, n) for members.
        rate: factor on the updates, one per member.
        config: static.

    Returns:
        The next state, and each step's metrics: (steps,) or (steps, members).
    """
    model, batch, layout, mesh = config.model, config.batch, config.layout, config.mesh
    if layout is Layout.OWN:

        def own(state: TrainState, labels: Array, rate: Any) -> tuple[TrainState, Metrics]:
            return epoch(state, Data(data.images, labels), rate, config=replace(config, layout=Layout.ONE))

        state, metrics = over_members(own, model, data.images, mesh)(state, data.labels, rate)
        return state, jax.tree.map(jnp.transpose, metrics)

    key, taken = (state.key[0], state.step[0]) if layout is Layout.SHARED else (state.key, state.step)
    order_key, augment_key = jax.random.split(jax.random.fold_in(jax.random.split(key)[1], taken))
    count = len(data.images) // batch
    order = jax.random.permutation(order_key, len(data.images))[: count * batch].reshape(count, batch)

    def advance(state: TrainState, drawn: tuple[Array, Array]) -> tuple[TrainState, Metrics]:
        rows, key = drawn
        images = data.images[rows]
        if mesh is not None and DATA in mesh.axis_names:
            images = lax.with_sharding_constraint(images, NamedSharding(mesh, PartitionSpec(DATA)))
        if config.augment is not None:
            images = config.augment(key, images)

        def step(state: TrainState, labels: Array, rate: Any) -> tuple[TrainState, Metrics]:
            network: dict[str, Any] = {"model": model, "optimizer": config.optimizer, "adversary": config.adversary}
            return train_step(state, images, labels[rows], rate, **network)

        every = step if layout is Layout.ONE else over_members(step, model, data.images, mesh)
        return every(state, data.labels, rate)

    return lax.scan(advance, state, (order, jax.random.split(augment_key, count)))


@partial(jax.jit, static_argnames=("model", "layout", "mesh"))
def evaluate(variables: Any, data: Data, *, model: nn.Module, layout: Layout = Layout.ONE, mesh: Mesh | None = None) -> Metrics:
    """Mean loss and accuracy on a whole split, for one network or for each member.

    Args:
        variables: of the model, with a leading axis of members in an ensemble.
        data: as for `epoch`.
        model, layout, mesh: as in `EpochConfig`.

    Returns:
        Metrics () or (members,).
    """
    if layout is not Layout.ONE:

        def one(variables: Any, labels: Array) -> Metrics:
            return evaluate(variables, Data(data.images, labels), model=model)

        return over_members(one, model, data.images, mesh)(variables, data.labels)
    n = len(data.images)
    size = min(n, EVALUATED)

    def sums(rows: Array) -> tuple[Array, Array]:
        counted, rows = rows < n, jnp.minimum(rows, n - 1)
        logits: Any = model.apply(variables, data.images[rows], train=False)
        entropy = optax.softmax_cross_entropy_with_integer_labels(logits, data.labels[rows])
        return jnp.where(counted, entropy, 0).sum(), (counted & (logits.argmax(1) == data.labels[rows])).sum()

    loss, right = lax.map(sums, jnp.arange(-(-n // size) * size).reshape(-1, size))
    return Metrics(loss.sum() / n, right.sum() / n)


def over_members(function: Callable[..., Any], model: nn.Module, images: Array, mesh: Mesh | None) -> Callable[..., Any]:
    """The function for all members at once; for networks with convolutions on one CPU, one member after another.

    There XLA is slow for members with separate kernels: four CNNs took 1.7, four ResNets 4 times as long as in sequence.
    """
    if mesh is None and jax.default_backend() == "cpu":
        network = jax.make_jaxpr(lambda images: model.init_with_output(jax.random.key(0), images)[0])(images[:1])
        if "conv_general_dilated" in str(network):
            return lambda *each: lax.map(lambda member: function(*member), each)
    return jax.vmap(function)
