"""Distance against the number of images: the closed form and the points compared, against others' formulas; the experiment."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from commands import started
from oracles import nnls_distance
from scipy.integrate import quad
from scipy.stats import norm

import hullx
from experiments import comparison_points, gaussian_distance, power_laws, scaling
from hullx import runs
from hullx.data import Sample, load
from hullx.errors import ArgumentError

pytestmark = pytest.mark.unoptimised


@pytest.mark.thorough
@pytest.mark.parametrize("n", [2, 7, 50])
def test_far_more_dimensions_than_samples_make_a_regular_simplex(n: int) -> None:
    """Samples are orthogonal, so the nearest point is their mean, at distance² d (1 + 1/n)."""
    d = 10**6
    np.testing.assert_allclose(gaussian_distance.expected_distance(np.ones(d), n), np.sqrt(d * (1 + 1 / n)), rtol=0.005)


@pytest.mark.thorough
@pytest.mark.parametrize(("n", "d"), [(50, 100), (1000, 30), (20_000, 400)])
def test_equal_variances_ask_for_the_distance_to_a_ball(n: int, d: int) -> None:
    """By quadrature and a grid: √(d (1 + β²)) − m, with β and m from truncated moments of a Gaussian."""

    def distance(t: float) -> float:
        first, second = (quad(lambda h, k: (h - t) ** k * norm.pdf(h), t, max(t, 0) + 12, args=(k,))[0] for k in (1, 2))
        return np.sqrt(d * (1 + second / (n * first**2))) - (t + second / first)

    highest = norm.isf(1 / n)
    np.testing.assert_allclose(
        gaussian_distance.expected_distance(np.ones(d), n), min(map(distance, np.linspace(-8, highest, 400))), rtol=1e-4
    )


@pytest.mark.thorough
def test_the_closed_form_is_what_samples_show(rng: np.random.Generator) -> None:
    variances = 1 / np.arange(1, 201) ** 1.2
    for n in (50, 800):
        drawn = rng.standard_normal((6, n + 25, 200)) * np.sqrt(variances)
        found = [hullx.sweep(rows[:25], rows[25:], progress=False).distance for rows in drawn]
        np.testing.assert_allclose(np.mean(found), gaussian_distance.expected_distance(variances, n), rtol=0.025)
    np.testing.assert_allclose(
        gaussian_distance.expected_distance(9 * variances, 50),
        3 * gaussian_distance.expected_distance(variances, 50),
        rtol=1e-6,
    )
    np.testing.assert_allclose(
        gaussian_distance.expected_distance(np.append(variances, 0), 50),
        gaussian_distance.expected_distance(variances, 50),
        rtol=1e-12,
    )


def test_it_falls_to_zero_in_few_dimensions() -> None:
    distances = [gaussian_distance.expected_distance(np.ones(3), n) for n in (10, 100, 10_000, 10**8)]
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] == 0


@pytest.mark.parametrize(
    ("variances", "n"), [(np.ones(3), 1), (np.zeros(3), 9), (np.array([1, -1.0]), 9), (np.array([np.inf]), 9)]
)
def test_other_arguments_are_refused(variances: np.ndarray, n: int) -> None:
    with pytest.raises(ArgumentError, match="n, variances: got"):
        gaussian_distance.expected_distance(variances, n)


def test_prices_of_a_power_law_are_exact() -> None:
    counts = [10, 30, 200]
    real = np.array([[2.0], [3.0]]) * np.array(counts) ** -0.3
    augmented = np.array([[2.0], [3.0]]) * np.array([10 * 3.8, 20 * 9.0, 20 * 90.0]) ** -0.3
    np.testing.assert_allclose(power_laws.prices(counts, [10, 20, 20], real, augmented), [[3.8] * 2, [9] * 2, [90] * 2])
    np.testing.assert_allclose(power_laws.exponents(counts, real), -0.3)


def test_augmented_images_are_those_of_numpy() -> None:
    images = load("digits", train_size=20).train.images
    for kind, points in comparison_points.COPIES.items():
        rows = comparison_points.augmented(np.random.default_rng(0), images, kind)
        assert rows.shape == (20 * points, 64)
        np.testing.assert_array_equal(rows[:20], images.reshape(20, -1))
        assert ((rows >= 0) & (rows <= 1)).all()
    shifts = comparison_points.augmented(np.random.default_rng(0), images, comparison_points.SHIFTS)
    down = np.concatenate([np.zeros_like(images[:, :1]), images[:, :-1]], axis=1).reshape(20, -1)
    assert any((part == down).all() for part in np.split(shifts, 9))
    random = comparison_points.augmented(np.random.default_rng(0), images, comparison_points.RANDOM)
    lengths = [np.linalg.norm(each - np.tile(shifts[:20], (9, 1)), axis=1) for each in (shifts, random)]
    np.testing.assert_allclose(*lengths, atol=1e-5)
    mirrored = comparison_points.augmented(np.random.default_rng(0), images, comparison_points.MIRRORED)
    np.testing.assert_array_equal(mirrored[20:], images[:, :, ::-1].reshape(20, -1))


def test_gaussian_samples_have_the_moments_of_the_data(rng: np.random.Generator) -> None:
    train = load("digits").train
    one, several = comparison_points.gaussian_of(train.rows), comparison_points.gaussian_by_class(rng, train, 20_000)
    np.testing.assert_allclose(one.variances.sum(), train.rows.var(0).sum(), rtol=1e-5)
    # Mixing over classes gives back the mean and the covariance of all images.
    for rows in (one.sample(rng, 20_000), several):
        np.testing.assert_allclose(rows.mean(0), train.rows.mean(0), atol=0.015)
        np.testing.assert_allclose(np.cov(rows.T), np.cov(train.rows.T), atol=0.015)


@pytest.mark.experiment
def test_the_experiment(tmp_path: Path) -> None:
    sample = Sample("digits:1437:100")
    results = runs.Results(started(scaling.experiment.main, "--data", sample, "--samples", 100, "--out", tmp_path).folder)
    (title,) = results.names("data")
    assert title == sample.load().title
    found = results.arrays(f"{title} distances")
    assert found["counts"].tolist() == [36, 72, 140]
    assert results.total("undecided")[0] == 0
    # The first set, by SciPy.
    data, order = sample.load(), runs.generator(0, sample, "order").permutation(1437)
    rows = data.train.rows[np.array_split(order, 10)[0][:36]]
    np.testing.assert_allclose(
        found["test-images"][0, 0], np.mean([nnls_distance(query, rows)[0] for query in data.test.rows]), rtol=1e-5
    )
    np.testing.assert_allclose(
        results.estimate("exponent, test images", group="n = 36 to 72").value,
        np.log(found["test-images"][:, 1] / found["test-images"][:, 0]).mean() / np.log(2),
    )
    assert (np.diff(found["test-images"]) < 0).all()
    assert results.estimate("sets", group="n = 700").value == 2
    prices = [results.estimate("price", group=f"{kind} of 36").value for kind in comparison_points.AUGMENTED]
    assert all(price > 1 for price in prices)
    assert prices[0] > max(prices[1:])
    claims = {claim["name"]: claim for claim in results.claims}
    assert claims["the closed form gives the distances of Gaussian samples"]["verdict"] == runs.HOLDS
    assert claims["one covariance predicts the images' exponent"]["verdict"] == runs.FAILS
    assert {claim["sets"] for claim in results.claims} == {10}
    assert {path.name for path in (results.folder / "figures").glob("*.png")} == {"distances.png", "prices.png"}


def test_no_count_outgrows_the_data() -> None:
    for config in scaling.PRESETS.values():
        for sample in config.data:
            assert sample.train_size is not None
            assert max(config.counts) <= sample.train_size
            assert min(config.bases) >= config.counts[0]
            assert sum(n * config.sets <= sample.train_size for n in config.counts) >= 2
