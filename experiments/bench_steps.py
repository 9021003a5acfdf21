"""What `experiments.bench_training` times: training steps in an epoch's scan and by hand, ensembles together and in turn."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from hullx.data import load
from hullx.models import CNN, MLP, ResNet, SmallAlexNet
from hullx.training.steps import Data, Layout, TrainState, epoch, init_state

# Networks, the shape of their images, and the batch; steps on random numbers, whose values do not matter for the time.
Problem = tuple[nn.Module, tuple[int, int, int], int]
STEPS: dict[str, Problem] = {
    "mlp 2×64, 8 × 8": (MLP(10), (8, 8, 1), 64),
    "mlp 3×512, 28 × 28 × 3": (MLP(10, depth=3, width=512), (28, 28, 3), 128),
    "small alexnet, 28 × 28 × 3": (SmallAlexNet(10), (28, 28, 3), 64),
    "cnn, 28 × 28": (CNN(10), (28, 28, 1), 64),
    "resnet-20, 32 × 32 × 3": (ResNet(10), (32, 32, 3), 64),
}
SCANNED = 8  # steps


def in_turn(functions: dict[str, Callable[[], Any]], repeats: int) -> dict[str, np.ndarray]:
    """Seconds of each function, all of them called in turn; the first calls do not count."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(repeats + 1):
        for name, function in functions.items():
            began = time.perf_counter()
            jax.block_until_ready(function())
            times[name].append(time.perf_counter() - began)
    return {name: np.array(values[1:]) for name, values in times.items()}


def step_times(problem: Problem, seed: int, repeats: int) -> dict[str, np.ndarray]:
    """Seconds a step, in an epoch's scan and as a jitted function of one's own, called in a Python loop."""
    model, shape, batch = problem
    rng = np.random.default_rng(seed)
    count = SCANNED * batch
    images = jnp.asarray(rng.random((count, *shape), dtype=np.float32))
    data = Data(images, jnp.asarray(rng.integers(0, 10, count, np.int32)))
    optimizer = optax.sgd(0.01, momentum=0.9)
    state = jax.jit(partial(init_state, model=model, optimizer=optimizer, images=images))(jax.random.key(0))

    @jax.jit
    def by_hand(variables: Any, moments: Any, images: jax.Array, labels: jax.Array) -> tuple:
        others = {name: each for name, each in variables.items() if name != "params"}

        def loss(params: Any) -> tuple[jax.Array, Any]:
            rngs = {"dropout": jax.random.key(0)}
            logits, changed = model.apply({"params": params, **others}, images, train=True, mutable=list(others), rngs=rngs)
            return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean(), changed

        (value, changed), gradient = jax.value_and_grad(loss, has_aux=True)(variables["params"])
        updates, moments = optimizer.update(gradient, moments)
        return {"params": optax.apply_updates(variables["params"], updates), **changed}, moments, value

    def looped() -> Any:
        variables, moments = state.variables, state.optimizer
        for i in range(SCANNED):
            part = slice(i * batch, (i + 1) * batch)
            variables, moments, _ = by_hand(variables, moments, data.images[part], data.labels[part])
        return variables

    def scanned() -> Any:
        # A state is donated.
        return epoch(jax.tree.map(jnp.copy, state), data, 1.0, model=model, optimizer=optimizer, batch=batch)

    times = in_turn({"scan": scanned, "by hand": looped}, repeats)
    return {name: seconds / SCANNED for name, seconds in times.items()}


def ensemble_times(members: int, epochs: int, seed: int, repeats: int) -> dict[str, np.ndarray]:
    """Seconds for MLPs on the digits: in turn by one compiled program, and together in either layout."""
    split = load("digits").train
    data = Data(jnp.asarray(split.images), jnp.asarray(split.labels))
    settings: dict[str, Any] = {"model": MLP(10), "optimizer": optax.adam(1e-3), "batch": 64}
    keys = jax.random.split(jax.random.key(seed), members)
    begin = jax.jit(partial(init_state, model=settings["model"], optimizer=settings["optimizer"], images=data.images))
    begin_all = jax.jit(jax.vmap(begin))

    every = data._replace(labels=jnp.broadcast_to(data.labels, (len(keys), len(split.labels))))

    def trained(state: TrainState, rate: Any, layout: Layout) -> TrainState:
        for _ in range(epochs):
            state, _ = epoch(state, data if layout is Layout.ONE else every, rate, layout=layout, **settings)
        return state

    ways: dict[str, Callable[[], Any]] = {"in turn": lambda: [trained(begin(key), 1.0, Layout.ONE) for key in keys]}
    for layout in (Layout.SHARED, Layout.OWN):
        ways[layout.value] = lambda layout=layout: trained(begin_all(keys), jnp.ones(len(keys)), layout)
    return in_turn(ways, repeats)
