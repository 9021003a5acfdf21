"""Flip points: against a linear model's exact margins, SciPy's optimizer, a fine grid, and DeepFool on trained networks."""

from __future__ import annotations

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.optimize

import hullx
from hullx import probes
from hullx.data import load
from hullx.errors import ArgumentError, ArgumentTypeError
from hullx.models import MLP
from hullx.probes import FlipPoints, Head
from hullx.probes.flip_points.regions import Box, multipliers
from hullx.training import FitConfig, fit

pytestmark = pytest.mark.unoptimised

DIMENSION, CLASSES = 5, 4


def linear(head: Any, rows: Any) -> Any:
    return rows @ head["weights"] + head["bias"]


@pytest.fixture
def drawn(rng: np.random.Generator) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """A linear model, and points in the unit box."""
    head = {"weights": rng.standard_normal((DIMENSION, CLASSES)), "bias": 0.1 * rng.standard_normal(CLASSES)}
    return {name: each.astype(np.float32) for name, each in head.items()}, rng.random((40, DIMENSION)).astype(np.float32)


def optimum(head: dict[str, np.ndarray], row: np.ndarray, own: int, bounds: Any, basis: np.ndarray, more: Any = ()) -> float:
    """The least distance from a row to where a linear model has another label, over coefficients of a basis, by SciPy."""
    weights, bias = (each.astype(float) for each in (head["weights"], head["bias"]))
    least = np.inf
    for j in set(range(CLASSES)) - {own}:
        across, lead = basis @ (weights[:, j] - weights[:, own]), bias[j] - bias[own]
        limits = [{"type": "ineq", "fun": lambda a, w=across, b=lead: a @ w + b, "jac": lambda a, w=across: w}, *more]
        start = np.full(len(basis), 1 / len(basis)) if more else row.astype(float)
        found = scipy.optimize.minimize(
            lambda a: ((a @ basis - row) ** 2).sum(),
            start,
            jac=lambda a: 2 * basis @ (a @ basis - row),
            bounds=bounds,
            constraints=limits,
            method="SLSQP",
            options={"maxiter": 500, "ftol": 1e-14},
        )
        if found.success:
            least = min(least, float(np.sqrt(found.fun)))
    return least


def test_a_linear_model_s_margin(drawn: tuple[dict[str, np.ndarray], np.ndarray]) -> None:
    head, rows = drawn
    exact = probes.boundary(Head(*(head[name].astype(float) for name in ("weights", "bias"))), rows)
    found = probes.flip_points(linear, head, rows, within=None)
    assert found.verified.all()
    np.testing.assert_allclose(found.distance, exact.distance, rtol=1e-4)
    np.testing.assert_array_equal(found.other, exact.other)
    np.testing.assert_allclose(found.points, exact.point, atol=1e-4 * exact.distance.max())
    # Units and origin do not matter, nor what else is asked at the same time.
    moved = {"weights": head["weights"] / 255, "bias": head["bias"] - head["weights"].sum(0)}
    scaled = probes.flip_points(linear, moved, 255 * (rows + 1), within=None)
    np.testing.assert_allclose(scaled.distance, 255 * exact.distance, rtol=2e-4)
    alone = probes.flip_points(linear, head, rows[-1:], within=None)
    np.testing.assert_allclose(alone.points, found.points[-1:], atol=1e-6)


def test_in_a_box_it_is_what_an_optimizer_finds(drawn: tuple[dict[str, np.ndarray], np.ndarray]) -> None:
    head, rows = drawn
    rows = np.clip(1.6 * rows - 0.3, 0, 1)  # many coordinates are on an end
    found = probes.flip_points(linear, head, rows)
    assert ((found.points >= 0) & (found.points <= 1)).all()
    best = [
        optimum(head, row, own, [(0, 1)] * DIMENSION, np.eye(DIMENSION)) for row, own in zip(rows, found.called, strict=True)
    ]
    np.testing.assert_array_equal(found.verified, np.isfinite(best))
    np.testing.assert_allclose(found.distance, best, rtol=1e-4, atol=1e-6)
    free = probes.flip_points(linear, head, rows, within=None)
    assert (found.distance > 1.01 * free.distance).sum() > 10  # the box is felt


