"""What accelerators are given, lowered for them without one: no wider dtype, all digits of a product, no call to the host."""

from __future__ import annotations

import re
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import hullx
from hullx.core import rounds
from hullx.core.hull import hull_of
from hullx.core.sources.array import ArraySource
from hullx.core.stages import Method, Stage
from hullx.core.state import Goal, QueryState, init
from hullx.models import MLP
from hullx.training import steps

pytestmark = pytest.mark.unoptimised

# What XLA has on either platform, or turns into its own operations.
KNOWN = {
    "annotate_device_placement",
    "Sharding",
    "SPMDFullToShardShape",
    "SPMDShardToFullShape",
    "mhlo.topk",
    "TopK",
    "ApproxTopK",
}
KNOWN_ON = {"cuda": {"cu_threefry2x32_ffi", "cusolver_potrf_ffi", "cusolver_geqrf_ffi", "cuda_topk"}, "tpu": {"Cholesky", "Qr"}}
QUERIES, POINTS = jnp.zeros((8, 12)), jnp.zeros((96, 12))


def total(queries: jax.Array, points: jax.Array) -> jax.Array:
    return hullx.distance(queries, points).sum()


def a_round(queries: jax.Array, points: jax.Array) -> QueryState:
    rows = jnp.zeros((8, 45), jnp.int32)
    state = init(rows[:, 0], queries, rows, np.float64)
    source = ArraySource(hull_of(points, len(points), rows=len(points)))
    return rounds.advance(source, state, rows[:, 0] == 0, Goal(1e-6, 100, 13), stage=Stage(13, 45, Method.FLOAT32, 8))


def module(function: Callable, *arguments: jax.Array, platform: str) -> str:
    return jax.export.export(jax.jit(function), platforms=[platform])(*arguments).mlir_module()


def check(text: str, platform: str, *, products: bool = True) -> None:
    called = set(re.findall(r"custom_call @([\w.]+)", text))
    assert called <= KNOWN | KNOWN_ON[platform], called - KNOWN - KNOWN_ON[platform]
    assert "callback" not in text
    for line in text.splitlines() if products else ():
        if "stablehlo.dot_general" in line:
            assert "HIGHEST, HIGHEST" in line, line


@pytest.mark.thorough
@pytest.mark.parametrize("platform", ["cuda", "tpu"])
@pytest.mark.parametrize("function", [hullx.project, jax.grad(total, argnums=(0, 1))], ids=["project", "gradient"])
def test_projections_are_of_float32_alone(function: Callable, platform: str) -> None:
    text = module(function, QUERIES, POINTS, platform=platform)
    check(text, platform)
    assert "f64" not in text


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_the_rounds_of_a_sweep(platform: str) -> None:
    with jax.enable_x64(True):
        check(module(a_round, QUERIES.astype(np.float32), POINTS.astype(np.float32), platform=platform), platform)


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_an_epoch_of_training(platform: str) -> None:
    images, labels, model, optimizer = jnp.zeros((32, 4, 4, 1)), jnp.zeros(32, jnp.int32), MLP(10), optax.adam(1e-3)
    state = steps.init_state(jax.random.key(0), model, optimizer, images)

    def an_epoch(images: jax.Array, labels: jax.Array) -> steps.Metrics:
        return steps.epoch(state, steps.Data(images, labels), 1.0, config=steps.EpochConfig(model, optimizer, 8))[1]

    text = module(an_epoch, images, labels, platform=platform)
    check(text, platform, products=False)
    assert "f64" not in text
