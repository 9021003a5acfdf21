"""Distributions of random points whose hulls may contain a new sample, with exact probabilities where known."""

from __future__ import annotations

from itertools import product
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hullx import runs

from .random_hull_probabilities import ball_simplex_inside, gaussian_outside, interval_outside, symmetric_outside

LAWS = FULL, CURVE, SUBSPACE = "Gaussian, full rank", "1-D curve", "Gaussian, 4-D subspace"
CUBE, CAUCHY, BALL = "uniform in the cube", "Cauchy", "uniform in the ball"
QUERIES = NEW, ORIGIN, ALL = "a new sample", "the origin", "all are vertices"
RANK, TERMS, DEGREE = 4, 32, 1000  # dimensions of the subspace; terms and degree of the curve, far above any d
EXPONENTS = -0.5, -0.25, 0.0, 0.25, 0.5, 0.75, 1.0, 1.25  # from −ε to 3/4 + ε, with ε = ½
EXPECTED = 5  # expected trials on each side for which a share is compared with its exact value

Table = dict[str, np.ndarray]


class Setting(NamedTuple):
    """A probability to measure.

    - law: the distribution of n points in d dimensions.
    - query: a new sample or the origin (is it inside?), or all n points (are all vertices of their hull?).
    - exact: its exact value, or NaN if unknown.
    """

    law: str
    query: str
    n: int
    d: int
    exact: float

    @property
    def data(self) -> str:
        """The law, and the query unless it is a new sample."""
        return self.law if self.query == NEW else f"{self.law}: {self.query}"

    @property
    def group(self) -> str:
        """The numbers of points and dimensions."""
        return f"n = {self.n}, d = {self.d}"


def settings(config: Any) -> list[Setting]:
    """All settings of `experiments.membership` without duplicates, each with its exact value."""
    found: list[Setting] = []
    for d in config.ball:
        found += [Setting(BALL, ALL, ball_points(d, exponent), d, np.nan) for exponent in EXPONENTS]
        found.append(Setting(BALL, NEW, ball_points(d, EXPONENTS[-1]), d, np.nan))
    for d in (2, 3):
        inside = ball_simplex_inside(d)
        found += [Setting(BALL, NEW, d + 1, d, inside), Setting(BALL, ALL, d + 2, d, 1 - (d + 2) * inside)]
    for n in config.counts:
        found.append(Setting(CUBE, NEW, n, 1, 1 - interval_outside(n)))
        found += [Setting(FULL, NEW, n, d, 1 - gaussian_outside(n, d)) for d in config.dimensions]
        found += [Setting(CURVE, NEW, n, d, np.nan) for d in config.dimensions]
        found += [Setting(SUBSPACE, NEW, n, d, 1 - gaussian_outside(n, RANK)) for d in config.ambient]
    for d, law in product(config.symmetric, (FULL, CUBE, CAUCHY)):
        counts = {(3 * d + 1) // 2, 2 * d, 3 * d}
        found += [Setting(law, ORIGIN, n, d, 1 - symmetric_outside(n, d)) for n in sorted(counts)]
    return list({each[:4]: each for each in found}.values())


def ball_points(d: int, exponent: float) -> int:
    """n = 2^(d/2) d^exponent, rounded."""
    return round(2 ** (d / 2) * d**exponent)


def draw_fixed(seed: int, law: str, d: int, width: int) -> Any:
    """Draws that all trials share.

    They are the curve's frequencies (TERMS,) and coefficients (2 TERMS, width), or the subspace's axes (RANK, width).
    The curve in fewer dimensions is the curve in more dimensions without its last coordinates.
    """

    def padded(rows: Any) -> np.ndarray:
        return np.pad(np.transpose(rows), ((0, 0), (0, width - d)))

    if law == CURVE:
        frequencies = 1 + runs.generator(seed, law).choice(DEGREE, TERMS, replace=False)
        rows = [runs.generator(seed, law, str(i)).standard_normal(2 * TERMS) / np.sqrt(TERMS) for i in range(d)]
        return frequencies.astype(float), padded(rows)
    if law == SUBSPACE:
        return padded(np.linalg.qr(runs.generator(seed, law, str(d)).standard_normal((d, RANK)))[0])
    return None


def samples(law: str, z: jax.Array, u: jax.Array, d: Any, fixed: Any) -> jax.Array:
    """Samples of a law, one per row, in the first d coordinates.

    Args:
        z: independent standard Gaussians, (..., width).
        u: independent numbers uniform in [0, 1), (..., 1).
        d: dimensions.
        fixed: as in `Trials`.
    """
    used = jnp.arange(z.shape[-1]) < d
    if law == CURVE:
        # x_i = Σ_j (a_ij cos 2πju + b_ij sin 2πju) / √TERMS, j random from 1 to DEGREE, all a and b standard Gaussian.
        frequencies, coefficients = fixed
        angles = 2 * np.pi * u * frequencies
        z = jnp.matmul(jnp.concatenate([jnp.cos(angles), jnp.sin(angles)], -1), coefficients, precision="highest")
    elif law == SUBSPACE:
        z = jnp.matmul(z[..., :RANK], fixed, precision="highest")
    elif law == CUBE:  # [−1, 1]^d
        z = jax.lax.erf(z / np.sqrt(2))
    elif law == CAUCHY:
        z = jnp.tan(np.pi / 2 * jax.lax.erf(z / np.sqrt(2)))
    elif law == BALL:
        z = jnp.where(used, z, 0.0)
        z = z / jnp.linalg.norm(z, axis=-1, keepdims=True) * u ** (1 / d)
    return jnp.where(used, z, 0.0)


def with_exact_values(table: Table) -> Table:
    """The rows of a table of shares with an exact value and at least `EXPECTED` expected trials on each side."""
    chosen = table["trials"] * np.minimum(table["exact"], 1 - table["exact"]) >= EXPECTED  # False for NaN
    return {name: values[chosen] for name, values in table.items()}


def outcomes(table: Table, law: str, query: str, d: int, n: int | None = None) -> np.ndarray:
    """For each trial at one n, or at all n: whether the query was inside, or all points were vertices."""
    mine = (table["law"] == law) & (table["query"] == query) & (table["d"] == d) & ((n is None) | (table["n"] == n))
    count = round(table["trials"][mine].sum())
    return np.arange(count) < round((table["share"] * table["trials"])[mine].sum())
