"""Figures: made without a window or a backend, saved below a run folder, and what several experiments draw.

def figures(results):
    drawn, axes = plotting.figure(1, 2, size=(9, 4), title="What is seen")
    plotting.histograms(axes[0, 0], {"test images": distances}, "distance", "share")
    yield "distances", drawn
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hullx.runs.atomic import write
from hullx.runs.names import slug

# Okabe and Ito (2008), told apart with any colour vision; and more of Tol (2021, "bright" and "muted") for long lists.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MORE = ("#882255", "#999933", "#332288", "#AA4499", "#117733", "#BBBBBB", "#88CCEE", "#DDCC77", "#661100")
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "legend.fontsize": 8,
}
DPI = 120


# What an experiment's `figures` yields: each by its name.
Figures = Iterator[tuple[str, Figure]]


def figure(rows: int = 1, columns: int = 1, *, size: tuple[float, float], title: str) -> tuple[Figure, np.ndarray]:
    """A figure and its axes, (rows, columns).

    Args:
        size: width and height in inches.
        title: says what is seen.
    """
    drawn = Figure(figsize=size, dpi=DPI, layout="constrained")
    drawn.suptitle(title, fontsize=10)
    return drawn, drawn.subplots(rows, columns, squeeze=False)


def saved(folder: Path, figures: Callable[[], Iterable[tuple[str, Figure]]]) -> list[Path]:
    """figures/<name>.png of a run folder for each figure by name, drawn in the house's style; their paths.

    Raises:
        StorageError: one cannot be written.
    """
    paths = []
    with matplotlib.rc_context(STYLE):
        for name, drawn in figures():
            path, image = folder / "figures" / f"{slug(name)}.png", io.BytesIO()
            drawn.savefig(image, format="png", metadata={"Software": None})
            write(path, image.getvalue())
            paths.append(path)
    return paths


def colours(names: Iterable[str]) -> dict[str, str]:
    """A colour for each name, none twice."""
    names = list(names)
    return dict(zip(names, [*COLOURS, *MORE], strict=False))


def histograms(axes: Axes, values: Mapping[str, np.ndarray], xlabel: str, ylabel: str) -> None:
    """Normalised histograms, one colour and one dotted mean each, the same bins for all."""
    edges: Any = np.histogram_bin_edges(np.concatenate(list(values.values())), bins=40)
    for colour, (label, sample) in zip(COLOURS, values.items(), strict=False):
        shares = np.full(len(sample), 1 / max(len(sample), 1))
        axes.hist(sample, edges, weights=shares, histtype="stepfilled", alpha=0.25, color=colour)
        mean = float(np.mean(sample))
        axes.hist(sample, edges, weights=shares, histtype="step", color=colour, label=f"{label} (mean {mean:.3g})")
        axes.axvline(mean, color=colour, linestyle=":", linewidth=1)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    if edges[0] >= 0:
        axes.set_xlim(0, None)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0)


def boxes(axes: Axes, values: Mapping[str, np.ndarray], *, orientation: Any = "vertical") -> None:
    """A box a sample: quartiles, whiskers to the 5th and 95th percentile, a triangle at the mean."""
    axes.boxplot(
        list(values.values()),
        tick_labels=list(values),
        orientation=orientation,
        whis=(5, 95),
        showfliers=False,
        showmeans=True,
        widths=0.6,
        medianprops={"color": COLOURS[0]},
        meanprops={"marker": "^", "markerfacecolor": COLOURS[1], "markeredgecolor": COLOURS[1], "markersize": 4},
    )


BOXES = "box: quartiles, line: median, triangle: mean, whiskers: 5% and 95%"
