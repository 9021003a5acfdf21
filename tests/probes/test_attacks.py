"""Attacks: never beyond their budget; on linear networks the optimum, which is known; stronger ones find no less."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.optimize
from hypothesis import given, settings
from hypothesis import strategies as st

from hullx import probes
from hullx.data import load
from hullx.models import CNN, MLP
from hullx.probes import Head, attacks
from hullx.probes.attacks import APGD, PGD, Attacked, Budget, DeepFool
from hullx.training import FitConfig, fit

pytestmark = pytest.mark.unoptimised

KEY, COUNT, SIDE, CLASSES = jax.random.key(0), 24, 4, 4
# Images of the digits, and steps: the tests share their programs.
N, STEPS = 100, 20
BOTH: Any = (attacks.pgd, PGD(STEPS)), (attacks.apgd, APGD(STEPS))
# ‖·‖ that goes with a budget's norm: what a linear function gains within the ball is ε times that of its gradient.
DUAL = {"linf": lambda rows: np.abs(rows).sum(-1), "l2": lambda rows: np.linalg.norm(rows, axis=-1)}


def linear(head: Any, images: Any) -> jax.Array:
    return jnp.matmul(images.reshape(len(images), -1), head[0], precision="highest") + head[1]


def drawn(rng: np.random.Generator, classes: int) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray, np.ndarray]:
    """A linear network, images in the middle of the pixels' range, and what it calls them."""
    head = rng.standard_normal((SIDE**2, classes)).astype(np.float32), np.zeros(classes, np.float32)
    images = rng.uniform(0.45, 0.55, (COUNT, SIDE, SIDE, 1)).astype(np.float32)
    head[1][:] = -images.reshape(COUNT, -1).mean(0) @ head[0]
    return head, images, np.asarray(linear(head, images)).argmax(1)


def margins(head: Any, images: Any, labels: np.ndarray) -> np.ndarray:
    """z_1 − z_0 or z_0 − z_1, in float64: above 0 where the label is wrong."""
    logits = np.asarray(images, np.float64).reshape(len(images), -1) @ head[0].astype(np.float64) + head[1]
    return (logits[:, 1] - logits[:, 0]) * np.where(labels == 0, 1, -1)


# Whose arguments are told apart when they run.
fgsm, pgd, apgd = cast("tuple[Callable[..., Attacked], ...]", (attacks.fgsm, attacks.pgd, attacks.apgd))
WITHIN: dict[str, Callable[..., Attacked]] = {
    "fgsm": lambda *some, early_stop, **more: fgsm(*some, **more),
    "pgd": lambda *some, budget, **more: pgd(*some, KEY, budget=budget, settings=PGD(steps=20, random_start=False, **more)),
    "pgd, decreasing": lambda *some, budget, **more: pgd(
        *some, KEY, budget=budget, settings=PGD(steps=25, step_size=lambda i: 0.4 * 0.8**i, restarts=2, **more)
    ),
    "apgd": lambda *some, budget, **more: apgd(*some, KEY, budget=budget, settings=APGD(steps=25, **more)),
}


@pytest.mark.parametrize("norm", DUAL)
@pytest.mark.parametrize("attack", WITHIN)
def test_on_a_linear_network_the_optimum_is_reached(attack: str, norm: Any, rng: np.random.Generator) -> None:
    """The margin changes by ε times the dual norm; with a little less than that takes none, with a little more all succeed."""
    head, images, labels = drawn(rng, 2)
    gain = float(DUAL[norm](head[0][:, 1] - head[0][:, 0]))
    clean = margins(head, images, labels)
    exact = -clean / gain
    for epsilon in (np.full(COUNT, 0.2, np.float32), 1.001 * exact, 0.999 * exact):
        found = WITHIN[attack](linear, head, images, labels, budget=Budget(norm, epsilon), early_stop=False)
        np.testing.assert_allclose(margins(head, found.images, labels), clean + epsilon * gain, atol=1e-4)
        np.testing.assert_array_equal(found.success, epsilon > exact)
        assert (found.distance <= epsilon + 1e-6).all()


