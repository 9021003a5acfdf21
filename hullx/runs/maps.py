"""Figures of planes: predicted classes, agreement between classifiers, and the hull."""

from __future__ import annotations

from hullx.extras import require

require(__name__, "matplotlib")

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from hullx.runs.plotting import COLOURS, MORE, figure

MARK = MORE[0]  # not used for the first classes
VISIBLE = 0.002  # the legend lists classes with this share of a map
Corners = tuple[float, float, float, float]  # of a map: left, right, bottom, top


class Panel(NamedTuple):
    """A column of `panels`: two maps of one plane, rows from low to high.

    - title: above the column.
    - labels: the class of each point.
    - shares: the share of classifier pairs that agree at each point.
    - corners: of the maps.
    - overlay: draws further elements on each of the two maps.
    """

    title: str
    labels: Int[np.ndarray, "h w"]
    shares: Float[np.ndarray, "h w"]
    corners: Corners
    overlay: Callable[[Axes], None]


def panels(title: str, columns: Sequence[Panel], members: int) -> Figure:
    """Class maps above, agreement maps below, one column per plane.

    Args:
        members: the number of classifiers.
    """
    names = sorted(set(np.concatenate([np.unique(column.labels) for column in columns]).tolist()))
    width = max(2.6, 8 / len(columns))
    drawn, axes = figure(2, len(columns), size=(width * len(columns) + 1.5, 2 * width + 1.2), title=title)
    drawn.set_layout_engine("compressed")  # made for axes of fixed proportions
    look: dict[str, Any] = {"origin": "lower", "interpolation": "nearest"}
    colours, shown = ListedColormap([*COLOURS, *MORE][: len(names)]), None
    for (above, below), column in zip(axes.T, columns, strict=True):
        which = np.searchsorted(names, column.labels)
        above.imshow(which, cmap=colours, vmin=-0.5, vmax=len(names) - 0.5, alpha=0.45, extent=column.corners, **look)
        shown = below.imshow(column.shares, cmap="gray", vmin=0, vmax=1, extent=column.corners, **look)
        above.set_title(column.title)
        for place in (above, below):
            place.set(xticks=[], yticks=[])
            column.overlay(place)
    axes[0, 0].set_ylabel("class of one network")
    axes[1, 0].set_ylabel(f"do {members} networks agree?")
    if shown is not None:
        drawn.colorbar(shown, ax=list(axes[1]), label="share of pairs", shrink=0.9)
    handles = [
        Line2D([], [], linestyle="", marker="s", color=colours(k), alpha=0.45, label=f"called {name}")
        for k, name in enumerate(names)
        if any((column.labels == name).mean() >= VISIBLE for column in columns)
    ]
    drawn.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return drawn


def distances(axes: Axes, values: Float[np.ndarray, "h w"], corners: Corners, levels: Sequence[float]) -> None:
    """Draw contours of the distance to the hull; those far from it, which are long, have labels."""
    height, width = values.shape
    x, y = np.linspace(*corners[:2], width), np.linspace(*corners[2:], height)
    lines = axes.contour(x, y, values, levels=levels, colors="black", linewidths=0.7)
    axes.clabel(lines, levels[len(levels) // 2 :], fmt="%g", fontsize=7)


def points(axes: Axes, places: Float[np.ndarray, "n 2"], labels: Int[np.ndarray, "n"]) -> None:
    """Draw points in the colours of classes 0, 1, …"""
    for k in np.unique(labels):
        axes.plot(*places[labels == k].T, "o", color=COLOURS[k], markersize=2.5, markeredgecolor="white", markeredgewidth=0.3)


def marks(axes: Axes, places: Mapping[str, Float[np.ndarray, "2"]]) -> None:
    """Draw points with letters beside them."""
    halo = [withStroke(linewidth=3, foreground="white")]
    for letter, place in places.items():
        axes.plot(*place, "o", color=MARK, markersize=4, path_effects=halo, zorder=5)
        above: dict[str, Any] = {"xytext": (5, 4), "textcoords": "offset points", "weight": "bold", "zorder": 6}
        axes.annotate(letter, tuple(place), color=MARK, path_effects=halo, **above)


def outline(axes: Axes, corners: Float[np.ndarray, "v 2"]) -> None:
    """Draw a closed line."""
    axes.plot(*np.concatenate([corners, corners[:1]]).T, color=MARK, linewidth=1.2)
