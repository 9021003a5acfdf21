"""Figures without a window or backend, saved in a run folder, and plots shared by experiments.

def figures(results):
    drawn, axes = plotting.figure(1, 2, title="Distances to the hull")
    plotting.histograms(axes[0, 0], {"test images": distances}, "distance", "share")
    yield "distances", drawn
"""

from __future__ import annotations

from hullx.extras import require

require(__name__, "matplotlib")

import io
import textwrap
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from hullx.runs.atomic import write
from hullx.runs.legibility import faults
from hullx.runs.names import slug
from hullx.runs.statistics import Estimate

# Okabe and Ito (2008), distinguishable with any colour vision; for long lists, colours of Tol (2021, "bright" and "muted").
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
# The formats of saved figures, and their metadata that change from run to run.
NAMELESS = {"png": ("Software",), "pdf": ("CreationDate",)}


# The names and figures that an experiment's `figures` yields.
Figures = Iterator[tuple[str, Figure]]


def figure(
    rows: int = 1, columns: int = 1, *, title: str, size: tuple[float, float] | None = None
) -> tuple[Figure, np.ndarray]:
    """A figure and its axes, (rows, columns).

    Args:
        title: describes the figure.
        size: width and height in inches; by default 4.5 × 4 for each pair of axes.
    """
    size = size or (4.5 * columns, 4.0 * rows)
    drawn = Figure(figsize=size, dpi=DPI, layout="constrained")
    drawn.suptitle(textwrap.fill(title, int(12 * size[0])), fontsize=10)
    return drawn, drawn.subplots(rows, columns, squeeze=False)


def saved(folder: Path, figures: Callable[[], Iterable[tuple[str, Figure]]]) -> list[Path]:
    """Save figures as figures/<name>.png and .pdf in a run folder, in the common style; return the paths of the PNGs.

    A warning names text that readers cannot read (`hullx.runs.legibility`).

    Raises:
        StorageError: a file cannot be written.
    """
    paths = []
    with matplotlib.rc_context(STYLE):
        for name, drawn in figures():
            path = folder / "figures" / f"{slug(name)}.png"
            for fault in faults(drawn):
                warnings.warn(f"{path.name}: {fault}", stacklevel=2)
            for kind, nameless in NAMELESS.items():
                image = io.BytesIO()
                drawn.savefig(image, format=kind, metadata=dict.fromkeys(nameless))
                write(path.with_suffix(f".{kind}"), image.getvalue())
            paths.append(path)
    return paths


def data_name(title: str) -> str:
    """The name of a data set, without the sizes in its title.

    Example:
        >>> data_name("MNIST, 10,000 training and 300 test images")
        'MNIST'
    """
    return title.partition(",")[0]


def colours(names: Iterable[str]) -> dict[str, str]:
    """A distinct colour for each name."""
    names = list(names)
    return dict(zip(names, [*COLOURS, *MORE], strict=False))


def histograms(axes: Axes, values: Mapping[str, np.ndarray], xlabel: str, ylabel: str) -> None:
    """Draw normalised histograms with common bins, each with its colour and a dotted mean."""
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


def lines(axes: Axes, table: Mapping[str, np.ndarray], x: str, y: str, *, by: str, names: Iterable[str], **style: Any) -> None:
    """Draw a line for each of the names in the table's column `by`; colours depend on `names` only."""
    for name, colour in colours(names).items():
        mine = table[by] == name
        if mine.any():
            look: dict[str, Any] = {"color": colour, "label": name, **style}
            axes.plot(table[x][mine], table[y][mine], **look)