def test_nearest_borders_of_a_linear_network(rng: np.random.Generator) -> None:
    """DeepFool is exact there but for its overshoot; bisection comes as near as it says."""
    head, images, labels = drawn(rng, CLASSES)
    exact = probes.boundary(Head(*head), images.reshape(COUNT, -1))
    for candidates in (None, 3):
        found = attacks.deepfool(linear, head, images, labels, settings=DeepFool(overshoot=1e-3, candidates=candidates))
        np.testing.assert_allclose(found.distance, 1.001 * exact.distance, rtol=1e-4, atol=1e-6)
        np.testing.assert_array_equal(np.asarray(linear(head, found.images)).argmax(1), exact.other)
        assert found.success.all()
        assert (found.steps == 1).all()
    largest = Budget("l2", 0.3)
    settings = APGD(steps=20, loss="targeted", restarts=3)
    near = attacks.smallest_budget(linear, head, images, labels, KEY, largest=largest, halvings=12, settings=settings)
    assert near.success.all()
    assert (near.distance >= exact.distance - 1e-6).all()
    assert (near.distance <= exact.distance + 0.3 / 2**12 + 1e-4).mean() == 1
    largest = Budget("l2", 0.99 * exact.distance.min())
    none = attacks.smallest_budget(linear, head, images, labels, KEY, largest=largest, halvings=12, settings=settings)
    assert not none.success.any()


def test_images_need_not_be_in_a_range_for_deepfool(rng: np.random.Generator) -> None:
    head, images, labels = drawn(rng, CLASSES)
    found = attacks.deepfool(linear, (head[0] / 50, head[1]), 50 * images, labels, settings=DeepFool(bounds=None))
    exact = probes.boundary(Head(*head), images.reshape(COUNT, -1))
    # Pixels of 50 are held to no more than float32's digits of 50.
    np.testing.assert_allclose(found.distance, 1.02 * 50 * exact.distance, rtol=1e-4, atol=50 * float(np.finfo(np.float32).eps))


@given(st.integers(0, 2**32 - 1), st.floats(1e-3, 3), st.sampled_from([0.1, 1, 10]))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_the_projection_to_a_budget(seed: int, epsilon: float, size: float) -> None:
    """Against SciPy's optimizer, with pixels on the range's ends."""
    rng = np.random.default_rng(seed)
    image = np.clip(rng.uniform(-0.5, 1.5, 12), 0, 1).astype(np.float32)
    changed = (image + size * rng.standard_normal(12)).astype(np.float32)
    within = jax.jit(attacks.nearest_within, static_argnames="norm")
    box = np.asarray(within(changed, image, "linf", epsilon))
    np.testing.assert_allclose(box, np.clip(changed, np.maximum(image - epsilon, 0), np.minimum(image + epsilon, 1)), atol=1e-6)
    found = np.asarray(within(changed, image, "l2", epsilon)).astype(float)
    assert np.linalg.norm(found - image) <= epsilon + 1e-6
    assert 0 <= found.min() <= found.max() <= 1
    ball = {
        "type": "ineq",
        "fun": lambda x: 1 - (((x - image) / epsilon) ** 2).sum(),
        "jac": lambda x: 2 * (image - x) / epsilon**2,
    }
    oracle = scipy.optimize.minimize(
        lambda x: ((x - changed) ** 2).sum(), image, jac=lambda x: 2 * (x - changed), bounds=[(0, 1)] * 12, constraints=[ball]
    )
    assert ((found - changed) ** 2).sum() <= oracle.fun + 1e-4 * (1 + oracle.fun)


@pytest.fixture(scope="module")
def networks() -> dict[str, tuple[Any, Any]]:
    """Two small networks trained for a little."""
    digits, models = load("digits"), {"MLP": MLP(10, width=32), "CNN": CNN(10, embedding=16)}
    epochs = {"MLP": 8, "CNN": 1}
    return {
        name: (
            model.apply,
            fit(KEY, model, optax.adam(3e-3), digits.train, FitConfig(epochs=epochs[name], batch=32, title=None)),
        )
        for name, model in models.items()
    }


@pytest.fixture(scope="module")
def mlp(networks: dict[str, tuple[Any, Any]]) -> tuple[Any, Any, np.ndarray, np.ndarray]:
    digits = load("digits").test
    return networks["MLP"][0], networks["MLP"][1].state.variables, digits.images[:N], digits.labels[:N]


