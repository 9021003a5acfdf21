"""The answer of the command: counts, distances and features, as data, text of 80 columns and a CSV."""

from __future__ import annotations

import shutil
import textwrap
from typing import NamedTuple

import numpy as np

from hullx.command.matching import Pair
from hullx.domain import column_ranges, feature_shares
from hullx.geometry import extent
from hullx.runs import tables
from hullx.types import Projection, Status

QUANTILES = {"min": 0.0, "5%": 0.05, "25%": 0.25, "median": 0.5, "75%": 0.75, "95%": 0.95, "max": 1.0}
# Training rows for the mean pairwise distance, and features shown.
SAMPLE, SHOWN = 4096, 10
WIDTH = 80


class Feature(NamedTuple):
    """A feature's part in putting rows outside.

    - share: mean share of the squared distance over the rows outside.
    - beyond: number of test rows beyond the training rows' range in this feature alone.
    """

    name: str
    share: float
    beyond: int


class Report(NamedTuple):
    """What the command found.

    - title: of the comparison.
    - verdicts: "outside", "inside" or "undecided" of each test row.
    - distance: of the rows outside; quantiles are those of these.
    - quantiles: by name; empty if no row is outside.
    - pairwise: mean distance of two training rows, scaled alike.
    - features: largest share first.
    - notes: what was left out.
    """

    title: str
    verdicts: np.ndarray
    distance: np.ndarray
    quantiles: dict[str, float]
    pairwise: float
    features: list[Feature]
    notes: list[str]


def report(title: str, pair: Pair, train: np.ndarray, found: Projection) -> Report:
    """Summarise the projections of test rows.

    Args:
        train: the training rows as they were projected onto, scaled.
    """
    outside = np.asarray(found.outside)
    verdicts = np.where(outside, "outside", np.where(found.inside, "inside", "undecided"))
    distance = np.asarray(found.distance)[outside]
    quantiles = (
        dict(zip(QUANTILES, map(float, np.quantile(distance, [*QUANTILES.values()])), strict=True)) if len(distance) else {}
    )
    sample = np.asarray(train[:: max(1, -(-len(train) // SAMPLE))], np.float64)
    pairwise = extent(np.random.default_rng(0), sample, starts=1).pairwise_mean if len(sample) > 1 else 0.0
    shares = feature_shares(found.direction[outside]).mean(0) if len(distance) else np.zeros(len(pair.columns))
    low, high = column_ranges(pair.train)
    beyond = ((pair.test < low) | (pair.test > high)).sum(0)
    order = np.lexsort((-beyond, -shares))
    features = [Feature(pair.columns[k], float(shares[k]), int(beyond[k])) for k in order]
    return Report(title, verdicts, distance, quantiles, pairwise, features, pair.notes)


def text(found: Report) -> str:
    """The report as text of at most 80 columns."""
    m = len(found.verdicts)
    lines = [_cut(found.title), ""]
    for verdict in ("outside", "inside", "undecided"):
        count = int((found.verdicts == verdict).sum())
        lines.append(f"{verdict:<12}{count:>10,} of {m:,} rows{count / m:>9.1%}")
    if found.quantiles:
        lines += ["", "rows outside" + "".join(f"{name:>9}" for name in found.quantiles)]
        lines.append("distance    " + "".join(f"{value:>9.3g}" for value in found.quantiles.values()))
        if found.pairwise > 0:
            ratios = (value / found.pairwise for value in found.quantiles.values())
            lines.append("÷ mean pair " + "".join(f"{value:>9.3g}" for value in ratios))
            lines.append(f"(mean distance of two training rows: {found.pairwise:.4g})")
        lines += ["", f"{'feature':<40}{'share of distance':>18}{'rows beyond range':>19}"]
        for name, share, beyond in found.features[:SHOWN]:
            lines.append(f"{_cut(name, 39):<40}{share:>18.1%}{beyond:>19,}")
        if len(found.features) > SHOWN:
            lines.append(f"and {len(found.features) - SHOWN:,} more features")
    lines += [""] * bool(found.notes) + [line for note in found.notes for line in _wrapped(note)]
    return "\n".join(lines)


def table(pair: Pair, found: Projection) -> bytes:
    """One line per test row, as CSV: verdict, bracket, the heaviest training row, the feature of largest share."""
    outside = np.asarray(found.outside)
    shares = np.where(outside[:, None], feature_shares(found.direction), 0)
    first = shares.argmax(1)
    return tables.from_columns(
        {
            "row": pair.test_rows,
            "verdict": np.where(outside, "outside", np.where(found.inside, "inside", "undecided")),
            "distance": found.distance,
            "lower": found.lower,
            "status": [Status(int(each)).name for each in found.status],
            "heaviest_train_row": pair.train_rows[found.support[:, 0]],
            "weight": found.weights[:, 0],
            "first_feature": np.where(outside, np.array(pair.columns)[first], ""),
            "share": np.where(outside, shares[np.arange(len(first)), first], np.nan),
        }
    )


def _cut(line: str, width: int = WIDTH) -> str:
    return line if len(line) <= width else line[: width - 1] + "…"


def _wrapped(note: str) -> list[str]:
    return textwrap.wrap(f"note: {note}", min(WIDTH, max(shutil.get_terminal_size().columns, 40)))
