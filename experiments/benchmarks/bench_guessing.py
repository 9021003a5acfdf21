"""How many networks per second can be guessed and checked, by the hundred and one at a time?

    python -m experiments.bench_guessing                    random images, seconds
    python -m experiments.bench_guessing cpu                MNIST, half a minute

LeNet of half width, two classes. By the hundred: `experiments.shared.guess_and_check` draws and checks a batch in one program.
It evaluates the remaining images only for networks that pass one image of each class. One at a time: a jitted call draws a
network and checks it on all images. Both run in turns, in one process; the ratio's interval is over turns.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from experiments.shared.guess_and_check import check_network, draw_networks, guess
from experiments.shared.two_class_setup import norm_product, standardise, two_classes
from hullx import runs
from hullx.data import Sample
from hullx.models import LeNet
from hullx.runs import plotting

TOGETHER, ALONE, RATIO, LEAST = "by the hundred", "one at a time", "times as fast", 5
NOWHERE = 1e6, 2e6  # a range of the loss without guesses, so that the whole budget is tried


@dataclass(frozen=True)
class Config(runs.Config):
    """Settings of the benchmark.

    Attributes:
        data: a data set of grey images: 28 × 28, or 8 × 8, which are enlarged.
        images: numbers of training images.
        turns: number of turns of both ways.
        guesses: number of guesses by the hundred in each turn; a tenth as many one at a time.
    """

    data: Sample = Sample("digits")
    images: tuple[int, ...] = (2, 8)
    turns: int = 3
    guesses: int = 512


PRESETS = {"smoke": Config(), "cpu": Config(data=Sample("mnist"), images=(2, 4, 8, 16, 32), turns=11, guesses=4096)}


def measure(config: Config, run: runs.Run[Config]) -> None:
    """Measure networks per second in both ways, for each number of images."""
    data, model = config.data.load(seed=config.seed, data_dir=config.data_dir), LeNet(2, width=0.5)
    for n in config.images:
        train = two_classes(standardise(data.train, data.train.images), np.array([3, 8]), np.random.default_rng(config.seed), n)
        images, labels = jnp.asarray(train.images), jnp.asarray(train.labels)

        @jax.jit
        def alone(key: jax.Array, images: jax.Array = images, labels: jax.Array = labels) -> tuple[jax.Array, jax.Array]:
            one = jax.tree.map(lambda leaf: leaf[0], draw_networks(key, model, images[:1], 1))
            return check_network(one, images, labels, model=model, scale=norm_product)

        search = partial(guess, model=model, train=train, edges=NOWHERE, wanted=1, budget=config.guesses, scale=norm_product)
        keys = jax.random.split(jax.random.key(config.seed), max(config.guesses // 10, 1))
        together: Callable[[], object] = partial(search, keys[0])
        singly: Callable[[], object] = lambda: [jax.block_until_ready(alone(key)) for key in keys]  # noqa: B023, E731
        found = run.cached(f"{n} images", paces, config.turns, (config.guesses, together), (len(keys), singly))
        for way, pace in zip((TOGETHER, ALONE), found, strict=True):
            run.record("networks a second", pace, data=data.title, group=f"{n} images, {way}", statistic="median")
        run.record(RATIO, found[0] / found[1], data=data.title, group=f"{n} images", statistic="median")


def paces(turns: int, *ways: tuple[int, Callable[[], object]]) -> np.ndarray:
    """Guesses per second of each way and turn, (ways, turns); the first turn compiles and does not count."""
    found = np.empty((len(ways), turns + 1))
    for turn in range(turns + 1):
        for i, (count, work) in enumerate(ways):
            began = time.perf_counter()
            work()
            found[i, turn] = count / (time.perf_counter() - began)
    return found[:, 1:]


def claims(results: runs.Results) -> Iterator[runs.Claim]:
    """Whether guessing by the hundred is five times as fast."""
    for row in results.select(quantity=RATIO):
        name, expected = f"{row.group}: guessing is faster by the hundred", f"at least {LEAST} times"
        about = {"data": row.data, "group": row.group, "seeds": row.n}
        yield runs.Claim.of(row.estimate, name, "here", expected, runs.above(row.estimate, LEAST), **about)


def figures(results: runs.Results) -> plotting.Figures:
    """Ratios by number of images."""
    drawn_figure, axes = plotting.figure(
        size=(7, 3), title="Guess and check: networks per second by the hundred ÷ one at a time"
    )
    ratios = {row.group: row.estimate for row in results.select(quantity=RATIO)}
    plotting.intervals(axes[0, 0], ratios, "times as fast (median of turns, 95% interval)")
    yield "ratios", drawn_figure


experiment = runs.Experiment(Config, PRESETS, measure, claims, figures)
if __name__ == "__main__":
    experiment.main()
