"""Figures of images, their nearest points and their mixtures. Images are (h, w, c) in [0, 1]."""

from __future__ import annotations

from hullx.extras import require

require(__name__, "matplotlib")

from collections.abc import Mapping, Sequence

import numpy as np
import scipy
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hullx.runs.plotting import figure


def compared(title: str, shown: Mapping[str, np.ndarray]) -> Figure:
    """Images, their nearest points, and the differences on one scale, with one column per image.

    Args:
        shown: image and projection (n, h, w, c), label (n,) as text, distance (n,); other keys are ignored.
    """
    image, projection, label, distance = (shown[name] for name in ("image", "projection", "label", "distance"))
    drawn, axes = figure(3, len(image), size=(1.6 * len(image) + 1, 5.4), title=title)
    for k, column in enumerate(axes.T):
        picture(column[0], image[k], f"label {label[k]}, distance {distance[k]:.3g}")
        picture(column[1], projection[k])
    differences(drawn, axes[2], list(image - projection), "image − nearest point")
    words = ("test image", "nearest point\nof the hull", "difference\n(red: image brighter)")
    for row, word in zip(axes[:, 0], words, strict=True):
        row.set_ylabel(word)
    return drawn


def mixed(title: str, shown: Mapping[str, np.ndarray]) -> Figure:
    """One row per image: the image, its nearest point, and the images mixed in that point, each with its weight.

    Args:
        shown: as for `compared`; and for the first s images of each mixture: support_image (n, s, h, w, c), support_label
            (n, s) as text, and weights (n, s).
    """
    image, projection, label, distance = (shown[name] for name in ("image", "projection", "label", "distance"))
    weights = shown["weights"]
    count = weights.shape[1]
    drawn, axes = figure(len(image), 2 + count, size=(1.15 * (2 + count), 1.6 * len(image) + 0.5), title=title)
    for k, row in enumerate(axes):
        used = weights[k] > 0
        missing = 1 - weights[k].sum()
        picture(row[0], image[k], f"test image\nlabel {label[k]}")
        picture(row[1], projection[k], f"nearest point\ndistance {distance[k]:.3g}")
        labels = zip(weights[k][used], shown["support_label"][k][used], strict=True)
        pictures(row[2:], shown["support_image"][k][used], [f"weight {w:.0%}\nlabel {name}" for w, name in labels])
        if missing > 0.005:
            row[-1].set_xlabel(f"others: {missing:.0%}", fontsize=8)
    return drawn


def matched(title: str, rows: Mapping[str, np.ndarray]) -> Figure:
    """One row of images (k, h, w, c) per name, matched one to one to the images of the first row by cosine similarity.

    Images may have any scale: each image is divided by its brightest pixel if that exceeds 1.
    """
    first, *_ = rows.values()
    drawn, axes = figure(len(rows), len(first), size=(1.1 * len(first) + 1.6, 1.25 * len(rows) + 0.5), title=title)
    for row, (name, images) in zip(axes, rows.items(), strict=True):
        order = scipy.optimize.linear_sum_assignment(-_unit(first) @ _unit(images).T)[1]
        bright = np.maximum(images[order].max((1, 2, 3), keepdims=True), 1)
        pictures(row, images[order] / bright, [""] * len(order))
        row[0].set_ylabel(name, rotation=0, ha="right", va="center")
    return drawn


def _unit(images: np.ndarray) -> np.ndarray:
    flat = images.reshape(len(images), -1)
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-12)


def picture(axes: Axes, pixels: np.ndarray, title: str = "") -> None:
    """Draw an image, clipped to [0, 1]."""
    bare(axes, title)
    if pixels.shape[-1] == 3:
        axes.imshow(np.clip(pixels, 0, 1))
    else:
        axes.imshow(pixels[..., 0], cmap="gray", vmin=0, vmax=1)


def pictures(axes: Sequence[Axes], images: np.ndarray, titles: Sequence[str]) -> None:
    """Draw a row of images and hide the remaining axes."""
    for place, pixels, title in zip(axes, images, titles, strict=False):
        picture(place, pixels, title)
    for place in axes[len(images) :]:
        place.set_axis_off()


def differences(drawn: Figure, axes: Sequence[Axes], images: Sequence[np.ndarray], label: str) -> None:
    """Draw signed images, averaged over channels: blue below zero, red above, on one scale with one colour bar."""
    signed = [pixels.mean(-1) for pixels in images]
    bound = max(*(float(np.abs(pixels).max()) for pixels in signed), 1e-12)
    for place, pixels in zip(axes, signed, strict=True):
        bare(place)
        drawing = place.imshow(pixels, cmap="RdBu_r", vmin=-bound, vmax=bound)
        if place is axes[-1]:
            drawn.colorbar(drawing, ax=list(axes), label=label, shrink=0.9, pad=0.01)


def bare(axes: Axes, title: str = "") -> None:
    """Remove ticks and frame."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.set_title(title, fontsize=8)