@pytest.mark.thorough
def test_in_a_hull_it_is_what_an_optimizer_finds(
    drawn: tuple[dict[str, np.ndarray], np.ndarray], rng: np.random.Generator
) -> None:
    head, rows = drawn
    hull = (1.5 * rng.standard_normal((12, DIMENSION))).astype(np.float32)
    found = probes.flip_points(linear, head, rows[:8], within=hull, classes=3)
    whole = [{"type": "eq", "fun": lambda a: a.sum() - 1, "jac": np.ones_like}]
    best = [
        optimum(head, row, own, [(0, 1)] * len(hull), hull.astype(float), whole)
        for row, own in zip(found.origin, found.called, strict=True)
    ]
    assert found.verified.all()
    np.testing.assert_allclose(found.distance, best, rtol=1e-4, atol=1e-5)
    weights = [scipy.optimize.nnls(np.vstack([hull.T, 100 * np.ones(12)]), [*point, 100.0])[1] for point in found.points]
    assert max(weights) < 1e-5
    # Images outside have become their projections.
    projected = hullx.project(rows[:8], hull)
    assert projected.outside.any()
    np.testing.assert_allclose(found.origin, projected.point, atol=1e-5)


class Waves(nn.Module):
    """A network in the plane, whose boundaries are curved or have edges."""

    activation: str = "tanh"

    @nn.compact
    def __call__(self, rows: Any) -> Any:
        act = jnp.tanh if self.activation == "tanh" else nn.relu
        hidden = act(nn.Dense(12, kernel_init=nn.initializers.normal(3.0), bias_init=nn.initializers.normal(2.0))(rows))
        return nn.Dense(3, kernel_init=nn.initializers.normal(1.0))(hidden)


@pytest.mark.thorough
@pytest.mark.parametrize(("activation", "seed"), [("tanh", 2), ("tanh", 7), ("relu", 7)])
def test_no_point_of_a_grid_is_nearer(activation: str, seed: int, rng: np.random.Generator) -> None:
    model, rows = Waves(activation), rng.random((24, 2)).astype(np.float32)
    variables = model.init(jax.random.key(seed), rows)
    side = np.linspace(0, 1, 401, dtype=np.float32)
    grid = np.stack(np.meshgrid(side, side), -1).reshape(-1, 2)
    labels = np.asarray(model.apply(variables, grid)).argmax(1)
    assert len(np.unique(labels)) > 1
    found = probes.flip_points(model.apply, variables, rows, towards=grid[::97], key=jax.random.key(0))
    nearest = [np.linalg.norm(grid[labels != own] - row, axis=1).min() for row, own in zip(rows, found.called, strict=True)]
    assert found.verified.all()
    assert (found.distance <= np.array(nearest) + 1 / 400).all()
    # The label is another nowhere that is nearer by more than a grid's step across.
    assert (found.distance >= np.array(nearest) - np.sqrt(2) / 400).all()


class Convolutions(nn.Module):
    """A small convolutional network."""

    @nn.compact
    def __call__(self, images: Any, *, train: bool = False) -> Any:
        del train
        values = nn.relu(nn.Conv(4, (3, 3))(images))
        values = nn.relu(nn.Conv(8, (3, 3))(nn.max_pool(values, (2, 2), (2, 2))))
        return nn.Dense(10)(values.reshape(len(images), -1))


