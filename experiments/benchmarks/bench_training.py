"""How fast is training compared with the same steps by hand, and do networks reach the known accuracies?

    python -m experiments.bench_training                digits: an MLP, and 32 of them together, half a minute
    python -m experiments.bench_training cpu            and steps of larger networks, and a CNN on MNIST, 12 minutes

Expected: an epoch's scan takes at most 1.3 × as long as a jitted step written by hand. 32 small MLPs together are no slower
than in turn. An MLP has ≥ 97% of the digits' test images right, the CNN ≥ 99.0% of MNIST's after three epochs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from hullx import runs
from hullx.data import load, standardised
from hullx.models import CNN, MLP, ResNet, SmallAlexNet
from hullx.training import FitConfig, fit
from hullx.training.steps import Data, EpochConfig, Layout, TrainState, epoch, init_state

SCAN, HAND, RATIO = "ms a step in a scan", "ms a step by hand", "scan ÷ by hand"
# Test accuracies that these networks are known to reach.
DIGITS, MNIST = "digits, MLP 2×256, 40 epochs", "MNIST, CNN, 3 epochs"
KNOWN = {DIGITS: 0.97, MNIST: 0.99}
# Networks, the shape of their images, and the batch. Steps use random numbers, whose values do not affect the time.
Problem = tuple[nn.Module, tuple[int, int, int], int]
STEPS: dict[str, Problem] = {
    "mlp 2×64, 8 × 8": (MLP(10), (8, 8, 1), 64),
    "mlp 3×512, 28 × 28 × 3": (MLP(10, depth=3, width=512), (28, 28, 3), 128),
    "small alexnet, 28 × 28 × 3": (SmallAlexNet(10), (28, 28, 3), 64),
    "cnn, 28 × 28": (CNN(10), (28, 28, 1), 64),
    "resnet-20, 32 × 32 × 3": (ResNet(10), (32, 32, 3), 64),
}
SCANNED = 8  # steps


@dataclass(frozen=True)
class Config(runs.Config):
    """Settings of the benchmark.

    Attributes:
        steps: names of networks in STEPS whose steps are timed.
        members: number of MLPs trained together and in turn.
        epochs: epochs of their training.
        seeds: number of MLPs whose accuracy on the digits is measured.
        mnist: number of CNNs whose accuracy on MNIST is measured.
        repeats: repetitions of each timing.
    """

    steps: tuple[str, ...] = ("mlp 2×64, 8 × 8",)
    members: int = 32
    epochs: int = 5
    seeds: int = 6
    mnist: int = 0
    repeats: int = 15


PRESETS = {
    "smoke": Config(),
    "cpu": Config(steps=tuple(STEPS), epochs=20, mnist=1),
}


def measure(config: Config, run: runs.Run[Config]) -> None:
    """Measure times, then accuracies."""
    runs.known("--steps", config.steps, STEPS)
    for name in config.steps:
        seconds = run.cached(name, step_times, STEPS[name], config.seed, config.repeats)
        scan, hand = (1000 * seconds[way] for way in ("scan", "by hand"))
        for quantity, values in ((SCAN, scan), (HAND, hand), (RATIO, scan / hand)):
            run.record(quantity, values, group=name, statistic="median")
    together = run.cached("ensemble", ensemble_times, config.members, config.epochs, config.seed, config.repeats)
    for way, seconds in together.items():
        run.record("seconds", seconds, group=f"{config.members} MLPs, {way}", statistic="median")
        run.record("times as fast", together["in turn"] / seconds, group=f"{config.members} MLPs, {way}", statistic="median")
    run.record("test accuracy", run.cached(DIGITS, digits, config), group=DIGITS, unit="share")
    if config.mnist:
        run.record("test accuracy", run.cached(MNIST, mnist, config), group=MNIST, unit="share")


def in_turn(functions: dict[str, Callable[[], Any]], repeats: int) -> dict[str, np.ndarray]:
    """Seconds of each function, called in turn; the first calls do not count."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(repeats + 1):
        for name, function in functions.items():
            began = time.perf_counter()
            jax.block_until_ready(function())
            times[name].append(time.perf_counter() - began)
    return {name: np.array(values[1:]) for name, values in times.items()}


