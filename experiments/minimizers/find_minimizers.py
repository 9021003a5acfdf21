"""Ways to find networks without an error on a few images of two classes: guessing, training, and search without gradients."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.shared.guess_and_check import Found, guess
from experiments.shared.minimizer_measures import lipschitz_estimate
from experiments.shared.two_class_setup import norm_product
from hullx import probes
from hullx.data import Split
from hullx.models import LeNet

from .pattern_search import PatternSearch, pattern_search
from .stopped_descent import StoppedDescent, stopped_descent

WAYS = GUESSED, TRAINED, SEARCHED = "guessed", "gradient descent", "pattern search"
EDGES = 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65
MIDDLE = 0.5  # the loss at which pattern search stops, as it is slow
SHAPES = {  # width, and hidden units
    (LENET := "LeNet of half width"): (0.5, (120, 84)),
    "half as wide": (0.25, (120, 84)),
    "twice as wide": (1.0, (120, 84)),
    "one hidden layer": (0.5, (84,)),
    "four hidden layers": (0.5, (120, 84, 84, 84)),
}
JACOBIANS = 32  # test images at which the Lipschitz constant is estimated


def networks(config: Any, k: int, shape: str, train: Split, test: Split) -> tuple[list[tuple[Any, ...]], int]:
    """Way, range of the loss, both losses and test accuracy of each network found; and the number of guesses.

    Args:
        config: settings of `experiments.guessing`.
        k: number of the set of images.
        shape: one of `SHAPES`; ranges of the loss and pattern search apply to LeNet only.
        train, test: images of two classes.
    """
    width, hidden = SHAPES[shape]
    model, key = LeNet(2, width, hidden), jax.random.fold_in(jax.random.key(config.seed), 1000 * k + len(train.labels))
    edges = EDGES if shape == LENET else (0.0, np.inf)
    guessed = guess(key, model, train, edges, wanted=config.wanted, budget=config.budget, scale=norm_product)
    rows = list(network_rows(GUESSED, model, guessed, train, test))
    descent, search = StoppedDescent(steps=config.steps), PatternSearch(steps=config.steps)
    for i, (low, high) in enumerate(pairwise(edges)):
        settings: dict[str, Any] = {"members": config.members, "high": high, "scale": norm_product, "settings": descent}
        found = stopped_descent(jax.random.fold_in(key, i), model, train, **settings)
        rows += [row for row in network_rows(TRAINED, model, found, train, test) if low < row[2]]
    if shape == LENET:
        members = config.members // 4
        found = pattern_search(key, model, train, members=members, high=MIDDLE, scale=norm_product, settings=search)
        rows += network_rows(SEARCHED, model, found, train, test)
    return rows, guessed.tried


def network_rows(way: str, model: LeNet, found: Found, train: Split, test: Split) -> Iterator[tuple[Any, ...]]:
    """Yield a row for each network without an error, after evaluating each again separately."""
    parts = jax.tree.map(jnp.asarray, (train, test))
    for k, loss in enumerate(found.loss.tolist()):
        one = jax.tree.map(lambda leaf: leaf[k], found.variables)  # noqa: B023 (called in this round only)
        wrong, by_lipschitz, accuracy = map(float, _evaluate(one, *parts, model=model))
        if wrong:
            continue  # two logits equal up to rounding
        yield way, int(np.digitize(loss, EDGES, right=True)), loss, by_lipschitz, accuracy


@partial(jax.jit, static_argnames="model")
def _evaluate(variables: Any, train: Split, test: Split, *, model: LeNet) -> tuple[jax.Array, jax.Array, jax.Array]:
    train_logits, test_logits = (probes.logits(variables, split.images, model=model, members=False) for split in (train, test))
    steepest = lipschitz_estimate(model, variables, jnp.asarray(test.images[:JACOBIANS]))
    loss = optax.softmax_cross_entropy_with_integer_labels(train_logits / steepest, train.labels).mean()
    return (train_logits.argmax(-1) != train.labels).sum(), loss, (test_logits.argmax(-1) == test.labels).mean()
