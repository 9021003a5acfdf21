"""How fast does training run, against the same steps by hand, and does it learn what such networks are known to learn?

    python -m experiments.bench_training                digits: an MLP, and 32 of them together, half a minute
    python -m experiments.bench_training cpu            and steps of larger networks, and a CNN on MNIST, 7 minutes

Expected: an epoch's scan at most 1.3 × as long as a jitted step written by hand, 32 small MLPs together no slower than in turn,
an MLP ≥ 97% of the digits' test images right, the CNN ≥ 99.0% of MNIST's after three epochs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import jax
import numpy as np
import optax

from experiments.bench_steps import STEPS, ensemble_times, step_times
from hullx import runs
from hullx.data import load, standardised
from hullx.models import CNN, MLP
from hullx.training import fit
from hullx.training.steps import Layout

SCAN, HAND, RATIO = "ms a step in a scan", "ms a step by hand", "scan ÷ by hand"
# Test accuracies that such networks are known to reach.
DIGITS, MNIST = "digits, MLP 2×256, 40 epochs", "MNIST, CNN, 3 epochs"
KNOWN = {DIGITS: 0.97, MNIST: 0.99}


@dataclass(frozen=True)
class Config(runs.Config):
    """Settings of the benchmark.

    Attributes:
        steps: networks whose steps are timed, of those in STEPS.
        members: MLPs trained together, and in turn.
        epochs: that they train for.
        seeds: MLPs whose accuracy on the digits is measured.
        mnist: CNNs whose accuracy on MNIST is measured.
        repeats: of each timing.
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
    """Times, then accuracies."""
    runs.known("--steps", config.steps, STEPS)
    for name in config.steps:
        seconds = run.keep(name, step_times, STEPS[name], config.seed, config.repeats)
        scan, hand = (1000 * seconds[way] for way in ("scan", "by hand"))
        for quantity, values in ((SCAN, scan), (HAND, hand), (RATIO, scan / hand)):
            run.record(quantity, values, group=name, statistic="median")
    together = run.keep("ensemble", ensemble_times, config.members, config.epochs, config.seed, config.repeats)
    for way, seconds in together.items():
        run.record("seconds", seconds, group=f"{config.members} MLPs, {way}", statistic="median")
        run.record("times as fast", together["in turn"] / seconds, group=f"{config.members} MLPs, {way}", statistic="median")
    run.record("test accuracy", run.keep(DIGITS, digits, config), group=DIGITS)
    if config.mnist:
        run.record("test accuracy", run.keep(MNIST, mnist, config), group=MNIST)


def digits(config: Config) -> np.ndarray:
    """Test accuracies of MLPs on the digits."""
    data = load("digits")
    keys = jax.random.split(jax.random.key(config.seed), config.seeds)
    model, optimizer = MLP(10, width=256), optax.adam(3e-3)
    fitted = fit(keys, model, optimizer, data.train, epochs=40, batch=64, test=data.test, title=DIGITS)
    return fitted.history.test_accuracy[-1]


def mnist(config: Config) -> np.ndarray:
    """Test accuracies of the CNN: Adam, its rate up to 0.002 and down in one cycle (Smith and Topin 2019), batches of 64."""
    data = load("mnist", data_dir=config.data_dir)
    train, test = (split._replace(images=standardised(split.images, data.train.images)) for split in (data.train, data.test))
    optimizer = optax.adam(optax.cosine_onecycle_schedule(3 * (len(train.images) // 64), 2e-3))
    keys = [jax.random.key(seed) for seed in range(config.seed, config.seed + config.mnist)]
    fitted = [fit(key, CNN(10), optimizer, train, epochs=3, batch=64, test=test, title=MNIST) for key in keys]
    return np.array([each.history.test_accuracy[-1] for each in fitted])


def claims(results: runs.Results) -> Iterator[runs.Claim]:
    """Each expectation, with what was measured."""
    rows = results.select(quantity=RATIO)
    slowest = max(rows, key=lambda row: row.value)
    verdict = runs.both(*(runs.below(row.estimate, 1.3) for row in rows))
    name, note = "a scan's step costs no more than one by hand", f"most: {slowest.group}"
    yield runs.Claim.of(slowest.estimate, name, "here", "at most 1.3 ×", verdict, note=note, unit=" ×")
    together = results.estimate("times as fast", group=f"{results.config['members']} MLPs, {Layout.SHARED.value}")
    verdict = runs.above(together, 1)
    yield runs.Claim.of(together, "networks train faster together than in turn", "here", "above 1 ×", verdict, unit=" ×")
    for row in results.select(quantity="test accuracy"):
        expected, least = f"above {KNOWN[row.group]:.0%}", KNOWN[row.group]
        about = {"unit": "%", "seeds": row.n}
        yield runs.Claim.of(row.estimate, f"{row.group} learns", "known", expected, runs.above(row.estimate, least), **about)


experiment = runs.Experiment(Config, PRESETS, measure, claims)
if __name__ == "__main__":
    experiment.main()
