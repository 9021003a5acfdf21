"""Do hullx's attacks succeed as often as Foolbox's on the same networks with the same budgets, and how fast are they?

    python -m experiments.bench_attacks                 an MLP and a CNN on the digits, two minutes
    python -m experiments.bench_attacks cpu             and on MNIST's test images

Install first: `pip install -e '.[bench]'`. Foolbox is by Rauber et al. (2017, 2020); 3.3.4 runs with jax 0.10. Both use the
same steps and step sizes and begin at the image, so nothing is random. Shares of success refer to images that the network
classifies correctly. Two things may differ. hullx keeps the best point on the way, Foolbox the last. hullx projects to the
ball and the pixels' range at once, Foolbox to one after the other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax

from hullx import runs
from hullx.data import Sample
from hullx.errors import PackageError
from hullx.models import CNN, MLP
from hullx.probes import attacks
from hullx.probes.attacks import Attacked, Budget
from hullx.training import FitConfig, fit

MODELS = {"MLP": MLP(10), "CNN": CNN(10)}
# Budgets in the L∞ and L2 norms; steps, and their length as a share of ε: Foolbox's defaults.
EPSILON = {"digits": {"linf": 0.08, "l2": 0.5}, "mnist": {"linf": 0.1, "l2": 1.5}}
STEPS, SHARE = {"linf": 40, "l2": 50}, {"linf": 0.01 / 0.3, "l2": 0.025}
DEEPFOOL, NAMES = "DeepFool", {"linf": "L∞", "l2": "L2"}
HULLX, FOOLBOX, DIFFERENCE, RATIO, MOST = (
    "share, hullx",
    "share, Foolbox",
    "points more than Foolbox",
    "Foolbox ÷ hullx seconds",
    1,
)


@dataclass(frozen=True)
class Config(runs.Config):
    """Settings of the benchmark.

    Attributes:
        data: data sets with budgets in EPSILON.
        models: names of networks in MODELS.
        epochs: epochs of their training.
        repeats: repetitions of each timing.
    """

    data: tuple[Sample, ...] = (Sample("digits"),)
    models: tuple[str, ...] = tuple(MODELS)
    epochs: int = 4
    repeats: int = 3


PRESETS = {"smoke": Config(), "cpu": Config(data=(Sample("digits"), Sample("mnist:10000:500")), epochs=8)}


class Compared(NamedTuple):
    """Successes (n,) and seconds (repeats,) of both packages, for one attack."""

    ours: np.ndarray
    theirs: np.ndarray
    our_seconds: np.ndarray
    their_seconds: np.ndarray


def measure(config: Config, run: runs.Run[Config]) -> None:
    """Measure shares of success and times, attack by attack."""
    runs.known("--models", config.models, MODELS)
    runs.known("--data", [sample.name for sample in config.data], EPSILON)
    foolbox()
    differences: dict[str, list[np.ndarray]] = {}
    for sample in config.data:
        data = sample.load(seed=config.seed, data_dir=config.data_dir)
        for name in config.models:
            model = MODELS[name]
            fitted = fit(
                jax.random.key(config.seed), model, optax.adam(2e-3), data.train, FitConfig(epochs=config.epochs, title=name)
            )
            images, labels = jnp.asarray(data.test.images), jnp.asarray(data.test.labels)
            right: Any = model.apply(fitted.state.variables, images)
            right = np.asarray(right.argmax(1) == labels)
            some = partial(compare, model, fitted.state.variables, images[right], labels[right], config.repeats)
            epsilon = EPSILON[sample.name]
            for attack, ways in pairs(epsilon).items():
                found = Compared(
                    *run.cached(f"{sample} {name} {attack}", some, ways, epsilon["l2"] if attack == DEEPFOOL else None)
                )
                about: dict[str, Any] = {"data": data.title, "group": f"{name}, {attack}"}
                run.record(HULLX, found.ours, **about)
                run.record(FOOLBOX, found.theirs, **about)
                run.record(RATIO, found.their_seconds / found.our_seconds, **about, statistic="median")
                differences.setdefault(attack, []).append(100 * (found.ours.astype(float) - found.theirs))
    for attack, points in differences.items():
        run.record(DIFFERENCE, np.concatenate(points), group=attack)


def foolbox() -> Any:
    """Import the package.

    Raises:
        PackageError: Foolbox is not installed.
    """
    try:
        import foolbox  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise PackageError("bench_attacks needs Foolbox: pip install -e '.[bench]'") from error
    return foolbox


Ways = tuple[Callable[..., Attacked], Any, float | None]


def pairs(epsilon: dict[str, float]) -> dict[str, Ways]:
    """hullx's attack, Foolbox's attack and Foolbox's ε, by name."""
    theirs: Any = foolbox().attacks
    found: dict[str, Ways] = {}
    for norm, value in epsilon.items():
        budget = Budget(norm, value)  # pyright: ignore[reportArgumentType]
        kind, steps = {"linf": "Linf", "l2": "L2"}[norm], STEPS[norm]
        several = {"steps": steps, "random_start": False}
        descent = getattr(theirs, f"{kind}ProjectedGradientDescentAttack")(rel_stepsize=SHARE[norm], **several)
        settings = attacks.PGD(step_size=SHARE[norm] * value, **several)
        ours = partial(attacks.pgd, key=jax.random.key(0), budget=budget, settings=settings)
        one_step = getattr(theirs, f"{kind}FastGradientAttack")()
        found[f"FGSM {NAMES[norm]}"] = partial(attacks.fgsm, budget=budget), one_step, value
        found[f"PGD {NAMES[norm]}"] = ours, descent, value
    # DeepFool has no budget: for both, points within one count.
    found[DEEPFOOL] = attacks.deepfool, theirs.L2DeepFoolAttack(), None
    return found


def compare(
    model: Any, variables: Any, images: jax.Array, labels: jax.Array, repeats: int, ways: Ways, most: float | None
) -> Compared:
    """Run both on the same images in turns; the first turn compiles and does not count."""
    (ours, attack, epsilon), moved = ways, cast(Any, np.zeros(0))
    network = jax.jit(lambda images: model.apply(variables, images))
    peer = foolbox().models.JAXModel(network, bounds=(0, 1))
    seconds, found, successes = np.empty((2, repeats + 1)), cast(Any, None), np.zeros(0)
    for turn in range(repeats + 1):
        began = time.perf_counter()
        found = jax.block_until_ready(ours(model.apply, variables, images, labels))
        seconds[0, turn] = time.perf_counter() - began
        began = time.perf_counter()
        _, moved, successes = attack(peer, images, labels, epsilons=epsilon)
        jax.block_until_ready(moved)
        seconds[1, turn] = time.perf_counter() - began
    our_distance, their_distance = (
        np.linalg.norm((each - images).reshape(len(images), -1), axis=1) for each in (found.images, moved)
    )
    limit = np.inf if most is None else most
    theirs, mine = np.asarray(successes) & (their_distance <= limit), np.asarray(found.success) & (our_distance <= limit)
    return Compared(mine, theirs, *seconds[:, 1:])


def claims(results: runs.Results) -> Iterator[runs.Claim]:
    """Whether both agree within a point."""
    for row in results.select(quantity=DIFFERENCE):
        name, expected = f"{row.group}: both succeed equally often", f"within {MOST} point"
        verdict = runs.within(row.estimate, -MOST, MOST)
        about = {"group": row.group, "note": f"{row.n} images", "unit": " points"}
        yield runs.Claim.of(row.estimate, name, "here", expected, verdict, **about)


experiment = runs.Experiment(Config, PRESETS, measure, claims)
if __name__ == "__main__":
    experiment.main()
