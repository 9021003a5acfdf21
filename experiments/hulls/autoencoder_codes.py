"""Low-dimensional codes of networks' features, by autoencoders on a layer."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple, cast

import flax.linen as nn
import jax
import numpy as np
import optax

from hullx import spaces
from hullx.models import Autoencoder
from hullx.runs.progress import progress

RATE, BATCH, STARTS = 3e-3, 256, 2  # Adam's initial rate; images per step; random starts of each autoencoder


class Codes(NamedTuple):
    """Codes of features by the autoencoders of one bottleneck, one autoencoder per seed.

    - train, test: float32 (seeds, n, k).
    - lost: (seeds,), the share of the test features' variance that reconstruction loses.
    """

    train: np.ndarray
    test: np.ndarray
    lost: np.ndarray


def features(model: nn.Module, variables: Any, images: np.ndarray, layer: str) -> np.ndarray:
    """Features of images in a layer of each network, (seeds, n, d)."""
    networks = [jax.tree.map(lambda leaf: leaf[seed], variables) for seed in range(len(jax.tree.leaves(variables)[0]))]  # noqa: B023
    return np.stack([spaces.rows(spaces.Features(model, each, layer), images) for each in networks])


def codes(train: np.ndarray, test: np.ndarray, bottleneck: int, steps: int, seed: int) -> Codes:
    """Codes of features (seeds, n, d), by autoencoders trained in parallel to minimise the squared error.

    Each trains from `STARTS` random starts; the one with the least error on the training features is kept.
    """
    model, optimizer = Autoencoder(train.shape[-1], bottleneck), optax.adam(optax.cosine_decay_schedule(RATE, steps))
    mean, deviation = train.mean(1, keepdims=True), train.std(1, keepdims=True)
    train, test = ((each - mean) / np.where(deviation > 0, deviation, 1) for each in (train, test))

    def loss(variables: Any, rows: jax.Array) -> jax.Array:
        return ((cast(jax.Array, model.apply(variables, rows)) - rows) ** 2).mean()

    def encode_all(key: jax.Array, train: jax.Array, test: jax.Array) -> tuple[Any, ...]:
        first, rest = jax.random.split(key)

        def step(carry: tuple[Any, Any], key: jax.Array) -> tuple[tuple[Any, Any], None]:
            variables, state = carry
            rows = train[jax.random.randint(key, (BATCH,), 0, len(train))]
            updates, state = optimizer.update(jax.grad(loss)(variables, rows), state)
            return (optax.apply_updates(variables, updates), state), None

        initial = model.init(first, train[:1])
        variables, _ = jax.lax.scan(step, (initial, optimizer.init(initial)), jax.random.split(rest, steps))[0]
        encode = partial(model.apply, variables, method="encode")
        return encode(train), encode(test), loss(variables, test) / test.var(0).mean(), loss(variables, train)

    program, found = jax.jit(jax.vmap(encode_all)), list[list[np.ndarray]]()
    with progress(f"autoencoders, bottleneck {bottleneck}", STARTS, "starts") as report:
        for start in range(STARTS):
            keys = jax.random.split(jax.random.fold_in(jax.random.key(seed), bottleneck * STARTS + start), len(train))
            found.append([np.asarray(each) for each in program(keys, train, test)])
            report(start + 1)
    *all_codes, errors = (np.stack(each) for each in zip(*found, strict=True))
    best, networks = errors.argmin(0), np.arange(len(train))
    return Codes(*(each[best, networks] for each in all_codes))
