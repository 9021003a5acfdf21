"""Figures, drawn from the files of a run folder: `python -m hullx.runs.plotting <run folder>` draws them anew.

An experiment's module has a function `figures(folder)`; what several experiments draw is here.
"""

from __future__ import annotations

import importlib
import io
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

matplotlib.use("Agg")  # files only: no window, no display needed

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hullx.runs.atomic import write
from hullx.runs.folder import read_json, slug

# Okabe and Ito (2008): told apart with any colour vision.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
STYLE: dict[Any, Any] = {
    "figure.constrained_layout.use": True,
    "figure.dpi": 120,
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}


@contextmanager
def figure(folder: Path, name: str, rows: int = 1, columns: int = 1, *, size: tuple[float, float]) -> Iterator[np.ndarray]:
    """A grid of axes, (rows, columns), saved as figures/<name>.png of the run folder when the block ends."""
    with plt.rc_context(STYLE):
        drawn, axes = plt.subplots(rows, columns, figsize=size, squeeze=False)
        yield axes
        save(drawn, folder, name)


def save(drawn: Figure, folder: Path, name: str) -> None:
    """Saves and closes a figure."""
    data = io.BytesIO()
    drawn.savefig(data, format="png")
    plt.close(drawn)
    write(folder / "figures" / f"{slug(name)}.png", data.getvalue())


def histograms(axes: Axes, samples: Mapping[str, np.ndarray], xlabel: str, ylabel: str) -> None:
    """Histograms of several samples over the same bins, as shares of each sample; a tick marks each median."""
    edges = np.histogram_bin_edges(np.concatenate(list(samples.values())), 40).tolist()
    for (label, values), colour in zip(samples.items(), COLOURS, strict=False):
        shares = np.full(len(values), 1 / len(values))
        axes.hist(values, edges, weights=shares, histtype="stepfilled", alpha=0.25, color=colour)
        axes.hist(
            values, edges, weights=shares, histtype="step", color=colour, label=f"{label} (median {np.median(values):.3g})"
        )
        axes.axvline(float(np.median(values)), color=colour, linestyle=":", linewidth=1)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0)


def image(axes: Axes, pixels: np.ndarray, title: str = "", *, symmetric: bool = False) -> None:
    """An image (h, w, c) in [0, 1]; or with `symmetric` a signed one, blue below zero and red above, colours summed."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    if symmetric:
        signed = pixels.mean(-1)
        bound = max(float(np.abs(signed).max()), 1e-12)
        axes.imshow(signed, cmap="RdBu_r", vmin=-bound, vmax=bound)
    elif pixels.shape[-1] == 3:
        axes.imshow(np.clip(pixels, 0, 1))
    else:
        axes.imshow(pixels[..., 0], cmap="gray", vmin=0, vmax=1)
    axes.set_title(title, fontsize=8)


def images(axes: Sequence[Axes], pictures: Sequence[np.ndarray], titles: Sequence[str]) -> None:
    """A row of images; axes left over are hidden."""
    for place, (pixels, title) in zip(axes, zip(pictures, titles, strict=True), strict=False):
        image(place, pixels, title)
    for place in axes[len(pictures) :]:
        place.set_axis_off()


def main() -> None:
    """Redraws the figures of the run folder named on the command line."""
    if len(sys.argv) != 2 or not (Path(sys.argv[1]) / "config.json").is_file():
        print("usage: python -m hullx.runs.plotting RUN_FOLDER (a folder with config.json)", file=sys.stderr)
        sys.exit(2)
    folder = Path(sys.argv[1])
    importlib.import_module(read_json(folder, "config.json")["module"]).figures(folder)
    print(*sorted((folder / "figures").glob("*.png")), sep="\n")


if __name__ == "__main__":
    main()
