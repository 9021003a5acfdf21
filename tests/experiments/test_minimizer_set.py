"""The set of minimizers of small networks: symmetries, curvatures and curves whose values are known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_experiments import start

from experiments import small_minimizers
from hullx import runs
from hullx.models import MLP

pytestmark = pytest.mark.unoptimised

MODEL = MLP(1, depth=1, width=6, activation="tanh")


@pytest.fixture
def data(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return rng.standard_normal((8, 2, 2, 1)), rng.choice([-1.0, 1.0], 8)


def trained(data: tuple[np.ndarray, np.ndarray], seed: int) -> Any:
    images, targets = map(jnp.asarray, data)
    begun = small_minimizers.train(jax.random.key(seed), images, targets, jnp.ones(8), model=MODEL, steps=200)
    params, loss = small_minimizers.finish(begun, images, targets, model=MODEL)
    assert loss < 1e-20
    return jax.tree.map(np.asarray, params)


def test_units_in_another_order_and_sign_are_aligned(rng: np.random.Generator, data: tuple[np.ndarray, np.ndarray]) -> None:
    with jax.enable_x64(True):
        params = trained(data, 0)
        order, signs = rng.permutation(6), rng.choice([-1.0, 1.0], 6)
        dense, head = params["dense_1"], params["head"]
        moved = {
            "dense_1": {"kernel": dense["kernel"][:, order] * signs, "bias": dense["bias"][order] * signs},
            "head": {"kernel": head["kernel"][order] * signs[:, None], "bias": head["bias"]},
        }
        images = jnp.asarray(data[0])
        same = [small_minimizers.outputs(MODEL, each, images) for each in (params, moved)]
        np.testing.assert_allclose(*same, rtol=1e-12)
        jax.tree.map(np.testing.assert_array_equal, small_minimizers.align(params, moved), params)


def test_a_minimizer_has_as_many_curvatures_as_points(data: tuple[np.ndarray, np.ndarray]) -> None:
    """The Hessian of a squared error of 0 is that of its Jacobian, 2 JᵀJ / n."""
    with jax.enable_x64(True):
        params, (images, targets) = trained(data, 0), map(jnp.asarray, data)
        values = np.asarray(small_minimizers.curvatures(params, images, targets, model=MODEL))
        jacobian = jax.jacobian(lambda each: small_minimizers.outputs(MODEL, each, images))(params)
        matrix = np.concatenate([np.asarray(leaf).reshape(8, -1) for leaf in jax.tree.leaves(jacobian)], axis=1)
        expected = 2 * np.linalg.svd(matrix, compute_uv=False) ** 2 / 8
        np.testing.assert_allclose(values[::-1][:8], expected, rtol=1e-8)
        assert (np.abs(values[:-8]) < 1e-9 * values[-1]).all()


def test_bending_lowers_the_loss_along_a_path(data: tuple[np.ndarray, np.ndarray]) -> None:
    with jax.enable_x64(True):
        first, second = trained(data, 0), trained(data, 1)
        images, targets = map(jnp.asarray, data)
        places = jnp.linspace(0, 1, 21)
        straight = small_minimizers.halfway(first, second)
        bent = small_minimizers.bend(first, second, images, targets, model=MODEL, steps=300)
        losses = [
            np.asarray(small_minimizers.along(first, middle, second, images, targets, places, model=MODEL))
            for middle in (straight, bent)
        ]
        assert losses[1][:, 0].max() < 0.2 * losses[0][:, 0].max()
        # Both start and end at the minimizers, and at 3/4 a straight path is there.
        assert max(each[end, 0] for each in losses for end in (0, -1)) < 1e-20
        quarter = jax.tree.map(lambda a, b: a / 4 + 3 * b / 4, first, second)
        expected = small_minimizers.squared_loss(MODEL, quarter, images, targets)
        np.testing.assert_allclose(losses[0][15, 0], expected, rtol=1e-9)


@pytest.mark.experiment
def test_minimizer_set(tmp_path: Path) -> None:
    results = runs.Results(start("minimizer_set", "--out", tmp_path).folder)
    (width,), sets = results.config["widths"], results.config["sets"]
    found = results.arrays(f"width {width}")
    assert found["paths"].shape == (sets, 2, 3, 101, 4)
    good = found["minimizers"]
    assert results.total("failed") == ((~good).sum(), 3 * sets)
    # At minimizers, paths begin and end without an error.
    assert found["paths"][:, 0][good[:, :2].all(1)][:, :, [0, -1], :2].max() <= 1e-10
    np.testing.assert_allclose(found["paths"][:, 0, 0, 0, 3], found["tests"][:, 0])
    assert len(results.claims) == 7
    assert {path.stem for path in (results.folder / "figures").iterdir()} == {"set", "paths"}