@pytest.mark.thorough
@pytest.mark.parametrize(("network", "norm", "epsilon"), [("MLP", "linf", 0.08), ("MLP", "l2", 0.4), ("CNN", "linf", 0.08)])
def test_auto_pgd_finds_no_fewer_than_pgd(networks: dict, network: str, norm: Any, epsilon: float) -> None:
    """At the same number of steps, within the budget; and a finished attack is called wrongly by the network itself."""
    (apply, fitted), (images, labels) = networks[network], load("digits").test.take(np.arange(N))
    some = apply, fitted.state.variables, images, labels, KEY
    found = [attack(*some, budget=Budget(norm, epsilon), settings=how) for attack, how in BOTH]
    assert found[1].success.sum() >= found[0].success.sum()
    assert 0.1 < found[1].success.mean() < 0.9
    for each in found:
        called = np.asarray(apply(fitted.state.variables, each.images)).argmax(1)
        np.testing.assert_array_equal(each.success, called != labels)
        moved = (np.asarray(each.images) - images).reshape(N, -1)
        assert (np.linalg.norm(moved, ord=np.inf if norm == "linf" else 2, axis=1) <= epsilon + 1e-6).all()


@pytest.mark.thorough
@pytest.mark.parametrize(("norm", "most"), [("linf", 0.5), ("l2", 4)])
def test_a_budget_is_never_exceeded(mlp: tuple, norm: Any, most: float, rng: np.random.Generator) -> None:
    """One of each image's own, in one program; of black images and white ones too, on the edge of the range."""
    apply, variables, images, _ = mlp
    images = np.concatenate([np.zeros_like(images[:1]), np.ones_like(images[:1]), images[2:]])
    labels = np.asarray(apply(variables, images)).argmax(1)
    epsilon = (most * rng.uniform(0.001, 1, N)).astype(np.float32)
    some, budget = (apply, variables, images, labels), Budget(norm, epsilon)
    for found in (
        fgsm(*some, budget=budget),
        *(attack(*some, KEY, budget=budget, settings=how) for attack, how in BOTH),
    ):
        assert (found.distance <= epsilon + 1e-6).all()
        assert ((found.images >= 0) & (found.images <= 1)).all()
        assert (found.distance > 0).all()

    @jax.jit
    def start(image: jax.Array, most: jax.Array) -> tuple[jax.Array, jax.Array]:
        point = attacks.drawn_within(KEY, image, norm, most)
        return point, attacks.moved(point, image, norm)

    points, moved = jax.vmap(start)(images, epsilon)
    assert (np.asarray(moved) <= epsilon + 1e-6).all()
    assert ((points >= 0) & (points <= 1)).all()


@pytest.mark.parametrize("epsilon", [0.1, 8 / 255, 0.03, 0.3])
def test_no_pixel_moves_farther_than_epsilon(epsilon: float, rng: np.random.Generator) -> None:
    """In exact arithmetic: differences of float32 numbers are exact in float64."""
    images = rng.random((100, SIDE, SIDE, 1)).astype(np.float32)
    head, _, _ = drawn(rng, CLASSES)
    labels, budget = np.asarray(linear(head, images)).argmax(1), Budget("linf", epsilon)
    some = linear, head, images, labels
    for found in (
        attacks.fgsm(*some, budget=budget),
        attacks.pgd(*some, KEY, budget=budget, settings=PGD(5, early_stop=False)),
        attacks.apgd(*some, KEY, budget=budget, settings=APGD(5)),
    ):
        exact = np.abs(np.asarray(found.images, np.float64) - images.astype(np.float64)).reshape(100, -1).max(1)
        assert (exact <= np.float32(epsilon)).all()
        assert (np.asarray(found.distance) <= np.float32(epsilon)).all()
        assert exact.max() > 0.999 * epsilon


def test_early_stop_restarts_and_lockstep_change_nothing_that_they_should_not(mlp: tuple) -> None:
    budget = Budget("linf", 0.05)
    run: Callable[..., Attacked] = lambda **more: pgd(*mlp, KEY, budget=budget, settings=PGD(STEPS, **more))  # noqa: E731
    once = run()
    for field, again in zip(once, run(), strict=True):
        np.testing.assert_array_equal(field, again)
    np.testing.assert_array_equal(run(early_stop=False).success, once.success)
    more: Any = run(restarts=3)
    assert (more.success | ~once.success).all()
    # An image that is done takes no more steps.
    assert (more.steps[once.success] == once.steps[once.success]).all()
    assert (more.steps[~more.success] == 3 * STEPS).all()
    assert (~more.success).any()
    few = run(together=7)
    np.testing.assert_array_equal(few.success, once.success)
    np.testing.assert_allclose(few.distance, once.distance, atol=1e-6)