def curves(
    title: str,
    table: Mapping[str, np.ndarray],
    x: str,
    quantities: Mapping[str, str],
    *,
    columns: str,
    by: str,
    **axes_look: Any,
) -> Figure:
    """Panels of lines: a row per quantity (a table column, with its label), a column per name in the table's column `columns`,
    and a line per name in the column `by`. `axes_look` is set on all axes.
    """
    across, names = (list(dict.fromkeys(table[name])) for name in (columns, by))
    size = 2 + 3.8 * len(across), 1.2 + 2.4 * len(quantities)
    drawn, axes = figure(len(quantities), len(across), size=size, title=title)
    for column, name in zip(axes.T, across, strict=True):
        mine = {key: values[table[columns] == name] for key, values in table.items()}
        for place, (quantity, label) in zip(column, quantities.items(), strict=True):
            lines(place, mine, x, quantity, by=by, names=names)
            place.set(**{"ylabel": label, "ylim": (0, None), **axes_look})
            if place.get_xscale() == "log":
                plain_ticks(place)
        column[0].set_title(name)
        column[-1].set_xlabel(x)
    if by != columns:
        drawn.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return drawn


def plain_ticks(axes: Axes) -> None:
    """Use plain numbers on a logarithmic x axis: 1, 3, 10, 30 …"""
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda number, _: f"{number:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def whole_decades(axes: Axes, values: Iterable[float]) -> None:
    """Make a logarithmic x axis of whole powers of ten about the values, and label only these: other labels may overlap."""
    powers = np.floor(np.log10([value for value in values if np.isfinite(value)] or [1.0]))
    axes.set(xscale="log", xlim=(10 ** powers.min(), 10 ** (powers.max() + 1)))
    axes.xaxis.set_minor_formatter(NullFormatter())


def box_panels(title: str, panels: Mapping[str, Mapping[str, np.ndarray]], xlabel: str) -> Figure:
    """Panels of horizontal boxes on one scale: values by panel and name, with the same names in each panel."""
    names = list(next(iter(panels.values())))
    size = 2 + 4 * len(panels), 1.6 + 0.4 * len(names)
    drawn, axes = figure(1, len(panels), size=size, title=title)
    for place, (panel, values) in zip(axes[0], panels.items(), strict=True):
        boxes(place, values, orientation="horizontal")
        place.set(title=panel, xlabel=xlabel)
        place.sharex(axes[0, 0])
        place.invert_yaxis()
    axes[0, 0].set_xlim(0, None)
    for place in axes[0, 1:]:
        place.set_yticklabels([])
    drawn.supxlabel(BOXES, fontsize=8)
    return drawn


def boxes(axes: Axes, values: Mapping[str, np.ndarray], *, orientation: Any = "vertical") -> None:
    """Draw one box per sample: quartiles, whiskers to the 5th and 95th percentile, a triangle at the mean."""
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


def intervals(
    axes: Axes,
    estimates: Mapping[str, Estimate],
    xlabel: str,
    *,
    shift: float = 0.0,
    limits: tuple[float, float] | None = None,
    **style: Any,
) -> None:
    """Draw one row per name, from the top: a dot at the value, a bar over its interval, and a line at 0.

    Args:
        shift: of the dots, in rows, where several are drawn for each name.
        limits: of the axis; an arrow marks each interval or value that is cut there.
    """
    rows = np.arange(len(estimates))
    look: dict[str, Any] = {"fmt": "o", "color": COLOURS[0], "markersize": 4, "capsize": 2, **style}
    values = np.array([estimate[:3] for estimate in estimates.values()])
    ends = np.nan_to_num(np.stack([values[:, 0] - values[:, 1], values[:, 2] - values[:, 0]]))
    axes.errorbar(values[:, 0], rows + shift, xerr=np.maximum(ends, 0), **look)
    if limits is not None:
        axes.set_xlim(limits)
        for side, beyond, arrow in ((0, values.min(1) < limits[0], "<"), (1, values.max(1) > limits[1], ">")):
            for row in rows[beyond]:  # an empty line without clipping would confuse the layout
                axes.plot(limits[side], row + shift, arrow, color=look["color"], clip_on=False)
    axes.axvline(0, color="0.7", linewidth=1, zorder=0)
    axes.set(yticks=rows, yticklabels=list(estimates), xlabel=xlabel, ylim=(len(rows) - 0.5, -0.5))


BOXES = "box: quartiles, line: median, triangle: mean, whiskers: 5% and 95%"
