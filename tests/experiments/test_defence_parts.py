"""The parts of `defence`: an attack without gradients, and replacements of equal length."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from experiments import image_replacements, square_attack
from hullx.data import load

pytestmark = pytest.mark.unoptimised


def test_the_search_reaches_what_the_best_attack_on_a_linear_network_reaches() -> None:
    """A linear margin falls at most by radius · ‖w‖₁; with the signs of w per column, stripes and squares come close."""
    images, labels = jnp.full((3, 8, 8, 1), 0.5), jnp.zeros(3, jnp.int32)
    offset = jnp.array([0.05, 0.3, 0.7])  # margins at the images, in units of radius · ‖w‖₁

    def apply(weights: jax.Array, points: jax.Array) -> jax.Array:
        change = ((points - 0.5) * weights[:, None]).sum((1, 2, 3)) / (0.1 * 64)
        return jnp.stack([offset + change, jnp.zeros(3)], 1)

    points, success = square_attack.square_attack(
        jax.jit(apply), jnp.ones((8, 8)), images, labels, jax.random.key(0), radius=0.1, queries=300
    )
    assert np.abs(points - images).max() <= 0.1 + 1e-6
    assert success.all()


def test_the_search_stays_in_the_box_and_fails_where_nothing_helps() -> None:
    images, labels = jnp.ones((2, 6, 6, 3)), jnp.ones(2, jnp.int32)

    def apply(_: None, points: jax.Array) -> jax.Array:
        return jnp.stack([jnp.zeros(2), 1 + 0 * points.sum((1, 2, 3))], 1)

    points, success = square_attack.square_attack(apply, None, images, labels, jax.random.key(1), radius=0.2, queries=10)
    assert not success.any()
    assert 0.8 - 1e-6 <= float(points.min()) <= float(points.max()) <= 1


@pytest.mark.parametrize("width", [0.7, 1.5])
def test_the_blur_is_scipys_inside(width: float) -> None:
    image = np.zeros((21, 21, 2))
    image[8:13, 9:12, 0], image[10, 10, 1] = 1, 0.5
    mine = (image.ravel() @ image_replacements.blur_matrix(width, image.shape)).reshape(image.shape)
    np.testing.assert_allclose(mine, ndimage.gaussian_filter(image, (width, width, 0), truncate=8), atol=2e-3)


def test_a_blur_has_the_length_asked_for() -> None:
    rows = load("digits").train.rows[:100]
    change = rows @ image_replacements.blur_of_length(rows, 0.8, (8, 8, 1)) - rows
    np.testing.assert_allclose(np.linalg.norm(change, axis=1).mean(), 0.8, rtol=1e-6)


@pytest.mark.thorough
def test_controls_change_held_out_images_as_much_as_the_projection() -> None:
    data = load("digits")
    made = image_replacements.replacements(data, 300)
    rows = jnp.asarray(data.test.rows)
    lengths = {
        name: float(np.linalg.norm(np.asarray(each.function(each.parameters, rows)) - data.test.rows, axis=1).mean())
        for name, each in made.items()
        if name in (image_replacements.BLUR, image_replacements.COMPONENTS)
    }
    assert abs(lengths[image_replacements.BLUR] / lengths[image_replacements.COMPONENTS] - 1) < 0.1
