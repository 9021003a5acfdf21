"""Scores of unfamiliar images agree with pytorch-ood, rates with scikit-learn; the sets of images; the experiment."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from commands import started
from scipy.spatial.distance import cdist
from sklearn.covariance import EmpiricalCovariance
from sklearn.metrics import roc_auc_score, roc_curve

from experiments import detection_rates, ood, ood_scores, unfamiliar_images
from hullx import runs
from hullx.data import Sample, Split, load
from hullx.errors import ArgumentError
from hullx.probes import Head

pytestmark = pytest.mark.unoptimised

# Features of 40 training rows and 4 queries; the last unit is 0 on all training rows.
ROWS, UNITS = np.arange(40)[:, None], np.arange(6)
FEATURES = np.maximum(np.sin(1.7 * ROWS * (UNITS + 1) + UNITS) + 0.3 * (ROWS % 3), 0) * (UNITS < 5)
QUERIES = np.maximum(np.cos(2.3 * np.arange(4)[:, None] * (UNITS + 1)), 0)
LABELS = np.arange(40) % 3
HEAD = Head(np.cos(np.arange(18.0)).reshape(6, 3), np.array([0.5, -0.2, 0.1]))
# By pytorch-ood 0.4 in float64.
KNOWN = {
    "ViM": [0.4617236104687934, -0.634984224875067, -0.30374316482836716, -0.39572369865557566],
    "Mahalanobis": [500000.04127167584, 54719.27206946822, 0.03376943640568492, 0.037698885747115496],
    "energy": [-1.1857132077170585, -1.9296945583443286, -0.935289500981519, -1.5207686633463644],
    "maximum softmax": [-0.5812934142551612, -0.6126649998368295, -0.4150164522718796, -0.5871072247547632],
}
FIFTH = [0.678156298588884, 0.787015924845661, 0.681841996498225, 0.7640416204682893]


def test_scores_are_those_of_pytorch_ood() -> None:
    found = ood_scores.network_scores(QUERIES, FEATURES, LABELS, HEAD)
    assert found.keys() == KNOWN.keys()
    for name, scores in KNOWN.items():
        np.testing.assert_allclose(found[name], scores, rtol=1e-9, err_msg=name)
    near = ood_scores.neighbour_distances(*map(ood_scores.unit_length, (QUERIES, FEATURES)), (1, 5))
    np.testing.assert_allclose(near[5], FIFTH, rtol=1e-6)


def test_scores_follow_their_formulas(rng: np.random.Generator) -> None:
    features, queries = rng.normal(size=(500, 8)) @ rng.normal(size=(8, 8)), rng.normal(size=(30, 8))
    labels, head = rng.integers(0, 4, 500), Head(rng.normal(size=(8, 4)), rng.normal(size=4))
    means = np.stack([features[labels == c].mean(0) for c in range(4)])
    shared = EmpiricalCovariance().fit(features - means[labels]).covariance_
    squared = cdist(queries, means, "mahalanobis", VI=np.linalg.inv(shared)).min(1) ** 2
    np.testing.assert_allclose(ood_scores.mahalanobis(queries, features, labels), squared / 1000, rtol=1e-6)
    near = ood_scores.neighbour_distances(queries, features, (1, 7, 500))
    np.testing.assert_allclose([near[k] for k in (1, 7, 500)], np.sort(cdist(queries, features), 1)[:, [0, 6, 499]].T)
    # With the whole space but one direction as the principal subspace, the residual is that direction's coordinate.
    origin = -np.linalg.pinv(head.weights.T) @ head.bias
    least = np.linalg.eigh(EmpiricalCovariance(assume_centered=True).fit(features - origin).covariance_)[1][:, 0]
    logits = [each @ head.weights + head.bias for each in (features, queries)]
    alpha = logits[0].max(1).mean() / np.abs((features - origin) @ least).mean()
    expected = alpha * np.abs((queries - origin) @ least) + ood_scores.energy(logits[1])
    np.testing.assert_allclose(ood_scores.virtual_logit(queries, features, head, dimension=7), expected, rtol=1e-9)
    assert (ood_scores.unit_length(np.zeros((2, 3))) == 0).all()


def test_large_logits_do_not_overflow() -> None:
    logits = np.array([[1e4, 0.0], [-1e4, -1e4]], np.float32)
    np.testing.assert_allclose(ood_scores.energy(logits), [-1e4, 1e4 - np.log(2)])
    np.testing.assert_allclose(ood_scores.maximum_softmax(logits), [-1, -0.5])


@pytest.mark.parametrize("digits", [1, 8])
def test_every_draw_has_the_rates_of_scikit_learn(rng: np.random.Generator, digits: int) -> None:
    """Also with ties, and for weights of images and networks."""
    familiar, unfamiliar = rng.normal(size=(3, 40)).round(digits), rng.normal(0.7, 1, size=(3, 40)).round(digits)
    draws = detection_rates.draw(rng, 3, 40)
    found, truth = detection_rates.rates(familiar, unfamiliar, draws), np.repeat([0, 1], 40)
    for r in (0, 1, 2, 700):
        weights = np.append(draws.familiar[:, r], draws.unfamiliar[:, r])
        pairs = [np.append(*pair) for pair in zip(familiar, unfamiliar, strict=True)]
        area = [roc_auc_score(truth, scores, sample_weight=weights) for scores in pairs]
        np.testing.assert_allclose(found.auroc[r], area @ draws.networks[:, r], rtol=1e-12)
        passed = []
        for scores in pairs:  # familiar is positive
            false, true, _ = roc_curve(1 - truth, -scores, sample_weight=weights, drop_intermediate=False)
            passed.append(false[(true >= 0.95 - 1e-9).argmax()])
        np.testing.assert_allclose(found.fpr[r], passed @ draws.networks[:, r], atol=1e-12)
    assert (len(found.auroc), found.n) == (detection_rates.RESAMPLES + 1, 3)


def test_rates_are_those_of_pytorch_ood() -> None:
    i = np.arange(30)
    familiar, unfamiliar = np.sin(i * 1.3).round(1), (np.sin(i * 0.7) + 0.6).round(1)
    draws = detection_rates.draw(np.random.default_rng(0), 5, 30)
    found = detection_rates.rates(familiar[None], unfamiliar[None], draws)
    np.testing.assert_allclose([found.auroc[0], found.fpr[0]], [0.7316666666666667, 0.6333333333333333])
    assert found.n == 30  # a score without a network


@pytest.mark.thorough
def test_intervals_cover_and_differences_are_paired() -> None:
    """Scores of normal images: AUROC is Φ(shift / √2) on average over networks."""
    covered = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        shift = 0.9 + 0.3 * rng.normal(size=(12, 1))
        familiar, unfamiliar = rng.normal(size=(12, 60)), shift + rng.normal(size=(12, 60))
        draws = detection_rates.draw(rng, 12, 60)
        found = detection_rates.rates(familiar, unfamiliar, draws)
        low, high = detection_rates.estimate(found.auroc, found.n).interval or (np.nan, np.nan)
        covered += low <= 0.733 <= high  # E Φ(N(0.9, 0.3²) / √2)
        same = detection_rates.difference(found, detection_rates.rates(2 * familiar, 2 * unfamiliar, draws))
        assert same[:4] == (0, 0, 0, 12)
    assert covered >= 35


@pytest.mark.parametrize(("familiar", "unfamiliar"), [((2, 9), (2, 9)), ((3, 8), (3, 8)), ((3, 9), (3, 8)), ((1, 9), (3, 9))])
def test_scores_of_another_shape_are_refused(familiar: tuple[int, int], unfamiliar: tuple[int, int]) -> None:
    draws = detection_rates.draw(np.random.default_rng(0), 3, 9)
    with pytest.raises(ArgumentError, match="scores: got shapes"):
        detection_rates.rates(np.zeros(familiar), np.zeros(unfamiliar), draws)
    with pytest.raises(ArgumentError, match="not finite"):
        detection_rates.rates(np.full((3, 9), np.nan), np.zeros((3, 9)), draws)


def test_unfamiliar_images_are_what_they_are_called(rng: np.random.Generator) -> None:
    source = load("digits").test
    found = unfamiliar_images.changed(rng, source)
    for images in found.values():
        assert (images.shape, images.dtype) == (source.images.shape, np.float32)
        assert ((images >= 0) & (images <= 1)).all()
    np.testing.assert_array_equal(found[unfamiliar_images.ROTATED][0, :, :, 0], np.rot90(source.images[0, :, :, 0]))
    shuffled = found[unfamiliar_images.SHUFFLED].reshape(len(source.images), -1)
    np.testing.assert_array_equal(np.sort(shuffled), np.sort(source.rows))
    assert (shuffled != source.rows).any(1).all()
    partners = 2 * found[unfamiliar_images.MIXED] - source.images
    near = cdist(partners.reshape(len(partners), -1), source.rows)
    assert near.min(1).max() < 1e-5
    assert (source.labels[near.argmin(1)] != source.labels).all()
    grey = unfamiliar_images.in_grey(rng.random((4, 10, 12, 3)).astype(np.float32), source.images, "colours")
    assert grey.shape == (4, 8, 8, 1)
    white = np.ones((1, 9, 9, 3), np.float32)
    np.testing.assert_allclose(unfamiliar_images.in_grey(white, source.images, "white"), 1, rtol=1e-6)


def test_other_images_are_refused(rng: np.random.Generator) -> None:
    source = load("digits").test
    with pytest.raises(ArgumentError, match="square"):
        unfamiliar_images.changed(rng, Split(source.images[:, :7], source.labels))
    with pytest.raises(ArgumentError, match="got 1 classes"):
        unfamiliar_images.changed(rng, source.take(np.flatnonzero(source.labels == 3)))
    with pytest.raises(ArgumentError, match=r"others: got small, \(7, 7, 1\)"):
        unfamiliar_images.in_grey(source.images[:, :7, :7], source.images, "small")
    with pytest.raises(ArgumentError, match="others: got 5 test images"):
        unfamiliar_images.others(runs.Config(), (Sample("digits:9:5"),), source.images)
    for counts in ((), (0,), (1, 41)):
        with pytest.raises(ArgumentError, match="neighbours: got"):
            ood_scores.neighbour_distances(QUERIES, FEATURES, counts)
    with pytest.raises(ArgumentError, match="dimension: got 6"):
        ood_scores.virtual_logit(QUERIES, FEATURES, HEAD, dimension=6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--network", "lenett"), "--network: 'lenett' is unknown"),
        (("--networks", "1"), "--networks: got 1, expected 2 or more"),
        (("--data", "digits:40:20"), "neighbours: got (1, 50), expected numbers from 1 to 40"),
    ],
)
def test_what_cannot_be_measured_gets_one_line(arguments: tuple[str, ...], message: str, tmp_path: Path) -> None:
    done = started(ood.experiment.main, *arguments, "--out", tmp_path)
    assert done.status == 2
    assert message in done.errors


@pytest.mark.experiment
def test_the_experiment(tmp_path: Path) -> None:
    results = runs.Results(started(ood.experiment.main, "--out", tmp_path).folder)
    assert results.total("undecided") == (0, (1 + 2 * 3) * 7 * 50)
    assert {path.name for path in (results.folder / "figures").glob("*.png")} == {"auroc.png", "images.png"}
    gains = [row.value for row in results.select(quantity=ood.GAIN)]
    assert len(gains) == 10
    assert [claim["measured"] for claim in results.claims[:-1]] == gains
    # Noise is easy; mixtures of two images are nearer to the hull than images are.
    assert results.estimate(ood.AUROC, group="hull, pixels, uniform noise").value == 1
    assert results.claims[-1]["verdict"] == runs.HOLDS
    # The mean is that of the sets but mixtures, and differences are those of means.
    groups = [row.group for row in results.select(quantity=ood.AUROC) if row.group.startswith("hull, pixels, ")]
    values = [results.estimate(ood.AUROC, group=group).value for group in groups]
    assert groups[-1].endswith(unfamiliar_images.MIXED)
    np.testing.assert_allclose(values[0], np.mean(values[1:-1]))
    mean, near = (results.estimate(ood.AUROC, group=f"{name}, pixels, {ood.AVERAGE}").value for name in ("hull", "1-NN"))
    np.testing.assert_allclose(results.estimate(ood.GAIN, group="hull, pixels − 1-NN, pixels").value, mean - near)