def deepfool(apply: Any, variables: Any, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distances, and whether the label has changed there: Moosavi-Dezfooli et al. (2016), algorithm 2, overshoot 0.02."""
    shape = images.shape[1:]

    def logits(row: Any) -> Any:
        return apply(variables, row.reshape(1, *shape))[0]

    def one(start: Any) -> tuple[Any, Any]:
        own = logits(start).argmax()

        def body(_: int, total: Any) -> Any:
            row = start + 1.02 * total
            values, slopes = logits(row), jax.jacrev(logits)(row)
            across = slopes - slopes[own]
            length = jnp.linalg.norm(across, axis=1)
            far = jnp.where(length > 0, jnp.abs(values - values[own]) / jnp.where(length > 0, length, 1), jnp.inf)
            j = far.argmin()
            return jnp.where(values.argmax() == own, total + far[j] * across[j] / length[j], total)

        row = start + 1.02 * jax.lax.fori_loop(0, 30, body, jnp.zeros_like(start))
        return jnp.linalg.norm(row - start), logits(row).argmax() != own

    distance, fooled = jax.jit(jax.vmap(one))(images.reshape(len(images), -1))
    return np.asarray(distance), np.asarray(fooled)


def angles(apply: Any, variables: Any, found: FlipPoints) -> np.ndarray:
    """Between x − x̂ and the gradient of z_c − z_j at x̂, in degrees."""

    def lead(points: Any) -> Any:
        logits, at = apply(variables, points), np.arange(len(points))
        return (logits[at, found.called] - logits[at, found.other]).sum()

    gradient, back = (
        np.asarray(each).reshape(len(each), -1) for each in (jax.grad(lead)(found.points), found.origin - found.points)
    )
    cosine = (gradient * back).sum(1) / np.linalg.norm(gradient, axis=1) / np.linalg.norm(back, axis=1)
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("model", "epochs", "count", "most"),
    [(MLP(10, activation="tanh"), 8, 64, 0.2), (MLP(10), 8, 64, 12.0), (Convolutions(), 4, 16, 12.0)],
)
def test_nearer_than_deepfool_on_trained_networks(model: Any, epochs: int, count: int, most: float) -> None:
    digits = load("digits")
    state = fit(jax.random.key(0), model, optax.adam(3e-3), digits.train, FitConfig(epochs=epochs, batch=64, title=None)).state
    images = digits.test.images[:count]
    found = probes.flip_points(model.apply, state.variables, images, within=None)
    assert found.points.shape == images.shape
    assert found.verified.mean() >= 0.99
    distance, fooled = deepfool(model.apply, state.variables, images)
    assert ((found.distance <= distance) | ~fooled).mean() >= 0.95
    # Where the network is smooth x̂ is stationary; a rectifier's boundary has edges.
    assert np.percentile(angles(model.apply, state.variables, found), 95) < most


def test_the_multipliers_of_several_constraints(rng: np.random.Generator) -> None:
    normals = rng.standard_normal((6, 3, 4)).astype(np.float32)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    start, limits = rng.random((6, 4)).astype(np.float32), rng.random((6, 3)).astype(np.float32) / 4
    box = Box(jnp.float32(0), jnp.float32(1))
    found = np.asarray(multipliers(box, start, normals, limits)[1])
    for i in range(6):
        limit = {"type": "ineq", "fun": lambda y, i=i: limits[i] - normals[i] @ y}
        best = scipy.optimize.minimize(
            lambda y, i=i: ((y - start[i]) ** 2).sum(), start[i], bounds=[(0, 1)] * 4, constraints=[limit]
        )
        if best.success:
            np.testing.assert_allclose(found[i], best.x, atol=2e-3)


def constant(_: Any, images: Any) -> Any:
    return jnp.broadcast_to(jnp.array([1.0, 0.0]), (len(images), 2))


def test_what_is_not_found_is_not_verified() -> None:
    images = np.full((2, 3), 0.5, np.float32)
    found = probes.flip_points(constant, None, images)
    assert not found.verified.any()
    assert (found.distance == np.inf).all()
    np.testing.assert_array_equal(found.points, images)


def test_two_classes(drawn: tuple[dict[str, np.ndarray], np.ndarray]) -> None:
    """Where their logits are equal they have no range to compare a gap with: it is that at the image."""
    head, rows = drawn
    head = {"weights": head["weights"][:, :2], "bias": head["bias"][:2]}
    found = probes.flip_points(linear, head, rows, within=None)
    exact = probes.boundary(Head(*(head[name].astype(float) for name in ("weights", "bias"))), rows)
    assert found.verified.all()
    np.testing.assert_allclose(found.distance, exact.distance, rtol=1e-4)


def test_one_program_for_any_number(drawn: tuple[dict[str, np.ndarray], np.ndarray], compilations: list[str]) -> None:
    head, rows = drawn
    first = probes.flip_points(linear, head, np.tile(rows, (2, 1)), within=None)
    before = len(compilations)
    second = probes.flip_points(linear, head, np.tile(rows, (3, 1))[:101], within=None)
    assert len(compilations) == before
    np.testing.assert_array_equal(second.points[:80], first.points)


def test_what_cannot_be_searched(drawn: tuple[dict[str, np.ndarray], np.ndarray]) -> None:
    head, rows = drawn
    ask = partial(probes.flip_points, linear, head)
    for message, arguments in {
        r"images: got shape \(40, 4\), expected images that apply takes": {"images": rows[:, :4]},
        r"images: got shape \(5,\), expected \(m, ...\) with one image": {"images": rows[0]},
        "images: got NaN": {"images": np.full_like(rows, np.nan)},
        r"within: got \(1.0, 0.0\), expected low < high": {"images": rows, "within": (1, 0)},
        r"within: got \(0.0, 0.5\) for images from": {"images": rows, "within": (0, 0.5)},
        "classes: got 1, expected an integer of at least 2": {"images": rows, "classes": 1},
        "steps: got 0": {"images": rows, "steps": 0},
        r"within: got shape \(3, 4\), expected \(n, 5\)": {"images": rows, "within": rows[:3, :4]},
        r"towards: got shape \(3, 4\), expected \(t, 5\)": {"images": rows, "towards": rows[:3, :4]},
    }.items():
        with pytest.raises(ArgumentError, match=message):
            ask(**arguments)
    with pytest.raises(ArgumentTypeError, match="images: got dtype int64"):
        ask(np.zeros((2, 5), int))
    with pytest.raises(ArgumentError, match=r"apply: got shape \(1, 1\) for one image, expected logits"):
        probes.flip_points(lambda _, images: images[:, :1], None, rows)
