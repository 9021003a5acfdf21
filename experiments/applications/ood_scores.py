"""Other people's scores of unfamiliar images, from pixels, features or logits; higher is more unfamiliar.

Conventions are those of pytorch-ood 0.4, with which these functions agree (its float32 aside). All compute in float64.

    maximum softmax   −max_c softmax(logits)_c                                          Hendrycks and Gimpel (2017)
    energy            −log Σ_c exp(logits_c), temperature 1                             Liu et al. (2020)
    Mahalanobis       ½ min_c (f − μ_c)ᵀ S⁻¹ (f − μ_c), last hidden layer alone         Lee et al. (2018)
    k-NN              distance to the k-th nearest training row of unit length          Sun et al. (2022)
    ViM               α ‖residual of f‖ − log Σ_c exp(logits_c)                         Wang et al. (2022)
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy.special import logsumexp, softmax
from sklearn.neighbors import NearestNeighbors

from hullx.errors import ArgumentError
from hullx.probes import Head

MAHALANOBIS, SOFTMAX, ENERGY, VIM = "Mahalanobis", "maximum softmax", "energy", "ViM"
# Added to the diagonal of the scatter matrix, as in pytorch-ood: units that are 0 on all training images make it singular.
RIDGE = 1e-6


def network_scores(
    queries: Float[np.ndarray, "m k"], points: Float[np.ndarray, "n k"], labels: Int[np.ndarray, "n"], head: Head
) -> dict[str, Float[np.ndarray, "m"]]:
    """The scores that need features or logits of one network, by name.

    Args:
        queries, points: last hidden layer of the images to score and of the training images.
        labels: of the training images.
        head: the network's last layer.
    """
    logits = np.asarray(queries, np.float64) @ head.weights + head.bias
    return {
        MAHALANOBIS: mahalanobis(queries, points, labels),
        SOFTMAX: maximum_softmax(logits),
        ENERGY: energy(logits),
        VIM: virtual_logit(queries, points, head),
    }


def maximum_softmax(logits: Float[np.ndarray, "m c"]) -> Float[np.ndarray, "m"]:
    """−max_c softmax(logits)_c, in [−1, −1/c].

    Example:
        >>> maximum_softmax(np.zeros((1, 4)))
        array([-0.25])

    Reference: Hendrycks and Gimpel (2017), "A baseline for detecting misclassified and out-of-distribution examples".
    """
    return -softmax(np.asarray(logits, np.float64), axis=1).max(1)


def energy(logits: Float[np.ndarray, "m c"]) -> Float[np.ndarray, "m"]:
    """−log Σ_c exp(logits_c).

    Example:
        >>> energy(np.zeros((1, 4))).round(4)
        array([-1.3863])

    Reference: Liu et al. (2020), "Energy-based out-of-distribution detection", equation 4 with temperature 1.
    """
    return -np.asarray(logsumexp(np.asarray(logits, np.float64), axis=1))


def neighbour_distances(
    queries: Float[np.ndarray, "m d"], points: Float[np.ndarray, "n d"], counts: tuple[int, ...]
) -> dict[int, Float[np.ndarray, "m"]]:
    """Distances to the k-th nearest point for each k in `counts`, by scikit-learn.

    Raises:
        ArgumentError: there are fewer points than the largest k.

    Reference: Sun et al. (2022), "Out-of-distribution detection with deep nearest neighbors", for normalised features.
    """
    if not counts or not 1 <= min(counts) <= max(counts) <= len(points):
        raise ArgumentError(f"neighbours: got {counts}, expected numbers from 1 to {len(points):,}, as many points: lower them")
    search: Any = NearestNeighbors(n_neighbors=max(counts), algorithm="brute").fit(np.asarray(points, np.float64))
    found = search.kneighbors(np.asarray(queries, np.float64))[0]
    return {k: found[:, k - 1] for k in counts}


def unit_length(features: Float[np.ndarray, "m k"]) -> Float[np.ndarray, "m k"]:
    """Features divided by their lengths, in float32; zeros stay zeros."""
    rows = np.asarray(features, np.float64)
    return (rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)).astype(np.float32)


def mahalanobis(
    queries: Float[np.ndarray, "m k"], features: Float[np.ndarray, "n k"], labels: Int[np.ndarray, "n"]
) -> Float[np.ndarray, "m"]:
    """½ min_c (f − μ_c)ᵀ S⁻¹ (f − μ_c), where S is the scatter of training features around their class means.

    S is a sum, not a mean, as in pytorch-ood; this does not change the order of scores. The true labels make the classes.

    Reference: Lee et al. (2018), "A simple unified framework for detecting out-of-distribution samples", without its input
    changes and without its sum over layers.
    """
    rows, fitted = np.asarray(queries, np.float64), np.asarray(features, np.float64)
    means = np.stack([fitted[labels == c].mean(0) for c in np.unique(labels)])
    centred = fitted - means[np.searchsorted(np.unique(labels), labels)]
    lower = np.linalg.cholesky(centred.T @ centred + RIDGE * np.eye(fitted.shape[1]))
    placed, centres = (np.linalg.solve(lower, each.T).T for each in (rows, means))
    return 0.5 * np.min([((placed - centre) ** 2).sum(1) for centre in centres], axis=0)


def virtual_logit(
    queries: Float[np.ndarray, "m k"], features: Float[np.ndarray, "n k"], head: Head, *, dimension: int | None = None
) -> Float[np.ndarray, "m"]:
    """ViM: α times the length of a feature's residual, minus the log-sum-exp of its logits.

    Features are relative to the origin −(Wᵀ)⁺ b, where logits are as near 0 as possible. The residual is that to the principal
    subspace of second moments. α is the mean of the largest logits ÷ the mean length of residuals, both of training images.

    Args:
        head: the last layer; logits are f · weights + bias.
        dimension: of the principal subspace; k // 2 by default, the rule of Wang et al. for fewer than 768 features.

    Raises:
        ArgumentError: the dimension is not from 0 to k − 1.

    Reference: Wang et al. (2022), "ViM: out-of-distribution with virtual-logit matching", equations 4 to 8.
    """
    k = features.shape[1]
    kept = k // 2 if dimension is None else dimension
    if not 0 <= kept < k:
        raise ArgumentError(f"dimension: got {kept}, expected from 0 to {k - 1}: the features have {k} numbers")
    origin = -np.linalg.pinv(head.weights.T) @ head.bias
    fitted, rows = (np.asarray(each, np.float64) - origin for each in (features, queries))
    left = np.linalg.eigh(fitted.T @ fitted / len(fitted))[1][:, : k - kept]
    shift = origin @ head.weights + head.bias
    alpha = (fitted @ head.weights + shift).max(1).mean() / np.linalg.norm(fitted @ left, axis=1).mean()
    return alpha * np.linalg.norm(rows @ left, axis=1) + energy(rows @ head.weights + shift)
