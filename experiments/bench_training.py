"""How fast does training run, against the same steps by hand, and does it learn what such networks are known to learn?

    python -m experiments.bench_training                digits: an MLP, and 32 of them together, half a minute
    python -m experiments.bench_training cpu            and steps of larger networks, and a CNN on MNIST, 7 minutes

Expected: an epoch's scan at most 1.3 × as long as a jitted step written by hand, 32 small MLPs together no slower than in turn,
an MLP ≥ 97% of the digits' test images right, the CNN ≥ 99.0% of MNIST's after three epochs.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from rich.console import Console
from rich.table import Table

from experiments.command import known, main
from hullx.data import load, standardised
from hullx.models import CNN, MLP, ResNet, SmallAlexNet
from hullx.runs import folder as record
from hullx.training.fit import fit
from hullx.training.steps import Data, Layout, TrainState, epoch, init_state

# Networks, the shape of their images, and the batch; steps on random numbers, whose values do not matter for the time.
STEPS: dict[str, tuple[nn.Module, tuple[int, int, int], int]] = {
    "mlp 2×64, 8 × 8": (MLP(10), (8, 8, 1), 64),
    "mlp 3×512, 28 × 28 × 3": (MLP(10, depth=3, width=512), (28, 28, 3), 128),
    "small alexnet, 28 × 28 × 3": (SmallAlexNet(10), (28, 28, 3), 64),
    "cnn, 28 × 28": (CNN(10), (28, 28, 1), 64),
    "resnet-20, 32 × 32 × 3": (ResNet(10), (32, 32, 3), 64),
}
SCANNED = 8  # steps


@dataclass(frozen=True)
class Config:
    """Settings of the benchmark.

    Attributes:
        steps: networks whose steps are timed, of those in STEPS.
        members: MLPs trained together, and in turn.
        epochs: that they train for.
        seeds: MLPs whose accuracy on the digits is measured.
        mnist: CNNs whose accuracy on MNIST is measured.
        repeats: of each timing.
        seed: the first.
        data_dir: where TFDS data sets lie; TFDS's default if not given.
    """

    steps: tuple[str, ...] = ("mlp 2×64, 8 × 8", "mlp 3×512, 28 × 28 × 3")
    members: int = 32
    epochs: int = 20
    seeds: int = 3
    mnist: int = 0
    repeats: int = 5
    seed: int = 0
    data_dir: str | None = None


PRESETS = {"smoke": Config(), "cpu": Config(steps=tuple(STEPS), mnist=1)}


def run(config: Config, folder: record.Run) -> None:
    """Times, then accuracies."""
    known("--steps", config.steps, STEPS)
    steps = {name: step_times(config, *STEPS[name]) for name in config.steps}
    together = ensemble_times(config)
    learned = {"digits, MLP 2×256, 40 epochs": digits(config)}
    if config.mnist:
        learned["MNIST, CNN, 3 epochs"] = mnist(config)
    summary = {"steps": steps, "ensemble": together, "learned": learned}
    folder.finish({"config": dataclasses.asdict(config), **summary, "claims": judge(steps, together, learned)})
    Console().print(*tables(steps, together, learned), highlight=False)


def in_turn(functions: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Median seconds of each function, all of them called in turn; the first calls do not count."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(repeats + 1):
        for name, function in functions.items():
            began = time.perf_counter()
            jax.block_until_ready(function())
            times[name].append(time.perf_counter() - began)
    return {name: float(np.median(values[1:])) for name, values in times.items()}


def step_times(config: Config, model: nn.Module, shape: tuple[int, int, int], batch: int) -> dict[str, float]:
    """Seconds a step, in an epoch's scan and as a jitted function of one's own, called in a Python loop."""
    rng = np.random.default_rng(config.seed)
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
        return epoch(copied(state), data, 1.0, model=model, optimizer=optimizer, batch=batch)

    times = in_turn({"scan": scanned, "by hand": looped}, config.repeats)
    return {name: seconds / SCANNED for name, seconds in times.items()}


def copied(state: TrainState) -> TrainState:
    """A state to be donated."""
    return jax.tree.map(jnp.copy, state)


def ensemble_times(config: Config) -> dict[str, float]:
    """Seconds for MLPs on the digits: in turn by one compiled program, and together in either layout."""
    split = load("digits").train
    data = Data(jnp.asarray(split.images), jnp.asarray(split.labels))
    settings: dict[str, Any] = {"model": MLP(10), "optimizer": optax.adam(1e-3), "batch": 64}
    keys = jax.random.split(jax.random.key(config.seed), config.members)
    begin = jax.jit(partial(init_state, model=settings["model"], optimizer=settings["optimizer"], images=data.images))
    begin_all = jax.jit(jax.vmap(begin))

    every = data._replace(labels=jnp.broadcast_to(data.labels, (len(keys), len(split.labels))))

    def trained(state: TrainState, rate: Any, layout: Layout) -> TrainState:
        for _ in range(config.epochs):
            state, _ = epoch(state, data if layout is Layout.ONE else every, rate, layout=layout, **settings)
        return state

    ways: dict[str, Callable[[], Any]] = {"in turn": lambda: [trained(begin(key), 1.0, Layout.ONE) for key in keys]}
    for layout in (Layout.SHARED, Layout.OWN):
        ways[layout.value] = lambda layout=layout: trained(begin_all(keys), jnp.ones(len(keys)), layout)
    return in_turn(ways, config.repeats)


def digits(config: Config) -> list[float]:
    """Test accuracies of MLPs on the digits."""
    data = load("digits")
    keys = jax.random.split(jax.random.key(config.seed), config.seeds)
    model, optimizer = MLP(10, width=256), optax.adam(3e-3)
    fitted = fit(keys, model, optimizer, data.train, epochs=40, batch=64, test=data.test, title="digits, MLP")
    return fitted.history.test_accuracy[-1].tolist()


def mnist(config: Config) -> list[float]:
    """Test accuracies of the CNN: Adam, its rate up to 0.002 and down in one cycle (Smith and Topin 2019), batches of 64."""
    data = load("mnist", data_dir=config.data_dir)
    train, test = (split._replace(images=standardised(split.images, data.train.images)) for split in (data.train, data.test))
    optimizer = optax.adam(optax.cosine_onecycle_schedule(3 * (len(train.images) // 64), 2e-3))
    accuracies = []
    for seed in range(config.seed, config.seed + config.mnist):
        key, title = jax.random.key(seed), f"MNIST, CNN, seed {seed}"
        fitted = fit(key, CNN(10), optimizer, train, epochs=3, batch=64, test=test, title=title)
        accuracies.append(float(fitted.history.test_accuracy[-1]))
    return accuracies


def judge(steps: dict, together: dict, learned: dict) -> dict:
    """Each expectation, with what was measured."""
    slowest = max(each["scan"] / each["by hand"] for each in steps.values())
    faster = together["in turn"] / together[Layout.SHARED.value]
    limits = {"digits": 0.97, "MNIST": 0.99}
    claims = {
        "a scan's step against one by hand": ("≤ 1.3 ×", f"≤ {slowest:.2f} ×", slowest <= 1.3),
        "networks together against in turn": ("no slower", f"{faster:.2f} × as fast", faster >= 1),
    }
    for name, accuracies in learned.items():
        limit = limits[name.partition(",")[0]]
        claims[name] = f"≥ {limit:.1%}", f"≥ {min(accuracies):.2%}", min(accuracies) >= limit
    return {
        name: record.claim(expected, measured, record.HOLDS if holds else record.FAILS)
        for name, (expected, measured, holds) in claims.items()
    }


def tables(steps: dict, together: dict, learned: dict) -> list[Table]:
    """Steps, ensembles, accuracies."""
    times = Table("network", "scan, a step", "by hand", "ratio", title="training steps")
    for name, each in steps.items():
        scan, hand = each["scan"], each["by hand"]
        times.add_row(name, f"{1000 * scan:.3g} ms", f"{1000 * hand:.3g} ms", f"{scan / hand:.2f}")
    ensembles = Table("networks", "seconds", "× as fast", title="an ensemble of MLPs 2×64 on the digits")
    for name, seconds in together.items():
        ensembles.add_row(name, f"{seconds:.2f}", f"{together['in turn'] / seconds:.2f}")
    accuracies = Table("data, network", "test accuracy", title="what they learn")
    for name, values in learned.items():
        accuracies.add_row(name, ", ".join(f"{value:.2%}" for value in values))
    return [times, ensembles, accuracies]


def figures(folder: Path) -> None:
    """None: the tables say it all."""


if __name__ == "__main__":
    main("experiments.bench_training", __doc__, PRESETS, run)
