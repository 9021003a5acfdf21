"""Find text in figures that readers cannot read, by the boxes of matplotlib's renderer."""

from __future__ import annotations

from hullx.extras import require

require(__name__, "matplotlib")

from collections.abc import Iterator
from itertools import combinations

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox, BboxBase

# Pixels by which boxes may exceed the figure or overlap: a box is a little larger than its letters.
SLACK = 2.0


def faults(drawn: Figure) -> list[str]:
    """One sentence for each text that is cut off by the figure's edge, and for each two texts that overlap.

    Example:
        >>> drawn = Figure()
        >>> _ = drawn.text(0.5, 0.5, "one"), drawn.text(0.5, 0.5, "two")
        >>> faults(drawn)
        ["'one' and 'two' overlap"]
    """
    renderer = FigureCanvasAgg(drawn).get_renderer()
    drawn.draw(renderer)
    boxes = [(text, text.get_window_extent(renderer)) for text in texts(drawn)]
    found = [f"{said(text)} is cut off" for text, box in boxes if _exceeds(box, drawn.bbox)]
    for (one, first), (other, second) in combinations(boxes, 2):
        # The box of slanted text is much larger than the text.
        slanted = (one.get_rotation() % 90, other.get_rotation() % 90) != (0, 0)
        if not slanted and _overlap(first, second):
            found.append(f"{said(one)} and {said(other)} overlap")
    return found


def texts(drawn: Figure) -> Iterator[Text]:
    """All text that is visible in a figure."""
    found = [*drawn.texts, *(text for legend in drawn.legends for text in legend.get_texts())]
    for axes in drawn.axes:
        if axes.get_visible():
            found += [axes.title, *axes.texts, *_beside(axes)]
    for text in found:
        if text.get_visible() and text.get_text().strip():
            yield text


def said(text: Text) -> str:
    """A text in quotation marks, on one line."""
    return repr(" ".join(text.get_text().split()))


def _beside(axes: Axes) -> Iterator[Text]:
    """The text of axes that belongs to neither title nor annotations: of its legend, axis labels and ticks."""
    legend = axes.get_legend()
    if legend is not None and legend.get_visible():
        yield from legend.get_texts()
    if axes.axison:
        for axis in (axes.xaxis, axes.yaxis):
            if axis.get_visible():
                yield axis.label
                yield from _tick_labels(axis)


def _tick_labels(axis: Axis) -> Iterator[Text]:
    """The labels of the ticks within the axis's limits; matplotlib keeps others, which it does not draw."""
    low, high = sorted(axis.get_view_interval())
    for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
        if low <= tick.get_loc() <= high:
            yield tick.label1
            yield tick.label2


def _exceeds(box: Bbox, edge: BboxBase) -> bool:
    return min(box.x0 - edge.x0, box.y0 - edge.y0, edge.x1 - box.x1, edge.y1 - box.y1) < -SLACK


def _overlap(one: Bbox, other: Bbox) -> bool:
    common = Bbox.intersection(one, other)
    return common is not None and min(common.width, common.height) > SLACK