def test_another_budget_compiles_nothing(mlp: tuple, compilations: list) -> None:

    def successes(epsilon: float, size: float) -> int:
        found = pgd(*mlp, KEY, budget=Budget("linf", epsilon), settings=PGD(STEPS, step_size=size))
        return np.asarray(found.success).sum()

    successes(0.05, 0.01)
    seen = len(compilations)
    assert successes(0.2, 0.07) > successes(0.001, 0.001)
    assert len(compilations) == seen


def test_what_is_wrong_at_first_stays_as_it_is(mlp: tuple) -> None:
    apply, variables, images, labels = mlp
    called = np.asarray(apply(variables, images)).argmax(1)
    wrong = np.arange(len(images)) % 3 == 0
    labels = np.where(wrong, (called + 1) % 10, called)
    some = apply, variables, images, labels
    for found in (
        attacks.fgsm(*some, budget=Budget("linf", 0.05)),
        attacks.pgd(*some, KEY, budget=Budget("linf", 0.05), settings=PGD(STEPS)),
        attacks.deepfool(*some),
    ):
        assert found.success[wrong].all()
        assert (found.distance[wrong] == 0).all()
        assert (found.steps[wrong] == 0).all()
        np.testing.assert_array_equal(found.images[wrong], images[wrong])
        assert (found.distance[~wrong] > 0).all()


def test_under_jit_and_vmap(rng: np.random.Generator) -> None:
    """Over members and over budgets."""
    pairs = [drawn(rng, CLASSES) for _ in range(2)]
    heads, images = jax.tree.map(lambda *each: np.stack(each), *(pair[0] for pair in pairs)), pairs[0][1]
    labels = np.stack([np.asarray(linear(pair[0], images)).argmax(1) for pair in pairs])

    def run(head: Any, labels: Any, epsilon: Any) -> Attacked:
        return attacks.apgd(linear, head, images, labels, KEY, budget=Budget("l2", epsilon), settings=APGD(steps=6))

    every = jax.jit(jax.vmap(run))(heads, labels, np.array([0.05, 0.1]))
    for i, epsilon in enumerate((0.05, 0.1)):
        alone = run(pairs[i][0], labels[i], epsilon)
        np.testing.assert_array_equal(every.success[i], alone.success)
        np.testing.assert_allclose(every.images[i], alone.images, atol=1e-5)


def test_losses_against_their_formulas(rng: np.random.Generator) -> None:
    logits, labels = rng.standard_normal((50, 5)).astype(np.float32), rng.integers(0, 5, 50)
    for row, label, margin, dlr in zip(
        logits, labels, attacks.margin(logits, labels), attacks.dlr(logits, labels), strict=True
    ):
        ordered, other = np.sort(row)[::-1], np.delete(row, label).max()
        np.testing.assert_allclose(margin, other - row[label], rtol=1e-5)
        np.testing.assert_allclose(dlr, -(row[label] - other) / (ordered[0] - ordered[2]), rtol=1e-4)
    np.testing.assert_allclose(attacks.dlr(7 * logits + 3, labels), attacks.dlr(logits, labels), rtol=1e-3)


def test_a_network_that_says_nan_is_not_fooled(rng: np.random.Generator) -> None:
    """Outside the image itself it says NaN."""
    head, images, labels = drawn(rng, CLASSES)

    def broken(variables: Any, points: jax.Array) -> jax.Array:
        here = (jnp.abs(points[:, None] - images).reshape(len(points), COUNT, -1).max(-1) == 0).any(1)
        return jnp.where(here[:, None], linear(variables, points), jnp.nan)

    found = attacks.pgd(broken, head, images, labels, KEY, budget=Budget("l2", 0.2), settings=PGD(steps=3))
    assert not found.success.any()
    np.testing.assert_array_equal(found.images, images)