def step_times(problem: Problem, seed: int, repeats: int) -> dict[str, np.ndarray]:
    """Seconds per step, in an epoch's scan and as a hand-written jitted function in a Python loop."""
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

    def run_loop() -> Any:
        variables, moments = state.variables, state.optimizer
        for i in range(SCANNED):
            part = slice(i * batch, (i + 1) * batch)
            variables, moments, _ = by_hand(variables, moments, data.images[part], data.labels[part])
        return variables

    def run_scan() -> Any:
        # `epoch` donates its state.
        return epoch(jax.tree.map(jnp.copy, state), data, 1.0, config=EpochConfig(model, optimizer, batch))

    times = in_turn({"scan": run_scan, "by hand": run_loop}, repeats)
    return {name: seconds / SCANNED for name, seconds in times.items()}


def ensemble_times(members: int, epochs: int, seed: int, repeats: int) -> dict[str, np.ndarray]:
    """Seconds for MLPs on the digits: in turn by one compiled program, and together in each layout."""
    split = load("digits").train
    data = Data(jnp.asarray(split.images), jnp.asarray(split.labels))
    config = EpochConfig(MLP(10), optax.adam(1e-3), batch=64)
    keys = jax.random.split(jax.random.key(seed), members)
    begin = jax.jit(partial(init_state, model=config.model, optimizer=config.optimizer, images=data.images))
    begin_all = jax.jit(jax.vmap(begin))

    every = data._replace(labels=jnp.broadcast_to(data.labels, (len(keys), len(split.labels))))

    def train(state: TrainState, rate: Any, layout: Layout) -> TrainState:
        for _ in range(epochs):
            state, _ = epoch(state, data if layout is Layout.ONE else every, rate, config=replace(config, layout=layout))
        return state

    ways: dict[str, Callable[[], Any]] = {"in turn": lambda: [train(begin(key), 1.0, Layout.ONE) for key in keys]}
    for layout in (Layout.SHARED, Layout.OWN):
        ways[layout.value] = lambda layout=layout: train(begin_all(keys), jnp.ones(len(keys)), layout)
    return in_turn(ways, repeats)


def digits(config: Config) -> np.ndarray:
    """Test accuracies of MLPs on the digits."""
    data = load("digits")
    keys = jax.random.split(jax.random.key(config.seed), config.seeds)
    model, optimizer = MLP(10, width=256), optax.adam(3e-3)
    fitted = fit(keys, model, optimizer, data.train, FitConfig(epochs=40, batch=64, title=DIGITS), test=data.test)
    return fitted.history.test_accuracy[-1]


def mnist(config: Config) -> np.ndarray:
    """Test accuracies of the CNN: Adam, its rate up to 0.002 and down in one cycle (Smith and Topin 2019), batches of 64."""
    data = load("mnist", data_dir=config.data_dir)
    train, test = (split._replace(images=standardised(split.images, data.train.images)) for split in (data.train, data.test))
    optimizer = optax.adam(optax.cosine_onecycle_schedule(3 * (len(train.images) // 64), 2e-3))
    keys = [jax.random.key(seed) for seed in range(config.seed, config.seed + config.mnist)]
    fitted = [fit(key, CNN(10), optimizer, train, FitConfig(epochs=3, batch=64, title=MNIST), test=test) for key in keys]
    return np.array([each.history.test_accuracy[-1] for each in fitted])


def claims(results: runs.Results) -> Iterator[runs.Claim]:
    """Each expectation against its measurement."""
    rows = results.select(quantity=RATIO)
    slowest = max(rows, key=lambda row: row.value)
    verdict = runs.both(*(runs.below(row.estimate, 1.3) for row in rows))
    name, note = "a scan's step takes at most 1.3 × one by hand", f"slowest: {slowest.group}"
    yield runs.Claim.of(slowest.estimate, name, "here", "at most 1.3 ×", verdict, note=note, unit=" ×")
    together = results.estimate("times as fast", group=f"{results.config['members']} MLPs, {Layout.SHARED.value}")
    verdict = runs.above(together, 1)
    yield runs.Claim.of(together, "networks train faster together than in turn", "here", "above 1 ×", verdict, unit=" ×")
    for row in results.select(quantity="test accuracy"):
        expected, least = f"above {KNOWN[row.group]:.0%}", KNOWN[row.group]
        about = {"unit": "%", "seeds": row.n}
        yield runs.Claim.of(
            row.estimate, f"{row.group}: test accuracy", "known", expected, runs.above(row.estimate, least), **about
        )


experiment = runs.Experiment(Config, PRESETS, measure, claims)
if __name__ == "__main__":
    experiment.main()
