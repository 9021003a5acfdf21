"""The hull of training rows as a scikit-learn estimator: inside, outside, how far, and why."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple, Self

import numpy as np
from jaxtyping import Float, Int

from hullx.arguments import check_count
from hullx.core.hull import Hull
from hullx.core.results import concatenate
from hullx.domain import FeatureSet, feature_shares, features_outside, scaling, spans_differ
from hullx.errors import ArgumentError
from hullx.extras import require
from hullx.geometry import neighbours
from hullx.jax_settings import with_jax_defaults
from hullx.projection.arguments import check_tolerances
from hullx.projection.prepared import prepare
from hullx.sweeping import sweep
from hullx.types import Projection, Status

require("hullx.HullDomain", "sklearn")

from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

FLOATS: Any = [np.float64, np.float32]


class Explanation(NamedTuple):
    """Why a row is outside the hull of the training rows, or what mixes to it.

    - distance, lower: the certified bracket, in units of the scaled rows.
    - status: a `Status`; its `sentence` describes it.
    - point: the nearest mixture of training rows, in the units of the table, (d,).
    - rows, weights: the training rows that mix to it, and their weights, heaviest first.
    - features: (name, share of the squared distance), largest first; empty unless the row is proved outside.
    - proof: names of a set of features that alone proves the row outside (`FeatureSet`): no feature of it can be left out.
      Empty unless the row is proved outside in all columns.
    - smallest: whether no smaller set proves it; decided for sets of one or two features.
    """

    distance: float
    lower: float
    status: Status
    point: Float[np.ndarray, "d"]
    rows: Int[np.ndarray, "s"]
    weights: Float[np.ndarray, "s"]
    features: tuple[tuple[str, float], ...]
    proof: tuple[str, ...]
    smallest: bool

    def __str__(self) -> str:
        """A few lines for a log."""
        mixed = ", ".join(f"row {row} × {weight:.3g}" for row, weight in zip(self.rows[:6], self.weights[:6], strict=True))
        lines = [
            f"distance {self.distance:.6g}, at least {self.lower:.6g}: {self.status.sentence}",
            f"nearest mixture: {mixed}{' …' if len(self.rows) > 6 else ''}",
        ]
        if self.features:
            lines.append("features: " + ", ".join(f"{name} {share:.0%}" for name, share in self.features[:6]))
        if self.proof:
            lines.append(f"proved outside by {', '.join(self.proof)} alone")
        return "\n".join(lines)


class HullDomain(BaseEstimator):
    """The convex hull of the training rows, as the domain in which a model interpolates.

    A row is inside if a mixture of training rows reproduces it. The distance of a row outside has a certified bracket.

    A fitted model holds its hull on JAX's default device, prepared (`hullx.prepare`).

    Every training row is inside, so this is no outlier detector of its own training set, and does not have scikit-learn's tag
    for these. In a grid search, `scoring` can be a function: `lambda model, X, y: roc_auc_score(y, model.score_samples(X))`.

    Args:
        scale: "none"; "std", columns in units of their standard deviation; "robust", in units of their interquartile range.
            "none" warns if the spans of columns differ by more than 10⁶, because the largest then decides the distance.
        n_components: distances in this many principal components of the scaled rows, at most the distances in all; None for all
            columns.
        n_neighbors: distances to the hull of each row's nearest training rows, this many, at least the distances to the hull of
            all; None for all rows.
        rtol: relative width of the bracket at which a row is decided.

    Attributes:
        points_: training rows, (n, d).
        placed_: the same scaled, or in principal components, (n, k).
        n_features_in_, feature_names_in_: as in scikit-learn.
        offset_: 0, the score above which a row is not proved outside.

    Example:
        >>> model = HullDomain().fit(np.asarray(square))
        >>> model.predict([[0.5, 0.5], [2.0, 0.5]]), model.score_samples([[0.5, 0.5], [2.0, 0.5]]).round(6)
        (array([ 1, -1]), array([ 0., -1.]))
        >>> print(model.explain([2.0, 0.5]))
        distance 1, at least 1: outside the hull, and the certified bracket is within tolerance
        nearest mixture: row 1 × 0.5, row 3 × 0.5
        features: 0 100%, 1 0%
        proved outside by 0 alone
    """

    n_features_in_: int
    feature_names_in_: np.ndarray  # only after fitting a table with names
    _hull: Hull | None = None

    def __init__(
        self, *, scale: str = "none", n_components: int | None = None, n_neighbors: int | None = None, rtol: float = 1e-6
    ) -> None:
        self.scale = scale
        self.n_components = n_components
        self.n_neighbors = n_neighbors
        self.rtol = rtol

    def fit(self, X: Any, y: Any = None) -> Self:
        """Keep the training rows, (n, d), finite; y is ignored.

        Raises:
            ArgumentTypeError, ArgumentError: a setting has a wrong type or value.
            ValueError: the rows are not a finite table of numbers.
        """
        rows: Any = validate_data(self, X, dtype=FLOATS)
        check_tolerances(self.rtol)
        check_count("n_components", self.n_components, none="all columns")
        check_count("n_neighbors", self.n_neighbors, none="all rows")
        for name, most, what in (("n_components", min(rows.shape), "min(n, d)"), ("n_neighbors", len(rows), "n")):
            if (value := getattr(self, name)) is not None and value > most:
                raise ArgumentError(f"{name}: got {value}, expected at most {most}, {what} of the rows: lower it")
        self._hull = None  # of earlier rows
        self.points_ = np.array(rows)
        self.scaling_ = scaling(rows, self.scale)
        if self.scale == "none" and spans_differ(rows):
            warnings.warn(
                "HullDomain: spans of columns differ by more than 1e6, and the largest decides the distance: use "
                "scale='std' or scale='robust'",
                stacklevel=2,
            )
        scaled, self.pca_ = self.scaling_.place(self.points_), None
        if self.n_components is not None:
            self.pca_ = PCA(self.n_components, random_state=0).fit(scaled)
        self.placed_ = self._place(self.points_)
        self.offset_ = 0.0
        if self.n_neighbors is None:
            self._prepared()
        return self

    def __getstate__(self) -> dict[str, Any]:
        """The state without the prepared hull, whose float64 arrays JAX would read back as float32."""
        state: Any = super().__getstate__()
        return {name: value for name, value in state.items() if name != "_hull"}

    def project(self, X: Any) -> Projection:
        """The certified projections of rows, in the scaled space or its principal components; `support` holds training rows.

        Raises:
            ValueError: the rows do not match those of `fit`, or are not finite.
        """
        check_is_fitted(self)
        rows: Any = validate_data(self, X, dtype=FLOATS, reset=False)
        return self._project(rows)

    def score_samples(self, X: Any) -> Float[np.ndarray, "m"]:
        """−distance of rows that are proved outside, 0 for others: (m,), float64; −∞ for distances beyond float64."""
        found = self.project(X)
        return np.where(found.status == Status.NONFINITE, -np.inf, np.where(found.outside, -found.distance, 0.0))

    def decision_function(self, X: Any) -> Float[np.ndarray, "m"]:
        """`score_samples` − `offset_`: negative for rows that are proved outside, 0 for others."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> Int[np.ndarray, "m"]:
        """−1 for rows that are proved outside or whose distance is beyond float64, +1 for others: (m,)."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    def score(self, X: Any, y: Any = None) -> float:
        """The share of rows that are predicted as y (+1 or −1), for grid searches; the share inside without y."""
        predicted = self.predict(X)
        return float(np.mean(predicted == (1 if y is None else np.asarray(y))))

    def explain(self, query: Any) -> Explanation:
        """Why one row is outside, or what mixes to it.

        Args:
            query: (d,), or a table of one row.

        Raises:
            ValueError: it is not one row of finite numbers, of as many columns as the training rows, or their names differ.
        """
        check_is_fitted(self)
        if hasattr(query, "columns"):
            validate_data(self, query, reset=False)  # names of columns
        row: Any = check_array(np.atleast_2d(query), dtype=FLOATS)
        if row.shape != (1, self.n_features_in_):
            raise ArgumentError(f"query: got shape {row.shape}, expected one row of {self.n_features_in_} columns")
        found = self._project(row)
        used = found.weights[0] > 0
        rows, weights = found.support[0][used], found.weights[0][used]
        names = [str(name) for name in getattr(self, "feature_names_in_", range(self.n_features_in_))]
        features, proof = list[tuple[str, float]](), FeatureSet(np.zeros(0, np.int64), 0.0, False)
        if found.outside[0]:
            direction = found.direction[0] if self.pca_ is None else found.direction[0] @ self.pca_.components_
            shares = feature_shares(direction)
            features = [(names[k], float(shares[k])) for k in np.argsort(-shares, kind="stable")]
            points = self.points_ if self.n_neighbors is None else self.points_[self._nearest(self._place(row))[0]]
            proof = features_outside(self.scaling_.place(row)[0], self.scaling_.place(points), shares)
        return Explanation(
            float(found.distance[0]),
            float(found.lower[0]),
            Status(int(found.status[0])),
            weights @ np.asarray(self.points_[rows], np.float64),
            rows,
            weights,
            tuple(features),
            tuple(names[k] for k in proof.features),
            proof.smallest,
        )

    def _prepared(self) -> Hull:
        """The hull of all rows, prepared once: by `fit`, or by the first call after unpickling or `set_params`."""
        if self._hull is None:
            self._hull = prepare(self.placed_)
        return self._hull

    def _place(self, rows: np.ndarray) -> np.ndarray:
        scaled = self.scaling_.place(rows)
        if self.pca_ is None:
            return scaled
        # Not a BLAS product, whose rounding depends on the number of rows: a training row must stay inside.
        centred = np.asarray(scaled, np.float64) - np.asarray(self.pca_.mean_)
        return np.einsum("md,kd->mk", centred, np.asarray(self.pca_.components_, np.float64))

    def _nearest(self, placed: np.ndarray) -> np.ndarray:
        """The nearest training rows of placed rows."""
        return neighbours(placed, self.placed_, self.n_neighbors or 1).row

    @with_jax_defaults
    def _project(self, rows: np.ndarray) -> Projection:
        points, queries = self.placed_, self._place(rows)
        if self.n_neighbors is None:
            return sweep(queries, self._prepared(), rtol=self.rtol, progress=False)
        parts = list[Projection]()
        for query, mine in zip(queries, self._nearest(queries), strict=True):
            found = sweep(query[None], points[mine], rtol=self.rtol, progress=False)
            parts.append(found._replace(support=mine[found.support]))
        return concatenate(parts, [slice(i, i + 1) for i in range(len(queries))])
